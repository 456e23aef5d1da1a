"""Batches of no rows, of more rows than there are, of half a row."""

from __future__ import annotations

import pytest

from exprgrad.errors import InputError
from tests.errors.wrong import DATA, W, X, fails, trainer, untouched


@pytest.mark.parametrize("size", [0, -1, 7, 2.5, "all"])
def test_of_training(size):
    machine = trainer()
    with fails(InputError, "an integer from 1 to the number of rows, 6", f"not {size!r}"):
        machine.fit(DATA, batch_size=size)
    assert untouched(machine)


@pytest.mark.parametrize("size", [0, 7])
def test_of_inference(size):
    machine = trainer()
    with fails(InputError, "from 1 to the number of rows, 6", f"not {size}"):
        machine.predict(X @ W, DATA, batch_size=size)
    with fails(InputError, "from 1 to the number of rows, 6", f"not {size}"):
        machine.evaluate(DATA, batch_size=size)


@pytest.mark.parametrize("epochs", [0, -1, 1.5])
def test_of_epochs(epochs):
    machine = trainer()
    with fails(InputError, f"epochs is an integer from 1, not {epochs}"):
        machine.fit(DATA, epochs=epochs, batch_size=2)
    assert untouched(machine)
