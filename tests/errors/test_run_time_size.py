"""Arrays whose sizes contradict the inputs, each other, or the expression."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import InputError, ShapeError
from exprgrad.graph.evaluate import evaluate
from tests.errors.wrong import ROWS, TARGETS, T, X, fails, step, trainer, untouched

DEFINED = 'X = eg.input("x", ("batch", 3))'

CALLS = {
    "rank": ((TARGETS, TARGETS), ("x has 2 axes [batch, 3]", "1 axes [6]", DEFINED)),
    "size": ((ROWS[:, :2], TARGETS), ("axis 1 of input x has size 3, but 2", DEFINED)),
    "two values of a name": (
        (ROWS, TARGETS[:5]),
        ("dimension batch has one value", "6 in x and 5 in axis 0 of t"),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_of_a_call(name):
    arrays, rules = CALLS[name]
    with fails(InputError, *rules):
        step()(*arrays)


def test_sizes_that_cannot_be_computed():
    tail = eg.function([X], X[4:].sum())
    most = eg.function([X], X.max(0))
    window = eg.function([T], eg.sliding_window(T, 4).sum(1))
    with fails(InputError, "batch = 3"):
        tail(ROWS[:3])
    with fails(InputError, "max of no elements", "batch = 0"):
        most(ROWS[:0])
    with fails(InputError, "batch = 2"):
        window(TARGETS[:2])


def test_a_size_that_is_computed_from_a_name():
    pairs = eg.input("pairs", (X.shape[0] * 2,))
    f = eg.function([X, pairs], pairs)
    with fails(InputError, "axis 0 of input pairs has size 2*batch = 12, but 11"):
        f(ROWS, np.ones(11))


def test_of_training():
    machine = trainer()
    with fails(InputError, "batch", "6 in", "4 in"):
        machine.fit({"x": ROWS, "t": TARGETS[:4]}, batch_size=2)
    with fails(InputError, "axis 1 of input x", "but 2"):
        machine.fit({"x": ROWS[:, :2], "t": TARGETS}, batch_size=2)
    assert untouched(machine)


def test_a_last_batch_that_is_too_small_is_found_before_the_first_step():
    machine = trainer((X[2:] @ eg.parameter("v", (3,))).mean() + T.mean())
    with fails(InputError, "batch = 1"):
        machine.fit({"x": ROWS[:5], "t": TARGETS[:5]}, batch_size=4)
    assert untouched(machine)


@pytest.mark.parametrize("index", [np.s_[7:], np.s_[:7], 6, -7])
def test_slices_outside_a_run_time_size(index):
    row = X[index]
    rule = "batch - 7 is negative when batch = 6"
    with fails(ShapeError, rule, "row = X[index]", made_elsewhere=True):
        evaluate([row], {X: np.zeros((6, 3))})


def test_maximum_of_an_empty_batch():
    with fails(ShapeError, "max of no elements", made_elsewhere=True):
        evaluate([X.max(0)], {X: np.zeros((0, 3))})


@pytest.mark.parametrize("stride", [1, 2])
def test_windows_that_do_not_fit_a_run_time_size(stride):
    windows = eg.sliding_window(T, 4, 0, stride=stride)
    f = eg.function([T], windows.sum())
    with fails(InputError, "a size is not negative", "batch = 0"):
        f(TARGETS[:0])
    assert f(TARGETS[:3]) == 0
    assert f(TARGETS[:4]) == 4


def test_rolled_by_more_than_a_run_time_size():
    f = eg.function([T], eg.roll(T, 3))
    assert f(TARGETS[:3]).tolist() == TARGETS[:3].tolist()
    with fails(InputError, "a slice lies inside its axis", "batch = 2"):
        f(TARGETS[:2])
