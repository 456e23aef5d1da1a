"""Calling a compiled function: structure, conversion, states, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError, NonFiniteError, ShapeError

X = eg.input("x", ("batch", 3))
ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_the_result_has_the_structure_of_the_outputs() -> None:
    total, double = X.sum(), 2 * X
    assert eg.function(X, total)(ROWS) == 15.0
    many = eg.function([X], [total, double])(ROWS)
    assert type(many) is list and many[1].shape == (2, 3)
    pair = eg.function([X], (total, double))(ROWS)
    assert type(pair) is tuple and pair[0] == 15.0
    named = eg.function([X], {"total": total, "double": double})(ROWS)
    assert list(named) == ["total", "double"]
    assert eg.function([X])(ROWS) is None
    assert eg.function([], 3.0)() == 3.0


def test_scalars_are_numpy_numbers() -> None:
    found = eg.function([X], X.sum())(ROWS)
    assert type(found) is np.float32
    assert type(eg.function([X], eg.argmax(X))(ROWS)) is np.int64


def test_by_place_and_by_name() -> None:
    y = eg.input("y", (3,))
    f = eg.function([X, y], (X - y).sum())
    ones = np.ones(3, np.float32)
    assert f(ROWS, ones) == f(ROWS, y=ones) == f(y=ones, x=ROWS) == 9.0


class Foreign:
    """An array that only speaks DLPack."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


