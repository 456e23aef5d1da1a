"""L-BFGS with a search along the line: PyTorch's walk, SciPy's minima, the conditions."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import exprgrad as eg
from exprgrad.graph.evaluate import evaluate
from exprgrad.runtime import compile as compiler
from tests.train import record_searches as record
from tests.train.record_searches import CASES, STARTS, Rows

RECORDED = json.loads(record.FILE.read_text())
SEARCHES = ["wolfe", "armijo"]
ROUNDING = 1e-12  # the loss at a place, and at θ when it has come there, are two sums
o = eg.optim


class Walk:
    """A compiled step of L-BFGS and its numbers."""

    def __init__(self, loss: Any, start: Any, dtype: str = "float64", **options: Any):
        self.w = eg.parameter("w", np.shape(start), start, dtype)
        self.rule = o.LBFGS(**options)
        value = loss(self.w)
        self.step = eg.function([], value, self.rule.updates(value))

    def number(self, name: str) -> float:
        (slot,) = (slot for slot in self.rule.slots if slot.name == name)
        return float(slot.value)

    def losses(self, steps: int) -> np.ndarray:
        return np.array([self.step() for _ in range(steps)])

    def taken(self, count: int) -> tuple[Rows, list[int]]:
        """The points at which θ stood, but the first, and the step that took each."""
        points: Rows = []
        steps: list[int] = []
        at = self.w.value.copy()
        for step in range(1, 60 * count):
            self.step()
            if not np.array_equal(at, self.w.value):
                at = self.w.value.copy()
                points.append(at.tolist())
                steps.append(step)
            if len(points) == count:
                break
        return points, steps


@cache
def ours(name: str, rate: float, pairs: int, count: int) -> tuple[Rows, list[int]]:
    walk = Walk(
        lambda w: record.loss(name, w, eg, eg.constant),
        STARTS[name],
        learning_rate=rate,
        history_size=pairs,
        line_search="wolfe",
    )
    return walk.taken(count)


def require_equal(found: tuple[Rows, list[int]], sure: Any) -> None:
    np.testing.assert_allclose(found[0], sure[0], rtol=0, atol=1e-8)
    assert found[1] == sure[1]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_recorded_points_and_evaluations(case: tuple[str, float, int, int]) -> None:
    require_equal(ours(*case), RECORDED[" ".join(map(str, case))])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_live_points_and_evaluations(case: tuple[str, float, int, int]) -> None:
    pytest.importorskip("torch")
    require_equal(ours(*case), record.torch_walk(*case))


def rosenbrock(w: eg.Tensor) -> eg.Tensor:
    return (100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum()


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("start", [[-1.2, 1.0], [-1.2, 1.0] * 5, [5.0, -5.0]], ids=len)
def test_the_valley_of_rosenbrock_beside_scipy(search: str, start: list[float]) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    options = {"ftol": 0.0, "gtol": 1e-6, "maxcor": 10}
    peer = optimize.minimize(
        optimize.rosen, start, jac=optimize.rosen_der, method="L-BFGS-B", options=options
    )
    walk = Walk(rosenbrock, start, line_search=search)
    walk.losses(int(1.3 * peer.nfev) + 10)
    np.testing.assert_allclose(walk.w.value, np.ones(len(start)), rtol=0, atol=1e-6)


def cancer(rate_of_decay: float) -> tuple[Any, Any]:
    """Logistic regression on raw columns, from 0.001 to 4,000: for us, for SciPy."""
    x, y = pytest.importorskip("sklearn.datasets").load_breast_cancer(return_X_y=True)
    sign = 2.0 * y - 1

    def ours(w: eg.Tensor) -> eg.Tensor:
        losses = eg.softplus(-sign * (x @ w[:30] + w[30]))
        return losses.mean() + rate_of_decay * (w[:30] ** 2).sum()

    def peer(w: np.ndarray) -> tuple[float, np.ndarray]:
        margins = sign * (x @ w[:30] + w[30])
        weights = -sign * np.exp(-np.logaddexp(0, margins)) / len(y)
        value = np.logaddexp(0, -margins).mean() + rate_of_decay * w[:30] @ w[:30]
        return value, np.append(weights @ x + 2 * rate_of_decay * w[:30], weights.sum())

    return ours, peer


@pytest.mark.parametrize("search", SEARCHES)
def test_raw_columns_on_which_a_rate_of_1_fails(search: str) -> None:
    """Over ten starts both take as many evaluations as SciPy, in the median, ± 5%."""
    minimize = pytest.importorskip("scipy.optimize").minimize
    loss, peer = cancer(0.1)
    seen: list[float] = []

    def watched(w: np.ndarray) -> tuple[float, np.ndarray]:
        seen.append(peer(w)[0])
        return peer(w)

    options = {"maxiter": 5000, "maxfun": 5000, "ftol": 0.0, "gtol": 1e-9}
    best = minimize(watched, np.zeros(31), jac=True, method="L-BFGS-B", options=options)
    needed = int(np.argmax(np.array(seen) < best.fun + 1e-6))
    found = Walk(loss, np.zeros(31), line_search=search).losses(2 * needed)
    assert best.fun - 1e-9 < found[-1] < best.fun + 1e-6
    assert np.diff(found).max() <= ROUNDING
    assert not Walk(loss, np.zeros(31)).losses(600)[-1] < 1000  # without a search


def wave(w: Any, tilt: Any, library: Any = np) -> Any:
    """Many minima, a slope that may lead on for long, and walls in the end."""
    return library.cos(3 * w) + tilt * w + 1e-3 * w**4


def wave_slope(w: Any, tilt: float) -> Any:
    return -3 * np.sin(3 * w) + tilt + 4e-3 * w**3


@cache
def wave_walk(search: str) -> tuple[Walk, eg.Tensor]:
    tilt = eg.state("tilt", dtype="float64")
    return Walk(lambda w: wave(w, tilt, eg), 0.0, line_search=search), tilt


@pytest.mark.parametrize("search", SEARCHES)
@settings(max_examples=40, deadline=None)
@given(at=st.floats(-5, 5), rate=st.floats(0.01, 300.0), tilt=st.floats(-2, 2))
def test_what_is_taken_fulfils_the_conditions(
    search: str, at: float, rate: float, tilt: float
) -> None:
    """The book's equations 3.7, by derivatives of our own."""
    assume(abs(wave_slope(at, tilt)) > 0.01)
    walk, tilted = wave_walk(search)
    for node in (walk.w, *walk.rule.slots):
        node.cell.reset()
    walk.w.value, walk.rule.learning_rate, tilted.value = at, rate, tilt
    before = at
    for (after,) in np.reshape(walk.taken(2)[0], (-1, 1)):
        fall = wave_slope(before, tilt) * (after - before)
        assert wave(after, tilt) <= wave(before, tilt) + 1e-4 * fall + 1e-12
        if search == "wolfe":
            limit = 0.9 * abs(wave_slope(before, tilt))
            assert abs(wave_slope(after, tilt)) <= limit + 1e-12
        before = after


