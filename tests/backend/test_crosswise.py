"""Stores across the vector turn squares in registers, whatever the sizes."""

import re

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend.jit import named
from exprgrad.runtime.compile import Request, compile_request

AVX512 = named("x86-64-v4", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+fma")


@pytest.mark.parametrize("named", [False, True], ids=["fixed", "named"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("shape", [(16, 16), (33, 77), (5, 40), (40, 5), (100, 17), (1, 9)])
def test_a_transposed_copy(shape: tuple[int, int], dtype: str, named: bool) -> None:
    array = (3 * np.random.default_rng(0).normal(size=shape)).astype(dtype)
    x = eg.input("x", ("n", "m") if named else shape, dtype=dtype)
    np.testing.assert_array_equal(eg.function([x], x.T)(array), array.T)


@pytest.mark.parametrize("order", [(0, 2, 1), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_other_orders_and_arithmetic_on_the_way(order: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).normal(size=(3, 40, 23))
    x = eg.input("x", array.shape, dtype="float64")
    f = eg.function([x], eg.permute_dims(x, order) * 2 + 1)
    np.testing.assert_array_equal(f(array), array.transpose(order) * 2 + 1)


def test_it_reads_and_stores_whole_vectors() -> None:
    x = eg.input("x", (256, 256))
    code = compile_request(Request([x.T], {}), AVX512).library.assembly
    assert not re.search(r"v(p?gather|scatter)", code)


@pytest.mark.parametrize(("dtype", "size"), [("float32", 16), ("float64", 8)])
def test_a_square_takes_one_instruction_for_each_shuffle(dtype: str, size: int) -> None:
    x = eg.input("x", (256, 256), dtype=dtype)
    code = compile_request(Request([x.T], {}), AVX512).library.assembly
    assert not re.search(r"\tv(perm|blend|mov[sd][lhd]*dup)", code)
    shuffles = re.findall(r"\tv(?:unpck|shuf|insertf|extractf|movlhps|movhlps)\w+", code)
    assert shuffles
    assert len(shuffles) % (size * (size.bit_length() - 1)) == 0


def test_bytes_that_lie_apart_are_stored_one_by_one_where_all_lanes_exist() -> None:
    rng = np.random.default_rng(2)
    x, w = eg.input("x", (40, "batch")), eg.input("w", (40, 5))
    positive = eg.permute_dims(x, (1, 0)) @ w > 0
    text = compile_request(Request([positive], {}), AVX512).library.ir
    scattered = re.findall(r"@llvm\.masked\.scatter\.v16i8\.\w+\(<16 x i8> %\w+, .*", text)
    assert "store i8" in text
    assert scattered
    assert all("<16 x i1> %" in call for call in scattered)
    a, b = rng.normal(size=(40, 70)), rng.normal(size=(40, 5))
    given = a.astype("float32"), b.astype("float32")
    np.testing.assert_array_equal(eg.function([x, w], positive)(*given), a.T @ b > 0)
