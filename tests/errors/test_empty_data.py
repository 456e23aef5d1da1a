"""Training on nothing."""

from __future__ import annotations

from exprgrad.errors import InputError
from tests.errors.wrong import DATA, ROWS, TARGETS, fails, trainer, untouched

EMPTY = {"x": ROWS[:0], "t": TARGETS[:0]}


def test_no_rows():
    machine = trainer()
    with fails(InputError, "the data has no rows"):
        machine.fit(EMPTY)
    with fails(InputError, "the data has no rows"):
        machine.evaluate(EMPTY)
    with fails(InputError, "validation_data has no rows"):
        machine.fit(DATA, batch_size=2, validation_data=EMPTY)
    with fails(InputError, "0.01 of 6 rows are 0"):
        machine.fit(DATA, batch_size=2, validation_split=0.01)
    assert untouched(machine)


def test_no_batches():
    machine = trainer()
    with fails(InputError, "gave no batch in epoch 1"):
        machine.fit([])
    with fails(InputError, "a mapping or an iterable of them, not int"):
        machine.fit(3)
    assert untouched(machine)


def test_a_generator_is_used_up():
    machine = trainer()
    once = (batch for batch in [DATA, DATA])
    with fails(InputError, "no batch in epoch 2", "give a function"):
        machine.fit(once, epochs=3)
    assert untouched(machine)
