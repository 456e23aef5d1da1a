"""Spaces, searches and builders that cannot be."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading

import pytest

import exprgrad as eg
from exprgrad.train.trial import Trial
from tests.errors.wrong import fails

S = eg.space
LINE = {"a": S.uniform(0, 1)}


def one(trial):
    return 1.0


SPACES = [
    (lambda: S.uniform(1, 1), "uniform goes from a low to a high number, not 1 to 1"),
    (lambda: S.uniform(0, float("inf")), "from a low to a high number, not 0 to inf"),
    (lambda: S.uniform("0", 1), "from a low to a high number, not '0' to 1"),
    (lambda: S.log_uniform(0, 1), "log_uniform needs a low end above 0, not 0"),
    (lambda: S.integer(1, 2.5), "the ends of integer are whole numbers, not 2.5"),
    (lambda: S.integer(0, 9, log=True), "integer needs a low end from 1 with log, not 0"),
    (lambda: S.choice("adam"), "choice needs two options or more, not 1"),
    (lambda: S.choice(eg.relu, eg.tanh), "a bool or None, not function; name it"),
    (lambda: S.choice(1, True), "the options of choice differ, but 1 is there twice"),
    (lambda: eg.search(one, {}), "a space maps names to domains of eg.space, not {}"),
    (lambda: eg.search(one, {"a": 0.1}), "a is one of eg.space, such as"),
    (
        lambda: eg.search(one, {"a": S.uniform(0, 1).when(b=1), "b": S.choice(1, 2)}),
        "a depends on b, which does not stand before it",
    ),
    (
        lambda: eg.search(one, {"b": S.choice(1, 2), "a": S.uniform(0, 1).when(b=3)}),
        "a is there when b is 3, which choice(1, 2) never is",
    ),
]
SEARCHES = [
    ({"trials": 0}, "trials is an integer from 1, not 0"),
    ({"processes": 0.5}, "processes is an integer from 1, not 0.5"),
    ({"method": "grid"}, 'method is "random" or "bayesian" or a sampler of Optuna\'s'),
    ({"mode": "least"}, 'mode is "min" or "max", not \'least\''),
    ({"pruning": "mean"}, 'pruning is None, "median" or "hyperband", not \'mean\''),
]


@pytest.mark.parametrize(("wrong", "rule"), SPACES, ids=[rule for _, rule in SPACES])
def test_spaces(wrong, rule):
    with fails(eg.InputError, rule):
        wrong()


@pytest.mark.parametrize(("given", "rule"), SEARCHES, ids=[rule for _, rule in SEARCHES])
def test_searches(given, rule):
    with fails(eg.InputError, rule):
        eg.search(one, LINE, **given)


def test_an_objective_that_cannot_be_sent():
    lock = threading.Lock()
    with fails(eg.InputError, "but it holds what cannot be: cannot pickle '_thread.lock'"):
        eg.search(lambda trial: lock, LINE, processes=2)


TRIAL = Trial(3, {"rate": 0.5, "hidden": 4}, seed=0)


def needs_more(hidden, width):
    raise AssertionError("not called")


def gives_none(hidden):
    return None


def test_trials():
    with fails(eg.GraphError, "trial 3 has no lr; it has: rate, hidden"):
        TRIAL["lr"]
    with fails(eg.GraphError, "needs_more takes width, which trial 3 does not have; it has: rate"):
        TRIAL.build(needs_more)
    with fails(eg.GraphError, "gives_none gives back a Trainer, not NoneType"):
        TRIAL.build(gives_none)
    with fails(eg.NonFiniteError, "a trial reports finite values, but nan in epoch 2"):
        TRIAL.report(float("nan"), 2)


def test_what_is_not_installed_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "exprgrad.train.search.find_spec", lambda n: None if n == "loky" else found(n)
    )
    with fails(eg.ExprgradError, "this search needs loky: pip install 'exprgrad[search]'"):
        eg.search(one, LINE, processes=2)
    assert eg.search(one, LINE, trials=1).best.value == 1


def test_the_package_does_not_load_what_searches_need():
    code = """
import sys, exprgrad as eg
from exprgrad import *
eg.search, eg.space.uniform(0, 1)
assert not {"optuna", "sklearn", "loky", "scipy"} & set(sys.modules), sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
