"""Large states are asked for ahead of their use: what is written as well, to be written."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend.jit import named
from exprgrad.backend.target import Target
from exprgrad.runtime.compile import Request, compile_request

from .test_assembly import innermost_loops, multiplications

SMALL_CACHE = replace(
    named("x86-64-v4", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+fma,+prfchw"), cache_bytes=1 << 17
)
W = eg.parameter("asked_w", (256, 256), init=eg.init.normal(1.0))
DECAY = eg.state("asked_decay", (256, 256), init=0.5)
HINT = re.compile(r"@llvm.prefetch.p0\(ptr %v\d+, i32 (\d), ")


def hints(new: eg.Tensor) -> list[str]:
    """Whether each hint is to read ("0") or to write ("1")."""
    x, y = eg.input("x", (64, 256)), eg.input("y", (64, 256))
    compiled = compile_request(Request([], {W: new - 0.1 * (x.T @ y)}), SMALL_CACHE)
    return HINT.findall(compiled.library.ir)


def test_what_is_updated_is_asked_for_to_be_written() -> None:
    found = hints(W)
    assert found
    assert set(found) == {"1"}


def test_what_is_read_alone_is_asked_for_to_be_read() -> None:
    found = hints(W * DECAY)
    assert found.count("0") == found.count("1") > 0


def in_the_hottest_loop(size: int | str, target: Target) -> list[str]:
    """The hints to write in the loop of a sum of `size` steps."""
    x, y = eg.input("x", (size, 256)), eg.input("y", (size, 256))
    compiled = compile_request(Request([], {W: W - 0.1 * (x.T @ y)}), target)
    loops = innermost_loops(compiled.library.assembly)
    return [line for line in max(loops, key=multiplications) if "\tprefetchw" in line]


def test_a_tile_is_asked_for_while_its_sum_runs() -> None:
    """Of its 24 lines a round of four steps asks for its share, rounded up."""
    assert len(in_the_hottest_loop(64, SMALL_CACHE)) == 2
    assert len(in_the_hottest_loop("n", SMALL_CACHE)) == 1  # a call counts on many rows
    assert len(in_the_hottest_loop(784, SMALL_CACHE)) == 1
    assert len(in_the_hottest_loop(40, SMALL_CACHE)) == 3


@pytest.mark.parametrize("size", [16, (64, 2)])
def test_it_is_asked_for_before_a_sum_without_rounds(size: int | tuple[int, ...]) -> None:
    shape = size if isinstance(size, tuple) else (size,)
    x, y = eg.input("x", (*shape, 256)), eg.input("y", (*shape, 256))
    places = "uv"[: len(shape)]
    slope = eg.einsum(f"{places}i,{places}j->ij", x, y)
    compiled = compile_request(Request([], {W: W - 0.1 * slope}), SMALL_CACHE)
    assert len(HINT.findall(compiled.library.ir)) >= 24
    loop = max(innermost_loops(compiled.library.assembly), key=multiplications)
    assert not [line for line in loop if "\tprefetchw" in line]


@pytest.mark.parametrize("n", [0, 1, 3, 4, 31, 32, 33, 64, 129])
def test_hints_change_no_result(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal((2, n, 512)).astype(np.float32)
    w = eg.parameter("asked_wide", (512, 512), init=eg.init.normal(1.0))
    before = w.value.copy()
    x, y = eg.input("x", ("n", 512)), eg.input("y", ("n", 512))
    eg.function([x, y], [], updates={w: w - 0.1 * (x.T @ y)})(a, b)
    exact = before - 0.1 * (a.T.astype(np.float64) @ b)
    np.testing.assert_allclose(w.value, exact, rtol=1e-4, atol=1e-4)


def test_what_is_gone_through_is_asked_for_some_lines_ahead() -> None:
    x = eg.input("asked_x", (1 << 16,))
    v = eg.state("asked_v", (1 << 16,), init=0.0)
    ir = compile_request(Request([], {v: 0.9 * v + x}), SMALL_CACHE).library.ir
    assert set(HINT.findall(ir)) == {"0", "1"}
    short = eg.input("asked_short", (1 << 10,))
    ir = compile_request(Request([eg.exp(short)], {}), SMALL_CACHE).library.ir
    assert not HINT.findall(ir)


def test_what_is_gone_through_is_not_asked_for_where_the_processor_foresees_it() -> None:
    x, w = eg.input("asked_x", (1 << 16,)), eg.input("asked_rows", (64, 256))
    v = eg.state("asked_v", (1 << 16,), init=0.0)
    zen = replace(SMALL_CACHE, cpu="znver4")
    stream = Request([], {v: 0.9 * v + x})
    tiles = Request([], {W: W - 0.1 * (w.T @ w)})
    assert HINT.findall(compile_request(stream, SMALL_CACHE).library.ir)
    assert not HINT.findall(compile_request(stream, zen).library.ir)
    assert HINT.findall(compile_request(tiles, zen).library.ir)


def test_a_sum_asks_for_what_it_goes_through() -> None:
    x = eg.input("asked_x", (1 << 16,))
    ir = compile_request(Request([eg.sum(eg.tanh(x))], {}), SMALL_CACHE).library.ir
    assert set(HINT.findall(ir)) == {"0"}


def test_rows_in_an_order_of_their_own_ask_for_nothing() -> None:
    table = eg.input("asked_table", (1 << 10, 64))
    rows = eg.input("asked_rows", (100,), "int64")
    ir = compile_request(Request([eg.exp(table[rows])], {}), SMALL_CACHE).library.ir
    assert not HINT.findall(ir)
