"""Draws have the distributions that their names say, by the tests of SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import exprgrad as eg
from exprgrad.train.conditions import checked_space
from exprgrad.train.proposals import Seen, random

DRAWS = 4000
LEAST_P = 0.01
NOTHING = Seen([], [])


def drawn(space):
    """Draws of each hyper-parameter, None where it is not there."""
    checked = checked_space(space)
    trials = [random(checked, NOTHING, np.random.default_rng([5, n])) for n in range(DRAWS)]
    return {name: [trial.get(name) for trial in trials] for name in space}


SPACE = {
    "rate": eg.space.log_uniform(1e-5, 1.0),
    "momentum": eg.space.uniform(-0.5, 0.99),
    "hidden": eg.space.integer(3, 12),
    "batch": eg.space.integer(1, 64, log=True),
    "kind": eg.space.choice("a", "b", None),
    "slope": eg.space.uniform(0, 1).when(kind="a"),
}
SAMPLE = drawn(SPACE)


def test_floats_have_their_distributions():
    shift = stats.uniform(-0.5, 1.49)
    assert stats.kstest(SAMPLE["momentum"], shift.cdf).pvalue > LEAST_P
    assert stats.kstest(SAMPLE["rate"], stats.loguniform(1e-5, 1.0).cdf).pvalue > LEAST_P
    assert stats.kstest(SAMPLE["rate"], stats.uniform(1e-5, 1.0).cdf).pvalue < 1e-9


def test_integers_and_choices_are_as_likely_as_they_should_be():
    hidden = np.bincount(SAMPLE["hidden"], minlength=13)
    assert not hidden[:3].any()
    assert stats.chisquare(hidden[3:]).pvalue > LEAST_P
    kinds = [SAMPLE["kind"].count(kind) for kind in ("a", "b", None)]
    assert stats.chisquare(kinds).pvalue > LEAST_P
    edges = np.log(np.arange(1, 66) - 0.5)
    expected = DRAWS * np.diff(edges) / (edges[-1] - edges[0])
    batch = np.bincount(SAMPLE["batch"], minlength=65)[1:]
    assert stats.chisquare(batch, expected).pvalue > LEAST_P


def test_hyper_parameters_are_independent():
    log_rates = np.log(SAMPLE["rate"])
    assert stats.pearsonr(log_rates, SAMPLE["momentum"]).pvalue > LEAST_P
    assert stats.pearsonr(SAMPLE["hidden"], SAMPLE["batch"]).pvalue > LEAST_P


def test_a_condition_decides_what_is_there():
    there = [slope is not None for slope in SAMPLE["slope"]]
    assert there == [kind == "a" for kind in SAMPLE["kind"]]
    slopes = [slope for slope in SAMPLE["slope"] if slope is not None]
    assert stats.kstest(slopes, stats.uniform.cdf).pvalue > LEAST_P


def test_conditions_on_conditions():
    space = checked_space(
        {
            "a": eg.space.choice(True, False),
            "b": eg.space.choice(1, 2).when(a=True),
            "c": eg.space.uniform(0, 1).when(b=2),
            "d": eg.space.uniform(0, 1).when(a=True).when(b=1),
        }
    )
    first = {"a": 0.1, "b": 0.1, "c": 0.5, "d": 0.5}
    assert space.at(first) == {"a": True, "b": 1, "d": 0.5}
    assert space.at({**first, "b": 0.9}) == {"a": True, "b": 2, "c": 0.5}
    assert space.at({**first, "a": 0.9}) == {"a": False}
    assert space.columns({"a": False}) == [0, 1, 0.5, 0.5, 0.5, 0.5]


@given(
    st.floats(1e-6, 1e3), st.floats(1.001, 1e4), st.floats(0, 1), st.booleans(), st.booleans()
)
def test_quantiles_lie_within_and_their_parts_come_back(low, ratio, part, log, whole):
    kind = eg.space.log_uniform if log else eg.space.uniform
    domain = kind(low, low * ratio)
    if whole:
        domain = eg.space.integer(int(low) + 1, int(low * ratio) + 2, log=log)
    value = domain.at(part)
    assert domain.holds(value)
    assert whole or float(np.float32(value)) == value
    assert domain.at(domain.part(value)) == pytest.approx(value, rel=3e-7)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.99), (0.1, 0.6), (1e-4, 0.1)])
def test_rounding_to_float32_stays_within_the_bounds(low, high):
    assert float(np.float32(high)) > high, "float32 has only a larger number"
    domain = eg.space.uniform(low, high)
    assert low <= domain.at(0.0) < domain.at(1.0) <= high
