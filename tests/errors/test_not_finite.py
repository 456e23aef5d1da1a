"""NaN and infinity, where finite numbers were asked for."""

from __future__ import annotations

import numpy as np

import exprgrad as eg
from exprgrad.errors import NonFiniteError
from tests.errors.wrong import (
    DATA,
    LOSS,
    ROWS,
    TARGETS,
    X,
    fails,
    step,
    trainer,
    untouched,
)

NAN = {"x": ROWS * np.array([1, np.nan, 1], np.float32), "t": TARGETS}


def test_of_an_input():
    f = eg.function([X], X.sum(), check_finite=True)
    with fails(NonFiniteError, "input x must be finite", "[0, 1] is inf (1 of 3"):
        f([[1.0, np.inf, 2.0]])


def test_of_an_output():
    f = eg.function([X], eg.log(X), check_finite=True)
    with fails(NonFiniteError, "output 0 must be finite", "[0, 2] is -inf"):
        f([[1.0, 2.0, 0.0]])


def test_of_a_step():
    with fails(NonFiniteError, "input x must be finite", "[0, 1] is nan (6 of 18"):
        step(check_finite=True)(**NAN)


def test_of_data():
    machine = trainer()
    with fails(NonFiniteError, "the data: x must be finite", "nan"):
        machine.fit(NAN, batch_size=2, check_finite=True)
    assert untouched(machine)


def test_of_a_loss_that_grows_without_end():
    wild = eg.Trainer(LOSS, eg.optim.SGD(1e30))
    with fails(NonFiniteError, "the loss must be finite", "in step"):
        wild.fit(DATA, epochs=5, batch_size=2, check_finite=True)
    assert untouched(wild)


def test_nothing_is_asked_by_default():
    f = eg.function([X], X.sum())
    assert np.isinf(f([[1.0, np.inf, 2.0]]))
