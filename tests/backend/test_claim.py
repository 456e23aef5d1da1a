"""Parts of a phase, claimed by threads: each is run, and none twice."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from exprgrad.backend.barrier import FLAGS_SIZE, emit_section
from exprgrad.backend.claim import FIRST, UNITS, claimed, claims_size, release
from exprgrad.backend.jit import Library, compile_module, host
from exprgrad.backend.level import Bound, Level, open_loop
from exprgrad.backend.text import Code, Function, Module
from exprgrad.backend.threads import ENTRY, Pool
from exprgrad.loop.ir import Axis
from exprgrad.runtime.program import aligned

MOST = 5
COUNTS = FLAGS_SIZE + claims_size(MOST)  # where the counts of units begin
LENGTHS = COUNTS + 8 * UNITS * MOST  # and those of parts, by their length


@cache
def program(rounds: int, meets: bool) -> Library:
    """In each round threads claim parts and count up each unit of them, and the length of
    each part; then they meet, if they do. Context: flags, claims, counts, lengths.
    """
    module = Module(target=host())
    arguments = "ptr %context, i64 %thread, i64 %threads"
    function = Function(module, "entry", arguments, host().attributes)
    outer = Level(Code(function))
    claims, counts, lengths = (
        outer.code.op(f"getelementptr i8, ptr %context, i64 {at}")
        for at in (FLAGS_SIZE, COUNTS, LENGTHS)
    )
    loop = open_loop(outer, Axis("round", rounds), ("0", str(rounds), 1), Bound(""))
    code = loop.level.code
    with claimed(code, claims) as (inside, part):
        count_up(inside, lengths, inside.op(f"sub i64 {part.until}, {part.first}"))
        span = (part.first, part.until, 1)
        units = open_loop(Level(inside), Axis("unit", 1), span, Bound(""))
        count_up(units.level.code, counts, units.variable)
        units.close()
    if meets:
        emit_section(code, "%context", "%threads", lambda: release(code, claims))
    loop.close()
    outer.code.block.end = "ret void"
    return compile_module(str(module))


def count_up(code: Code, counts: str, number: str) -> None:
    place = code.op(f"getelementptr i64, ptr {counts}, i64 {number}")
    code.op(f"atomicrmw add ptr {place}, i64 1 monotonic")


def context() -> np.ndarray:
    return aligned(LENGTHS + 8 * (UNITS + 1)).view(np.int64)


def counts(memory: np.ndarray) -> list[int]:
    return memory[COUNTS // 8 : LENGTHS // 8].tolist()


def lengths(memory: np.ndarray) -> dict[int, int]:
    found = memory[LENGTHS // 8 :].tolist()
    return {length: count for length, count in enumerate(found) if count}


@pytest.mark.parametrize("threads", range(1, MOST + 1))
def test_each_part_is_run_once_in_each_round(threads: int) -> None:
    memory, rounds = context(), 2000
    address = program(rounds, meets=True).address("entry")
    Pool(threads).run(address, memory.ctypes.data, threads)
    assert counts(memory) == [rounds] * (UNITS * threads) + [0] * (UNITS * (MOST - threads))
    shares = rounds * threads
    wanted = {1: shares * (UNITS - FIRST), FIRST: shares} if threads > 1 else {UNITS: shares}
    assert lengths(memory) == wanted


@pytest.mark.parametrize("thread", range(3))
def test_who_comes_alone_runs_the_parts_of_all(thread: int) -> None:
    memory = context()
    entry = ENTRY(program(1, meets=False).address("entry"))
    entry(memory.ctypes.data, thread, 3)
    alone = counts(memory)
    assert alone == [1] * (UNITS * 3) + [0] * (UNITS * (MOST - 3))
    for late in range(3):
        entry(memory.ctypes.data, late, 3)
    assert counts(memory) == alone


def test_what_another_has_begun_is_left_to_it() -> None:
    memory = context()
    claims = memory[FLAGS_SIZE // 8 :]
    claims[0] = 2  # the first thread's large part, and one more
    entry = ENTRY(program(1, meets=False).address("entry"))
    entry(memory.ctypes.data, 1, 2)
    begun = FIRST + 1
    assert counts(memory)[: 2 * UNITS] == [0] * begun + [1] * (2 * UNITS - begun)
