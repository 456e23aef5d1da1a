"""A contraction in groups of columns (`loop/group.py`) while it is written.

    for each group of columns of this thread:
        fill the panels of all its tiles
        for i by 6: fill the strip of these rows; for j by 2 vectors of the group: ...

A sum whose length is known at run time alone may need more room than there is: then all
runs as if there were no groups, and reads factors where they lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from exprgrad.backend.access import load
from exprgrad.backend.ahead import ask_in_copy, ask_in_loop
from exprgrad.backend.arith import known, least, most, quotient
from exprgrad.backend.cover import cover, share_of
from exprgrad.backend.filling import Nest, Piece, fill_at, on_stack
from exprgrad.backend.level import Bound, Level, open_loop
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
        around = set(stores[0].axes)
        tiles = -(-_extent(self.group.columns) // self.wide)
        panels = self._made(self.group.panels, around, self.wide, tiles, self.group.room)
        strips = self._made(self.group.strips, around, self.high, 1, self.group.strip_room)
        fits = self._fits(panels, strips)
        if fits is None:
            self.panels, self.strips = panels, strips
            self._by_groups(stores, depth, level)
        else:
            other = self.kernel.root.code.op(f"sub i64 1, {fits}")
            lying = open_loop(level, Axis("else", 1), ("0", other, 1), Bound(""))
            self.kernel.nest([self._lying(store) for store in stores], depth, lying.level)
            lying.close()
            self.panels, self.strips = panels, strips
            fitting = open_loop(level, Axis("fits", 1), ("0", fits, 1), Bound(""))
            self._by_groups(stores, depth, fitting.level)
            fitting.close()
        self.running = False
        return []

    def _lying(self, store: Store) -> Store:
        """A store with its loops in their best order where factors find no place."""
        group = self.group
        if not group.outside:
            return store
        return replace(store, axes=(*store.axes[:-2], group.columns, group.rows))

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
        self._fill(end, loop.level)
        kernel.blocks[columns] = loop.level, self.first, end
        kernel.nest(stores, depth, loop.level)
        del kernel.blocks[columns]
        loop.close()

    # Room

    def _made(
        self, factors: Iterable[Scalar], around: set[Axis], places: int, tiles: int, room: int
    ) -> Copies:
        """A copy of each factor, in memory of its own: the room, or as much as all tiles take."""
        found = {}
        for factor in factors:
            summed = [axis for axis in moved_by(factor) if axis not in around]
            panel = found[factor] = panel_of(factor, summed, places, tiles)
            nbytes = known(self._bytes(panel))
            most = room if nbytes is None else min(room, tiles * nbytes)
            self.kernel.on_stack[panel.memory] = on_stack(self.kernel.function, most)
        return found

    def _fits(self, panels: Copies, strips: Copies) -> str | None:
        """Whether a tile of each copy finds a place, 0 or 1; None where that is known."""
        code, result = self.kernel.root.code, None
        for copies, room in ((panels, self.group.room), (strips, self.group.strip_room)):
            for nbytes in map(self._bytes, copies.values()):
                if known(nbytes) is None:
                    holds = code.op(f"icmp sle i64 {nbytes}, {room}")
                    result = holds if result is None else code.op(f"and i1 {result}, {holds}")
        return result and code.op(f"zext i1 {result} to i64")

    def _span(self, code: Code) -> str:
        """How many columns a group has: as many tiles as find a place."""
        fewest = str(_extent(self.group.columns))
        for nbytes in map(self._bytes, self.panels.values()):
            tiles = quotient(code, str(self.group.room), most(code, nbytes, "1"))
            fewest = least(code, fewest, tiles)
        return code.imul(fewest, str(self.wide))

    def _bytes(self, panel: Panel) -> str:
        """What a tile takes."""
        return self.kernel.size(count(panel.memory.shape[1:]) * panel.memory.dtype.size)

    # Copies

    def _fill(self, end: str, level: Level) -> None:
        """Copy what the columns of a group need: whole tiles, and what is left over."""
        n, lanes, code = _extent(self.group.columns), self.kernel.scheduled.lanes, level.code
        left = n % self.wide
        whole = code.isub(least(code, end, str(n - left)), self.first)
        tiles = quotient(code, whole, str(self.wide))
        self._tiles(Bound("", self.wide // lanes, lanes), ("0", tiles), level)
        if left:
            some = code.op(f"zext i1 {code.op(f'icmp sgt i64 {end}, {n - left}')} to i64")
            rest = open_loop(level, Axis("rest", 1), ("0", some, 1), Bound(""))
            bound = Bound("", -(-left // lanes), lanes, "" if left % lanes else None)
            self._tiles(bound, (tiles, rest.level.code.iadd(tiles, "1")), rest.level)
            rest.close()

    def _tiles(self, bound: Bound, numbers: tuple[str, str], level: Level) -> None:
        """Copy the tiles of all panels from one number to another."""
        for factor, panel in self.panels.items():
            self.copying = filling(panel, factor, self.group.columns, bound)
            self.kernel.blocks[self.copying.number] = (level, *numbers)
            fill_at(self.kernel, self.copying, self.first, level)
            del self.kernel.blocks[self.copying.number]
        self.copying = None

    def begin(self, axis: Axis, stores: Sequence[Store], level: Level) -> None:
        """Copy what a tile of rows needs; say which tile of a panel one of columns reads."""
        code, bound = level.code, level.axes[axis]
        if axis is self.group.columns and self.panels:
            before = code.isub(bound.start, self.first)
            number = Bound(quotient(code, before, str(self.wide)))
            self._numbered(self.panels, number, replace(bound, start="0"), level)
        if axis is self.group.rows and self.strips:
            lanes, last = self.kernel.scheduled.lanes, str(_extent(axis) - self.high)
            start = least(code, bound.start, last)
            for factor, strip in self.strips.items():
                fill = filling(strip, factor, axis, Bound("", self.high // lanes, lanes))
                fill_at(self.kernel, fill, start, level)
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
