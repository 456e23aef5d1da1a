"""Checkpoints: less memory, more contractions, the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.fuse import contractions
from exprgrad.loop.memory import plan

DEPTH, WIDTH, BATCH = 30, 32, 256
LAYER = BATCH * WIDTH * 4
X = eg.input("x", ("batch", WIDTH))
ROWS = np.random.default_rng(0).normal(size=(BATCH, WIDTH)).astype("f")


def network(every: int | None) -> tuple[Tensor, list[Tensor]]:
    h, weights = X, []
    for n in range(DEPTH):
        weights.append(eg.parameter(f"checkpoint {n}", (WIDTH, WIDTH)))
        h = eg.tanh(h @ weights[-1])
        if every and n % every == every - 1 and n + 1 < DEPTH:
            h = eg.checkpoint(h)
    return (h * h).mean(), weights


def trained(every: int | None) -> tuple[Any, list[np.ndarray]]:
    """The compiled step, and the losses and parameters after three of them."""
    loss, weights = network(every)
    step = eg.function([X], loss, eg.optim.SGD(0.1).updates(loss, weights))
    losses = np.array([step(ROWS) for _ in range(3)])
    return step.program.program.compiled, [losses, *(w.value for w in weights)]


def layers(compiled: Any) -> float:
    """The arena of a program, in layers."""
    return plan(compiled.needed, {"batch": BATCH}).nbytes / LAYER


def dots(compiled: Any) -> int:
    return sum(contractions(scheduled.kernel) for scheduled in compiled.kernels)


def test_the_memory_of_a_deep_network_grows_with_the_root_of_its_depth() -> None:
    plain, expected = trained(None)
    marked, found = trained(5)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)
    assert layers(plain) >= DEPTH
    # Five marks, the five layers of a segment, three that the backward pass works with.
    assert layers(marked) <= 5 + 5 + 3
    # Of each segment but the last all layers but the one that is kept.
    assert dots(marked) == dots(plain) + 5 * 4


DRAWN = eg.parameter("drawn", (WIDTH, WIDTH))


def dropout(mark: Callable[[Tensor], Tensor]) -> Tensor:
    """Draws are the same when they are made again."""
    h = mark(eg.nn.dropout(eg.relu(X @ DRAWN), 0.5) @ DRAWN)
    return (mark(eg.tanh(h @ DRAWN) + h) ** 2).mean()


def normalised(mark: Callable[[Tensor], Tensor]) -> Tensor:
    h = mark(eg.nn.layer_norm(eg.gelu(X @ DRAWN)))
    return mark(eg.softmax(mark(eg.reshape(h, ("batch", 4, 8))), -1) ** 2).mean()


def nested(mark: Callable[[Tensor], Tensor]) -> Tensor:
    h = mark(mark(eg.sin(X)) @ DRAWN)
    return (mark(mark(h)) * eg.cos(h)).mean() + h.mean()


@pytest.mark.parametrize("build", [dropout, normalised, nested])
def test_values_and_gradients_have_the_same_bits(build: Any) -> None:
    results = []
    for mark in (lambda h: h, eg.checkpoint):
        loss = build(mark)
        f = eg.function([X], [loss, *eg.grad(loss, [X, DRAWN])], training=True)
        results.append(f(ROWS))
    for plain, marked in zip(*results, strict=True):
        np.testing.assert_array_equal(plain, marked)


def test_a_gradient_by_what_lies_between_marks() -> None:
    inner = eg.sin(X)
    loss = (eg.checkpoint(eg.tanh(inner * inner)) ** 2).sum()
    given = {X: ROWS.astype("float64")}
    t = np.tanh(np.sin(ROWS.astype("float64")) ** 2)
    (found,) = evaluate([eg.grad(loss, inner)], given)
    expected = 2 * t * (1 - t * t) * 2 * np.sin(ROWS)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_marked_value_is_computed_twice_only_for_a_gradient() -> None:
    y = eg.checkpoint(eg.tanh(X) * 2)
    assert repr(eg.simplify([y])[0]) == "checkpoint(tanh(x) * 2.0)"
    assert "again" not in eg.listing([y])
    assert "again(x, " in eg.listing([eg.grad((y * y).sum(), X)])


def test_checkpoint_takes_no_function() -> None:
    with pytest.raises(GraphError, match=r"write checkpoint\(f\(x\)\) in place of"):
        eg.checkpoint(eg.tanh)
