"""Wrong programs and wrong data: each error states the rule, the values, the lines.

`fails` also holds that no parameter, state or counter has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import (
    DTypeError,
    ExprgradError,
    GraphError,
    IndexOutOfRange,
    InputError,
    NonFiniteError,
    ShapeError,
)

HERE = "test_run_errors.py"
X = eg.input("x", ("batch", 3))
T = eg.input("t", ("batch",))
W = eg.parameter("w", (3,), init=[1.0, 2.0, 3.0])
COUNT = eg.state("count", init=0.0)
ROWS, TARGETS = np.ones((6, 3), np.float32), np.ones(6, np.float32)


@contextmanager
def fails(kind: type[ExprgradError], *parts: str) -> Iterator[None]:
    """An error of this kind at a line of this file, its message with all `parts`."""
    before = [W.value.copy(), COUNT.value.copy(), eg.step.value.copy()]
    with pytest.raises(kind) as caught:
        yield
    message = str(caught.value)
    assert [part for part in parts if part not in message] == [], message
    assert f"({HERE}:" in message, "the user's line is named"
    for node, value in zip((W, COUNT, eg.step), before, strict=True):
        np.testing.assert_array_equal(node.value, value)


@pytest.fixture(scope="module")
def call() -> eg.runtime.function.Function:  # type: ignore[name-defined]
    loss = ((X @ W - T) ** 2).mean()
    return eg.function([X, T], loss, {W: W - eg.grad(loss, W), COUNT: COUNT + 1})


DEFINED = 'X = eg.input("x", ("batch", 3))'


# Arguments, and what the message says about them.
WRONG_CALLS: dict[str, tuple[tuple, dict[str, Any], tuple[str, ...]]] = {
    "missing": ((), {"t": TARGETS}, ("misses input x: f32[batch, 3]", DEFINED)),
    "extra": ((ROWS, TARGETS, 1), {}, ("takes 2 inputs (x, t), but 3 were given",)),
    "unknown": ((ROWS,), {"y": 1}, ("has no input y; its inputs are: x, t",)),
    "twice": ((ROWS,), {"x": ROWS}, ("x was given twice",)),
    "rank": (
        (TARGETS, TARGETS),
        {},
        ("x has 2 axes [batch, 3]", "1 axes [6]", DEFINED),
    ),
    "size": (
        (ROWS[:, :2], TARGETS),
        {},
        ("axis 1 of input x has size 3, but 2", DEFINED),
    ),
    "two values of a name": (
        (ROWS, TARGETS[:5]),
        {},
        ("dimension batch has one value", "6 in x and 5 in axis 0 of t"),
    ),
    "complex": (
        (ROWS * 1j, TARGETS),
        {},
        ("x takes real numbers, but complex64", DEFINED),
    ),
    "text": (("rows", TARGETS), {}, ("x takes real numbers, but <U4 was given")),
    "ragged": (([[1], [1, 2]], TARGETS), {}, ("list does not become one", DEFINED)),
    "nothing": ((None, TARGETS), {}, ("x takes real numbers, but object was given")),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_wrong_calls(name: str, call: Callable[..., Any]) -> None:
    args, kwargs, parts = WRONG_CALLS[name]
    with fails(InputError, *parts):
        call(*args, **kwargs)


# The dtype of an input, what is given, and what the message says.
WRONG_DTYPES = [
    ("int64", [1.0, 2.0], "takes integers, and never rounds a float, but float64"),
    ("bool", [1, 0], "takes booleans, but int64"),
    ("int32", [0, 2**31], "end at -2147483648 and 2147483647, but 0 to 2147483648"),
    (
        "int64",
        np.array([0, 2**63], np.uint64),
        "but 0 to 9223372036854775808 were given",
    ),
]


@pytest.mark.parametrize(("dtype", "given", "part"), WRONG_DTYPES)
def test_numbers_that_would_change(dtype: str, given: Any, part: str) -> None:
    n = eg.input("n", (2,), dtype)
    f = eg.function([n], n)
    with fails(InputError, "input n", part, 'n = eg.input("n", (2,), dtype)'):
        f(given)


def test_sizes_that_cannot_be_computed() -> None:
    tail = eg.function([X], X[4:].sum())
    most = eg.function([X], X.max(0))
    window = eg.function([T], eg.sliding_window(T, 4).sum(1))
    with fails(InputError, "batch = 3"):
        tail(ROWS[:3])
    with fails(InputError, "max of no elements", "batch = 0"):
        most(ROWS[:0])
    with fails(InputError, "batch = 2"):
        window(TARGETS[:2])


def test_a_size_that_is_computed_from_a_name() -> None:
    pairs = eg.input("pairs", (X.shape[0] * 2,))
    f = eg.function([X, pairs], pairs)
    with fails(InputError, "axis 0 of input pairs has size 2*batch = 12, but 11"):
        f(ROWS, np.ones(11))


def test_inputs_that_are_not_listed() -> None:
    with fails(GraphError, "t: f32[batch]", "not among the inputs (x)"):
        eg.function([X], X @ W - T)
    with fails(GraphError, "x: f32[batch, 3]", "not among the inputs (t)", DEFINED):
        eg.function([T], None, {W: X.sum(0)})
    with fails(GraphError, "input x is listed twice"):
        eg.function([X, X], X)
    with fails(GraphError, "input x is listed twice"):
        eg.function([X, eg.input("x", (2,))], X)
    with fails(GraphError, "dimension rows is the size of an axis of no input"):
        eg.function([], eg.zeros(("rows",)))


def test_updates_that_do_not_fit() -> None:
    with fails(GraphError, "updates are of states and parameters, not of input"):
        eg.function([X], None, {X: X})
    with fails(GraphError, "updates are of states and parameters, not of str"):
        eg.function([X], None, {"w": X})  # type: ignore[dict-item]
    with fails(ShapeError, "the update of w: f32[3]", "has its shape", "f32[batch, 3]"):
        eg.function([X], None, {W: X})
    with fails(DTypeError, "the update of w: f32[3]", "has its dtype", "f64[3]"):
        eg.function([], None, {W: eg.astype(W, "float64")})


def test_an_index_out_of_range_changes_nothing() -> None:
    rows = eg.input("rows", ("batch",), "int64")
    f = eg.function([rows], eg.take(W, rows), {W: W + 1, COUNT: COUNT + 1})
    with fails(IndexOutOfRange, "7", "3"):
        f([0, 7])


def test_not_finite_where_asked() -> None:
    f = eg.function([X], X.sum(), check_finite=True)
    with fails(NonFiniteError, "input x must be finite", "[0, 1] is inf (1 of 3"):
        f([[1.0, np.inf, 2.0]])


# Training

LOSS = ((X @ W - T) ** 2).mean()


@pytest.fixture(scope="module")
def trainer() -> eg.Trainer:
    return eg.Trainer(LOSS, eg.optim.Momentum(0.1), updates={COUNT: COUNT + 1})


DATA = {"x": ROWS, "t": TARGETS}
NAN = {"x": ROWS * np.array([1, np.nan, 1], np.float32), "t": TARGETS}

# Arguments of fit, and what the message says about them.
WRONG_FITS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "missing": ({"data": {"x": ROWS}}, ("the data misses input t: f32[batch]",)),
    "unknown": ({"data": {**DATA, "z": ROWS}}, ("the data has z", "these are: t, x")),
    "lengths": ({"data": {"x": ROWS, "t": TARGETS[:4]}}, ("batch", "6 in", "4 in")),
    "empty": ({"data": {"x": ROWS[:0], "t": TARGETS[:0]}}, ("the data has no rows",)),
    "width": (
        {"data": {"x": ROWS[:, :2], "t": TARGETS}},
        ("axis 1 of input x", "but 2"),
    ),
    "no mapping": ({"data": 3}, ("a mapping or an iterable of them, not int",)),
    "no batches": ({"data": []}, ("gave no batch in epoch 1",)),
    "rows": ({"data": ROWS}, ("mapping from input names to arrays, not ndarray",)),
    "batch size 0": ({"batch_size": 0}, ("from 1 to the number of rows, 6", "not 0")),
    "batch size 7": ({"batch_size": 7}, ("from 1 to the number of rows, 6", "not 7")),
    "batch size 2.5": ({"batch_size": 2.5}, ("from 1 to", "not 2.5")),
    "no epochs": ({"epochs": 0}, ("epochs is an integer from 1, not 0",)),
    "split": ({"validation_split": 0.01}, ("0.01 of 6 rows are 0",)),
    "split and data": (
        {"validation_split": 0.5, "validation_data": DATA},
        ("exclude each other",),
    ),
    "validation": (
        {"validation_data": {"x": ROWS}},
        ("validation_data misses input t",),
    ),
    "nan": ({"data": NAN, "check_finite": True}, ("the data: x must be finite", "nan")),
}


@pytest.mark.parametrize("name", WRONG_FITS)
def test_wrong_fits(name: str, trainer: eg.Trainer) -> None:
    given, parts = WRONG_FITS[name]
    kind = NonFiniteError if name == "nan" else InputError
    with fails(kind, *parts):
        trainer.fit(**{"data": DATA, "batch_size": 2, **given})
    assert trainer.epoch == 0 == int(trainer.optimizer.count.value)


def test_a_generator_is_used_up(trainer: eg.Trainer) -> None:
    once = (batch for batch in [DATA, DATA])
    with fails(InputError, "no batch in epoch 2", "give a function"):
        trainer.fit(once, epochs=3)
    assert trainer.epoch == 0 == int(trainer.optimizer.count.value)


def test_a_wrong_batch_in_the_middle(trainer: eg.Trainer) -> None:
    with fails(InputError, "batch 1 of the data misses input t"):
        trainer.fit([DATA, {"x": ROWS}])


def test_a_loss_that_grows_without_end_is_noticed() -> None:
    wild = eg.Trainer(LOSS, eg.optim.SGD(1e30))
    with fails(NonFiniteError, "the loss must be finite", "in step"):
        wild.fit(DATA, epochs=5, batch_size=2, check_finite=True)
    assert int(wild.optimizer.count.value) == 0


def test_an_index_out_of_range_in_the_second_epoch() -> None:
    i = eg.input("i", ("batch",), "int64")
    table = eg.take(W, i + eg.astype(COUNT, "int64"))
    machine = eg.Trainer(table.mean(), eg.optim.SGD(0.1), updates={COUNT: COUNT + 1})
    with fails(IndexOutOfRange, "3"):
        machine.fit({"i": [0, 0]}, epochs=5, batch_size=1)
    assert machine.epoch == 0


def test_wrong_trainers() -> None:
    sgd = eg.optim.SGD(0.1)
    with fails(
        GraphError, "a floating-point scalar, such as losses.mean(), not f32[batch]"
    ):
        eg.Trainer((X @ W - T) ** 2, sgd)
    with fails(GraphError, "depends on no parameter"):
        eg.Trainer(X.mean(), sgd)
    with fails(GraphError, "the optimizer is one of eg.optim or your own, not str"):
        eg.Trainer(LOSS, "adam")  # type: ignore[arg-type]
    with fails(GraphError, "a metric may not be called loss"):
        eg.Trainer(LOSS, sgd, metrics={"loss": LOSS})
    with fails(GraphError, "both optimizer and `updates` change w: f32[3]"):
        eg.Trainer(LOSS, sgd, updates={W: W}).fit(DATA, batch_size=2)
    with fails(ShapeError, "the update of count: f32"):
        eg.Trainer(LOSS, sgd, updates={COUNT: W}).fit(DATA, batch_size=2)


def test_inputs_without_a_batch() -> None:
    scale = eg.input("scale", ())
    with fails(GraphError, "the same named dimension, such as", "scale: f32 made at"):
        eg.Trainer(LOSS * scale, eg.optim.SGD(0.1)).fit(DATA)
    with fails(GraphError, "depends on no input"):
        eg.Trainer((W * W).sum(), eg.optim.SGD(0.1)).fit({})


def test_wrong_questions(trainer: eg.Trainer) -> None:
    with fails(InputError, "there is no recall; these are: loss"):
        trainer.predict("recall", DATA)
    with fails(InputError, "the data misses input x"):
        trainer.predict(X @ W, {"t": TARGETS})
    with fails(InputError, "the data has z"):
        trainer.predict(X @ W, {"x": ROWS, "z": ROWS})
    with fails(InputError, "from 1 to the number of rows, 6", "not 0"):
        trainer.predict(X @ W, DATA, batch_size=0)
    with fails(InputError, "from 1 to the number of rows, 6", "not 7"):
        trainer.evaluate(DATA, batch_size=7)
    with fails(InputError, "the data has no rows"):
        trainer.evaluate({"x": ROWS[:0], "t": TARGETS[:0]})
