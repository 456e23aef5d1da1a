"""Loops in pieces: where they are cut, and that what they compute is the same."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import exprgrad as eg
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.tensor import Tensor
from exprgrad.loop import pieces
from exprgrad.loop.ir import Kernel, scalars
from exprgrad.loop.pieces import LEAST, in_pieces
from tests.loop.stages import interpreted, stages

RNG = np.random.default_rng(0)


def kernels_of(*outputs: Tensor) -> list[Kernel]:
    return in_pieces(stages(outputs).fused)


def stores(*outputs: Tensor) -> int:
    return sum(len(kernel.stores) for kernel in kernels_of(*outputs))


A, B, C = (eg.input(name, (8, n, 40)) for name, n in zip("abc", (3, 5, 1), strict=True))
ROW, SHORT = eg.input("row", (8, 100)), eg.input("short", (8, 6))


@pytest.mark.parametrize(
    ("output", "number"),
    [
        (eg.concat([A, B, C], 1), 3),
        (eg.tanh(eg.concat([A, eg.exp(B)], 1)) * 2.0, 2),
        (eg.concat([ROW, ROW], 1), 2),
        (eg.concat([ROW, ROW], 0), 2),
        (eg.stack([ROW, ROW, ROW], 1), 3),
        (eg.where(eg.arange(100) < LEAST, ROW, 2.0 * ROW), 2),
        (eg.where(eg.arange(100) < LEAST - 1, ROW, 2.0 * ROW), 1),  # too short
        (eg.concat([SHORT, SHORT], 1), 1),
        (eg.stack([ROW, ROW], 2), 1),
        (eg.pad(A, ((0, 0), (1, 1), (0, 0))), 1),  # `border` does that
        (eg.concat([ROW] * 17, 0), 1),  # too many
        (eg.where(ROW < 0.5, ROW, 2.0 * ROW), 1),
        (eg.concat([ROW, ROW], 1).sum(1), 1),
    ],
    ids=str,
)
def test_how_many_pieces(output: Tensor, number: int) -> None:
    assert stores(output) == number


def test_what_would_have_too_many_pieces_is_not_cut_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The time of a concat of many arrays would grow with the square of their number."""
    monkeypatch.setattr(pieces, "piece", None)
    assert stores(eg.concat([ROW] * 40, 0)) == 1
    assert stores(eg.stack([ROW] * 40, 1)) == 1


def test_pieces_choose_nothing() -> None:
    for kernel in kernels_of(eg.concat([A, eg.exp(B), C], 1), eg.concat([ROW, ROW], 0)):
        assert not [node for node in scalars(kernel) if node.op in ("where", "less_equal")]


def test_pieces_mean_what_the_whole_means() -> None:
    output = eg.tanh(eg.concat([A[:1], eg.exp(B[:1]), C[:1]], 1))
    made = stages([output])
    data = {x: RNG.normal(size=x.shape).astype(np.float32) for x in (A, B, C)}
    kernels = in_pieces(made.fused)
    assert kernels != made.fused
    wanted = interpreted(made.fused, made.outputs, data)
    np.testing.assert_array_equal(interpreted(kernels, made.outputs, data), wanted)


def test_loops_that_others_share_stay_whole() -> None:
    """A sum of each row and what reads it have the loop over rows in common."""
    x = eg.input("x", (6, 80))
    y = x - x.mean(1, keepdims=True)
    output = eg.where(eg.arange(80) < 40, y, eg.exp(y))
    made = stages([output])
    (kernel,) = in_pieces(made.fused)
    assert len({store.axes[0] for store in kernel.stores}) == 1
    assert len(kernel.stores) == 3
    data = {x: RNG.normal(size=(6, 80)).astype(np.float32)}
    (wanted,) = evaluate([output], data)
    np.testing.assert_allclose(interpreted([kernel], made.outputs, data)[0], wanted, 1e-5)


def test_what_windows_read_is_stored_side_by_side_first() -> None:
    """Not chosen again for each tap."""
    a, b = (eg.input(name, (2, 4, 9, 9)) for name in "ab")
    w = eg.input("w", (3, 8, 3, 3))
    (joined, product) = kernels_of(eg.conv2d(eg.concat([a, b], 1), w))
    assert len(joined.stores) == 2
    assert not [node for node in scalars(product) if node.op == "where"]


def test_a_reduction_is_not_computed_for_each_piece() -> None:
    x = eg.input("x", (6, 80))
    y = x - x.max(1, keepdims=True)
    assert stores(eg.where(eg.arange(80) < 40, y, eg.exp(y))) == 1


Step = Callable[[Tensor], Tensor]
BEFORE: list[Step] = [lambda x: x, eg.tanh, lambda x: x[..., ::-1], lambda x: 2 * x]
AFTER: list[Step] = [
    lambda y: y, lambda y: y * y, lambda y: y.sum(-1), lambda y: y.sum(0), lambda y: y.T,
    lambda y: y - y.mean(-1, keepdims=True), lambda y: eg.concat([y, y + 1.0], y.ndim - 1),
    lambda y: y[..., 1:], lambda y: y @ eg.ones((y.shape[-1], 5), "float64"),
]  # fmt: skip


@st.composite
def side_by_side(draw: st.DrawFn) -> tuple[list[Tensor], Tensor]:
    """Arrays that are put side by side along any axis, with arithmetic before and after."""
    rank = draw(st.integers(1, 3))
    axis = draw(st.integers(0, rank - 1))
    size = st.sampled_from([1, 2, 7, 16, 33, 40])
    others = [draw(size) for _ in range(rank)]
    inputs, pieces = [], []
    for name in "abcd"[: draw(st.integers(1, 4))]:
        shape = [*others[:axis], draw(size), *others[axis + 1 :]]
        x = eg.input(name, tuple(shape), "float64")
        inputs.append(x)
        pieces.append(draw(st.sampled_from(BEFORE))(x))
    whole = eg.concat(pieces, axis)
    return inputs, draw(st.sampled_from(AFTER))(whole)


@given(case=side_by_side())
@settings(max_examples=150, deadline=None)
def test_values_and_gradients(case: tuple[list[Tensor], Tensor]) -> None:
    inputs, output = case
    outputs = [output, *eg.grad((output * output).sum(), inputs)]
    data = {x.name: RNG.normal(size=x.shape) for x in inputs}
    wanted = evaluate(outputs, data)
    for found, expected in zip(eg.function(inputs, outputs)(**data), wanted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
