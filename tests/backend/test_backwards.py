"""What is read from its end on is read in whole vectors, whose lanes are turned round."""

import re

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend.jit import named
from exprgrad.runtime.compile import Request, compile_request

AVX512 = named("x86-64-v4", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+fma")


@pytest.mark.parametrize("size", [0, 1, 7, 16, 33, 100])
@pytest.mark.parametrize("is_named", [False, True], ids=["fixed", "named"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_values(size: int, is_named: bool, dtype: str) -> None:
    array = (3 * np.random.default_rng(0).normal(size=(3, size))).astype(dtype)
    x = eg.input("x", ("n", "m") if is_named else array.shape, dtype=dtype)
    np.testing.assert_array_equal(eg.function([x], x[:, ::-1])(array), array[:, ::-1])


def test_part_of_a_row_with_numbers_beside_that_are_not_read() -> None:
    array = np.full((40, 50), np.nan, np.float32)
    array[:, 5:45] = np.random.default_rng(1).normal(size=(40, 40))
    x = eg.input("x", array.shape)
    found = eg.function([x], x[:, 44:4:-1] + x[:, 5:45])(array)
    np.testing.assert_array_equal(found, array[:, 44:4:-1] + array[:, 5:45])


def test_a_guarded_read_and_its_gradient() -> None:
    array, slope = np.random.default_rng(2).normal(size=(2, 6, 37))
    x, g = (eg.input(name, array.shape, "float64") for name in "xg")
    y = eg.pad(x[:, ::-1], ((0, 0), (3, 4)))
    np.testing.assert_array_equal(
        eg.function([x], y)(array), np.pad(array[:, ::-1], ((0, 0), (3, 4)))
    )
    back = eg.grad((y[:, 3:-4] * g).sum(), x)
    np.testing.assert_array_equal(eg.function([x, g], back)(array, slope), slope[:, ::-1])


def test_nothing_is_gathered() -> None:
    x = eg.input("x", (256, 250))
    code = compile_request(Request([x[:, ::-1]], {}), AVX512).library.assembly
    assert not re.search(r"v(p?gather|scatter)", code)


@pytest.mark.parametrize("index", [np.s_[-3:], np.s_[::-2], np.s_[::-3], np.s_[1:-1]])
def test_gradients_of_parts_of_a_named_axis(index: slice) -> None:
    x = eg.input("x", ("n",), "float64")
    y = x[index]
    slope = eg.grad((y * y).sum(), x)
    given = np.random.default_rng(3).normal(size=23)
    wanted = np.zeros(23)
    wanted[index] = 2 * given[index]
    np.testing.assert_array_equal(eg.function([x], slope)(given), wanted)
