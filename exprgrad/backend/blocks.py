"""Sums whose length is known at run time alone, block by block, while they are written.

    for each block b of the sum, for each tile of results:
        s[i.., j..] = what is kept of the blocks before, if there were any
        s[i.., j..] += sum over t < 256: x[b * 256 + t, i..] * y[b * 256 + t, j..]
        keep s[i.., j..], or, in the last block, store what follows from it

The sums of a mini-batch are one block, of which nothing is kept. Those of all data have
many: what a block reads is copied, and stays in the cache with what is kept.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import lcm

from exprgrad.backend.access import load, put
from exprgrad.backend.arith import floor_div, least, most, quotient
from exprgrad.backend.combine import Total
from exprgrad.backend.filling import Nest, on_stack
from exprgrad.backend.level import Bound, Branch, Level, Loop, open_branch, open_loop
from exprgrad.backend.scope import Parted, Point, Scope, Value
from exprgrad.graph.dims import Dim
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.group import Group
from exprgrad.loop.ir import Axis, Buffer, Scalar, Store
from exprgrad.loop.split import piece

# The steps of a block, which are fewer where the whole sum is shorter. No dimension of a
# user's has such a name.
STEPS = "steps of a block"


@dataclass(frozen=True, eq=False)
class Kept:
    """Sums between two blocks: for each where it is read from and written to, by the number
    of its `row` and its `column`, and how many rows there are.
    """

    places: Mapping[Scalar, Scalar]
    row: Axis
    column: Axis
    rows: int


class Blocks:
    """The sums of a group that run in blocks, each the sum of one block in the stores that
    are written in place of `stores`.
    """

    def __init__(self, kernel: Nest, group: Group) -> None:
        self.kernel, self.group = kernel, group
        self.number = Axis("b", 1)
        self.steps = {axis: Axis("t", Dim.named(STEPS)) for axis in group.in_blocks()}
        how = {inner: kernel.scheduled.of(axis) for axis, inner in self.steps.items()}
        kernel.scheduled = kernel.scheduled.with_loops(how)
        before = ir.times(ir.axis_value(self.number), group.steps)
        self.images = {
            node: piece(node, axis, before, self.steps[axis])
            for node in group.sums
            for axis in node.params[1]
            if axis in self.steps
        }
        self.places = {
            ir.axis_value(axis): ir.add(before, ir.axis_value(inner))
            for axis, inner in self.steps.items()
        }
        code = kernel.root.code
        self.length = kernel.size(next(iter(self.steps)).extent)
        beyond = code.iadd(self.length, str(group.steps - 1))
        self.count = most(code, floor_div(code, beyond, group.steps), "1")
        kernel.root.known["dim", STEPS] = least(code, self.length, str(group.steps)), 1
        self.kept = self._kept()
        self.first = "", ""  # the column and the row with which what is kept begins

    def _kept(self) -> Kept:
        """Memory for the sums of a group of columns and as many rows as find a place."""
        group, kernel, span = self.group, self.kernel, self.group.span
        high, n = kernel.scheduled.block(group.rows), group.rows.extent
        # Rows are cut into tiles between places that are multiples of both (`cover.rows`).
        whole = lcm(high, kernel.scheduled.unit(group.rows))
        a_row = span * sum(node.dtype.size for node in group.sums)
        rows = max(1, group.kept_room // max(1, a_row) // whole) * whole
        if isinstance(n, int):
            rows = min(rows, -(-n // whole) * whole)
        row, column = Axis("r", rows), Axis("q", span)
        index = [ir.axis_value(row), ir.axis_value(column)]
        places = {}
        for node in self.images.values():
            memory = Buffer("kept", (rows, span), node.dtype, "panel")
            kernel.on_stack[memory] = on_stack(kernel.function, rows * span * node.dtype.size)
            places[node] = ir.read(memory, memory.shape, index)
        return Kept(places, row, column, rows)

    def stores(self, stores: Sequence[Store]) -> list[Store]:
        """What is written in their place."""
        return [ir.replaced(store, self.images, {}) for store in stores]

    def factor(self, node: Scalar) -> Scalar:
        """A factor of a sum as a factor of the sum of a block."""
        return ir.substitute(node, self.places)

    def open_rows(self, low: str, high: str, level: Level) -> tuple[Loop, str, str]:
        """A loop over rows `low` to `high` - 1, as many at a time as find a place, or all
        where nothing is kept; with the first and the last of the rows.
        """
        code = level.code
        n = code.isub(high, low)
        alone = code.op(f"icmp eq i64 {self.count}, 1")
        some = code.op(f"select i1 {alone}, i64 {most(code, n, '1')}, i64 {self.kept.rows}")
        times = quotient(code, code.iadd(n, code.isub(some, "1")), some)
        loop = open_loop(level, Axis("part", 1), ("0", times, 1), Bound(""))
        code = loop.level.code
        start = code.iadd(low, code.imul(loop.variable, some))
        return loop, start, least(code, code.iadd(start, some), high)

    def open(self, column: str, row: str, level: Level) -> Loop:
        """A loop over the blocks of the sums, of results from a column and a row on."""
        kernel, self.first = self.kernel, (column, row)
        loop = open_loop(level, self.number, ("0", self.count, 1), Bound(""))
        code, steps = loop.level.code, str(self.group.steps)
        here = least(code, steps, code.isub(self.length, code.imul(loop.variable, steps)))
        for axis in self.steps.values():
            kernel.blocks[axis] = loop.level, "0", here
        later = code.op(f"icmp ne i64 {loop.variable}, 0")
        last = code.op(f"icmp eq i64 {code.iadd(loop.variable, '1')}, {self.count}")
        sides = {self.kept.row: self.group.rows, self.kept.column: self.group.columns}
        kernel.parted = Parted(self.kept.places, sides, later, last)
        return loop

    def begin(self, axis: Axis, bound: Bound, level: Level) -> None:
        """Say which of the kept sums belong to the tiles of a level."""
        sides = (self.group.columns, self.kept.column), (self.group.rows, self.kept.row)
        for (along, side), first in zip(sides, self.first, strict=True):
            if axis is along:
                level.axes[side] = replace(bound, start=level.code.isub(bound.start, first))

    def close(self, loop: Loop) -> None:
        """End the loop over the blocks."""
        self.kernel.parted = None
        loop.close()


def taken_up(
    scope: Scope,
    sums: Sequence[Scalar],
    level: Level,
    points: Sequence[Point],
    totals: list[Total],
    kinds: Sequence[str],
) -> list[Total]:
    """What the accumulators of sums, one for each point, begin with: what is kept of them,
    where there were blocks before.
    """
    if scope.parted is None or not all(node in scope.parted.kept for node in sums):
        return totals
    carried = [pair for total in totals for pair in zip(kinds, total, strict=True)]
    later = open_branch(level, scope.parted.later, carried)
    names = [
        load(scope, scope.parted.kept[node], later.level, scope.parted.side(point))[0]
        for point in points
        for node in sums
    ]
    found = later.close(names)
    return [tuple(found[n : n + len(sums)]) for n in range(0, len(found), len(sums))]


def last_of(scope: Scope, stores: Sequence[Store], level: Level) -> Branch | None:
    """Where what follows from the sums of a tile is written: what runs in the last block,
    for in others they are kept. None where no sum is in blocks.
    """
    parted = scope.parted
    nodes = walk(store.value for store in stores) if parted is not None else []
    sums = [node for node in nodes if parted is not None and node in parted.kept]
    if parted is None or not sums:
        return None
    tiles = level.tiled(frozenset(stores[0].axes))
    places = list(product(*(range(bound.tile) for bound in tiles.values())))
    points = [dict(zip(tiles, place, strict=True)) for place in places]
    values: dict[Hashable, Value] = {
        (n, *p.values()): scope.value(n, level, p) for n in sums for p in points
    }
    keep = open_branch(level, level.code.op(f"xor i1 {parted.last}, true"))
    for node in sums:
        for point in points:
            value = values[node, *point.values()]
            put(scope, parted.kept[node], value, keep.level, parted.side(point))
    keep.close()
    end = open_branch(level, parted.last)
    # It takes the place of the tile's level: what moves with its axes is written in it.
    end.level.parent, end.level.axes, end.level.known = level.parent, level.axes, values
    return end
