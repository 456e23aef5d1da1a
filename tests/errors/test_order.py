"""Orders of rows that cannot be, or do not fit the data."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError, InputError
from tests.errors.wrong import DATA, fails, trainer, untouched

O = eg.order  # noqa: E741
PACE = O.pacing(0.5, 10)

MADE_WRONG = [
    (InputError, lambda: O.Curriculum([1, np.nan], PACE), "may not be NaN, but that of row 1 is"),
    (InputError, lambda: O.Curriculum([[1, 2]], PACE), "not int64 of shape (1, 2)"),
    (InputError, lambda: O.Curriculum(["easy"], PACE), "difficulty has one number a row"),
    (GraphError, lambda: O.Curriculum([1, 2], 0.5), "a scalar expression of eg.epoch"),
    (GraphError, lambda: O.pacing(0.2), "are admitted, not epochs=None and steps=None"),
    (GraphError, lambda: O.pacing(0.2, 5, steps=9), "not epochs=5 and steps=9"),
    (GraphError, lambda: O.pacing(0.0, 5), "above 0 and at most 1, not 0.0"),
    (GraphError, lambda: O.pacing(0.5, 0), "steps of a schedule is a number above 0, not 0"),
    (InputError, lambda: O.Stratified(np.ones((2, 2))), "one label a row, not shape (2, 2)"),
    (InputError, lambda: O.Weighted([1, -1]), "finite numbers from 0, but that of row 1 is -1.0"),
    (InputError, lambda: O.Weighted([np.nan, 1]), "but that of row 0 is nan"),
    (InputError, lambda: O.Weighted([1, np.inf]), "but that of row 1 is inf"),
    (InputError, lambda: O.Weighted([1, 2], draws=0), "draws is an integer from 1, not 0"),
    (InputError, lambda: O.Blocks(0), "the size of a block is an integer from 1, not 0"),
]


@pytest.mark.parametrize(("kind", "make", "rule"), MADE_WRONG, ids=[r for *_, r in MADE_WRONG])
def test_made_wrong(kind, make, rule):
    with fails(kind, rule):
        make()


class Gives(O.Order):
    """An order that gives what it was told."""

    def __init__(self, given):
        self.given = np.array(given)

    def rows(self, rows, epoch, batch_size, random):
        return self.given


DO_NOT_FIT = [
    (O.Curriculum([1, 2], PACE), "difficulty has one entry for each row", "has 6 rows, not 2"),
    (O.Stratified(list("abc")), "strata has one entry for each", "has 6 rows, not 3"),
    (O.Weighted(np.ones(7)), "weights has one entry for each row", "has 6 rows, not 7"),
    (O.Weighted(np.zeros(6)), "one weight at least is above 0; all 6 are 0"),
    (O.Curriculum(range(6), PACE * 3), "its pace is 1.5 where eg.epoch is 0"),
    (O.Curriculum(range(6), PACE - 1), "its pace is -0.5 where eg.epoch is 0"),
    (O.Curriculum(range(6), 2 * O.pacing(0.2, steps=6)), "1.2 where eg.step is 3"),
    (Gives([0, 6]), "rows that it was given, but Gives gave row 6"),
    (Gives([0, -1]), "rows that it was given, but Gives gave row -1"),
    (Gives([]), "one row at least, but Gives gave float64 of shape (0,)"),
    (Gives([0.5]), "one integer a row", "float64 of shape (1,)"),
]


@pytest.mark.parametrize("order", DO_NOT_FIT, ids=lambda case: case[1])
def test_does_not_fit_the_data(order):
    machine = trainer()
    with fails(InputError, *order[1:]):
        machine.fit(DATA, epochs=2, batch_size=2, shuffle=order[0])
    assert untouched(machine)


def test_rows_held_out_are_not_trained_on():
    with fails(InputError, "rows that it was given, but Gives gave row"):
        trainer().fit(DATA, batch_size=2, shuffle=Gives(range(6)), validation_split=0.5)


def test_no_order():
    with fails(InputError, "shuffle is True, False or an order", "not 'yes'"):
        trainer().fit(DATA, batch_size=2, shuffle="yes")
    with pytest.raises(NotImplementedError, match="Order needs a method rows"):
        trainer().fit(DATA, batch_size=2, shuffle=O.Order())


def test_batches_come_in_their_own_order():
    with fails(InputError, "an order needs data in arrays", "Blocks cannot change"):
        trainer().fit([DATA], shuffle=O.Blocks(2))
