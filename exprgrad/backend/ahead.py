"""Memory asked for ahead of its use, where it is not expected in the cache.

    for u < 784: ... b[u, j..]              asks for b[u + 16, j..]: each row is on another
                                            page, where the processor foresees nothing
    for i: m[i..] = 0.9 * m[i..] + g[i..]   asks for what is some KB ahead, which may be on the
                                            next page: there the foresight of some
                                            processors begins anew
    for i: y[i, j..] = x[order[i], j..]     asks for x[order[i + 2], j..]
    W[i.., j..] = W[i.., j..] - rate * sum  asks for W[i.., j..] before it computes the sum,
                                            or meanwhile (`spread.py`)

A hint changes no result, and one that points outside of all memory does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from exprgrad.backend.access import address, memory_kind
from exprgrad.backend.level import Bound, Level
from exprgrad.backend.scope import Point, Scope, Spread
from exprgrad.backend.spread import (
    LATER,
    TO_READ,
    TO_WRITE,
    Asked,
    ask,
    lines_of_next,
    lines_of_tile,
    sum_in_rounds,
)
from exprgrad.graph.node import walk
from exprgrad.graph.state import LINE
from exprgrad.loop import ir
from exprgrad.loop.cost import points
from exprgrad.loop.fuse import is_contraction
from exprgrad.loop.ir import Axis, Buffer, Scalar, Store
from exprgrad.loop.pages import APART

# Rows ahead of the one that is read: about the time that memory takes.
ROWS = 16
SHORT = 4  # the same in a copy, which reads some lines of each row
# Rows in an order of their own ahead of the one that is read, and the bytes of one for
# which it pays.
NAMED = 2
LONG = 1024


def ask_in_loop(scope: Scope, node: Scalar, level: Level, point: Point) -> None:
    """Ask for what the same read needs some iterations later."""
    buffer, place = node.params[0], ir.offset(node)
    vector = level.vector_of(ir.free_axes(node))
    if not vector or place.factor_of(vector[0]) != 1 or not _begins_a_line(buffer, *vector, point):
        return
    if (named := _named_later(scope, node, level)) is not None:
        ask(level.code, address(scope, buffer, ir.offset(named), level, point), LATER)
    if buffer not in scope.scheduled.far:
        return
    for axis, bound in level.axes.items():
        factor = place.factor_of(axis)
        plain = bound.lanes == 1 and bound.tile == 1 and not level.is_row(axis)
        if axis is vector[0] and _goes_on(scope, node) and _stream(scope, level):
            ahead = _stream(scope, level) // buffer.dtype.size
        elif plain and isinstance(factor, int) and factor * buffer.dtype.size > APART:
            ahead = factor * ROWS
        else:
            continue
        _ask_later(scope, node, level, point, ahead)


def ask_in_copy(scope: Scope, node: Scalar, axis: Axis, level: Level, point: Point) -> None:
    """Ask for what a copy reads some iterations of an outer loop over `axis` later, where
    its rows are short and far from one another.
    """
    buffer, vector = node.params[0], level.vector_of(ir.free_axes(node))
    factor = ir.offset(node).factor_of(axis)
    if vector is None or buffer not in scope.scheduled.far or not isinstance(factor, int):
        return
    if factor * buffer.dtype.size > APART and _begins_a_line(buffer, *vector, point):
        _ask_later(scope, node, level, point, factor * SHORT)


def _ask_later(scope: Scope, node: Scalar, level: Level, point: Point, ahead: int) -> None:
    """Ask for what lies so many elements after what is read."""
    buffer = node.params[0]
    here = address(scope, buffer, ir.offset(node), level, point)
    hint = TO_WRITE if buffer in scope.scheduled.kernel.writes() else TO_READ
    there = f"{memory_kind(buffer.dtype)}, ptr {here}, i64 {ahead}"
    ask(level.code, level.code.op(f"getelementptr {there}"), hint)


def _named_later(scope: Scope, node: Scalar, level: Level) -> Scalar | None:
    """The read of the row that an order names some places later, or last; None where rows
    are short or in no such order, which is an input: another thread may still write what
    comes later in a temporary.
    """
    names = [atom for atom, _ in ir.offset(node).terms if atom.op != "axis"]
    if len(names) != 1 or names[0].op != "read" or names[0].params[0].role != "input":
        return None
    loops = {axis for store in scope.scheduled.kernel.stores for axis in store.axes}
    if len(ir.free_axes(names[0])) != 1 or not ir.free_axes(names[0]) <= loops:
        return None
    (rows,) = ir.free_axes(names[0])
    bound = level.bound(rows)
    nbytes = points(ir.free_axes(node) - {rows}) * node.dtype.size
    if bound.lanes * bound.tile > 1 or nbytes < LONG:
        return None
    last = ir.add(ir.size(rows.extent), ir.number(-1))
    later = ir.add(ir.axis_value(rows), ir.number(NAMED))
    place = ir.scalar("minimum", (later, last), (), later.dtype)
    return ir.substitute(node, {ir.axis_value(rows): place})


def _goes_on(scope: Scope, node: Scalar) -> bool:
    """Whether memory is gone through from one end to the other: neither in rows that are
    known at run time alone, nor for tiles of a contraction.
    """
    in_order = all(atom.op == "axis" for atom, _ in ir.offset(node).terms)
    return in_order and not any(map(is_contraction, ir.scalars(scope.scheduled.kernel)))


def _stream(scope: Scope, level: Level) -> int:
    """How many bytes ahead this processor has to be asked for what lies in order."""
    target = level.code.function.module.target
    return 0 if target is None else target.stream(len(scope.scheduled.far))


def ask_for_tile(
    scope: Scope, stores: Sequence[Store], level: Level, tiles: dict[Axis, Bound]
) -> Spread | None:
    """Ask for what is read at each point of a tile when its sums are known: at once, or,
    where a sum has several steps in a round, by what is given back to that sum.
    """
    axes = frozenset(stores[0].axes)
    written = {store.buffer for store in stores}
    asked = [
        (node, TO_WRITE if node.params[0] in written else TO_READ)
        for node in _read_afterwards(stores)
        if node.params[0] in scope.scheduled.far and axes <= ir.free_axes(node)
    ]
    node = sum_in_rounds(scope, stores, level, tiles)
    lines = lines_of_tile(scope, node, level, tiles, asked) if node is not None else None
    if lines is None:
        _ask_at_once(scope, asked, level, tiles)
    if node is None:
        return None
    lines = [*(lines or []), *lines_of_next(scope, node, stores, level, tiles)]
    return Spread(level, node.params[1][0], lines)


def _ask_at_once(scope: Scope, asked: Asked, level: Level, tiles: dict[Axis, Bound]) -> None:
    """Ask for reads at all points of a tile, but not for what lies anywhere for each lane."""
    for node, hint in asked:
        buffer, place = node.params[0], ir.offset(node)
        vector = level.vector_of(ir.free_axes(node))
        if vector is not None and place.factor_of(vector[0]) is None:
            continue
        for numbers in product(*(range(bound.tile) for bound in tiles.values())):
            point = dict(zip(tiles, numbers, strict=True))
            if vector is None or _begins_a_line(buffer, *vector, point):
                ask(level.code, address(scope, buffer, place, level, point), hint)


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
