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
    """A copy: its memory, the axes that number its tiles, the steps of the sum and the
    places in a tile, and what is read in place of the factor.
    """

    memory: Buffer
    number: Axis
    summed: tuple[Axis, ...]
    side: Axis
    read: Scalar


@dataclass(frozen=True, eq=False)
class Filling:
    """What fills tiles of a panel: a store, which counts from the `first` place of the
    factor, over the tiles that `number` counts and the `steps` of the sum, how its loops
    run, and whether it changes the order in memory.
    """

    store: Store
    first: Axis
    number: Axis
    steps: tuple[Axis, ...]
    how: Mapping[Axis, How]
    turned: bool


def panel_of(factor: Scalar, summed: Sequence[Axis], width: int, tiles: int = 1) -> Panel:
    """The panel of a factor for so many tiles of so many places each."""
    number, side = Axis("t", tiles), Axis("q", width)
    shape = (tiles, *(axis.extent for axis in summed), width)
    memory = Buffer("panel", shape, factor.dtype, "panel")
    read = ir.read(memory, shape, [ir.axis_value(a) for a in (number, *summed, side)])
    return Panel(memory, number, tuple(summed), side, read)


def filling(panel: Panel, factor: Scalar, columns: Axis, bound: Bound) -> Filling:
    """What copies a factor into tiles as `bound` has them: `columns` side by side."""
    width = panel.memory.shape[-1]
    own = [Axis(axis.name, axis.extent) for axis in panel.summed]
    first, number = Axis(columns.name, columns.extent), Axis("t", panel.number.extent)
    column = Axis("q", _count(columns, bound))
    images = {
        ir.axis_value(a): ir.axis_value(b) for a, b in zip(panel.summed, own, strict=True)
    }
    before = ir.add(ir.axis_value(first), ir.times(ir.axis_value(number), width))
    images[ir.axis_value(columns)] = ir.add(before, ir.axis_value(column))
    index = tuple(ir.axis_value(axis) for axis in (number, *own, column))
    value = ir.substitute(factor, images)
    if not runs_along(factor, panel.summed, columns):
        how = {column: How(bound.tile, vector=True)}
        store = Store(panel.memory, (*own, number, column), index, value)
        return Filling(store, first, number, tuple(own), how, turned=False)
    along = next(b for b in own if ir.offset(value).factor_of(b) == 1)
    loops = (number, *(axis for axis in own if axis is not along), column, along)
    how = {column: How(bound.lanes), along: How(vector=True)}
    store = Store(panel.memory, loops, index, value)
    return Filling(store, first, number, tuple(own), how, turned=True)


def moved_by(node: Scalar) -> list[Axis]:
    """The axes by which a read moves, in the order of its index."""
    return [atom.params[0] for atom, _ in ir.offset(node).terms if atom.op == "axis"]


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
