"""The parts of a phase, which threads claim one after another.

    thread 0's half of each loop      thread 1's half
    [     first     | | | | | ]       [     first     | | | | | ]

A thread takes the first, large part of its own share, then the small ones of it, then
what others have not begun of theirs: a core that is a little slower is waited for no
longer than a small part takes. Where all are equally fast each keeps to its share, which
is near to it. Who computes an element changes nothing in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from exprgrad.backend.level import Bound, Level, open_loop
from exprgrad.backend.text import Code
from exprgrad.loop.ir import Axis

# A share is so many units: as many in its first part, one in each of the others.
UNITS = 16
FIRST = 12
PARTS = 1 + UNITS - FIRST
# Bytes from one thread's counter of claimed parts to the next, a cache line
COUNTER = 64


def claims_size(threads: int) -> int:
    """The bytes of the counters of so many threads, all zero at first."""
    return COUNTER * threads


@dataclass(frozen=True, slots=True)
class Part:
    """The names of int64s: the part of a loop's blocks from first/of to until/of."""

    first: str
    until: str
    of: str


WHOLE = Part("0", "1", "1")


def own_part(code: Code) -> Part:
    """This thread's share as a whole."""
    return Part("%thread", code.iadd("%thread", "1"), "%threads")


@contextmanager
def claimed(code: Code, claims: str) -> Iterator[tuple[Code, Part]]:
    """Where to write what is run for each part that this thread gets hold of.

    One thread takes all at once. `claims` names a pointer to the counters; they have to
    be zero again (`release`) before another phase claims.

        for owner in thread, thread + 1, ..., and from 0 again to thread - 1:
            until n = claims[owner]++ is none of PARTS:
                the part n of the owner's share
    """
    single = code.op("icmp eq i64 %threads, 1")
    parts, large = (
        code.op(f"select i1 {single}, i64 {alone}, i64 {each}")
        for alone, each in ((1, PARTS), (UNITS, FIRST))
    )
    loop = open_loop(Level(code), Axis("owner", 1), ("0", "%threads", 1), Bound(""))
    inside = loop.level.code
    ahead = inside.op(f"add nsw i64 %thread, {loop.variable}")
    owner = inside.op(f"urem i64 {ahead}, %threads")
    counter = inside.op(f"getelementptr [{COUNTER} x i8], ptr {claims}, i64 {owner}")
    with _each(inside, counter, parts) as number:
        yield inside, _part(inside, owner, number, large)
    loop.close()


@contextmanager
def _each(code: Code, counter: str, parts: str) -> Iterator[str]:
    """What is written within is run for each number that this thread gets from a counter
    of so many parts; whoever comes later only looks.
    """
    look, take, part, after = map(code.function.block, ("look", "take", "part", "after"))
    code.jump(look)
    code.block = look
    seen = code.op(f"load atomic i64, ptr {counter} monotonic, align 8")
    code.branch(code.op(f"icmp slt i64 {seen}, {parts}"), take, after)
    code.block = take
    number = code.op(f"atomicrmw add ptr {counter}, i64 1 monotonic")
    code.branch(code.op(f"icmp slt i64 {number}, {parts}"), part, after)
    code.block = part
    yield number
    code.jump(look)
    code.block = after


def _part(code: Code, owner: str, number: str, large: str) -> Part:
    """Which units of its owner's share a part has: the first is large, others have one."""
    share, of = (code.op(f"mul nsw i64 {n}, {UNITS}") for n in (owner, "%threads"))
    end = code.op(f"add nsw i64 {number}, {large}")
    before = code.op(f"sub nsw i64 {end}, 1")
    is_first = code.op(f"icmp eq i64 {number}, 0")
    begin = code.op(f"select i1 {is_first}, i64 0, i64 {before}")
    first, until = (code.op(f"add nsw i64 {share}, {place}") for place in (begin, end))
    return Part(first, until, of)


def release(code: Code, claims: str) -> None:
    """Let the parts of the next phase be claimed: for one thread alone to do."""
    size = code.op(f"mul nsw i64 %threads, {COUNTER}")
    code.call_void(
        "llvm.memset.p0.i64", ("ptr", claims), ("i8", "0"), ("i64", size), ("i1", "false")
    )