def test_the_rate_is_shortened_where_the_loss_is_no_number() -> None:
    """log and sqrt have none beyond 1; the first step leads to 4."""
    walk = Walk(lambda w: -eg.log(1 - w) - 2 * eg.sqrt(1 - w) - w, 0.5, line_search="wolfe")
    walk.rule.learning_rate = 100.0
    found = walk.losses(60)
    assert np.isfinite(found).all() and np.diff(found).max() <= ROUNDING
    assert found[-1] < found[0]


@pytest.mark.parametrize("search", SEARCHES)
def test_at_a_minimum_it_stays_and_forgets(search: str) -> None:
    walk = Walk(rosenbrock, [1.0, 1.0], line_search=search)
    assert (walk.losses(100) == 0).all()
    assert (walk.w.value == 1).all()


@pytest.mark.parametrize("search", SEARCHES)
def test_after_25_places_in_vain_it_goes_on_along_the_gradient(search: str) -> None:
    """Put elsewhere, θ has a loss that the line knows nothing of: above all its own."""
    walk = Walk(rosenbrock, [-1.2, 1.0], line_search=search)
    walk.losses(60)
    assert walk.number("rho1") > 0
    walk.w.value = [3.0, -2.0]
    high = float(walk.step())
    tries = 0
    while walk.number("rate") != 0:
        assert walk.step() == high
        tries += 1
    assert tries <= 25
    walk.step()
    assert walk.number("rho1") == 0
    assert walk.losses(120)[-1] < 1e-10


