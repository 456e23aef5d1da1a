"""Which kernels are the same but for their buffers, and share one function."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.tensor import Tensor
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store
from exprgrad.loop.same import form
from exprgrad.loop.schedule import How, Scheduled
from tests.loop.stages import stages

F32, F64 = dtypes.float32, dtypes.float64


def buffer(dtype: dtypes.DType = F32) -> Buffer:
    return Buffer("b", (8,), dtype, "input")


def adds(
    left: Buffer, right: Buffer, out: Buffer, n: int = 8, how: How | None = None
) -> Scheduled:
    """out[i] = left[i] + right[i]"""
    axis = Axis("i", n)
    index = (ir.axis_value(axis),)
    terms = tuple(ir.read(b, b.shape, index) for b in (left, right))
    value = ir.scalar("add", terms, (), left.dtype)
    kernel = Kernel((Store(out, (axis,), index, value),))
    return Scheduled(kernel, {axis: how} if how else {}, 4)


def same(a: Scheduled, b: Scheduled) -> bool:
    return form(a).key == form(b).key


A, B, C, D = (buffer() for _ in range(4))


def test_other_buffers_are_given_in_the_same_places() -> None:
    one, two = adds(A, B, C), adds(D, A, B)
    assert same(one, two)
    assert form(one).buffers == (A, B, C)
    assert form(two).buffers == (D, A, B)


@pytest.mark.parametrize(
    "other",
    [
        adds(A, A, C),
        adds(A, B, A),
        adds(A, B, B),
        adds(buffer(F64), buffer(F64), buffer(F64)),
        adds(A, B, C, n=7),
        adds(A, B, C, how=How(vector=True)),
        replace(adds(A, B, C), lanes=8),
    ],
    ids=["one twice", "in place", "in place of the second", "dtype", "extent", "how", "lanes"],
)
def test_what_differs_more(other: Scheduled) -> None:
    assert not same(adds(A, B, C), other)


def test_a_view_and_an_accumulation_differ() -> None:
    plain = adds(A, B, C)
    (store,) = plain.kernel.stores
    for changed in (replace(store, accumulate=True), replace(store, view=(2, 4))):
        assert not same(plain, replace(plain, kernel=Kernel((changed,))))


def test_numbers_differ() -> None:
    def scaled(by: int) -> Scheduled:
        axis = Axis("i", 8)
        index = (ir.axis_value(axis),)
        read: Scalar = ir.read(A, A.shape, index)
        value = ir.scalar("where", (ir.less_equal(*index, ir.number(by)), read, read), (), F32)
        return Scheduled(Kernel((Store(C, (axis,), index, value),)), {}, 4)

    assert same(scaled(3), scaled(3))
    assert not same(scaled(3), scaled(4))


def functions(f: eg.Function) -> int:
    """How many kernels were made code for."""
    text = next(s.text() for s in f.report() if s.name == "emit")
    return len(re.findall(r"^define .*@kernel\d+\(", text, re.M))


def deep(sizes: list[int], x: Tensor) -> Tensor:
    for n, (a, b) in enumerate(itertools.pairwise(sizes)):
        x = eg.tanh(x @ eg.parameter(f"W{n}", (a, b), init=eg.init.normal(0.3)))
    return x


def test_layers_of_one_shape_share_their_code() -> None:
    x = eg.input("x", ("n", 8))
    f = eg.function([x], deep([8] * 6, x))
    assert functions(f) == 1
    assert functions(eg.function([x], deep([8, 8, 7, 8, 8], x))) == 3
    rows = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    y = deep([8] * 6, x)
    wanted = rows
    for node in eg.graph.node.walk([y]):
        if node.op == "parameter":
            wanted = np.tanh(wanted @ node.value)
    np.testing.assert_allclose(eg.function([x], y)(rows), wanted, rtol=1e-5, atol=1e-6)


def test_every_check_of_an_index_names_its_own_line() -> None:
    rows = eg.input("rows", ("n",), "int64")
    tables = [eg.parameter(f"t{n}", (5, 3)) for n in range(2)]
    first = eg.take(tables[0], rows)
    second = eg.take(tables[1], rows + 1)
    f = eg.function([rows], [first, second])
    with pytest.raises(eg.IndexOutOfRange, match=r"second = eg\.take"):
        f([4])
    with pytest.raises(eg.IndexOutOfRange, match=r"eg\.take"):
        f([5])
    assert len({form(s).key for s in stages([first, second]).scheduled}) == 2


def test_draws_that_differ_in_their_keys_are_alike() -> None:
    """Each step of a chain draws with keys of its own."""
    x = eg.input("x", (64,))
    draws = [eg.random.uniform((64,)) + x for _ in range(2)]
    one, two = (stages([draw]).scheduled[0] for draw in draws)
    assert form(one).key == form(two).key
    assert form(one).draws != form(two).draws
