"""Strided gradients without divisions, and what is known of an index from its loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.dims import Dim
from exprgrad.graph.dtype import bool_, int64
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.interpret import Values
from exprgrad.loop.ranges import folded
from tests.compiled import assert_right
from tests.loop.stages import stages
from tests.loop.test_meaning import hold


def divisions(kernels):
    ops = {"floor_divide", "remainder"}
    return [n for kernel in kernels for n in ir.scalars(kernel) if n.op in ops]


def gradient(size, stride, dilation, padding, n=9):
    x = eg.input("image", ("batch", 2, n, n), "float64")
    w = eg.input("kernel", (3, 2, size, size), "float64")
    y = eg.conv2d(x, w, stride=stride, dilation=dilation, padding=padding)
    rng = np.random.default_rng(0)
    values = {x: rng.normal(size=(2, 2, n, n)), w: rng.normal(size=w.shape)}
    return eg.grad(eg.sum(y * y), [x, w]), values


@pytest.mark.parametrize("size, stride, dilation, padding, n", [
    (3, 2, 1, 1, 9), (3, 2, 1, 0, 8), (5, 3, 1, 2, 10), (2, 2, 1, 0, 9), (3, 2, 2, 0, 9),
    (3, 2, 3, 1, 9), (1, 2, 1, 0, 8), (3, 4, 1, 0, 8), (3, 2, 2, 1, 8),
])  # fmt: skip
def test_strided_gradients_divide_no_index(size, stride, dilation, padding, n):
    outputs, values = gradient(size, stride, dilation, padding, n)
    made = stages(outputs)
    assert divisions(made.lowered) and not divisions(made.ordered)
    assert_right(outputs, values)


@pytest.mark.parametrize("n, size, stride, padding", [(9, 3, 2, 0), (8, 3, 2, 1), (10, 5, 3, 0)])
def test_gradients_of_overlapping_pools_divide_no_index(n, size, stride, padding):
    """Although the place of the largest shares their outer loops."""
    x = eg.input("image", (2, 3, n, n), "float64")
    edges = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    y = eg.max_pool2d(eg.pad(x, edges), size, stride=stride)
    outputs = [eg.grad(eg.sum(y * y), x)]
    made = stages(outputs)
    assert divisions(made.fused) and not divisions(made.ordered)
    assert_right(outputs, {x: np.random.default_rng(0).normal(size=x.shape)})


def test_interpreted_before_and_after():
    y, w, x = (eg.input(name, (n,), "float64") for name, n in (("y", 8), ("w", 3), ("x", 17)))
    taps = eg.sliding_window(x, 3, 0, stride=2)
    rng = np.random.default_rng(0)
    spread = eg.vjp(eg.einsum("ik,k->i", taps, w), x, y)
    hold([spread], {v: rng.normal(size=v.shape) for v in (y, w)})


def test_strides_of_many_remainders_are_left():
    outputs, values = gradient(7, 5, 1, 0, 12)
    assert divisions(stages(outputs).ordered)
    assert_right(outputs, values)


def test_each_tap_is_tried_where_it_falls():
    """Of 3 x 3 taps at stride 2 the four remainders have 4, 2, 2 and 1."""
    (of_image, _), _ = gradient(3, 2, 1, 1)
    kernel = next(k for k in stages([of_image]).ordered if len(k.stores) == 4)
    sums = [store.value for store in kernel.stores]
    taps = [[a.extent for a in s.params[1] if a.extent == 2] for s in sums]
    assert sorted(map(len, taps)) == [0, 1, 1, 2]
    assert not any(node.op == "where" for node in ir.scalars(kernel))


def test_a_sum_that_is_stored_and_used_is_taken_once():
    """Each remainder's sum over its taps, which both results of one kernel read."""
    x, w = eg.input("x", ("batch", 4, 32, 32), "float64"), eg.input("w", (8, 4, 3, 3), "float64")
    y = eg.conv2d(x, w, stride=2, padding=1)
    slope = eg.grad(eg.sum(y * y), x)
    made = stages([slope, eg.tanh(slope)])
    (kernel,) = (k for k in made.ordered if {"output0", "output1"} & {b.name for b in k.writes()})
    sums = [n for n in ir.scalars(kernel) if n.op == "reduce"]
    assert len(kernel.stores) == 2 * len(sums) == 8
    rng = np.random.default_rng(0)
    values = {x: rng.normal(size=(2, 4, 32, 32)), w: rng.normal(size=w.shape)}
    assert_right([slope, eg.tanh(slope)], values, scale=100)


def test_remainders_share_a_loop_where_nothing_is_summed():
    x = eg.input("x", ("batch", 3, 8, 8))
    (kernel,) = stages([eg.grad(eg.sum(eg.max_pool2d(x, 2) ** 2), x)]).ordered[-1:]
    assert [store.buffer.role for store in kernel.stores].count("output") == 4
    assert len({store.axes for store in kernel.stores}) == 1


# Ranges

AXES = P, Q, N = ir.Axis("i", 5), ir.Axis("j", 3), ir.Axis("n", Dim.named("n"))
p, q, n = map(ir.axis_value, AXES)


def op(name, a, b):
    dtype = int64 if name in ("floor_divide", "remainder", "add") else bool_
    a, b = (ir.number(x) if isinstance(x, int) else x for x in (a, b))
    return ir.scalar(name, (a, b), (), dtype)


TWICE = op("add", ir.times(p, 2), ir.times(q, -4))
KNOWN = [
    (op("floor_divide", op("add", TWICE, 1), 2), True),
    (op("floor_divide", op("add", TWICE, -1), 2), True),
    (op("floor_divide", p, 2), False),
    (op("floor_divide", op("add", ir.times(n, 4), q), 4), True),
    (op("remainder", op("add", ir.times(n, 4), q), 4), True),
    (op("remainder", op("add", ir.times(n, 4), p), 4), False),
    (op("less", p, 5), True),
    (op("less", p, 4), False),
    (op("less_equal", -4, op("add", p, ir.times(q, -2))), True),
    (op("less_equal", -3, op("add", p, ir.times(q, -2))), False),
    (op("less_equal", 0, n), True),
    (op("less", n, 0), True),
    (op("equal", op("remainder", TWICE, 2), 0), True),
    (op("equal", p, 7), True),
    (op("equal", p, 3), False),
    (op("logical_and", op("less", p, 5), op("less", p, 3)), False),
    (op("logical_and", op("less", p, 0), op("less", p, 3)), True),
]


@pytest.mark.parametrize("node, is_known", KNOWN)
def test_what_is_known_from_ranges_is_folded(node, is_known):
    (found,) = folded([node])
    left = {n.op for n in walk([found])} - {"axis", "constant", "add", "multiply"}
    assert (not left) == is_known
    values = Values({}, {"n": 4})
    for a, b, c in product(range(5), range(3), range(4)):
        point = {P: a, Q: b, N: c}
        assert values.of(found, point) == values.of(node, point)
