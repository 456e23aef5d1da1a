"""Batches of no rows, of half a row; of more rows than there are, which is no error."""

from __future__ import annotations

import pytest

import exprgrad as eg
from exprgrad.errors import InputError
from tests.errors.wrong import DATA, T, W, X, fails, trainer, untouched


@pytest.mark.parametrize("size", [0, -1, 2.5, "all"])
def test_of_training(size):
    machine = trainer()
    with fails(InputError, "an integer from 1, or None for all 6 rows", f"not {size!r}"):
        machine.fit(DATA, batch_size=size)
    assert untouched(machine)


@pytest.mark.parametrize("size", [0, -3])
def test_of_inference(size):
    machine = trainer()
    with fails(InputError, "an integer from 1, or None for all 6 rows", f"not {size}"):
        machine.predict(X @ W, DATA, batch_size=size)
    with fails(InputError, "an integer from 1, or None for all 6 rows", f"not {size}"):
        machine.predict(X @ W - (X @ W).mean(), DATA, batch_size=size)
    with fails(InputError, "an integer from 1, or None for all 6 rows", f"not {size}"):
        machine.evaluate(DATA, batch_size=size)


def test_more_rows_than_there_are_are_all() -> None:
    values = []
    for size in (None, 6, 7, 32):
        w = eg.parameter("w", (3,), init=[1.0, 2.0, 3.0])
        machine = eg.Trainer(((X @ w - T) ** 2).mean(), eg.optim.SGD(0.01))
        machine.fit(DATA, epochs=2, batch_size=size)
        found = machine.predict(X @ w, DATA, batch_size=size)
        values.append([found.tolist(), machine.evaluate(DATA, batch_size=size)])
    assert all(value == values[0] for value in values)


@pytest.mark.parametrize("epochs", [0, -1, 1.5])
def test_of_epochs(epochs):
    machine = trainer()
    with fails(InputError, f"epochs is an integer from 1, not {epochs}"):
        machine.fit(DATA, epochs=epochs, batch_size=2)
    assert untouched(machine)
