"""Rows that are cut while a program runs: each in one tile, few tiles small."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend.cover import rows
from exprgrad.backend.jit import Library, compile_module, host
from exprgrad.backend.level import Bound, Level, open_loop
from exprgrad.backend.text import Code, Function, Module
from exprgrad.backend.threads import ENTRY
from exprgrad.loop.ir import Axis
from exprgrad.loop.tile import cut, kinds, unit
from tests.compiled import assert_same_bits, compiled, native

MOST = 40


@cache
def cutter(sizes: tuple[int, ...]) -> Library:
    """Cuts rows into tiles of these kinds, and leaves at each row with which a tile begins
    how many rows that has. Context: the first row, the last, a number for each row.
    """
    module = Module(target=host())
    arguments = "ptr %context, i64 %thread, i64 %threads"
    level = Level(Code(Function(module, "entry", arguments, host().attributes)))
    ends = [
        level.code.op(f"load i64, ptr {level.code.op(f'getelementptr i64, ptr %context, i64 {n}')}")
        for n in (0, 1)
    ]
    for (start, stop, step), bound in rows(level.code, *ends, sizes):
        loop = open_loop(level, Axis("row", MOST), (start, stop, step), Bound(""))
        code = loop.level.code
        place = code.iadd(loop.variable, "2")
        where = code.op(f"getelementptr i64, ptr %context, i64 {place}")
        code.do(f"store i64 {bound.tile}, ptr {where}")
        loop.close()
    level.code.block.end = "ret void"
    return compile_module(str(module))


def tiles(sizes: Sequence[int], first: int, last: int) -> dict[int, int]:
    """The rows of the tile that begins at each row."""
    context = np.zeros(2 + MOST, np.int64)
    context[:2] = first, last
    ENTRY(cutter(tuple(sizes)).address("entry"))(context.ctypes.data, 0, 1)
    return {row: int(n) for row, n in enumerate(context[2:]) if n}


@pytest.mark.parametrize("tall", [1, 2, 3, 4, 5, 6, 8, 12, 16])
@pytest.mark.parametrize("first", [0, 4, 9])
def test_tiles_follow_one_another_as_they_are_counted(tall: int, first: int) -> None:
    for last in range(first, MOST):
        found, row = tiles(kinds(tall), first, last), first
        for begin, height in found.items():
            assert begin == row
            row += height
        assert row == last
        assert list(found.values()) == [h for h, n in cut(last - first, tall) for _ in range(n)]


@pytest.mark.parametrize("tall", [3, 6, 12])
def test_parts_that_are_whole_units_need_no_single_rows(tall: int) -> None:
    for last in range(0, MOST, unit(tall)):
        assert tiles(kinds(tall)[:-1], 0, last) == tiles(kinds(tall), 0, last)


@pytest.mark.parametrize("claims", [False, True])
@pytest.mark.parametrize("number", [*range(5, 25), 33, 64, 70])
def test_threads_part_rows_of_a_known_number(number: int, claims: bool) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal(shape).astype(np.float32) for shape in ((number, 64), (64, 96)))
    a, b = eg.input("a", x.shape), eg.input("b", y.shape)
    made = compiled([eg.sigmoid(a @ b)], parallel=True, claims=claims)
    assert any(each.parallel is not None for each in made.compiled.kernels)
    (alone,) = native(made, {a: x, b: y}, threads=1)
    for threads in (2, 3, 5):
        assert_same_bits([alone], native(made, {a: x, b: y}, threads=threads))
    np.testing.assert_allclose(alone, 1 / (1 + np.exp(-(x @ y))), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("threads", ["1", "2", "3"])
def test_each_number_of_rows_is_computed_by_any_number_of_threads(
    threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    b = rng.standard_normal((70, 96)).astype(np.float32)
    a = eg.input("a", ("n", 70))
    product = eg.function([a], eg.tanh(a @ eg.parameter("b", b.shape, b)))
    for n in range(MOST):
        x = rng.standard_normal((n, 70)).astype(np.float32)
        monkeypatch.setenv("EXPRGRAD_THREADS", "1")
        alone = product(x)
        monkeypatch.setenv("EXPRGRAD_THREADS", threads)
        assert np.array_equal(product(x), alone)
        np.testing.assert_allclose(alone, np.tanh(x @ b), rtol=2e-4, atol=2e-5)
