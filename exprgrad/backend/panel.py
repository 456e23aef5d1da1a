"""Panels: a factor of a contraction copied for a tile of columns, next to the processor.

    for j by 4 vectors:
        panel[k, j..] = b[j.., k]           turned square by square before the first rows,
        for i by 6: ...                     or as it lies, written by the first rows as
                                            they read b; all others read the panel

A panel lies on the stack of the thread that makes it, so that it stays in the thread's
own cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exprgrad.backend.level import Bound
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.contract import runs_along
from exprgrad.loop.ir import Axis, Buffer, Scalar, Store
from exprgrad.loop.schedule import How


@dataclass(frozen=True, eq=False)
class Panel:
    """A copy: its memory, the axis that numbers its columns, what is read in place of
    the factor; the store that fills it, which counts from the `first` column of the
    tile, how the loops of that run, and whether it changes the order in memory.
    """

    memory: Buffer
    side: Axis
    read: Scalar
    first: Axis
    store: Store
    how: Mapping[Axis, How]
    turned: bool


def panel_of(factor: Scalar, columns: Axis, bound: Bound, summed: list[Axis]) -> Panel:
    """The panel of a factor for the columns within `bound`."""
    width = bound.tile * bound.lanes
    memory = Buffer("panel", (*(a.extent for a in summed), width), factor.dtype, "panel")
    side = Axis("q", width)
    read = ir.read(memory, memory.shape, [ir.axis_value(a) for a in (*summed, side)])
    own = [Axis(axis.name, axis.extent) for axis in summed]
    column = Axis("q", _count(columns, bound))
    images = {
        ir.axis_value(a): ir.axis_value(b) for a, b in zip(summed, own, strict=True)
    }
    first = Axis(columns.name, columns.extent)
    images[ir.axis_value(columns)] = ir.add(ir.axis_value(first), ir.axis_value(column))
    index = tuple(ir.axis_value(axis) for axis in (*own, column))
    value = ir.substitute(factor, images)
    if not runs_along(factor, tuple(summed), columns):
        how = {column: How(bound.tile, vector=True)}
        store = Store(memory, (*own, column), index, value)
        return Panel(memory, side, read, first, store, how, turned=False)
    along = next(b for b in own if ir.offset(value).factor_of(b) == 1)
    loops = (*(axis for axis in own if axis is not along), column, along)
    how = {column: How(bound.lanes), along: How(vector=True)}
    store = Store(memory, loops, index, value)
    return Panel(memory, side, read, first, store, how, turned=True)


def is_read_whole(factor: Scalar, stores: Sequence[Store]) -> bool:
    """Whether any row goes through all of a factor: no sum leaves out steps of its own."""
    sums = [n for n in walk(s.value for s in stores) if n.op == "reduce"]
    return all(
        ir.condition_of(term)[0] is None
        for node in sums
        for term in node.args
        if factor in walk([term])
    )


def _count(columns: Axis, bound: Bound) -> int:
    """How many columns there are in the tile."""
    assert isinstance(columns.extent, int)
    if bound.mask is None:
        return bound.tile * bound.lanes
    return (bound.tile - 1) * bound.lanes + columns.extent % bound.lanes
