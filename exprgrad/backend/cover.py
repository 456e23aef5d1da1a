"""How the iterations of a loop are covered: by tiles, by single iterations or vectors,
and by a vector some of whose lanes are off.

Vectors lie at the same places however many threads there are: parts are whole blocks of
them, so that each element is computed in the same way whoever computes it. Rows, each of
which is computed by itself, are cut into tiles within a thread's part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exprgrad.backend.arith import (
    fixed_mask,
    floor_div,
    known,
    least,
    most,
    run_mask,
    whole,
)
from exprgrad.backend.level import RUN_TIME, Bound, Level, Loop, open_loop
from exprgrad.backend.scope import Scope
from exprgrad.backend.text import Code
from exprgrad.loop.ir import Axis
from exprgrad.loop.schedule import Scheduled
from exprgrad.loop.tile import kinds, spare

Span = tuple[str, str, int]  # start, stop, step


def cover(scope: Scope, axis: Axis) -> list[tuple[Span, Bound]]:
    """The pieces of a loop that this thread runs, one after another.

    What whole tiles leave over is one smaller tile where its size is known. Where it is
    not, rows end in smaller tiles (`rows`), and vectors run one by one, the last masked.
    """
    how, lanes = scope.scheduled.of(axis), scope.scheduled.lanes
    width = lanes if how.vector else 1
    n = scope.size(axis.extent)
    low, high = share_of(scope, axis)
    code = scope.root.code
    if axis in scope.blocks:
        level, start, stop = scope.blocks[axis]
        code = level.code
        low, high = most(code, low, start), least(code, high, stop)
    if _is_cut(scope.scheduled, axis):
        return rows(code, low, high, _kinds(scope.scheduled, axis))
    if (number := known(n)) is not None:
        return _known_pieces(code, number, low, high, how.tile, width)
    return _vectors(code, n, low, high, how.tile, lanes)


def _is_cut(scheduled: Scheduled, axis: Axis) -> bool:
    """Whether a loop is over rows, of which a thread's part is cut into tiles while the
    program runs: their number is not known before, or a part need not be whole tiles.
    """
    how = scheduled.of(axis)
    parted = how.parallel and scheduled.unit(axis) < how.tile
    return not how.vector and (parted or not isinstance(axis.extent, int))


def _kinds(scheduled: Scheduled, axis: Axis) -> list[int]:
    """The tiles of rows that are cut: single ones only where a part may be no multiple of
    the unit.
    """
    how, n = scheduled.of(axis), axis.extent
    whole_units = isinstance(n, int) and n % scheduled.unit(axis) == 0
    return kinds(how.tile)[: -1 if whole_units else None]


def _vectors(
    code: Code, n: str, low: str, high: str, tile: int, lanes: int
) -> list[tuple[Span, Bound]]:
    """Tiles of vectors, then single ones, then one some of whose lanes are off."""
    pieces, start = [], "0"
    for size in _tiles(tile):
        stop = whole(code, n, size * lanes)
        span = (most(code, low, start), least(code, high, stop), size * lanes)
        pieces.append((span, Bound("", size, lanes)))
        start = stop
    span = (most(code, low, start), least(code, high, n), lanes)
    return [*pieces, (span, Bound("", 1, lanes, RUN_TIME))]


def _tiles(tile: int) -> list[int]:
    return [tile, 1] if tile > 1 else [1]


def rows(
    code: Code, low: str, high: str, kinds: Sequence[int]
) -> list[tuple[Span, Bound]]:
    """Rows `low` to `high` - 1 in tiles of so many rows, the whole ones first, as
    `tile.cut` counts them; the last kind takes all that is left.
    """
    pieces, start = [], low
    for height in kinds:
        stop = high
        if height != kinds[-1]:
            left = code.isub(high, start)
            count = floor_div(code, left, height)
            if height == kinds[0]:
                count = _without_spare(code, count, left, height)
            stop = code.iadd(start, code.imul(count, str(height)))
        pieces.append(((start, stop, height), Bound("", height)))
        start = stop
    return pieces


def _without_spare(code: Code, count: str, left: str, tall: int) -> str:
    """One whole tile less, if there is one, where the rest makes smaller ones with it."""
    if not (spared := spare(tall)):
        return count
    beyond = code.isub(code.isub(left, code.imul(count, str(tall))), str(spared.start))
    few = code.op(f"icmp ult i64 {beyond}, {len(spared)}")
    return code.isub(count, least(code, count, code.op(f"zext i1 {few} to i64")))


def _known_pieces(
    code: Code, n: int, low: str, high: str, tile: int, width: int
) -> list[tuple[Span, Bound]]:
    """Whole tiles, and one piece for the rest, the last vector of which is masked."""
    block = tile * width
    full = n - n % block
    pieces = [((low, least(code, high, str(full)), block), Bound("", tile, width))]
    if left := n - full:
        mask = fixed_mask(width, left % width) if left % width else None
        span = (most(code, low, str(full)), least(code, high, str(n)), block)
        pieces.append((span, Bound("", -(-left // width), width, mask)))
    return pieces


def written(scheduled: Scheduled, axis: Axis) -> int:
    """How many iterations, or vectors of them, the pieces of a loop write out."""
    how, n = scheduled.of(axis), axis.extent
    width = scheduled.lanes if how.vector else 1
    if _is_cut(scheduled, axis):
        return sum(_kinds(scheduled, axis))
    if not isinstance(n, int):
        return sum(_tiles(how.tile)) + 1
    tiles, left = divmod(n, how.tile * width)
    return how.tile * min(tiles, 1) + -(-left // width)


def runs(span: Span) -> int | None:
    """How often a piece runs where that is known to be never or once, else None."""
    start, stop, step = span
    first, last = known(start), known(stop)
    if first is None or last is None or last - first > step:
        return None
    return int(first < last)


def open_piece(
    scope: Scope,
    level: Level,
    axis: Axis,
    span: Span,
    bound: Bound,
    carried: Sequence[tuple[str, str]] = (),
) -> Loop:
    """Begin the loop over a piece; a mask counted at run time is there in its level."""
    loop = open_loop(level, axis, span, bound, carried)
    if bound.mask == RUN_TIME:
        here, n = loop.level.axes[axis], scope.size(axis.extent)
        mask = run_mask(loop.level.code, n, here.start, bound.lanes)
        loop.level.axes[axis] = replace(here, mask=mask)
    return loop


def ends(scope: Scope, axis: Axis) -> tuple[str, str]:
    """Where a loop begins and ends that no threads divide: in a block of it, or as a whole."""
    if axis in scope.blocks:
        return scope.blocks[axis][1:]
    return "0", scope.size(axis.extent)


def share_of(scope: Scope, axis: Axis) -> tuple[str, str]:
    """The iterations of a loop that this thread runs: where it is divided whole blocks, in
    order.
    """
    if not scope.scheduled.of(axis).parallel:
        return "0", scope.size(axis.extent)
    code, known_before, block = scope.root.code, scope.root.known, scope.scheduled.share(axis)
    ends = ("first", "until")
    if ("share", axis, "first") not in known_before:
        n = scope.size(axis.extent)
        blocks = floor_div(code, code.iadd(n, str(block - 1)), block)
        for end in ends:
            part = code.op(f"sdiv i64 {code.imul(blocks, '%' + end)}, %of")
            place = least(code, code.imul(part, str(block)), n)
            known_before["share", axis, end] = (place, 1)
    first, until = (known_before["share", axis, end][0] for end in ends)
    return first, until
