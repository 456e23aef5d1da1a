"""Many partial sums as one: the lanes of several rows in the same vectors, the terms of few
results in turns.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import exprgrad as eg
from exprgrad.backend.jit import named

from .test_assembly import hottest

AVX512 = named("x86-64-v4", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+fma")
COUNTS = [0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 30]
KINDS = {"sum": np.sum, "max": np.max, "min": np.min, "argmax": np.argmax}
ADDITION = re.compile(r"\tvh?addps\t")
TOTAL = re.compile(r"\tvfmadd\d+ps\t.*, (%zmm\d+)$")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("columns", [1, 3, 16, 30, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_have_the_bits_that_each_has_alone(kind: str, columns: int, dtype: str) -> None:
    x = eg.input("x", ("rows", columns), dtype)
    reduced = eg.function([x], getattr(eg, kind)(x, axis=1))
    rng = np.random.default_rng(columns)
    for count in COUNTS:
        given = (100 * rng.standard_normal((count, columns))).astype(dtype)
        found = reduced(given)
        each = [reduced(row[None]) for row in given]
        assert_array_equal(found, np.concatenate([found[:0], *each]))
        exact = KINDS[kind](given.astype(np.float64), axis=1)
        assert_allclose(found, exact, rtol=1e-5, atol=1e-3 * (dtype == "float32"))


@pytest.mark.parametrize("extreme", [np.nan, np.inf, -np.inf, 3e38, 1e-40])
def test_what_is_extreme_in_a_row_stays_in_it(extreme: float) -> None:
    x = eg.input("x", (16, 30))
    given = np.zeros((16, 30), np.float32)
    given[5, 17] = extreme
    expected = np.zeros(16, np.float32)
    expected[5] = extreme
    assert_array_equal(eg.function([x], x.sum(axis=1))(given), expected)


@pytest.mark.parametrize("n", [1, 7, 31, 32, 33, 64, 100, 1000])
@pytest.mark.parametrize("columns", [1, 5, 16, 32, 40])
def test_sums_in_turns_are_the_sums(n: int, columns: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal(n), rng.standard_normal((n, columns))
    for size in (n, "n"):
        x, w = eg.input("x", (size,)), eg.input("w", (size, columns))
        found = eg.function([x, w], x @ w)(a.astype(np.float32), b.astype(np.float32))
        assert_allclose(found, a @ b, rtol=1e-4, atol=1e-4)


def test_eight_rows_take_fewer_additions_than_three_each() -> None:
    x, w = eg.input("x", (64, 30)), eg.input("w", (30,))
    assert len(list(filter(ADDITION.search, hottest(x @ w, AVX512)))) == 4 + 2 + 1 + 1


def test_few_results_are_added_to_in_turns() -> None:
    for columns, turns in ((16, 8), (32, 4), (64, 2)):
        x, w = eg.input("x", (1000,)), eg.input("w", (1000, columns))
        totals = {found[1] for line in hottest(x @ w, AVX512) if (found := TOTAL.search(line))}
        assert len(totals) == turns * columns // 16
