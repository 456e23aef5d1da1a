"""Schedules against their closed formulas, read in Python's own arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError
from exprgrad.graph.evaluate import evaluate

S = eg.schedules

# A schedule and the rate that it has at update t, counted from 0.
CASES: dict[str, tuple[eg.Tensor, Callable[[int], float]]] = {
    "constant": (S.constant(0.1), lambda t: 0.1),
    "inverse_time": (S.inverse_time(0.1, 0.5), lambda t: 0.1 / (1 + 0.5 * t)),
    "step_decay": (S.step_decay(0.1, 0.5, 3), lambda t: 0.1 * 0.5 ** (t // 3)),
    "exponential": (S.exponential(0.1, 0.2), lambda t: 0.1 * math.exp(-0.2 * t)),
    "polynomial": (
        S.polynomial(0.1, 5, 0.01, 2.0),
        lambda t: 0.09 * (1 - min(t / 5, 1)) ** 2 + 0.01,
    ),
    "cosine": (
        S.cosine(0.1, 6, 0.01),
        lambda t: 0.01 + 0.045 * (1 + math.cos(math.pi * min(t / 6, 1))),
    ),
    "warmup": (S.warmup(0.1, 4), lambda t: 0.1 * min((t + 1) / 4, 1)),
    "warmup of cosine": (
        S.warmup(S.cosine(0.1, 8), 4),
        lambda t: min((t + 1) / 4, 1) * 0.05 * (1 + math.cos(math.pi * min(t / 8, 1))),
    ),
    "piecewise": (
        S.piecewise({0: 0.1, 4: 0.05, 7: 0.01}),
        lambda t: 0.1 if t < 4 else 0.05 if t < 7 else 0.01,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_formula(name: str) -> None:
    schedule, formula = CASES[name]
    found = [float(evaluate([schedule], {eg.step: t})[0]) for t in range(10)]
    np.testing.assert_allclose(found, [formula(t) for t in range(10)], atol=1e-15)


def test_an_optimizer_reads_it_at_its_own_count() -> None:
    w = eg.parameter("w", init=0.0, dtype="float64")
    optimizer = eg.optim.SGD(S.inverse_time(1.0, 1.0))
    step = eg.function([], None, optimizer.updates(w * 1.0))
    for _ in range(4):
        step()
    assert float(w.value) == pytest.approx(-(1 + 1 / 2 + 1 / 3 + 1 / 4))


def test_wrong_lengths() -> None:
    with pytest.raises(GraphError, match="steps of a schedule is above 0, not 0"):
        S.cosine(0.1, 0)
    with pytest.raises(GraphError, match="need one for update 0"):
        S.piecewise({3: 0.1})
