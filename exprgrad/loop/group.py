"""Contractions whose columns run in groups, for which factors are copied.

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
So it is where tiles are no wider than a line of the cache, and in the gradients of weights:
sums over a mini-batch or all data, whose length is known at run time alone; in wide tiles
panels are copied there at most, and no strips. Such sums run in
blocks of 256 steps, counted over all axes, which find a place however long the sum is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

from exprgrad.loop import ir
from exprgrad.loop.contract import (
    USES,
    Contraction,
    is_known,
    is_narrow,
    is_window,
    lies_apart,
    pages_apart,
    room,
    runs_along,
)
from exprgrad.loop.cost import Machine, points, typical
from exprgrad.loop.fuse import is_contraction
from exprgrad.loop.ir import Axis, Kernel, Scalar

# The part of the room for panels that a strip may take.
PART = 4
# How many tiles of columns a strip has to be read for. Where tiles are wide it takes more
# from the nearest cache than it saves.
TILES = 4
# The steps of a block: the copies of a tile then stay near its sums, which are read and
# written once more for each.
STEPS = 256
# The fewest rows whose sums have a place between two blocks.
FEW = 24


@dataclass(frozen=True, eq=False, slots=True)
class Group:
    """The loops at `depth` of a kernel and those inside of them run for each group of
    `columns`; `panels` are copied for a group, each into `room` bytes with all tiles that
    find a place there, `strips` for each tile of `rows`, into `strip_room` bytes. The `sums`
    are of a length known at run time alone: they run in blocks of so many `steps`, between
    which those of `span` columns are kept, in `kept_room` bytes. It `is_light` where each
    thread may as well fill all panels: they are near, and nothing is copied for rows.
    """

    columns: Axis
    rows: Axis
    depth: int
    panels: tuple[Scalar, ...]
    strips: tuple[Scalar, ...]
    room: int
    strip_room: int
    sums: tuple[Scalar, ...]
    steps: int
    kept_room: int
    span: int
    is_light: bool

    def in_blocks(self) -> list[Axis]:
        """The axes of the sums that run in blocks, one of each."""
        return [axis for node in self.sums for axis in node.params[1] if not _is_counted(axis)]


def group(
    kernel: Kernel,
    found: Contraction,
    panels: Sequence[Scalar],
    tile: tuple[int, int, int],
    machine: Machine,
) -> Group | None:
    """How a kernel runs in groups of columns, if it does: inside of the loops by which its
    `panels` move, and outside of all others; sums in blocks inside of all loops but those
    over rows and columns. `tile` has so many rows, columns and lanes.
    """
    sums = _sums_in_blocks(kernel, found)
    in_groups = (bool(panels) and is_narrow(machine)) or _are_used(sums, found)
    if sums is None or not in_groups or not found.columns.extent:
        return None
    (high, wide, lanes), space, summed = tile, room(machine), dict(found.factors)
    steps = _steps(sums)
    places = width(high, lanes)
    strips: list[Scalar] = []
    if is_narrow(machine) and typical(found.columns.extent) >= TILES * wide:
        strips = list(_strips(found, places))
    each = space // max(1, len(panels)), space // PART // max(1, len(strips))
    strips = [f for f in strips if _nbytes(f, summed[f], places, steps) <= each[1]]
    if any(_nbytes(f, summed[f], wide, steps) > each[0] for f in panels):
        return None
    passing = (_is_filled_in_passing(f, summed[f], found.columns) for f in panels)
    if not sums and not strips and all(passing):
        return None
    moving = frozenset[Axis]().union(*map(ir.free_axes, panels))
    axes = kernel.stores[0].axes[:-2]
    depth = max((n + 1 for n, axis in enumerate(axes) if axis in moving or sums), default=0)
    copied = tuple(panels), tuple(strips)
    span = _span(found, sums, wide, steps, space)
    whole = sum(points(ir.free_axes(f)) * f.dtype.size for f, _ in found.across())
    light = bool(sums) and not strips and whole <= space
    return Group(found.columns, found.rows, depth, *copied, *each, sums, steps, space, span, light)


def _sums_in_blocks(kernel: Kernel, found: Contraction) -> tuple[Scalar, ...] | None:
    """The sums whose length is known at run time alone; None where one of them is not for
    each row and each column, or they differ in length.
    """
    nodes = (node for node in ir.scalars(kernel) if node.op == "reduce")
    sums = [node for node in nodes if not all(map(_is_counted, node.params[1]))]
    lengths = {axis.extent for n in sums for axis in n.params[1] if not _is_counted(axis)}
    loops = frozenset(kernel.stores[0].axes)
    alike = all(
        is_contraction(node)
        and {found.rows, found.columns} <= ir.free_axes(node) <= loops
        and sum(not _is_counted(axis) for axis in node.params[1]) == 1
        for node in sums
    )
    return tuple(sums) if alike and len(lengths) <= 1 else None


def _are_used(sums: Sequence[Scalar] | None, found: Contraction) -> bool:
    """Whether there are sums in blocks, of so many rows that a block is used again."""
    columns = isinstance(found.columns.extent, int)
    return bool(sums) and found.innermost and columns and typical(found.rows.extent) >= USES


def _steps(sums: Sequence[Scalar]) -> int:
    """The steps of a block along the axis of run-time length: an even number, as products
    in pairs need it, unless it is one.
    """
    steps = STEPS // max([1, *(_known_points(node.params[1]) for node in sums)])
    return max(1, steps - steps % 2)


def _span(
    found: Contraction, sums: Sequence[Scalar], wide: int, steps: int, space: int
) -> int:
    """How many columns of all factors of a block find a place, and of the sums of few rows."""
    each = space // max(1, len(list(found.across())))
    fit = [each // max(1, _nbytes(f, over, wide, steps)) for f, over in found.across()]
    kept = FEW * wide * sum(node.dtype.size for node in sums)
    tiles = [*fit, space // max(1, kept), -(-typical(found.columns.extent) // wide)]
    return max(1, min(tiles)) * wide


def _is_counted(axis: Axis) -> bool:
    """Whether an axis has a length that is known before the program runs."""
    return isinstance(axis.extent, int)


def _known_points(axes: Iterable[Axis]) -> int:
    return prod(axis.extent for axis in axes if isinstance(axis.extent, int))


def _nbytes(factor: Scalar, summed: Iterable[Axis], places: int, steps: int) -> int:
    """What the copy of a factor takes for so many places, in blocks of so many steps."""
    used = [axis for axis in summed if axis in ir.free_axes(factor)]
    whole = _known_points(used) * (1 if all(map(_is_counted, used)) else steps)
    return whole * places * factor.dtype.size


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
