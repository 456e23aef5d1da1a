"""L-BFGS beside PyTorch's walk, the book's matrix H, SciPy's and scikit-learn's minima."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from tests.train import record_lbfgs as record
from tests.train.record_lbfgs import CASES, EVERY, STARTS, STEPS, X, Y
from tests.train.record_optimizers import START, gradient
from tests.train.walks import walk

RECORDED = json.loads(record.FILE.read_text())
o = eg.optim


def quadratic(w: eg.Tensor, u: eg.Tensor) -> eg.Tensor:
    theta = eg.concat([w.reshape((6,)), u])
    return (theta * (record.MATRIX @ theta)).sum() / 2


def logistic(w: eg.Tensor, b: eg.Tensor) -> eg.Tensor:
    return eg.log1p(eg.exp(-Y * (X @ w + b))).mean() + record.DECAY * (w * w).sum() / 2


LOSSES: dict[str, Callable[..., eg.Tensor]] = {
    "quadratic": quadratic,
    "logistic": logistic,
}


def points(name: str, rule: Any, steps: int = STEPS) -> np.ndarray:
    """All parameters in a row, after each step."""
    held = [
        eg.parameter(f"w{i}", start.shape, start, "float64")
        for i, start in enumerate(STARTS[name])
    ]
    step = eg.function([], None, rule.updates(LOSSES[name](*held)))
    found = []
    for _ in range(steps):
        step()
        found.append(np.concatenate([w.value.ravel() for w in held]))
    return np.array(found)


@cache
def ours(name: str, rate: float, pairs: int) -> np.ndarray:
    """Every fifth point of our walk."""
    return points(name, o.LBFGS(rate, history_size=pairs))[EVERY - 1 :: EVERY]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_recorded_points(case: tuple[str, float, int]) -> None:
    recorded = RECORDED[" ".join(map(str, case))]
    np.testing.assert_allclose(ours(*case), recorded, rtol=0, atol=1e-10)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_live_points(case: tuple[str, float, int]) -> None:
    pytest.importorskip("torch")
    live = record.torch_walk(*case)
    np.testing.assert_allclose(ours(*case), live, rtol=0, atol=1e-10)


def inverse_hessian(pairs: list[tuple[np.ndarray, np.ndarray]], n: int) -> np.ndarray:
    """Nocedal and Wright 2006, equations 7.16 and 7.20, as a matrix; oldest first."""
    if not pairs:
        return np.eye(n)
    s, y = pairs[-1]
    found = np.eye(n) * (s @ y) / (y @ y)
    for s, y in pairs:
        turn = np.eye(n) - np.outer(y, s) / (s @ y)
        found = turn.T @ found @ turn + np.outer(s, s) / (s @ y)
    return found


@pytest.mark.parametrize("m", [1, 2, 5])
def test_the_two_loops_are_the_matrix_of_the_book(m: int) -> None:
    w, pairs, expected = START, [], []
    g = gradient(w)
    for t in range(30):
        rate = 0.5 if t else 0.5 * min(1, 1 / np.abs(g).sum())
        moved = w - rate * inverse_hessian(pairs[-m:], 3) @ g
        s, y = moved - w, gradient(moved) - g
        if s @ y > 1e-10:
            pairs.append((s, y))
        w, g = moved, gradient(moved)
        expected.append(w)
    found = walk(o.LBFGS(0.5, history_size=m), steps=30)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_the_minimum_of_scipy() -> None:
    minimize = pytest.importorskip("scipy.optimize").minimize

    def slope(theta: np.ndarray) -> np.ndarray:
        return np.hstack(record.logistic(theta[:4], theta[4]))

    def value(theta: np.ndarray) -> float:
        margins = Y * (X @ theta[:4] + theta[4])
        decay = record.DECAY * theta[:4] @ theta[:4] / 2
        return float(np.log1p(np.exp(-margins)).mean() + decay)

    best = minimize(
        value, np.zeros(5), jac=slope, method="BFGS", options={"gtol": 1e-9}
    )
    found = points("logistic", o.LBFGS(), 60)[-1]
    np.testing.assert_allclose(found, best.x, rtol=0, atol=1e-7)
    assert np.abs(slope(found)).max() < 1e-9


def test_a_trainer_on_all_rows_gives_the_coefficients_of_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    sure = linear.LogisticRegression(C=2.0, tol=1e-10, max_iter=1000).fit(X, Y)
    x, y = eg.input("x", ("batch", 4), "float64"), eg.input("y", ("batch",), "float64")
    w, b = eg.parameter("w", (4,), dtype="float64"), eg.parameter("b", dtype="float64")
    loss = eg.log1p(eg.exp(-y * (x @ w + b))).mean() + (w * w).sum() / (4 * len(Y))
    trainer = eg.Trainer(loss, o.LBFGS(history_size=5))
    trainer.fit({"x": X, "y": Y}, epochs=60, batch_size=None)
    np.testing.assert_allclose(w.value, sure.coef_[0], rtol=1e-6)
    np.testing.assert_allclose(b.value, sure.intercept_[0], rtol=1e-6)


def test_a_step_along_which_the_slope_falls_is_left_out() -> None:
    """cos is concave from -π/2 to π/2: s·y < 0, and the step is that of the gradient."""
    w = eg.parameter("w", init=0.1, dtype="float64")
    rule = o.LBFGS(0.5, history_size=2)
    step = eg.function([], None, rule.updates(eg.cos(w)))
    at = 0.1
    for _ in range(4):
        step()
        at += 0.5 * np.sin(at)
        assert w.value == pytest.approx(at, rel=1e-14)
    memory = {slot.name: slot for slot in rule.slots}
    assert memory["w.s1"].value == memory["rho1"].value == 0 != memory["w.before"].value
    while w.value < np.pi / 2:
        step()
    step(), step()
    assert memory["rho1"].value > 0


def test_s_is_the_whole_move_also_where_a_chain_changes_it() -> None:
    w = eg.parameter("w", (3,), init=[1.0, 2.0, 3.0], dtype="float64")
    rule = o.Chain(o.LBFGS(0.5, history_size=1), o.WeightDecay(0.3))
    step = eg.function([], None, rule.updates((w**4).sum()))
    way = [w.value.copy()]
    for _ in range(3):
        step()
        way.append(w.value.copy())
    (s,) = (slot.value for slot in rule.slots if slot.name == "w.s1")
    np.testing.assert_array_equal(s, way[2] - way[1])


def test_groups_remember_their_own_parameters_and_dtypes_may_differ() -> None:
    w, u = eg.parameter("w", init=3.0), eg.parameter("u", init=-2.0, dtype="float64")
    v = eg.parameter("v", init=1.0, dtype="float64")
    loss = eg.astype(w * w, "float64") + 5 * u * u + v * v
    rule = o.LBFGS()
    step = eg.function([], loss, o.Groups((o.Frozen(), [v]), rest=rule).updates(loss))
    for _ in range(12):
        step()
    assert (w.value, u.value, v.value) == (pytest.approx(0, abs=1e-6),) * 2 + (1,)
    assert {slot.name.partition(".")[0] for slot in rule.slots} & {"w", "u", "v"} == {
        "w",
        "u",
    }


@pytest.mark.parametrize("slope", [0.0, 1e-30, 1e15])
def test_a_constant_gradient_in_float32(slope: float) -> None:
    """y is 0: no pair is taken, and each step is of the gradient, the first at most 1."""
    w = eg.parameter("w", init=1.0)
    rule = o.LBFGS(1.0)
    step = eg.function([], None, rule.updates(eg.constant(slope, "float32") * w))
    step()
    assert w.value == np.float32(1 - min(slope, 1.0))
    step()
    assert np.isfinite(w.value) and rule.count.value == 2
