"""The panels of a kernel while it is written: made for a tile of columns, filled before
or by the first rows that read the factor, then read in its place.

    for j by 2 vectors:
        for i < 6:      s[i.., j..] += a[i.., k] * b[k, j..]; panel[k, j..] = b[k, j..]
        for i by 6:     s[i.., j..] += a[i.., k] * panel[k, j..]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Protocol

from exprgrad.backend.access import load, put
from exprgrad.backend.ahead import ask_in_loop
from exprgrad.backend.arith import is_empty, least
from exprgrad.backend.cover import Span, cover
from exprgrad.backend.level import Bound, Level, open_branch
from exprgrad.backend.panel import (
    Filling,
    Panel,
    filling,
    is_read_whole,
    moved_by,
    panel_of,
)
from exprgrad.backend.scope import Point, Scope, Value
from exprgrad.backend.text import Function
from exprgrad.loop.cost import typical
from exprgrad.loop.ir import Axis, Buffer, Scalar, Store

Piece = tuple[Span, Bound]


class Nest(Scope, Protocol):
    """A kernel being written, of which the panels need the loops, too."""

    function: Function
    on_stack: dict[Buffer, str]

    def nest(self, stores: Sequence[Store], depth: int, level: Level) -> None:
        """Write stores whose first `depth` loops are open."""

    def piece(
        self, stores: Sequence[Store], depth: int, level: Level, piece: Piece
    ) -> None:
        """A loop over a piece of the axis at `depth`."""


class Panels:
    """Those that are filled, and those that wait for the first rows."""

    def __init__(self, kernel: Nest) -> None:
        self.kernel = kernel
        self.filled: dict[Scalar, Panel] = {}
        self.waiting: dict[Scalar, tuple[Panel, Filling]] = {}
        self.rooms: dict[Scalar, str] = {}

    def begin(self, columns: Axis, stores: Sequence[Store], level: Level) -> None:
        """Make the panels for the columns at `level`: those whose order changes are
        filled here, the others by the first rows.
        """
        kernel, bound = self.kernel, level.axes[columns]
        for factor in kernel.scheduled.panels.get(columns, ()):
            around = {axis for each in level.outward() for axis in each.axes}
            summed = [axis for axis in moved_by(factor) if axis not in around]
            panel = panel_of(factor, summed, bound.tile * bound.lanes)
            fill = filling(panel, factor, columns, bound)
            kernel.on_stack[panel.memory] = self._room(factor, panel)
            level.axes[panel.side] = replace(bound, start="0")
            level.axes[panel.number] = Bound("0")
            self.filled.pop(factor, None)
            if fill.turned or not is_read_whole(factor, stores):
                self._fill({factor: (panel, fill)}, bound, level)
            else:
                self.waiting[factor] = panel, fill

    def _fill(
        self, panels: Mapping[Scalar, tuple[Panel, Filling]], bound: Bound, level: Level
    ) -> None:
        """Copy factors at once."""
        waiting, self.waiting = self.waiting, {}
        for _, fill in panels.values():
            fill_at(self.kernel, fill, bound.start, level)
        self.filled |= {factor: panel for factor, (panel, _) in panels.items()}
        self.waiting = waiting

    def pieces(self, stores: Sequence[Store], depth: int, level: Level) -> list[Piece]:
        """Those of the loop at `depth` that are left to write: the first tile of rows, which
        fills what waits for it, is written here, and a copy for the case that there is no
        whole tile.
        """
        pieces = cover(self.kernel, stores[0].axes[depth])
        if not self.waiting or depth + 1 < len(stores[0].axes):
            return pieces
        ((start, stop, step), bound), *others = pieces
        columns = next(iter(self.kernel.scheduled.panels))
        none, waiting = is_empty(level.code, start, stop), self.waiting
        if none != "false":
            few = open_branch(level, none)
            self._fill(waiting, level.axes[columns], few.level)
            few.close()
            self.filled = {f: p for f, p in self.filled.items() if f not in waiting}
        end = least(level.code, level.code.iadd(start, str(step)), stop)
        self.kernel.piece(stores, depth, level, ((start, end, step), bound))
        self.filled |= {factor: panel for factor, (panel, _) in waiting.items()}
        self.waiting = {}
        return [((end, stop, step), bound), *others]

    def load(self, node: Scalar, level: Level, point: Point) -> Value:
        """The value of a read, from a panel if one has it; one that waits gets it."""
        columns = next(iter(self.kernel.scheduled.panels), None)
        panel = self.filled.get(node) or self.waiting.get(node, (None, None))[0]
        if panel is not None and columns is not None:
            place = {**point, panel.side: point.get(columns, 0)}
            if node in self.filled:
                return load(self.kernel, panel.read, level, place)
        ask_in_loop(self.kernel, node, level, point)
        value = load(self.kernel, node, level, point)
        if panel is not None:
            put(self.kernel, panel.read, value, level, place)
        return value

    def _room(self, factor: Scalar, panel: Panel) -> str:
        """Memory of this thread for the panels of a factor; the first one is the widest."""
        if factor not in self.rooms:
            nbytes = prod(map(typical, panel.memory.shape)) * factor.dtype.size
            self.rooms[factor] = on_stack(self.kernel.function, nbytes)
        return self.rooms[factor]


def fill_at(kernel: Nest, fill: Filling, start: str, level: Level) -> None:
    """Write the loops that copy a factor from `start` on."""
    kernel.scheduled = kernel.scheduled.with_loops(fill.how)
    kernel.nest([fill.store], 0, level.inside(fill.first, Bound(start)))


def on_stack(function: Function, nbytes: int) -> str:
    """So many bytes of the stack of the thread that calls a function."""
    name = "%" + function.fresh("panel")
    function.blocks[0].lines.insert(0, f"{name} = alloca [{nbytes} x i8], align 64")
    return name
