"""The memory of temporaries, and arrays that are not what they seem."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import exprgrad as eg

X = eg.input("x", ("n",))
# Two temporaries of n * n elements each, one alive beside the other.
SQUARE = eg.tanh(eg.expand_dims(X, 0) + eg.expand_dims(X, 1))
SUMS = eg.sum(eg.cumulative_sum(SQUARE, axis=0) * eg.cumulative_sum(SQUARE, axis=1), 1)


def by_numpy(x: np.ndarray) -> np.ndarray:
    square = np.tanh(x[None, :] + x[:, None])
    return (np.cumsum(square, 0) * np.cumsum(square, 1)).sum(1)


@pytest.fixture
def program() -> Any:
    return eg.function([X], SUMS)


def test_memory_grows_and_serves_smaller_sizes(program: Any) -> None:
    rng = np.random.default_rng(0)
    arenas = []
    for n in (20, 3, 20, 70, 1, 70, 0, 20):
        x = rng.normal(size=n)
        np.testing.assert_allclose(program(x), by_numpy(x), rtol=1e-3, atol=1e-3)
        arenas.append(id(program.program.program._arena))
    assert len(set(arenas[:3])) == len(set(arenas[3:])) == 1
    assert arenas[0] != arenas[3]


def test_a_size_without_memory_leaves_the_program_as_it_was(
    program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.linspace(0, 1, 20)
    before = program(x)

    def refuse(nbytes: int) -> None:
        raise MemoryError(nbytes)

    with monkeypatch.context() as patch:
        patch.setattr("exprgrad.runtime.program.aligned", refuse)
        with pytest.raises(MemoryError):
            program(np.linspace(0, 1, 1000))
    np.testing.assert_array_equal(program(x), before)


def test_a_state_is_its_own_input_in_any_order() -> None:
    w = eg.parameter("w", (4,), init=np.arange(4.0))
    x = eg.input("v", (4,))
    f = eg.function([x], w, {w: w + 10 * x})
    np.testing.assert_array_equal(f(w.value[::-1]), [0, 1, 2, 3])
    np.testing.assert_array_equal(w.value, [30, 21, 12, 3])
    f(w.value)
    np.testing.assert_array_equal(w.value, [330, 231, 132, 33])


def test_a_large_constant_is_kept_once() -> None:
    rows = np.arange(300_000.0)
    x = eg.input("r", (300_000,), "float64")
    node = eg.constant(rows)
    assert eg.constant(rows.copy()) is node
    f = eg.function([x], eg.sum(x * node))
    assert f(np.ones(300_000)) == rows.sum()


def test_hundreds_of_inputs_and_outputs() -> None:
    inputs = [eg.input(f"x{i}", ()) for i in range(300)]
    total = sum(inputs[1:], inputs[0])
    *found, last = eg.function(inputs, [*map(eg.exp, inputs), total])(*range(300))
    assert last == sum(range(300))
    np.testing.assert_allclose(found[:20], np.exp(np.arange(20.0)), rtol=1e-6)


class Pair(NamedTuple):
    total: Any
    double: Any


def test_a_named_tuple_of_outputs() -> None:
    found = eg.function([X], Pair(X.sum(), 2 * X))([1.0, 2.0])
    assert type(found) is Pair and found.total == 3


def test_an_output_that_is_an_input_is_a_copy() -> None:
    given = np.arange(3, dtype=np.float32)
    first, second = eg.function([X], [X, X])(given)
    assert not np.shares_memory(first, given) and not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, given)


def test_nothing_in_and_nothing_out() -> None:
    assert eg.function([])() is None
    assert eg.function([], [])() == []
    assert eg.function([], {})() == {}
