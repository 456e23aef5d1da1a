"""Sums over several axes begin anew in their inner loops, and lose fewer digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import exprgrad as eg

Array = NDArray[Any]


def uniform(*shape: int) -> Array:
    """Numbers of one sign: their sum grows with each of them."""
    return np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)


def error(found: Any, exact: Array) -> float:
    """The largest, in parts of the largest result."""
    return float(np.max(np.abs(np.asarray(found) - exact)) / np.max(np.abs(exact)))


@pytest.mark.parametrize("rows", [32, "rows"])
def test_a_sum_for_each_channel(rows: int | str) -> None:
    """Lanes run along the channels: each adds up 32,768 times the same; 4e-5 from left to right."""
    x = eg.input("x", (rows, 32, 32, 16))
    given = np.full((32, 32, 32, 16), 0.1, np.float32)
    exact = given.astype(np.float64).sum((0, 1, 2))
    assert error(eg.function([x], eg.sum(x, (0, 1, 2)))(given), exact) < 3e-6


def test_a_sum_in_each_tile() -> None:
    """The gradient of a layer of single pixels, whose accumulators take most registers; 2e-5 from
    left to right.
    """
    x, g = eg.input("x", (8, 48, 64, 64)), eg.input("g", (8, 32, 64, 64))
    a, b = np.full(x.shape, 0.1, np.float32), np.ones(g.shape, np.float32)
    found = eg.function([x, g], eg.einsum("bihw,bohw->oi", x, g))(a, b)
    assert error(found, np.full((32, 48), np.float64(a[0, 0, 0, 0]) * 8 * 64 * 64)) < 5e-6


def test_threads_and_rows_of_sizes_beside_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    x = eg.input("x", ("rows", 4, "columns", 16))
    f = eg.function([x], eg.sum(x * x, (0, 1, 2)))
    for rows in (0, 1, 2, 31, 40):
        for columns in (0, 1, 15, 16, 65):
            given = uniform(rows, 4, columns, 16)
            found = []
            for threads in "12":
                monkeypatch.setenv("EXPRGRAD_THREADS", threads)
                found.append(f(given))
            np.testing.assert_array_equal(*found)
            exact = (given.astype("f8") ** 2).sum((0, 1, 2))
            np.testing.assert_allclose(found[0], exact, rtol=1e-6)


def test_infinities_nan_and_integers() -> None:
    x, n = eg.input("x", (64, 64, 16)), eg.input("n", (64, 64, 16), "int64")
    total = eg.function([x], eg.sum(x, (0, 1)))
    given = uniform(64, 64, 16)
    given[3, 3, 0], given[60, 1, 1], given[2, 2, 2] = np.inf, np.nan, -np.inf
    found = total(given)
    assert found[0] == np.inf
    assert np.isnan(found[1])
    assert found[2] == -np.inf
    whole = np.random.default_rng(0).integers(-(2**62), 2**62, (64, 64, 16))
    np.testing.assert_array_equal(eg.function([n], eg.sum(n, (0, 1)))(whole), whole.sum((0, 1)))
