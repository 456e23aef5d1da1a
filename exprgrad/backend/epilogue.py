"""What follows from the sums of a tile, written for one of its rows in a loop over them all.

    s[0..5, j..] = sum over k: ...               the sums, which need the registers
    keep s[0..5, j..]
    for r < 6:
        w[i + r, j..] = what follows from s[r, j..]

Written out for all rows it would be most of a kernel: an update by Adam is twenty operations
for each vector of a tile, and compiling them took a fifth of the time of a small network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

from exprgrad.backend.access import load, put
from exprgrad.backend.filling import Nest, on_stack
from exprgrad.backend.level import Bound, Level, Loop, open_loop
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Buffer, Scalar, Store
from exprgrad.loop.schedule import across

# How many operations are written out at all points of a tile.
MOST = 150


def open_rows(kernel: Nest, stores: Sequence[Store], level: Level) -> Loop | None:
    """A loop over the rows of the tile at `level` in which its sums are known, where much
    follows from them; None elsewhere.
    """
    tiles = level.tiled(frozenset(stores[0].axes))
    vector = level.vector_of(frozenset(stores[0].axes))
    row = next((axis for axis in tiles if tiles[axis].lanes == 1), None)
    if row is None or vector is None or any(across(kernel.scheduled, s) for s in stores):
        return None
    following = [n for n in _outside_sums(stores) if row in ir.free_axes(n)]
    sums = [node for node in following if node.op == "reduce"]
    operations = sum(node.op not in ("reduce", "axis") for node in following)
    points = prod(bound.tile for bound in tiles.values())
    if not sums or operations * points <= MOST or not _are_alike(sums, tiles, vector[0]):
        return None
    return _rows(kernel, sums, level, row, vector[0])


def _outside_sums(stores: Sequence[Store]) -> Iterable[Scalar]:
    values = [node for store in stores for node in (store.value, *store.index)]
    return walk(values, lambda node: () if node.op == "reduce" else node.args)


def _are_alike(sums: Sequence[Scalar], tiles: Iterable[Axis], column: Axis) -> bool:
    """Whether each sum is one at each point of the tile, in vectors."""
    axes = {*tiles, column}
    return len(axes) == 2 and all(axes <= ir.free_axes(node) for node in sums)


def _rows(
    kernel: Nest, sums: Sequence[Scalar], level: Level, row: Axis, column: Axis
) -> Loop:
    """Keep the sums of all rows, and open a loop in which those of one are read again."""
    high, wide = level.bound(row), level.bound(column)
    r, q = Axis("r", high.tile), Axis("q", wide.tile * wide.lanes)
    sides = Bound("0", wide.tile, wide.lanes)
    whole = Level(level.code, level, {r: Bound("0", high.tile), q: sides})
    places = {node: _place(kernel, node, r, q) for node in sums}
    for node in sums:
        for y in range(high.tile):
            for x in range(wide.tile):
                value = kernel.value(node, level, {row: y, column: x})
                put(kernel, places[node], value, whole, {r: y, q: x})
    loop = open_loop(level, r, ("0", str(high.tile), 1), Bound(""))
    inside, code = loop.level, loop.level.code
    inside.axes |= {row: Bound(code.iadd(high.start, loop.variable)), q: sides}
    for node in sums:
        for x in range(wide.tile):
            key = (node, x) if wide.tile > 1 else (node,)
            inside.known[key] = load(kernel, places[node], inside, {q: x})
    return loop


def _place(kernel: Nest, node: Scalar, r: Axis, q: Axis) -> Scalar:
    """Memory for a sum at all points of a tile, as what is read there."""
    rows, columns = r.extent, q.extent
    assert isinstance(rows, int)
    assert isinstance(columns, int)
    memory = Buffer("sums", (rows, columns), node.dtype, "panel")
    kernel.on_stack[memory] = on_stack(kernel.function, rows * columns * node.dtype.size)
    return ir.read(memory, memory.shape, [ir.axis_value(r), ir.axis_value(q)])
