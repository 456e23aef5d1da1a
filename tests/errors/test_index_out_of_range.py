"""Indices outside their axis: known when written, or met by the compiled code."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import IndexOutOfRange
from tests.errors.wrong import COUNT, W, fails, trainer, untouched

A = eg.input("a", (3, 4))
ROWS = eg.input("rows", ("batch",), "int64")

WRONG = [
    (lambda: A[3], "index 3 is outside an axis of 3"),
    (lambda: A[[0, -4]], "index -4 is outside an axis of 3"),
    (lambda: A[0, 5], "index 5 is outside an axis of 4"),
]


@pytest.mark.parametrize(("wrong", "rule"), WRONG, ids=[rule for _, rule in WRONG])
def test_when_written(wrong, rule):
    with fails(IndexOutOfRange, rule):
        wrong()


@pytest.mark.parametrize("index", [3, 7, -4, 2**62, -(2**63)])
def test_of_a_call_that_then_changes_nothing(index):
    taken = eg.take(W, ROWS)
    f = eg.function([ROWS], taken, {W: W + 1, COUNT: COUNT + 1})
    rule = f"index {index} is outside an axis of 3"
    with fails(IndexOutOfRange, rule, "taken = eg.take(W, ROWS)", made_elsewhere=True):
        f([0, index])


def test_a_class_that_the_logits_do_not_have():
    logits = eg.input("logits", ("batch", 5))
    f = eg.function([logits, ROWS], eg.nn.cross_entropy(logits, ROWS))
    for label in (5, -1, -5, 2**62, -(2**63)):
        rule = f"class {label} is none of the 5 classes, which begin with 0"
        with fails(IndexOutOfRange, rule, "cross_entropy", made_elsewhere=True):
            f(np.zeros((2, 5)), [0, label])


def test_a_class_that_is_known_when_written():
    with fails(IndexOutOfRange, "class -1 is none of the 5 classes"):
        eg.nn.cross_entropy(eg.input("logits", (2, 5)), np.array([0, -1]))


def test_in_the_second_epoch():
    table = eg.take(W, ROWS + eg.astype(COUNT, "int64"))
    machine = trainer(table.mean())
    with fails(IndexOutOfRange, "index 3 is outside an axis of 3", made_elsewhere=True):
        machine.fit({"rows": [0, 0]}, epochs=5, batch_size=1)
    assert untouched(machine)
