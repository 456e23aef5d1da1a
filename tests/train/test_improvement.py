"""Expected improvement against many digits and an integral; the search that follows it."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy import integrate, stats

import exprgrad as eg
from exprgrad.train.conditions import checked_space
from exprgrad.train.improvement import (
    believing,
    gaussian_process,
    log_expected_improvement,
)
from exprgrad.train.proposals import Seen, bayesian, first_draws, tamed

ZS = [-1e6, -1e3, -101.0, -99.0, -30.0, -5.0, -1.001, -0.999, 0.0, 0.3, 3.0, 40.0]


def log_gain(z: float) -> float:
    """log(φ(z) + z Φ(z)) with digits to spare."""
    with mpmath.workdps(60):
        x = mpmath.mpf(z)
        if z < -50:  # φ(z) itself, times the asymptotic series of the rest
            series = sum((-1) ** n * mpmath.fac2(2 * n + 1) / x ** (2 * n + 2) for n in range(8))
            return float(-x * x / 2 - mpmath.log(2 * mpmath.pi) / 2 + mpmath.log(series))
    with mpmath.workdps(500):
        x = mpmath.mpf(z)
        return float(mpmath.log(mpmath.npdf(x) + x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2))


@pytest.mark.parametrize("z", ZS)
def test_log_expected_improvement_to_all_digits(z):
    found = log_expected_improvement(np.array([-z]), np.array([1.0]), 0.0)
    assert found[0] == pytest.approx(log_gain(z), rel=1e-13)


def test_expected_improvement_is_the_integral():
    mean, deviation, least = 0.7, 0.4, 0.5
    gain, _ = integrate.quad(
        lambda y: (least - y) * stats.norm(mean, deviation).pdf(y), -4, least, epsabs=1e-12
    )
    found = log_expected_improvement(np.array([mean]), np.array([deviation]), least)
    assert math.exp(found[0]) == pytest.approx(gain, rel=1e-9)


def test_a_believer_is_certain_where_trials_run_and_believes_its_mean():
    points = np.linspace(0, 1, 8)[:, None]
    process = gaussian_process(points, np.sin(6 * points[:, 0]), seed=0)
    running = np.array([[0.5 / 7]])
    believer = believing(process, points, running)
    (mean,), (deviation,) = process.predict(running, return_std=True)
    (believed,), (left,) = believer.predict(running, return_std=True)
    assert believed == pytest.approx(mean, abs=1e-3)
    assert left < deviation / 2


def test_a_proposal_keeps_away_from_a_trial_that_runs():
    space = checked_space({"a": eg.space.uniform(0, 1)})
    ended = [({"a": a}, float(np.sin(6 * a))) for a in (0.05, 0.3, 0.5, 0.65, 0.95)]
    alone = bayesian(space, Seen(ended, []), np.random.default_rng(0))
    beside = bayesian(space, Seen(ended, [alone]), np.random.default_rng(0))
    assert abs(alone["a"] - np.pi / 4) < 0.05
    assert abs(beside["a"] - alone["a"]) > 0.005


def test_losses_of_diverged_and_failed_trials_are_tamed():
    assert tamed([3.0, 1.0, 1e30, 2.0, None]).tolist() == [3.0, 1.0, 4.0, 2.0, 4.0]
    assert tamed([None, None]).tolist() == [0.0, 0.0]


def branin(a: float, b: float) -> float:
    """Least 0.397887 at (-π, 12.275), (π, 2.275) and (9.42478, 2.475)."""
    bowl = b - 5.1 / (4 * np.pi**2) * a * a + 5 / np.pi * a - 6
    return float(bowl**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10)


BRANIN = {"a": eg.space.uniform(-5, 10), "b": eg.space.uniform(0, 15)}
LEAST = 0.397887


def test_branin_is_found_to_a_tenth_where_random_search_is_far():
    """Ten seeds left regrets of 0.0008 to 0.088 after 25 trials, random ones 0.22 to 3.6."""
    space, ended = checked_space(BRANIN), []
    for number in range(25):
        rng = np.random.default_rng([0, number])
        values = bayesian(space, Seen(ended, []), rng)
        ended.append((values, branin(**values)))
    losses = [loss for _, loss in ended]
    assert min(losses) - LEAST < 0.1  # 0.0013 was seen
    assert min(losses[: first_draws(space)]) - LEAST > 1, "found by the draws already"


def test_a_failing_half_and_a_useless_choice_are_left():
    """Ten seeds: 3 to 6 of the last 8 trials were good, the best within 2e-5 of 0."""
    space = checked_space(
        {
            "x": eg.space.uniform(0, 1),
            "kind": eg.space.choice("good", "bad"),
            "shift": eg.space.integer(0, 4).when(kind="bad"),
        }
    )
    ended = []
    for number in range(16):
        values = bayesian(space, Seen(ended, []), np.random.default_rng([3, number]))
        loss = (values["x"] - 0.3) ** 2 + values.get("shift", 0) + (values["kind"] == "bad")
        ended.append((values, None if values["x"] > 0.5 else loss))
    found = [loss for _, loss in ended if loss is not None]
    assert min(found) < 1e-4
    assert sum(loss is not None and loss < 0.1 for _, loss in ended[8:]) >= 3
