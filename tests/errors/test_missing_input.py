"""Inputs that are needed and not there."""

from __future__ import annotations

import exprgrad as eg
from exprgrad.errors import GraphError, InputError
from tests.errors.wrong import (
    DATA,
    MADE,
    ROWS,
    TARGETS,
    T,
    W,
    X,
    fails,
    step,
    trainer,
    untouched,
)

DEFINED = 'X = eg.input("x", ("batch", 3))'


def test_of_a_call():
    with fails(InputError, "misses input x: f32[batch, 3]", MADE, DEFINED):
        step()(t=TARGETS)


def test_of_a_definition():
    with fails(GraphError, "t: f32[batch]", "not among the inputs (x)"):
        eg.function([X], X @ W - T)
    with fails(GraphError, "x: f32[batch, 3]", "not among the inputs (t)", DEFINED):
        eg.function([T], None, {W: X.sum(0)})


def test_of_training():
    machine = trainer()
    with fails(InputError, "the data misses input t: f32[batch]", MADE):
        machine.fit({"x": ROWS}, batch_size=2)
    with fails(InputError, "validation_data misses input t"):
        machine.fit(DATA, batch_size=2, validation_data={"x": ROWS})
    with fails(InputError, "the data misses input x"):
        machine.predict(X @ W, {"t": TARGETS})
    with fails(InputError, "mapping from input names to arrays, not ndarray"):
        machine.fit(ROWS)
    assert untouched(machine)


def test_of_one_batch_in_the_middle():
    machine = trainer()
    with fails(InputError, "batch 1 of the data misses input t"):
        machine.fit([DATA, {"x": ROWS}])
    assert untouched(machine)
