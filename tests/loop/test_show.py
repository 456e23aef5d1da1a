"""Listings of small kernels, whole: what is computed once stands once, where it belongs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

import exprgrad as eg
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.tensor import Tensor
from exprgrad.loop import ir
from exprgrad.loop.fuse import fuse
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store
from exprgrad.loop.order import order
from exprgrad.loop.schedule import How, Scheduled
from exprgrad.loop.show import show_kernel, show_kernels
from exprgrad.rewrite.simplify import erase, simplify
from exprgrad.runtime.compile import Request, _lowered

X, V = eg.input("x", ("n", 3)), eg.input("v", ("n",))
W, M = eg.parameter("w", (3,)), eg.state("m", (3,))
S = eg.state("s", (3,))
RATE = eg.state("rate", init=0.1)
SLOPE = eg.grad(eg.mean((X @ W - V) ** 2), W)
MOMENTUM = 0.9 * M + 0.1 * SLOPE
SECOND = 0.99 * S + 0.01 * SLOPE * SLOPE


def listing(
    outputs: Sequence[Tensor], updates: Mapping[Tensor, Tensor] | None = None
) -> str:
    """The kernels of these expressions, before any loop is scheduled."""
    request = Request(outputs, updates or {})
    graph = simplify(erase([*outputs, *(updates or {}).values()]))
    kernels, states, _ = _lowered(request, graph)
    return show_kernels([Scheduled(k, {}, 4) for k in order(fuse(kernels), states)])


CASES: dict[str, tuple[Callable[[], str], str]] = {
    "elementwise": (
        lambda: listing([eg.exp(X) * 2 + 1]),
        """\
kernel output0
    for i < n:
        for j < 3:
            output0[i, j] = exp(x[i, j]) * 2 + 1""",
    ),
    "a reduction that is used once stands in place": (
        lambda: listing([X @ W]),
        """\
kernel output0
    for i < n:
        output0[i] = sum over u < 3: x[i, u] * w[u]""",
    ),
    "a reduction inside a formula has a line": (
        lambda: listing([eg.tanh(X @ W)]),
        """\
kernel output0
    for i < n:
        s1 = sum over u < 3: x[i, u] * w[u]
        output0[i] = tanh(s1)""",
    ),
    "softmax": (
        lambda: listing([eg.softmax(X)]),
        """\
kernel output0
    for i < n:
        s1 = max over u < 3: x[i, u]
        for j < 3:
            exp1[i, j] = exp(x[i, j] - s1)
        s2 = sum over u < 3: exp1[i, u]
        for j < 3:
            output0[i, j] = exp1[i, j] / s2""",
    ),
    "the step of an optimizer": (
        lambda: listing(
            [],
            {
                M: MOMENTUM,
                S: SECOND,
                W: W - eg.exp(RATE - 3) * MOMENTUM / (eg.sqrt(SECOND) + 1e-8),
            },
        ).partition("kernel w")[2],
        """
    t1 = exp(rate - 3)
    for i < 3:
        s1 = sum over u < n: add1[u] * x[u, i]
        t2 = 0.9 * m[i] + 0.1 * s1
        t3 = 0.99 * s[i] + 0.01 * s1 * s1
        m[i] = t2
        s[i] = t3
        w[i] = w[i] - t1 * t2 / (sqrt(t3) + 1e-08)""",
    ),
    "what does not depend on a loop stands before it": (
        lambda: listing(
            [V[:, None] * X / eg.sqrt(abs(RATE) + 1) + eg.sigmoid(V * V)[:, None]]
        ),
        """\
kernel output0
    t1 = sqrt(abs(rate) + 1)
    for i < n:
        t2 = sigmoid(v[i] * v[i])
        for j < 3:
            output0[i, j] = v[i] * x[i, j] / t1 + t2""",
    ),
    "a guard, and an index with a minus": (
        lambda: listing([eg.pad(V, [(1, 2)])]),
        """\
kernel output0
    for i < n + 3:
        output0[i] = where((0 <= i - 1) & (i - 1 < n), v[i - 1], 0)""",
    ),
    "argmax and an index that is checked": (
        lambda: listing([eg.take(W, eg.argmax(X, axis=1))]),
        """\
kernel output0
    for i < n:
        s1 = argmax over u < 3: x[i, u]
        output0[i] = w[bound(s1, 3)]""",
    ),
    "random numbers": (
        lambda: listing([eg.random.uniform((3,), key=7)]),
        """\
kernel output0
    for i < 3:
        output0[i] = random(i, step, seed, key=7)""",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_listing(name: str) -> None:
    make, expected = CASES[name]
    assert make() == expected


# Kernels by hand

AT, U, V_ = Axis("i", 4), Axis("u", 5), Axis("u", 6)
A = Buffer("a", (4,), dtypes.float32, "state")
T1 = Buffer("t1", (4,), dtypes.float32, "state")
B = Buffer("b", (5,), dtypes.float32, "input")
C = Buffer("c", (6,), dtypes.float32, "input")


def at(buffer: Buffer, axis: Axis) -> Scalar:
    return ir.read(buffer, buffer.shape, (ir.axis_value(axis),))


def f(op: str, *args: Scalar) -> Scalar:
    return ir.scalar(op, args, (), dtypes.float32)


def test_a_reduction_with_parts_of_its_own_is_a_block() -> None:
    shared = f("exp", f("multiply", at(A, AT), at(B, U)))
    total = ir.reduction("sum", (f("multiply", shared, f("tanh", shared)),), (U,))
    kernel = Kernel((Store(A, (AT,), (ir.axis_value(AT),), f("log", total)),))
    assert show_kernel(Scheduled(kernel, {U: How(2, vector=True)}, 4)) == (
        "kernel a\n"
        "    for i < 4:\n"
        "        s1 = sum over u < 5 (by 2 vectors):\n"
        "            t1 = exp(a[i] * b[u])\n"
        "            t1 * tanh(t1)\n"
        "        a[i] = log(s1)"
    )


def test_loops_inside_each_other_have_different_names() -> None:
    inner = ir.reduction("max", (f("subtract", at(B, U), at(C, V_)),), (V_,))
    outer = ir.reduction("sum", (f("exp", inner),), (U,))
    kernel = Kernel((Store(A, (AT,), (ir.axis_value(AT),), outer),))
    assert show_kernel(Scheduled(kernel, {AT: How(4, parallel=True)}, 4)) == (
        "kernel a\n"
        "    s1 = sum over u < 5:\n"
        "        s2 = max over u' < 6: b[u] - c[u']\n"
        "        exp(s2)\n"
        "    for i < 4 (by 4 parallel):\n"
        "        a[i] = s1"
    )


def test_old_values_are_read_before_new_ones_are_stored() -> None:
    place = (ir.axis_value(AT),)
    swap = Kernel(
        (Store(A, (AT,), place, at(T1, AT)), Store(T1, (AT,), place, at(A, AT)))
    )
    assert show_kernel(Scheduled(swap, {}, 4)) == (
        "kernel t1\n"
        "    for i < 4:\n"
        "        t2 = a[i]\n"  # t1 is the name of a buffer
        "        a[i] = t1[i]\n"
        "        t1[i] = t2"
    )
