"""How each loop runs: which one is a vector, which are unrolled into a tile.

    for i, j: c[i, j] = sum over k: a[i, k] * b[k, j]
    ->
    for i by 8, j by 2 vectors: for k: 16 accumulators += a[i.., k] * b[k, j..]

A vector runs along an axis of the store, or, where memory is read with unit stride only
along a summed axis, along that one, and its lanes are added at the end in fixed order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from math import inf, prod

from exprgrad.graph.dims import Size
from exprgrad.graph.dtype import float32
from exprgrad.graph.node import walk
from exprgrad.graph.philox import ROW
from exprgrad.loop import ir
from exprgrad.loop.collapse import collapse
from exprgrad.loop.contract import (
    Contraction,
    columns_between,
    columns_outside,
    contraction,
    interchange,
    of_known_size,
    panels,
    steps_to_pages,
    widest_panel,
)
from exprgrad.loop.cost import COSTS, Machine, typical
from exprgrad.loop.fuse import is_contraction
from exprgrad.loop.group import Group, group
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store
from exprgrad.loop.pairs import paired
from exprgrad.loop.tile import Area, tile, unit
from exprgrad.loop.vector import (
    cost,
    cost_across,
    element_bytes,
    is_ordered,
    may_turn,
    side_of,
    sums_lanes,
    vector_axis,
)

# How many cumulative sums run side by side: each waits for its own last step.
CHAINS = 8
# The most rows that are added up side by side along vectors, and how many such blocks are
# left at least, for threads to share.
ROWS, BLOCKS = 8, 8
# As many sums as it takes for none to wait, over so many terms at least.
MOST_SUMS = 8
LONG = 32
QUICK = 8  # in additions, of each operation of a term


@dataclass(frozen=True, slots=True)
class How:
    """How a loop runs: `tile` iterations (or vectors of them) side by side, those of a sum
    in totals of their own, and whether its products are added two at a time.
    """

    tile: int = 1
    vector: bool = False
    parallel: bool = False
    pairs: bool = False

    def __str__(self) -> str:
        words = [f"by {self.tile}"] if self.tile > 1 else []
        words += ["vectors"] if self.vector else []
        words += ["pairs"] if self.pairs else []
        return " ".join([*words, *(["parallel"] if self.parallel else [])]) or "serial"


SERIAL = How()


@dataclass(frozen=True, eq=False, slots=True)
class Scheduled:
    """A kernel, how its loops run, and how many elements a vector has.

    `panels` are factors copied into a panel for each tile of an axis, those of a `group`
    of columns together; `far` are buffers that are asked for ahead of their use, because
    they are not expected in the cache.
    Threads divide a parallel loop in blocks of `grain`, or of its `unit` where that is more,
    and have a share each or, where it is `claimed`, take parts of it one after another.
    """

    kernel: Kernel
    how: Mapping[Axis, How]
    lanes: int
    grain: int = 1
    panels: Mapping[Axis, tuple[Scalar, ...]] = field(default_factory=dict)
    group: Group | None = None
    far: frozenset[Buffer] = frozenset()
    claimed: bool = False

    def of(self, axis: Axis) -> How:
        """How the loop over `axis` runs."""
        return self.how.get(axis, SERIAL)

    def with_loops(self, how: Mapping[Axis, How]) -> Scheduled:
        """The same with more loops."""
        return replace(self, how={**self.how, **how})

    @property
    def parallel(self) -> Axis | None:
        """A loop that is divided among threads, if any: the one that all stores share, or
        the first where none is shared and each nest has its own.
        """
        return next((axis for axis, how in self.how.items() if how.parallel), None)

    def share(self, axis: Axis) -> int:
        """How many iterations of a parallel loop stay together."""
        return max(self.grain, self.unit(axis))

    def unit(self, axis: Axis) -> int:
        """The fewest iterations of a loop that one thread may have."""
        how = self.of(axis)
        return self.block(axis) if how.vector else unit(how.tile)

    def block(self, axis: Axis) -> int:
        """How many iterations of a loop run side by side."""
        how = self.of(axis)
        return how.tile * (self.lanes if how.vector else 1)


def schedule(
    kernel: Kernel,
    machine: Machine,
    rounded: Collection[Buffer] = (),
    far: Collection[Buffer] = (),
) -> Scheduled:
    """Decide for each loop of the kernel how it runs; the buffers `rounded` hold
    bfloat16 numbers, those `far` are not expected in the cache.
    """
    kernel = collapse(kernel)
    lanes = machine.lanes(element_bytes(kernel))
    how: dict[Axis, How] = {}
    leaves = list(dict.fromkeys(store.axes for store in kernel.stores))
    for axes in leaves:
        stores = [s for s in kernel.stores if s.axes == axes]
        own = tuple(a for a in axes if sum(a in other for other in leaves) == 1)
        how |= _leaf(stores, own, lanes, machine, how)
    how |= _chains(kernel, how)
    if machine.pairs and lanes == machine.lanes(float32.size):
        vectors = [axis for axis, chosen in how.items() if chosen.vector]
        how |= {axis: How(pairs=True) for axis in paired(kernel, vectors, rounded)}
    columns = next((a for a in kernel.stores[0].axes if how.get(a, SERIAL).vector), None)
    found = contraction(kernel.stores, columns) if columns is not None else None
    asked = frozenset(buffer for buffer in kernel.reads() if buffer in far)
    if found is None or columns is None:
        return Scheduled(kernel, how, lanes, far=asked)
    copied = panels(found, machine)
    shape = how.get(found.rows, SERIAL).tile, how[columns].tile * lanes
    grouped = group(kernel, found, copied, (*shape, lanes), machine)
    if grouped is None:
        copied = of_known_size(copied, found)
    outside = bool(copied) or columns_outside(kernel, found, shape, machine)
    copies = grouped is not None and bool(copied or grouped.strips)
    kernel = interchange(kernel, found, outside and not copies)
    if not copied and grouped is None:
        kernel = columns_between(kernel, found, shape[1], machine)
    given = {columns: copied} if copied else {}
    return Scheduled(kernel, how, lanes, panels=given, group=grouped, far=asked)


def across(scheduled: Scheduled, store: Store) -> tuple[Axis, Axis] | None:
    """The vector of a store and the axis along which its memory runs, where these are
    two and a square of values is turned; None elsewhere.
    """
    vector = next((a for a in store.axes if scheduled.of(a).vector), None)
    if vector is None or store.accumulate or store.place().factor_of(vector) == 1:
        return None
    side = side_of(store, vector)
    if side is None or scheduled.of(side).tile != scheduled.lanes:
        return None
    return vector, side


def price(kernel: Kernel, machine: Machine) -> float:
    """The time of a kernel whose loops run as scheduled, in vectors read."""
    kernel = collapse(kernel)
    lanes = machine.lanes(element_bytes(kernel))
    leaves = list(dict.fromkeys(store.axes for store in kernel.stores))
    total = 0.0
    for axes in leaves:
        stores = [s for s in kernel.stores if s.axes == axes]
        own = tuple(a for a in axes if sum(a in other for other in leaves) == 1)
        reduces = [n for n in walk(s.value for s in stores) if n.op == "reduce"]
        along = vector_axis(stores, own, reduces, lanes, machine)
        if along is not None:
            total += cost(stores, along, own, lanes, machine)
            continue
        across = cost_across(stores, reduces, lanes)
        total += across if across < inf else cost(stores, Axis("none", 1), own, 1, machine)
    return total


# Vectors and tiles


def _leaf(
    stores: list[Store],
    own: tuple[Axis, ...],
    lanes: int,
    machine: Machine,
    fixed: Mapping[Axis, How],
) -> dict[Axis, How]:
    """How the loops of stores over the same axes run."""
    reduces = [n for n in walk(s.value for s in stores) if n.op == "reduce"]
    along = vector_axis(stores, own, reduces, lanes, machine)
    across = [
        node
        for node in reduces
        if sums_lanes(node) and (along is None or along not in ir.free_axes(node))
    ]
    how = {n.params[1][-1]: How(_accumulators(n, lanes), vector=True) for n in across}
    if along is not None:
        found = contraction(stores, along)
        if found is not None and found.rows in own:
            how |= _tile(found, lanes, machine)
        else:
            how |= _squares(stores, own, along, lanes)
            how[along] = How(_vectors(stores, along, lanes), vector=True)
    elif len(across) == 1 and is_contraction(across[0]):
        free = [a for a in own if not is_ordered(a, stores)]
        how |= _tiles_across(across[0], free, machine)
    elif across and not any(store.ordered for store in stores):
        how |= _rows(across, _beside(stores, own), lanes, machine)
    elif any(store.ordered for store in stores):
        how |= {axis: How(_even(axis.extent, CHAINS)) for axis in _beside(stores, own)}
    return {axis: chosen for axis, chosen in how.items() if axis not in fixed}


def _squares(
    stores: list[Store], own: tuple[Axis, ...], vector: Axis, lanes: int
) -> dict[Axis, How]:
    """The axis along which memory runs where a store runs across the vector."""
    apart = [s for s in stores if s.place().factor_of(vector) != 1]
    sides = {side_of(s, vector) for s in apart if may_turn(s, vector, own, lanes)}
    return {side: How(lanes) for side in sides if side is not None and len(sides) == 1}


def _tile(found: Contraction, lanes: int, machine: Machine) -> dict[Axis, How]:
    """The rows and the vectors of results that are computed side by side."""
    extent = found.rows.extent
    vectors = -(-typical(found.columns.extent) // lanes)
    copied = panels(found, machine)
    widest = [widest_panel(f, summed, machine) for f, summed in found.factors if f in copied]
    known = isinstance(extent, int)
    area = Area(typical(extent), vectors, known, steps_to_pages(found))
    rows, wide = tile(area, machine.registers, max(1, min([*widest, vectors])))
    return {found.rows: How(rows), found.columns: How(wide, vector=True)}


def _tiles_across(
    node: Scalar, free: list[Axis], machine: Machine
) -> dict[Axis, How]:
    """An axis of each factor alone, so that each vector read meets several others."""
    left, right = _factors([node])
    sides = [
        [a for a in free if a in own and a not in other and a.extent != 1]
        for own, other in ((left, right), (right, left))
    ]
    axes = sorted((side[-1] for side in sides if side), key=lambda a: typical(a.extent))
    how: dict[Axis, How] = {}
    most = 6 if axes and typical(axes[0].extent) <= 6 else 4
    for axis in axes:
        how[axis] = How(_even(axis.extent, most))
        most = max(1, min(4, (machine.registers - 1 - most) // how[axis].tile))
    return how


def _rows(
    across: list[Scalar], rows: list[Axis], lanes: int, machine: Machine
) -> dict[Axis, How]:
    """The rows that are added up side by side along vectors, where that saves more than
    it takes: what another factor has for all of them is read once, and in the end the
    lanes of several are added up in the same vectors.
    """
    held = sum(_accumulators(node, lanes) for node in across)
    short = held == len(across)  # long sums have several accumulators each
    bodies = walk(body for node in across for body in node.args)
    moving = [free for n in bodies if n.op == "read" and (free := ir.free_axes(n))]
    shared = any(free.isdisjoint(rows) for free in moving)
    most = min(ROWS, machine.registers // (2 * held)) if short or shared else 1
    most = max(1, min([most, *(typical(axis.extent) // BLOCKS for axis in rows)]))
    return {axis: How(_even(axis.extent, most)) for axis in rows}


def _beside(stores: list[Store], own: tuple[Axis, ...]) -> list[Axis]:
    """The axis whose iterations run side by side where others wait for one another: the
    innermost of those that do not.
    """
    if any(store.accumulate for store in stores):
        return []
    free = [axis for axis in own if not is_ordered(axis, stores)]
    return [axis for axis in free if axis.extent != 1][-1:]


def _even(extent: Size, most: int) -> int:
    """The tile, of at most `most`, that leaves the least over."""
    if not isinstance(extent, int):
        return min(most, 8)
    return -(-extent // -(-extent // most)) if extent else 1


def _factors(products: list[Scalar]) -> list[frozenset[Axis]]:
    return [
        ir.free_axes(factor)
        for node in products
        if (product := ir.summed_product(node)) is not None
        for factor in product.args
    ]


def _vectors(stores: list[Store], axis: Axis, lanes: int) -> int:
    """How many vectors stand side by side."""
    n = typical(axis.extent)
    if any(node.op == "reduce" for s in stores for node in walk([s.value])):
        return max(1, min(4, -(-n // lanes)))
    nodes = walk(s.value for s in stores)
    if any(node.op == "random" for node in nodes) and n >= ROW > lanes:
        return ROW // lanes  # a row of blocks, all of whose words are then used
    small = len(nodes) < 40
    return 2 if small and n >= 4 * lanes else 1


def _chains(kernel: Kernel, how: Mapping[Axis, How]) -> dict[Axis, How]:
    """The long sums of few results and of terms that take no longer than an addition, each
    as several sums side by side: an addition waits for the one before it.

    for i by 2 vectors: sum over u < 32: ...   ->   4 sums of 8 terms each, added at the end
    """
    sums: dict[Axis, int] = {}  # how many run side by side along an axis
    for node in walk(store.value for store in kernel.stores):
        if node.op == "reduce":
            last = node.params[1][-1]
            side_by_side = prod(how.get(axis, SERIAL).tile for axis in ir.free_axes(node))
            sums[last] = sums.get(last, 0) + (side_by_side if _waits(node) else MOST_SUMS)
    return {
        axis: How(MOST_SUMS // count)
        for axis, count in sums.items()
        if axis not in how and count < MOST_SUMS and typical(axis.extent) >= LONG
    }


def _waits(node: Scalar) -> bool:
    """Whether a reduction is a sum whose additions take longer than all else in a step."""
    inside = walk(node.args)
    quick = all(n.op != "reduce" and COSTS.get(n.op, 1) <= QUICK for n in inside)
    return node.params[0] == "sum" and ir.condition_of(node.args[0])[0] is None and quick


def _accumulators(node: Scalar, lanes: int) -> int:
    """How many vectors of partial sums stand side by side."""
    long = typical(node.params[1][-1].extent) >= 8 * lanes
    return 4 if long and not is_contraction(node) else 1
