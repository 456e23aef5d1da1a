"""Lines of memory that a tile asks for while its sum runs, a few in each round of its loop,
where a round has several steps.

    for u by 4: ask for lines 24 * u // n, ... of W[i.., j..]; s[i.., j..] += x[u, i..] * y[u, j..]
    W[i.., j..] = W[i.., j..] - rate * s[i.., j..]

A processor waits for a dozen or two lines at a time: asked for at once they would take all
these places, and what the sum itself reads would come after them. Such lines are those
that are read at the points of the tile when its sum is known, and those of the factor that
belong to the next columns: each tile of rows asks for its part of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from exprgrad.backend.access import address
from exprgrad.backend.arith import known, most
from exprgrad.backend.level import Bound, Level, Loop
from exprgrad.backend.scope import Hint, Lines, Pace, Scope
from exprgrad.backend.steps import steps_of_round
from exprgrad.backend.text import Code
from exprgrad.graph.dims import count
from exprgrad.graph.node import walk
from exprgrad.graph.state import LINE
from exprgrad.loop import ir
from exprgrad.loop.cost import typical
from exprgrad.loop.fuse import is_contraction
from exprgrad.loop.ir import Axis, Scalar, Store

# Binary digits behind the point.
FRACTION = 16
# Of a hint to the nearest cache, for data: what they are asked for to be read, and to be
# written, which takes them away from other processors in the same journey; of one to the
# second cache, where what is read later does not stand in the way.
TO_READ, TO_WRITE, LATER = (
    (("i32", write), ("i32", near), ("i32", "1"))
    for write, near in (("0", "3"), ("1", "3"), ("0", "2"))
)
Asked = Sequence[tuple[Scalar, Hint]]
Tiles = dict[Axis, Bound]


def sum_in_rounds(
    scope: Scope, stores: Sequence[Store], level: Level, tiles: Tiles
) -> Scalar | None:
    """A sum for each point of the tile whose loop has several steps in a round, if any."""
    target = level.code.function.module.target
    sums = prod(bound.tile for bound in tiles.values())
    for node in walk(store.value for store in stores):
        if node.op != "reduce" or len(node.params[1]) > 1 or not is_contraction(node):
            continue
        plain = ir.condition_of(node.args[0])[0] is None
        plain = plain and not scope.scheduled.of(node.params[1][0]).pairs
        here = tiles.keys() <= ir.free_axes(node) and level.of(ir.free_axes(node)) is level
        if plain and here and steps_of_round(node, sums, target) > 1:
            return node
    return None


def lines_of_tile(
    scope: Scope, node: Scalar, level: Level, tiles: Tiles, asked: Asked
) -> list[Lines] | None:
    """What is `asked` for at each point, where that is rows of whole lines."""
    vector = level.vector_of(frozenset(tiles))
    rows = [axis for axis in tiles if vector is not None and axis is not vector[0]]
    if vector is None or len(rows) != 1:
        return None
    (side,), (columns, bound), (axis,) = rows, vector, node.params[1]
    found = []
    for read, hint in asked:
        buffer, place = read.params[0], ir.offset(read)
        apart, size = place.factor_of(side), buffer.dtype.size
        if place.factor_of(columns) != 1 or not isinstance(apart, int):
            return None
        wide = -(-bound.tile * bound.lanes * size // LINE)
        base = address(scope, buffer, place, level, {})
        pace = Pace(wide * tiles[side].tile, (axis.extent,))
        found.append(Lines(base, apart * size, wide, hint, "0", pace))
    return found


def lines_of_next(
    scope: Scope, node: Scalar, stores: Sequence[Store], level: Level, tiles: Tiles
) -> list[Lines]:
    """A tile's part of what the next columns read, of factors that are not expected in the
    cache: as large a part as that of its rows among all. Nothing where the rows are the
    outer loop: then the columns come again and again.
    """
    columns, rows = stores[0].axes[-2:]
    (axis,), product = node.params[1], ir.summed_product(node)
    both = columns in tiles and rows in tiles
    if product is None or not both or tiles[columns].lanes == 1:
        return []
    tall, n, code = tiles[rows], scope.size(rows.extent), level.code
    found = []
    for read in product.args:
        free = ir.free_axes(read)
        if read.op != "read" or read.params[0] not in scope.scheduled.far or rows in free:
            continue
        shape = _of_columns(read, axis, columns, tiles[columns])
        if shape is None:
            continue
        high, apart, wide = shape
        first = code.op(f"sdiv i64 {code.imul(tall.start, str(high * wide))}, {n}")
        base = _next_columns(scope, read, columns, level)
        pace = Pace(high * wide * tall.tile, (rows.extent, axis.extent))
        found.append(Lines(base, apart, wide, LATER, first, pace))
    return found


def _of_columns(
    read: Scalar, axis: Axis, columns: Axis, bound: Bound
) -> tuple[int, int, int] | None:
    """In how many rows of memory lies what a tile of columns reads in a sum over `axis`, how
    far these are apart, and how many lines of each are read.
    """
    place, size, width = ir.offset(read), read.dtype.size, bound.tile * bound.lanes
    across, along, n = place.factor_of(columns), place.factor_of(axis), axis.extent
    if not isinstance(n, int) or any(atom.op != "axis" for atom, _ in place.terms):
        return None
    if across == 1 and isinstance(along, int) and along:
        return n, along * size, -(-width * size // LINE)
    if along == 1 and isinstance(across, int) and across:
        return width, across * size, -(-n * size // LINE)
    return None


def _next_columns(scope: Scope, read: Scalar, columns: Axis, level: Level) -> str:
    """Where a factor begins for the next columns, or for these if they are the last."""
    place, bound, code = ir.offset(read), level.bound(columns), level.code
    width = bound.tile * bound.lanes
    apart = place.factor_of(columns)
    assert isinstance(apart, int)
    here = address(scope, read.params[0], place, level, {})
    following = code.iadd(bound.start, str(width))
    more = code.op(f"icmp slt i64 {following}, {scope.size(columns.extent)}")
    by = code.op(f"select i1 {more}, i64 {width * apart * read.dtype.size}, i64 0")
    return code.op(f"getelementptr i8, ptr {here}, i64 {by}")


def ask_in_round(scope: Scope, level: Level, axis: Axis, loop: Loop, steps: int) -> None:
    """Ask for a round's share of the lines that are spread over a sum at `level`."""
    spread, code = scope.spread, loop.level.code
    if spread is None or spread.level is not level or spread.axis is not axis:
        return
    scope.spread = None
    for lines in spread.lines:
        done = code.imul(loop.variable, _a_step(scope, lines.pace))
        first = code.iadd(lines.first, code.op(f"lshr i64 {done}, {FRACTION}"))
        for number in range(-(-lines.pace.lines * steps // typical(count(lines.pace.steps)))):
            line = code.iadd(first, str(number))
            row, column = (code.op(f"{op} i64 {line}, {lines.wide}") for op in ("udiv", "urem"))
            there = code.iadd(code.imul(row, str(lines.apart)), code.imul(column, str(LINE)))
            ask(code, code.op(f"getelementptr i8, ptr {lines.base}, i64 {there}"), lines.hint)


def _a_step(scope: Scope, pace: Pace) -> str:
    """How many lines belong to a step of the sum, as a binary fraction."""
    n, code = scope.size(count(pace.steps)), scope.root.code
    if (number := known(n)) is not None:
        return str((pace.lines << FRACTION) // max(1, number))
    key = ("lines a step", pace)
    if key not in scope.root.known:
        some = most(code, n, "1")
        scope.root.known[key] = (code.op(f"sdiv i64 {pace.lines << FRACTION}, {some}"), 1)
    return scope.root.known[key][0]


def ask(code: Code, where: str, hint: Hint) -> None:
    """Ask for the line in which an address lies."""
    code.call_void("llvm.prefetch.p0", ("ptr", where), *hint)