class Arraylike:
    """An array that only speaks NumPy's protocol."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.array


@pytest.mark.parametrize(
    "given",
    [
        ROWS.tolist(),
        ROWS.astype(np.float64),
        ROWS.astype(np.float16),
        ROWS.astype(np.int64),
        ROWS.astype(np.uint8),
        ROWS.astype(">f4"),
        np.asfortranarray(ROWS),
        np.repeat(ROWS, 2, axis=1)[:, ::2],
        ROWS[::-1][::-1],
        Foreign(ROWS),
        Arraylike(ROWS),
        np.frombuffer(b"-" + ROWS.tobytes(), np.uint8)[1:]
        .view(np.float32)
        .reshape(2, 3),
    ],
    ids=str.split(
        "list f64 f16 i64 u8 big-endian fortran strided reversed dlpack array odd"
    ),
)
def test_what_is_taken(given: Any) -> None:
    weights = np.arange(1.0, 7.0, dtype=np.float32).reshape(2, 3)
    f = eg.function([X], (X * eg.constant(weights[:1])).sum(1))
    np.testing.assert_array_equal(f(given), (ROWS * weights[:1]).sum(1))


def test_integers_and_booleans() -> None:
    n, b = eg.input("n", (2,), "int32"), eg.input("b", (2,), "bool")
    f = eg.function([n, b], eg.where(b, n, -n))
    found = f(np.array([2**31 - 1, -5]), [True, False])
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, [2**31 - 1, 5])
    np.testing.assert_array_equal(f([True, True], [True, False]), [1, -1])


def test_no_rows() -> None:
    f = eg.function([X], (2 * X, X.sum()))
    double, total = f(np.zeros((0, 3), np.float32))
    assert double.shape == (0, 3) and total == 0
    assert f([[1, 2, 3]])[1] == 6
    empty = eg.input("e", ("n",))
    assert eg.function([empty], empty.sum())([]) == 0


def test_results_are_the_callers_own() -> None:
    w = eg.parameter("w", (3,), init=1.0)
    f = eg.function([X], [X, w, w + 0])
    given = ROWS.copy()
    first = f(given)
    for result in first:
        result[...] = 9
    second = f(given)
    np.testing.assert_array_equal(given, ROWS)
    np.testing.assert_array_equal(second[0], ROWS)
    np.testing.assert_array_equal(second[1], np.ones(3))
    assert (first[0] == 9).all()


def test_updates_read_old_values() -> None:
    a, b = eg.state("a", init=1.0), eg.state("b", init=2.0)
    swap = eg.function([], a - b, {a: b, b: a})
    assert (swap(), swap()) == (-1.0, 1.0)
    assert (float(a.value), float(b.value)) == (1.0, 2.0)
    swap()
    assert (float(a.value), float(b.value)) == (2.0, 1.0)


def test_an_input_may_be_the_memory_of_a_state() -> None:
    w = eg.parameter("w", (4,), init=np.arange(4.0))
    x = eg.input("x", (4,))
    f = eg.function([x], None, {w: eg.flip(x)})
    f(w.value)
    np.testing.assert_array_equal(w.value, [3, 2, 1, 0])


def test_step_counts_calls_that_need_it() -> None:
    a = eg.state("a", init=0.0)
    draw = eg.random.uniform((8,))
    counting = eg.function([], draw, {a: a + 1})
    plain = eg.function([], a, {a: a + 1})
    looking = eg.function([], draw)
    before = int(eg.step.value)
    assert (counting() != counting()).all()
    assert int(eg.step.value) == before + 2
    plain()
    assert (looking() == looking()).all()
    assert int(eg.step.value) == before + 2
    assert eg.step not in plain.updates and eg.step in counting.updates
    own = eg.function([], draw, {a: a + 1, eg.step: eg.step + 10})
    own()
    assert int(eg.step.value) == before + 12


def test_training_is_where_there_are_updates() -> None:
    x = eg.input("x", (200,))
    y, a = eg.nn.dropout(x, 0.5), eg.state("a")
    ones = np.ones(200, np.float32)
    assert (eg.function([x], y)(ones) == 1).all()
    assert set(eg.function([x], y, {a: a + 1})(ones)) == {0, 2}
    assert (eg.function([x], y, {a: a + 1}, training=False)(ones) == 1).all()
    assert set(eg.function([x], y, training=True)(ones)) == {0, 2}


def test_a_named_dimension_may_change() -> None:
    f = eg.function([X], X.mean(0))
    for n in (1, 2, 7, 33, 2):
        rows = np.random.default_rng(n).normal(size=(n, 3)).astype(np.float32)
        np.testing.assert_allclose(f(rows), rows.mean(0), rtol=1e-5, atol=1e-6)


def test_sizes_that_depend_on_a_name() -> None:
    n = X.shape[0]
    pairs = eg.input("pairs", (n * 2,))
    f = eg.function([X, pairs], X.sum() + pairs.sum())
    assert f(ROWS, np.ones(4)) == 19.0


def test_many_threads() -> None:
    a = eg.state("a", init=0.0)
    f = eg.function([X], X.sum(1), {a: a + 1})

    def call(i: int) -> bool:
        rows = np.full((1 + i % 5, 3), i, np.float32)
        return bool((f(rows) == 3 * i).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(200)))
    assert float(a.value) == 200


def test_check_finite() -> None:
    f = eg.function([X], eg.log(X), check_finite=True)
    f(ROWS + 1)
    with pytest.raises(NonFiniteError, match=r"input x .* element \[1, 2\] is nan"):
        f(np.where(ROWS == 5, np.nan, ROWS))
    with pytest.raises(NonFiniteError, match=r"output 0 .* element \[0, 0\] is -inf"):
        f(ROWS)


def test_repr() -> None:
    w = eg.parameter("w", (3,))
    f = eg.function([X], X @ w, {w: w + 1})
    assert repr(f) == "<function (x: f32[batch, 3]) -> f32[batch], updates w>"
    assert f.inputs == (X,) and list(f.updates) == [w]
    named = eg.function([X], {"twice": X * 2})
    assert repr(named) == "<function (x: f32[batch, 3]) -> twice: f32[batch, 3]>"
    assert repr(eg.function([])) == "<function () -> nothing>"


def test_outputs_and_inputs_must_be_what_they_are() -> None:
    w = eg.parameter("w", (3,))
    with pytest.raises(GraphError, match="an output is an expression, not str"):
        eg.function([X], "x")
    with pytest.raises(GraphError, match=r"made by eg\.input, not by parameter"):
        eg.function([w], w)
    with pytest.raises(ShapeError, match=r"w: .*has its shape"):
        eg.function([X], None, {w: X})
