"""Large states are asked for ahead of their use: what is written as well, to be written."""

from __future__ import annotations

import re
from dataclasses import replace

import exprgrad as eg
from exprgrad.backend.jit import named
from exprgrad.runtime.compile import Request, compile_request

SMALL_CACHE = replace(
    named("x86-64-v4", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+fma"), cache_bytes=1 << 17
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
