"""Contractions whose tiles are no wider than a line of the cache: columns in groups, for
which both factors are copied.

    for i, j: c[i, j] = sum over u: a[u, i] * b[u, j]
    ->
    for j in groups:
        panel[j.., u] = b[u, j..]               a panel for each tile of the group
        for i by 6:
            strip[u] = a[u, i..]
            for j by 2 vectors: c[i.., j..] = sum over u: strip[u] * panel[j, u]

The panels of a group stay in the cache while all rows are gone through, and a strip while
all columns are. Both are read in order, where neighbours along the sum would be on pages
of their own; so is `c`, and what is read and written with it, line after line of few rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exprgrad.loop import ir
from exprgrad.loop.contract import (
    Contraction,
    columns_outside,
    is_known,
    is_narrow,
    is_window,
    lies_apart,
    pages_apart,
    room,
    runs_along,
)
from exprgrad.loop.cost import Machine, points, typical
from exprgrad.loop.ir import Axis, Kernel, Scalar

# The part of the room for panels that a strip may take.
PART = 4
# How many tiles of columns a strip has to be read for.
TILES = 4


@dataclass(frozen=True, eq=False, slots=True)
class Group:
    """The loops at `depth` of a kernel and those inside of them run for each group of
    `columns`; `panels` are copied for a group, each into `room` bytes with all tiles that
    find a place there, `strips` for each tile of `rows`, into `strip_room` bytes. `outside`
    says that columns are the outer loop where nothing finds a place.
    """

    columns: Axis
    rows: Axis
    depth: int
    panels: tuple[Scalar, ...]
    strips: tuple[Scalar, ...]
    room: int
    strip_room: int
    outside: bool


def group(
    kernel: Kernel,
    found: Contraction,
    panels: Sequence[Scalar],
    tile: tuple[int, int, int],
    machine: Machine,
) -> Group | None:
    """How a kernel runs in groups of columns, if it does: inside of the loops by which its
    `panels` move, and outside of all others. `tile` has so many rows, columns and lanes.
    """
    if not panels or not is_narrow(machine) or found.columns.extent == 0:
        return None
    (high, wide, lanes), space, summed = tile, room(machine), dict(found.factors)
    places = width(high, lanes)
    strips: list[Scalar] = []
    if typical(found.columns.extent) >= TILES * wide:
        strips = list(_strips(found, places))
    each = space // len(panels), space // PART // max(1, len(strips))
    strips = [f for f in strips if _has_room(f, summed[f], places, each[1])]
    if not all(_has_room(f, summed[f], wide, each[0]) for f in panels):
        return None
    passing = (_is_filled_in_passing(f, summed[f], found.columns) for f in panels)
    if not strips and all(passing):
        return None
    moving = frozenset[Axis]().union(*map(ir.free_axes, panels))
    axes = kernel.stores[0].axes[:-2]
    depth = max((n + 1 for n, axis in enumerate(axes) if axis in moving), default=0)
    outside = columns_outside(kernel, found, (high, wide), machine)
    return Group(found.columns, found.rows, depth, tuple(panels), tuple(strips), *each, outside)


def _has_room(factor: Scalar, summed: Sequence[Axis], places: int, room: int) -> bool:
    """Whether a tile of so many places fits, as far as that is known."""
    used = [axis for axis in summed if axis in ir.free_axes(factor)]
    return points(used) * places * factor.dtype.size <= room or not is_known(factor, used)


def _is_filled_in_passing(factor: Scalar, summed: Sequence[Axis], columns: Axis) -> bool:
    """Whether a panel of a factor is better filled by the first rows of results, as they
    read it: it keeps its order, and its rows are on few pages.
    """
    used = [axis for axis in summed if axis in ir.free_axes(factor)]
    in_order = not runs_along(factor, tuple(used), columns) and not pages_apart(factor, used)
    return in_order and is_known(factor, used)


def _strips(found: Contraction, places: int) -> Iterator[Scalar]:
    """The factors that lie in memory along the rows, of which there are so many at least,
    and their steps far from one another.
    """
    for factor, summed in dict(found.factors).items():
        free, place = ir.free_axes(factor), ir.offset(factor)
        plain = factor.op == "read" and not is_window(factor, found.blocks)
        if not plain or found.columns in free or place.factor_of(found.rows) != 1:
            continue
        used = [axis for axis in summed if axis in free]
        moves = all(place.factor_of(axis) is not None for axis in used)
        n = found.rows.extent
        if used and moves and isinstance(n, int) and n >= places and lies_apart(factor, used):
            yield factor


def width(high: int, lanes: int) -> int:
    """How many elements a strip has for so many rows: whole vectors."""
    return -(-high // lanes) * lanes
