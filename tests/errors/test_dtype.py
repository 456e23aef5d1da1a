"""Element types that an operation, an input or an update does not take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import DTypeError, InputError
from tests.errors.wrong import ROWS, TARGETS, W, X, fails, step

A = eg.input("a", (3, 4))
INDEX, TRUTH = eg.input("i", (3,), "int64"), eg.input("t", (3,), "bool")

WRONG = [
    (lambda: TRUTH + TRUTH, "add takes integer, floating-point arguments, not bool[3]"),
    (lambda: -TRUTH, "negative takes integer"),
    (lambda: INDEX & INDEX, "take bool, not i64[3]"),
    (lambda: INDEX + 2**70, "is not of int64"),
    (lambda: eg.astype(A, "float16"), "not 'float16'"),
    (lambda: A + 1j, "complex128"),
    (lambda: A + "one", "dtype is one of"),
    (lambda: A["x"], "not 'x'"),
    (lambda: A[eg.sin(INDEX)], "an index is of integers, not f32[3]"),
    (lambda: eg.constant([[1], [1, 2]]), "no array of numbers"),
    (lambda: eg.random.uniform((3,), dtype="int32"), "floating-point"),
    (lambda: eg.parameter("w", (3,), init="zeros"), "an initialiser of eg.init, not 'zeros'"),
    (
        lambda: eg.function([], None, {W: eg.astype(W, "float64")}),
        "the update of w: f32[3]",
    ),
]


@pytest.mark.parametrize(("wrong", "rule"), WRONG, ids=[rule for _, rule in WRONG])
def test_expressions(wrong, rule):
    with fails(DTypeError, rule):
        wrong()


# The dtype of an input, what is given, and what the message says.
GIVEN = [
    ("int64", [1.0, 2.0], "takes integers, and never rounds a float, but float64"),
    ("bool", [1, 0], "takes booleans, but int64"),
    ("int32", [0, 2**31], "end at -2147483648 and 2147483647, but 0 to 2147483648"),
    ("int64", np.array([0, 2**63], np.uint64), "but 0 to 9223372036854775808 were given"),
]


@pytest.mark.parametrize(("dtype", "given", "rule"), GIVEN)
def test_numbers_that_would_change(dtype: str, given: Any, rule: str) -> None:
    n = eg.input("n", (2,), dtype)
    f = eg.function([n], n)
    with fails(InputError, "input n", rule, 'n = eg.input("n", (2,), dtype)'):
        f(given)


NO_NUMBERS: dict[str, tuple[Any, str]] = {
    "complex": (ROWS * 1j, "x takes real numbers, but complex64"),
    "text": ("rows", "x takes real numbers, but <U4 was given"),
    "ragged": ([[1], [1, 2]], "list does not become one"),
    "nothing": (None, "x takes real numbers, but object was given"),
}


@pytest.mark.parametrize("name", NO_NUMBERS)
def test_what_is_no_array_of_real_numbers(name: str) -> None:
    given, rule = NO_NUMBERS[name]
    with fails(InputError, rule, 'X = eg.input("x", ("batch", 3))'):
        step()(given, TARGETS)


def test_rows_of_text_in_training() -> None:
    machine = eg.Trainer((X @ W).mean(), eg.optim.SGD(0.1))
    with fails(InputError, "x takes real numbers, but <U1 was given"):
        machine.fit({"x": [["a", "b", "c"]]}, batch_size=1)
