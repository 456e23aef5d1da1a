"""A contraction in groups of columns (`loop/group.py`) while it is written.

    for each group of columns of this thread:
        for each block of the sum:              only where its length is known at run time alone
            fill the panels of all its tiles
            for i by 6: fill the strip of these rows; for j by 2 vectors of the group: ...

How sums run in blocks is said in `blocks.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from exprgrad.backend.access import load
from exprgrad.backend.ahead import ask_in_copy, ask_in_loop
from exprgrad.backend.arith import known, least, most, quotient
from exprgrad.backend.blocks import Blocks
from exprgrad.backend.cover import cover, share_of
from exprgrad.backend.filling import Nest, Piece, fill_at, on_stack
from exprgrad.backend.level import Bound, Level, open_branch, open_loop
from exprgrad.backend.panel import Filling, Panel, filling, moved_by, panel_of
from exprgrad.backend.scope import Point, Value
from exprgrad.backend.text import Code
from exprgrad.graph.dims import count
from exprgrad.loop.group import Group, width
from exprgrad.loop.ir import Axis, Scalar, Store

Copies = dict[Scalar, Panel]


class Groups:
    """The copies of a kernel that runs in groups: panels of columns, strips of rows."""

    def __init__(self, kernel: Nest, group: Group) -> None:
        self.kernel, self.group = kernel, group
        self.wide = kernel.scheduled.block(group.columns)
        self.high = width(kernel.scheduled.block(group.rows), kernel.scheduled.lanes)
        self.running = False
        self.first = ""  # the first column of the group
        self.blocks: Blocks | None = None
        self.panels: Copies = {}
        self.strips: Copies = {}
        self.copying: Filling | None = None

    # Loops

    def pieces(self, stores: Sequence[Store], depth: int, level: Level) -> list[Piece]:
        """Those of the loop at `depth` that are left to write: where groups begin none, for
        it is written here, and all that is inside.
        """
        if self.running or depth != self.group.depth:
            return cover(self.kernel, stores[0].axes[depth])
        self.running = True
        self.blocks = Blocks(self.kernel, self.group) if self.group.sums else None
        around = {*stores[0].axes, *([self.blocks.number] if self.blocks else [])}
        tiles = -(-_extent(self.group.columns) // self.wide)
        self.panels = self._made(self.group.panels, around, self.wide, tiles, self.group.room)
        self.strips = self._made(self.group.strips, around, self.high, 1, self.group.strip_room)
        self._by_groups(stores, depth, level)
        self.running = False
        return []

    def _by_groups(self, stores: Sequence[Store], depth: int, level: Level) -> None:
        kernel, columns = self.kernel, self.group.columns
        low, high = share_of(kernel, columns)
        span = self._span(kernel.root.code)
        beyond = level.code.iadd(level.code.isub(high, low), level.code.isub(span, "1"))
        times = quotient(level.code, beyond, span)
        loop = open_loop(level, Axis("group", 1), ("0", times, 1), Bound(""))
        code = loop.level.code
        self.first = code.iadd(low, code.imul(loop.variable, span))
        end = least(code, code.iadd(self.first, span), high)
        kernel.blocks[columns] = loop.level, self.first, end
        if self.blocks is None:
            self._fill(end, loop.level)
            kernel.nest(stores, depth, loop.level)
        else:
            self._by_blocks(self.blocks, self.blocks.stores(stores), depth, end, loop.level)
        del kernel.blocks[columns]
        loop.close()

    def _by_blocks(
        self, blocks: Blocks, stores: Sequence[Store], depth: int, end: str, level: Level
    ) -> None:
        kernel, rows = self.kernel, self.group.rows
        part, start, stop = blocks.open_rows(*share_of(kernel, rows), level)
        kernel.blocks[rows] = part.level, start, stop
        loop = blocks.open(self.first, start, part.level)
        self._fill(end, loop.level)
        kernel.nest(stores, depth, loop.level)
        blocks.close(loop)
        del kernel.blocks[rows]
        part.close()

    # Room

    def _made(
        self, factors: Iterable[Scalar], around: set[Axis], places: int, tiles: int, room: int
    ) -> Copies:
        """A copy of each factor, in memory of its own: the room, or as much as all tiles take."""
        found = {}
        for factor in factors:
            read = self.blocks.factor(factor) if self.blocks else factor
            summed = [axis for axis in moved_by(read) if axis not in around]
            panel = found[read] = panel_of(read, summed, places, tiles)
            nbytes = known(self._bytes(panel))
            most = room if nbytes is None else min(room, tiles * nbytes)
            self.kernel.on_stack[panel.memory] = on_stack(self.kernel.function, most)
        return found

    def _span(self, code: Code) -> str:
        """How many columns a group has: as many tiles as find a place in blocks, or, where
        panels are copied for a single one, all that do now.
        """
        fewest = str(_extent(self.group.columns))
        for nbytes in map(self._bytes, self.panels.values()):
            tiles = quotient(code, str(self.group.room), most(code, nbytes, "1"))
            fewest = least(code, fewest, tiles)
        span, in_blocks = code.imul(fewest, str(self.wide)), str(self.group.span)
        if self.blocks is None:
            return span
        if not self.panels:
            return in_blocks
        alone = code.op(f"icmp eq i64 {self.blocks.count}, 1")
        return code.op(f"select i1 {alone}, i64 {span}, i64 {in_blocks}")

    def _bytes(self, panel: Panel) -> str:
        """What a tile takes."""
        return self.kernel.size(count(panel.memory.shape[1:]) * panel.memory.dtype.size)

    # Copies

    def _fill(self, end: str, level: Level) -> None:
        """Copy what the columns of a group need: whole tiles, and what is left over."""
        if not self.panels:
            return
        n, lanes, code = _extent(self.group.columns), self.kernel.scheduled.lanes, level.code
        left = n % self.wide
        whole = code.isub(least(code, end, str(n - left)), self.first)
        tiles = quotient(code, whole, str(self.wide))
        self._tiles(Bound("", self.wide // lanes, lanes), ("0", tiles), level)
        if left:
            rest = open_branch(level, code.op(f"icmp sgt i64 {end}, {n - left}"))
            bound = Bound("", -(-left // lanes), lanes, "" if left % lanes else None)
            self._tiles(bound, (tiles, rest.level.code.iadd(tiles, "1")), rest.level)
            rest.close()

    def _tiles(self, bound: Bound, numbers: tuple[str, str], level: Level) -> None:
        """Copy the tiles of all panels from one number to another."""
        for factor, panel in self.panels.items():
            self.copying = filling(panel, factor, self.group.columns, bound)
            self.kernel.blocks[self.copying.number] = (level, *numbers)
            self._copy(self.copying, panel, self.first, level)
            del self.kernel.blocks[self.copying.number]
        self.copying = None

    def _copy(self, fill: Filling, panel: Panel, start: str, level: Level) -> None:
        """Fill tiles from a place on, of a sum in blocks with the present one."""
        blocks = self.kernel.blocks
        own = dict(zip(panel.summed, fill.steps, strict=True))
        parted = [axis for axis in own if axis in blocks]
        assert not (parted and fill.turned)  # the last vector ends where the whole sum does
        blocks |= {own[axis]: blocks[axis] for axis in parted}
        fill_at(self.kernel, fill, start, level)

    def begin(self, axis: Axis, stores: Sequence[Store], level: Level) -> None:
        """Copy what a tile of rows needs; say which tile of a panel one of columns reads."""
        code, bound = level.code, level.axes[axis]
        if self.blocks is not None:
            self.blocks.begin(axis, bound, level)
        if axis is self.group.columns and self.panels:
            before = code.isub(bound.start, self.first)
            number = Bound(quotient(code, before, str(self.wide)))
            self._numbered(self.panels, number, replace(bound, start="0"), level)
        if axis is self.group.rows and self.strips:
            lanes, last = self.kernel.scheduled.lanes, str(_extent(axis) - self.high)
            start = least(code, bound.start, last)
            for factor, strip in self.strips.items():
                fill = filling(strip, factor, axis, Bound("", self.high // lanes, lanes))
                self._copy(fill, strip, start, level)
            side = replace(bound, start=code.isub(bound.start, start))
            self._numbered(self.strips, Bound("0"), side, level)

    def _numbered(self, copies: Copies, number: Bound, side: Bound, level: Level) -> None:
        for panel in copies.values():
            level.axes |= {panel.number: number, panel.side: side}

    def load(self, node: Scalar, level: Level, point: Point) -> Value:
        """The value of a read, from its copy if it has one."""
        sides: tuple[tuple[Mapping[Scalar, Panel], Axis], ...]
        sides = ((self.panels, self.group.columns), (self.strips, self.group.rows))
        for copies, axis in sides:
            if (panel := copies.get(node)) is not None:
                place = {**point, panel.side: point.get(axis, 0)}
                return load(self.kernel, panel.read, level, place)
        if self.copying is not None and node is self.copying.store.value:
            ask_in_copy(self.kernel, node, self.copying.store.axes[0], level, point)
        else:
            ask_in_loop(self.kernel, node, level, point)
        return load(self.kernel, node, level, point)


def _extent(axis: Axis) -> int:
    """That of an axis along which something is copied, which is known."""
    assert isinstance(axis.extent, int)
    return axis.extent
