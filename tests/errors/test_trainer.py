"""Trainers that cannot be, and errors in the middle of a fit."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError, InputError
from tests.errors.wrong import COUNT, DATA, LOSS, ROWS, W, X, fails, trainer, untouched

SGD = eg.optim.SGD(0.1)



def normalised():
    """The rows, and no updates of the running statistics."""
    return eg.nn.batch_norm(X, 1.0, 0.0, eg.state("mean", (3,)), eg.state("var", (3,)))[0]


WRONG = [
    (lambda: eg.Trainer(LOSS, "adam"), "made by a call as Adam(1e-3), not 'adam'"),
    (lambda: eg.Trainer(LOSS, eg.optim.Adam), "made by a call as Adam(1e-3), not <class"),
    (lambda: eg.Trainer(LOSS, SGD, metrics={"loss": LOSS}), "a metric may not be called loss"),
    (lambda: eg.Trainer(LOSS, SGD, metrics=[LOSS]), "metrics map names to expressions; list"),
    (
        lambda: eg.Trainer(LOSS, SGD, updates={W: W}).fit(DATA, batch_size=2),
        "both optimizer and `updates` change w: f32[3]",
    ),
    (
        lambda: eg.Trainer(LOSS * eg.input("scale", ()), SGD).fit(DATA),
        "the same named dimension, such as",
    ),
    (lambda: eg.Trainer((W * W).sum(), SGD).fit({}), "depends on no input"),
    (
        lambda: eg.Trainer((normalised() @ W).mean(), SGD).fit(DATA, batch_size=2),
        "mean: f32[3]",
        "no step updates it; give the trainer what batch_norm gave: updates=...",
    ),
]


@pytest.mark.parametrize(("wrong", "rules"), [(f, rules) for f, *rules in WRONG])
def test_trainers(wrong, rules):
    with fails(GraphError, *rules):
        wrong()


def test_two_kinds_of_validation():
    with fails(InputError, "exclude each other"):
        trainer().fit(DATA, batch_size=2, validation_split=0.5, validation_data=DATA)


@pytest.mark.parametrize("given", [[eg.EarlyStopping], eg.EarlyStopping, print, None])
def test_a_callback_that_was_not_made(given):
    with fails(InputError, "made by a call, as EarlyStopping(patience=5), not "):
        trainer().fit(DATA, batch_size=2, callbacks=given)


def test_a_search_along_a_line_over_mini_batches():
    search = eg.Trainer(LOSS, eg.optim.LBFGS(line_search="wolfe"))
    with fails(InputError, "of the same rows with batch_size=None, not with 2 of"):
        search.fit(DATA, batch_size=2)
    with fails(InputError, "of the same rows with batch_size=None, not with data in batches"):
        search.fit([DATA])
    size = len(next(iter(DATA.values())))
    rows = eg.order.Weighted(np.arange(1.0, size + 1))
    with fails(InputError, "not with rows by Weighted"):
        search.fit(DATA, batch_size=None, shuffle=rows)


class Breaks(eg.Callback):
    """A callback of the user's own that fails after some epochs."""

    def on_epoch_end(self, trainer, logs):
        if logs["epoch"] == 3:
            raise ZeroDivisionError("the user's own")


def test_a_callback_that_fails_in_the_middle_leaves_everything_as_it_was():
    machine = trainer()
    before, count = W.value.copy(), COUNT.value.copy()
    with pytest.raises(ZeroDivisionError, match="the user's own"):
        machine.fit(DATA, epochs=5, batch_size=2, callbacks=[Breaks()])
    np.testing.assert_array_equal(W.value, before)
    np.testing.assert_array_equal(COUNT.value, count)
    assert untouched(machine)


def test_training_goes_on_after_an_error():
    v = eg.parameter("v", (3,))
    loss = ((X @ v - 1) ** 2).mean()
    once, twice = (eg.Trainer(loss, eg.optim.Momentum(0.1)) for _ in range(2))
    with pytest.raises(ZeroDivisionError):
        once.fit({"x": ROWS}, epochs=5, batch_size=4, callbacks=[Breaks()])
    once.fit({"x": ROWS}, epochs=2, batch_size=4)
    first = v.value.copy()
    v.value = np.zeros(3)
    twice.fit({"x": ROWS}, epochs=2, batch_size=4)
    np.testing.assert_array_equal(v.value, first)
