"""How the iterations of a loop are covered: by tiles, by single iterations or vectors,
and by a vector some of whose lanes are off.

The cover depends on sizes only; threads divide it in whole tiles, so that each element
is computed in the same way whoever computes it.
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
from exprgrad.loop.schedule import How, Scheduled

Span = tuple[str, str, int]  # start, stop, step


def cover(scope: Scope, axis: Axis) -> list[tuple[Span, Bound]]:
    """The pieces of a loop that this thread runs, one after another.

    What whole tiles leave over is one smaller tile where its size is known. Where it is
    not, it runs by twos and by ones, vectors one by one, the last of them masked.
    """
    how, lanes = scope.scheduled.of(axis), scope.scheduled.lanes
    width = lanes if how.vector else 1
    n = scope.size(axis.extent)
    low, high = _share(scope, axis, scope.scheduled.share(axis)) if how.parallel else ("0", n)
    code = scope.root.code
    if axis in scope.blocks:
        level, start, stop = scope.blocks[axis]
        code = level.code
        low, high = most(code, low, start), least(code, high, stop)
    if (number := known(n)) is not None:
        return _known_pieces(code, number, low, high, how.tile, width)
    pieces, start = [], "0"
    for tile in _tiles(how):
        block = tile * width
        stop = whole(code, n, block)
        span = (most(code, low, start), least(code, high, stop), block)
        pieces.append((span, Bound("", tile, width)))
        start = stop
    if how.vector:
        span = (most(code, low, start), least(code, high, n), lanes)
        pieces.append((span, Bound("", 1, lanes, RUN_TIME)))
    return pieces


def _tiles(how: How) -> list[int]:
    """Smaller and smaller tiles for a number of iterations not known."""
    smaller = [2, 1] if how.tile > 3 and not how.vector else [1]
    return [how.tile, *smaller] if how.tile > 1 else [1]


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
    if not isinstance(n, int):
        return sum(_tiles(how)) + how.vector
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


def _share(scope: Scope, axis: Axis, block: int) -> tuple[str, str]:
    """The iterations of the part that is run: whole blocks, in order."""
    code, known_before = scope.root.code, scope.root.known
    ends = ("first", "until")
    if ("share", axis, "first") not in known_before:
        n = scope.size(axis.extent)
        blocks = floor_div(code, code.iadd(n, str(block - 1)), block)
        for end in ends:
            part = code.op(f"sdiv i64 {code.imul(blocks, '%' + end)}, %of")
            known_before["share", axis, end] = (code.imul(part, str(block)), 1)
    first, until = (known_before["share", axis, end][0] for end in ends)
    return first, until
