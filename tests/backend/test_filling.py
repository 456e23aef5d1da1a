"""Panels that the first rows fill as they read a factor."""

from __future__ import annotations

import re

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend.jit import host
from exprgrad.graph.tensor import Tensor
from exprgrad.runtime.compile import Request, compile_request
from tests.backend.harness import AVX2
from tests.backend.test_assembly import hottest, multiplications
from tests.compiled import assert_same_bits, compiled, native

RUNS = pytest.mark.skipif(not host().has("avx2"), reason="no AVX2")
B = eg.input("b", (50, 77), "float64")


def rows_of(n: int | str) -> Tensor:
    return eg.input("a", (n, 50), "float64")


def values(*inputs: Tensor, rows: int) -> dict[Tensor, np.ndarray]:
    rng = np.random.default_rng(rows)
    shapes = [[n if isinstance(n, int) else rows for n in x.shape] for x in inputs]
    return {x: rng.normal(size=shape) for x, shape in zip(inputs, shapes, strict=True)}


def test_a_tile_no_wider_than_a_line_reads_a_panel() -> None:
    (kernel,) = compile_request(Request([rows_of(64) @ B], {}), AVX2).kernels
    assert [len(each) for each in kernel.panels.values()] == [1]


@RUNS
@pytest.mark.parametrize("rows", [1, 2, 5, 6, 7, 11, 12, 64])
@pytest.mark.parametrize("named", [False, True], ids=["fixed", "named"])
def test_any_number_of_rows(rows: int, named: bool) -> None:
    a = rows_of("rows" if named else rows)
    graph = eg.tanh(a @ B)
    given = values(a, B, rows=rows)
    program = compiled([graph], target=AVX2, parallel=True)
    results = [native(program, given, threads=n) for n in (1, 2, 3, 16)]
    np.testing.assert_allclose(results[0][0], np.tanh(given[a] @ given[B]), atol=1e-12)
    for other in results[1:]:
        assert_same_bits(results[0], other)


@RUNS
@pytest.mark.parametrize("rows", [3, 20])
def test_a_sum_that_leaves_out_steps_fills_no_panel(rows: int) -> None:
    a, b = eg.input("a", ("rows", 50), "float64"), eg.input("b", (53, 77), "float64")
    graph = eg.pad(a, ((0, 0), (1, 2))) @ b
    given = values(a, b, rows=rows)
    (found,) = native(compiled([graph], target=AVX2), given)
    expected = np.pad(given[a], ((0, 0), (1, 2))) @ given[b]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_all_but_the_first_rows_read_the_panel_and_write_nothing() -> None:
    loop = hottest(rows_of(66) @ B, AVX2)
    assert multiplications(loop) == 12
    assert not [line for line in loop if re.search(r"vmov\w+\s+%ymm\d+, .*\(", line)]