def test_float32_and_parameters_of_several_shapes() -> None:
    w, u = eg.parameter("w", (2, 2), init=3.0), eg.parameter("u", dtype="float64", init=2.0)
    loss = eg.astype((w**4 + (w - 1) ** 2).sum(), "float64") + (u * u - 2) ** 2
    step = eg.function([], loss, o.LBFGS(line_search="wolfe").updates(loss))
    found = [float(step()) for _ in range(40)]
    assert np.diff(found).max() <= 1e-6
    np.testing.assert_allclose(w.value, 0.5897545123, rtol=1e-3)
    assert u.value == pytest.approx(2**0.5, abs=1e-4)


def test_a_trainer_takes_one_compiled_step_and_reports_the_loss_at_the_parameters() -> None:
    x, y = eg.input("x", ("batch", 4), "float64"), eg.input("y", ("batch",), "float64")
    w = eg.parameter("w", (4,), dtype="float64")
    loss = eg.softplus(-y * (x @ w)).mean() + 0.005 * (w * w).sum()
    trainer = eg.Trainer(loss, o.LBFGS(line_search="wolfe"))
    before = int(compiler.COMPILATIONS)
    data = {"x": record.WIDE, "y": record.Y}
    reported = []
    for _ in range(20):
        reported.append(trainer.evaluate(data)["loss"])
        (seen,) = trainer.fit(data, epochs=1, batch_size=None)["loss"]
        assert seen == pytest.approx(reported[-1], rel=1e-12)
        trainer.optimizer.learning_rate = 0.9
    assert np.diff(reported).max() <= ROUNDING and reported[-1] < 0.7 * reported[0]
    assert int(compiler.COMPILATIONS) - before == 2  # the step, and the loss alone


def test_two_fits_are_one_and_a_reset_begins_anew() -> None:
    x, y = eg.input("x", ("batch", 4), "float64"), eg.input("y", ("batch",), "float64")
    w = eg.parameter("w", (4,), dtype="float64")
    loss = eg.softplus(-y * (x @ w)).mean() + 0.005 * (w * w).sum()
    trainer = eg.Trainer(loss, o.LBFGS(line_search="wolfe"))
    found = []
    for fits in ([12], [5, 7]):
        trainer.reset()
        for epochs in fits:
            trainer.fit({"x": record.WIDE, "y": record.Y}, epochs, None)
        found.append(w.value.tolist())
    assert found[0] == found[1]


def test_random_numbers_that_stay_are_part_of_the_loss() -> None:
    """Of a step of their own, as data are: 40 rows drawn once and for all."""
    rows = eg.random.normal((40, 3), step=0, seed=1, dtype="float64")
    walk = Walk(lambda w: ((rows @ w - 1) ** 2).mean(), np.zeros(3), line_search="wolfe")
    walk.losses(30)
    (data,) = evaluate([rows])
    sure = np.linalg.lstsq(data, np.ones(40), rcond=None)[0]
    np.testing.assert_allclose(walk.w.value, sure, rtol=1e-6)


def test_a_mean_of_the_parameters_may_stand_beside_it_and_frozen_ones() -> None:
    w, u = eg.parameter("w", init=3.0), eg.parameter("u", init=1.0)
    loss = (w * u - 1) ** 2
    groups = o.Groups((o.Frozen(), [u]), rest=o.LBFGS(line_search="wolfe"))
    rule = o.Chain(groups, o.EMA(0.5))
    step = eg.function([], loss, rule.updates(loss))
    for _ in range(10):
        step()
    assert (w.value, u.value) == (pytest.approx(1, abs=1e-4), 1)
