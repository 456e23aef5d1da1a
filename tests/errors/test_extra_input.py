"""More inputs than there are, or one given twice."""

from __future__ import annotations

import exprgrad as eg
from exprgrad.errors import GraphError, InputError
from tests.errors.wrong import ROWS, TARGETS, X, fails, step


def test_of_a_call():
    with fails(InputError, "takes 2 inputs (x, t), but 3 were given"):
        step()(ROWS, TARGETS, 1)
    with fails(InputError, "takes 1 input (x), but 2 were given"):
        eg.function([X], X)(ROWS, ROWS)
    with fails(InputError, "x was given twice, by place and by name"):
        step()(ROWS, x=ROWS)


def test_of_a_definition():
    with fails(GraphError, "input x is listed twice"):
        eg.function([X, X], X)
    with fails(GraphError, "input x is listed twice; names differ"):
        eg.function([X, eg.input("x", (2,))], X)
