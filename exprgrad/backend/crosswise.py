"""Stores across the vector: a square of values is transposed in registers.

    for j by 16, k vectors: t[k, j] = b[j, k]
    ->
    for j by 16, k by 16: 16 vectors along k are read, and 16 vectors along j are stored

Read or stored one element at a time, the same square would take 256 accesses instead of
32 and some shuffles.
"""

from __future__ import annotations

from collections.abc import Sequence

from exprgrad.backend.access import address, as_stored, memory_kind, write
from exprgrad.backend.arith import both, fixed_mask, known, splat
from exprgrad.backend.level import Bound, Level
from exprgrad.backend.scope import Point, Scope
from exprgrad.backend.text import Code, Kind
from exprgrad.loop.ir import Axis, Store

# Bits of the parts of a vector within which most instructions move elements.
PART = 128


def store_across(
    scope: Scope,
    target: Store,
    axes: tuple[Axis, Axis],
    values: Sequence[str],
    level: Level,
    point: Point,
) -> None:
    """Store the vectors that stand side by side along the axis that memory follows.

    `axes` are the vector's and that one; `values` are those of all points of the latter
    and `point` is the place in the others.
    """
    vector, side = axes
    code, bound = level.code, level.bound(vector)
    kind = memory_kind(target.buffer.dtype, bound.lanes)
    stored = [as_stored(code, target.buffer.dtype, bound.lanes, value) for value in values]
    missing = [kind.splat(0)] * (bound.lanes - len(stored))
    mask = fixed_mask(bound.lanes, len(stored)) if missing else None
    first = {**point, side: 0}
    start = address(scope, target.buffer, target.place(), level, first)
    apart = target.place().factor_of(vector)
    assert apart is not None
    element = memory_kind(target.buffer.dtype)
    columns = transpose(code, kind, [*stored, *missing])
    lanes = bound.mask_at(point.get(vector, 0))
    for number in range(_count(scope, vector, bound, lanes)):
        by = code.imul(str(number), scope.size(apart))
        where = code.op(f"getelementptr inbounds {element}, ptr {start}, i64 {by}")
        exists = _exists(code, bound.lanes, lanes, number, mask)
        write(code, kind, where, exists, columns[number], apart=False)


def _count(scope: Scope, vector: Axis, bound: Bound, mask: str | None) -> int:
    """How many lanes of the vector may exist here."""
    n = known(scope.size(vector.extent))
    return bound.lanes if mask is None or n is None else n % bound.lanes


def _exists(
    code: Code, lanes: int, mask: str | None, number: int, rows: str | None
) -> str | None:
    """The mask of a column that exists if its lane does."""
    if mask is None or not mask.startswith("%"):
        return rows
    lane = code.op(f"extractelement {Kind('i1', lanes)} {mask}, i64 {number}")
    return both(code, lanes, splat(code, Kind("i1"), lane, lanes), rows)


def transpose(code: Code, kind: Kind, rows: list[str]) -> list[str]:
    """The columns of a square of as many rows as a vector has lanes, a power of two.

    At first the elements of two rows are interleaved within each part of 128 bits, until
    squares as wide as a part are done, then these change places as wholes: so each shuffle
    is one instruction without a table.
    """
    lanes = len(rows)
    part = min(lanes, PART // kind.bits)
    steps = [1 << n for n in range(lanes.bit_length() - 1)]
    interleaved = [
        first + row
        for start in range(0, lanes, part)
        for first in range(start, start + part // 2)
        for row in (0, lanes)
    ]
    even = [
        row + start + n
        for row in (0, lanes)
        for start in range(0, lanes, 2 * part)
        for n in range(part)
    ]
    for step in reversed([step for step in steps if step < part]):
        _exchange(code, kind, rows, step, interleaved, part // 2)
    for step in steps:
        if step >= part:
            _exchange(code, kind, rows, step, even, part)
    return rows


def _exchange(
    code: Code, kind: Kind, rows: list[str], step: int, chosen: list[int], apart: int
) -> None:
    """Put what is `chosen` of each two rows into the first, what lies `apart` from that
    into the second; two rows of the same constant stay.
    """
    low, high = _choice(chosen), _choice([n + apart for n in chosen])
    for n, m in ((n, n + step) for n in range(len(rows)) if not n & step):
        if rows[n] != rows[m] or rows[n].startswith("%"):
            both = f"{kind} {rows[n]}, {kind} {rows[m]}"
            rows[n] = code.op(f"shufflevector {both}, {low}")
            rows[m] = code.op(f"shufflevector {both}, {high}")


def _choice(lanes: Sequence[int]) -> str:
    indices = ", ".join(f"i32 {n}" for n in lanes)
    return f"<{len(lanes)} x i32> <{indices}>"
