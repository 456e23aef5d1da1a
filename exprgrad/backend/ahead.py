"""Memory asked for ahead of its use, where it is not expected in the cache.

    for u < 784: ... b[u, j..]              asks for b[u + 16, j..]: each row is on another
                                            page, where the processor foresees nothing
    for i: m[i..] = 0.9 * m[i..] + g[i..]   asks for what is 3 KB ahead, which may be on the
                                            next page: there the foresight of some
                                            processors begins anew
    W[i.., j..] = W[i.., j..] - rate * sum  asks for W[i.., j..] while it computes the sum

A hint changes no result, and one that points outside of all memory does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from math import prod

from exprgrad.backend.access import address, memory_kind
from exprgrad.backend.arith import known, most
from exprgrad.backend.level import Bound, Level, Loop
from exprgrad.backend.scope import Hint, Point, Scope, Spread
from exprgrad.backend.steps import steps_of_round
from exprgrad.backend.text import Code
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.contract import LINE
from exprgrad.loop.cost import typical
from exprgrad.loop.fuse import is_contraction
from exprgrad.loop.ir import Axis, Buffer, Scalar, Store
from exprgrad.loop.pages import APART

# Rows ahead of the one that is read: about the time that memory takes.
ROWS = 16
# Bytes ahead of what is read one after another.
STREAM = 3072
# Binary digits behind the point.
FRACTION = 16
# Of a hint to the nearest cache, for data: what they are asked for to be read, and to be
# written, which takes them away from other processors in the same journey.
TO_READ, TO_WRITE = ((("i32", w), ("i32", "3"), ("i32", "1")) for w in ("0", "1"))


def ask_in_loop(scope: Scope, node: Scalar, level: Level, point: Point) -> None:
    """Ask for what the same read needs some iterations later."""
    buffer, place = node.params[0], ir.offset(node)
    vector = level.vector_of(ir.free_axes(node))
    if buffer not in scope.scheduled.far or not vector or place.factor_of(vector[0]) != 1:
        return
    if not _begins_a_line(buffer, *vector, point):
        return
    for axis, bound in level.axes.items():
        factor = place.factor_of(axis)
        plain = bound.lanes == 1 and bound.tile == 1 and isinstance(factor, int)
        if axis is vector[0] and _goes_on(scope, node) and not _is_foreseen(level):
            ahead = STREAM // buffer.dtype.size
        elif plain and isinstance(factor, int) and factor * buffer.dtype.size > APART:
            ahead = factor * ROWS
        else:
            continue
        here = address(scope, buffer, place, level, point)
        hint = TO_WRITE if buffer in scope.scheduled.kernel.writes() else TO_READ
        there = f"{memory_kind(buffer.dtype)}, ptr {here}, i64 {ahead}"
        _ask(level.code, level.code.op(f"getelementptr {there}"), hint)


def _goes_on(scope: Scope, node: Scalar) -> bool:
    """Whether memory is gone through from one end to the other: neither in rows that are
    known at run time alone, nor for tiles of a contraction.
    """
    in_order = all(atom.op == "axis" for atom, _ in ir.offset(node).terms)
    return in_order and not any(map(is_contraction, ir.scalars(scope.scheduled.kernel)))


def _is_foreseen(level: Level) -> bool:
    """Whether the processor foresees what lies in order, on the next page as well."""
    target = level.code.function.module.target
    return target is not None and target.foresees


def ask_for_tile(
    scope: Scope, stores: Sequence[Store], level: Level, tiles: dict[Axis, Bound]
) -> Spread | None:
    """Ask for what is read at each point of a tile when its sums are known: before them,
    unless it is given back, to be asked for by one of the sums while it runs.
    """
    axes = frozenset(stores[0].axes)
    written = {store.buffer for store in stores}
    asked = [
        (node, TO_WRITE if node.params[0] in written else TO_READ)
        for node in _read_afterwards(stores)
        if node.params[0] in scope.scheduled.far and axes <= ir.free_axes(node)
    ]
    if (spread := _spread(scope, stores, level, tiles, asked)) is not None:
        return spread
    vector = level.vector_of(axes)
    for node, hint in asked:
        buffer, place = node.params[0], ir.offset(node)
        for numbers in product(*(range(bound.tile) for bound in tiles.values())):
            point = dict(zip(tiles, numbers, strict=True))
            if vector is None or _begins_a_line(buffer, *vector, point):
                _ask(level.code, address(scope, buffer, place, level, point), hint)
    return None


def _spread(
    scope: Scope,
    stores: Sequence[Store],
    level: Level,
    tiles: dict[Axis, Bound],
    asked: Sequence[tuple[Scalar, Hint]],
) -> Spread | None:
    """The rows of a tile whose lines a sum asks for, if its loop goes in rounds: all at
    once they would take every place at which the processor waits for memory, of which it
    has a dozen or two, and what the sum reads would come after them.
    """
    vector = level.vector_of(frozenset(tiles))
    rows = [axis for axis in tiles if vector is not None and axis is not vector[0]]
    if not asked or vector is None or len(rows) != 1 or not _goes_in_rounds(stores, level, tiles):
        return None
    (side,), (columns, bound) = rows, vector
    bases = []
    for node, hint in asked:
        buffer, place = node.params[0], ir.offset(node)
        apart = place.factor_of(side)
        if place.factor_of(columns) != 1 or not isinstance(apart, int):
            return None
        first = address(scope, buffer, place, level, {})
        bases.append((first, apart * buffer.dtype.size, hint))
    nbytes = bound.tile * bound.lanes * asked[0][0].params[0].dtype.size
    return Spread(level, tiles[side].tile, -(-nbytes // LINE), bases)


def _goes_in_rounds(stores: Sequence[Store], level: Level, tiles: dict[Axis, Bound]) -> bool:
    """Whether a sum for each point of the tile has several steps in a round of its loop."""
    sums = prod(bound.tile for bound in tiles.values())
    target = level.code.function.module.target
    return any(
        node.op == "reduce"
        and len(node.params[1]) == 1
        and is_contraction(node)
        and tiles.keys() <= ir.free_axes(node)
        and steps_of_round(node, sums, target) > 1
        for node in walk(store.value for store in stores)
    )


def ask_in_round(scope: Scope, level: Level, axis: Axis, loop: Loop, steps: int) -> None:
    """Ask for a round's share of the lines that are spread over a sum at `level`."""
    spread, code = scope.spread, loop.level.code
    if spread is None or spread.level is not level:
        return
    scope.spread = None
    lines = spread.rows * spread.lines
    rate = _lines_a_step(scope, axis, lines)
    first = code.op(f"lshr i64 {code.imul(loop.variable, rate)}, {FRACTION}")
    for number in range(-(-lines * steps // typical(axis.extent))):
        line = code.iadd(first, str(number))
        row, column = (code.op(f"{op} i64 {line}, {spread.lines}") for op in ("udiv", "urem"))
        inside = code.imul(column, str(LINE))
        for base, apart, hint in spread.bases:
            there = code.iadd(code.imul(row, str(apart)), inside)
            _ask(code, code.op(f"getelementptr i8, ptr {base}, i64 {there}"), hint)


def _lines_a_step(scope: Scope, axis: Axis, lines: int) -> str:
    """How many of the lines belong to a step of a sum, as a binary fraction."""
    n, code = scope.size(axis.extent), scope.root.code
    if (number := known(n)) is not None:
        return str((lines << FRACTION) // max(1, number))
    key = ("lines a step", axis.extent, lines)
    if key not in scope.root.known:
        some = most(code, n, "1")
        scope.root.known[key] = (code.op(f"sdiv i64 {lines << FRACTION}, {some}"), 1)
    return scope.root.known[key][0]


def _begins_a_line(buffer: Buffer, axis: Axis, bound: Bound, point: Point) -> bool:
    """Whether a vector of the tile is the first of a line, which comes as a whole."""
    return point.get(axis, 0) * bound.lanes * buffer.dtype.size % LINE == 0


def _read_afterwards(stores: Sequence[Store]) -> Iterator[Scalar]:
    """The reads outside of all sums, if there is a sum."""
    nodes = walk((store.value for store in stores), _outside_sums)
    if any(node.op == "reduce" for node in nodes):
        yield from (node for node in nodes if node.op == "read")


def _outside_sums(node: Scalar) -> Iterable[Scalar]:
    return () if node.op == "reduce" else node.args


def _ask(code: Code, where: str, hint: Hint) -> None:
    code.call_void("llvm.prefetch.p0", ("ptr", where), *hint)
