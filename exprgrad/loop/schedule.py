"""How each loop runs: which one is a vector, which are unrolled into a tile.

    for i, j: c[i, j] = sum over k: a[i, k] * b[k, j]
    ->
    for i by 8, j by 2 vectors: for k: 16 accumulators += a[i.., k] * b[k, j..]

A vector runs along an axis of the store, or, where memory is read with unit stride only
along a summed axis, along that one, and its lanes are added at the end in fixed order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from exprgrad.graph.dims import Size
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.collapse import collapse
from exprgrad.loop.cost import Machine, points, typical
from exprgrad.loop.fuse import is_contraction
from exprgrad.loop.ir import Axis, Kernel, Scalar, Store

# In vector operations: adding up the lanes of a vector; a vector's share of the shuffles
# that turn a square of vectors.
WIDE = 13  # a tile that leaves no room in the registers for two vectors beside it
GUARD = 0.7  # making the mask of a guarded read, in vectors read
HORIZONTAL = 12
TURN = 4


@dataclass(frozen=True, slots=True)
class How:
    """How a loop runs: `tile` iterations (or vectors of them) side by side."""

    tile: int = 1
    vector: bool = False
    parallel: bool = False

    def __str__(self) -> str:
        words = [f"by {self.tile}"] if self.tile > 1 else []
        words += ["vectors"] if self.vector else []
        return " ".join([*words, *(["parallel"] if self.parallel else [])]) or "serial"


SERIAL = How()


@dataclass(frozen=True, eq=False, slots=True)
class Scheduled:
    """A kernel, how its loops run, and how many elements a vector has.

    Threads divide a parallel loop in blocks of `grain`, or of its tile where that is more.
    """

    kernel: Kernel
    how: Mapping[Axis, How]
    lanes: int
    grain: int = 1

    def of(self, axis: Axis) -> How:
        """How the loop over `axis` runs."""
        return self.how.get(axis, SERIAL)

    @property
    def parallel(self) -> Axis | None:
        """A loop that is divided among threads, if any: the one that all stores share, or
        the first where none is shared and each nest has its own.
        """
        return next((axis for axis, how in self.how.items() if how.parallel), None)

    def share(self, axis: Axis) -> int:
        """How many iterations of a parallel loop stay together."""
        return max(self.grain, self.block(axis))

    def block(self, axis: Axis) -> int:
        """How many iterations of a loop run side by side."""
        how = self.of(axis)
        return how.tile * (self.lanes if how.vector else 1)


def schedule(kernel: Kernel, machine: Machine) -> Scheduled:
    """Decide for each loop of the kernel how it runs."""
    kernel = collapse(kernel)
    lanes = machine.lanes(element_bytes(kernel))
    how: dict[Axis, How] = {}
    leaves = list(dict.fromkeys(store.axes for store in kernel.stores))
    for axes in leaves:
        stores = [s for s in kernel.stores if s.axes == axes]
        own = tuple(a for a in axes if sum(a in other for other in leaves) == 1)
        how |= _leaf(stores, own, lanes, machine, how)
    return Scheduled(kernel, how, lanes)


def across(scheduled: Scheduled, store: Store) -> tuple[Axis, Axis] | None:
    """The vector of a store and the axis along which its memory runs, where these are
    two and a square of values is turned; None elsewhere.
    """
    vector = next((a for a in store.axes if scheduled.of(a).vector), None)
    if vector is None or store.accumulate or store.place().factor_of(vector) == 1:
        return None
    side = _side(store, vector)
    if side is None or scheduled.of(side).tile != scheduled.lanes:
        return None
    return vector, side


def _side(store: Store, vector: Axis) -> Axis | None:
    """The axis along which a store's memory runs, if it is not the vector."""
    return next(
        (a for a in store.axes if a is not vector and store.place().factor_of(a) == 1), None
    )


def price(kernel: Kernel, machine: Machine) -> float:
    """How many vectors are read and written where each loop runs as scheduled."""
    kernel = collapse(kernel)
    lanes = machine.lanes(element_bytes(kernel))
    leaves = list(dict.fromkeys(store.axes for store in kernel.stores))
    total = 0.0
    for axes in leaves:
        stores = [s for s in kernel.stores if s.axes == axes]
        own = tuple(a for a in axes if sum(a in other for other in leaves) == 1)
        reduces = [n for n in walk(s.value for s in stores) if n.op == "reduce"]
        along = _vector_axis(stores, own, reduces, lanes)
        if along is not None:
            total += _cost(stores, along, own, lanes)
            continue
        across = _cost_across(stores, reduces, lanes)
        total += across if across < inf else _cost(stores, Axis("none", 1), own, 1)
    return total


def element_bytes(kernel: Kernel) -> int:
    """The size of the widest floating-point element computed with."""
    sizes = [n.dtype.size for n in ir.scalars(kernel) if n.dtype.kind == "f"]
    return max(sizes, default=8)


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
    along = _vector_axis(stores, own, reduces, lanes)
    across = [
        node
        for node in reduces
        if _sums_lanes(node) and (along is None or along not in ir.free_axes(node))
    ]
    how = {n.params[1][-1]: How(_accumulators(n, lanes), vector=True) for n in across}
    if along is not None:
        tiles = _squares(stores, own, along, lanes) or _tiles(stores, own, along, lanes, machine)
        how |= {**tiles, along: How(_vectors(stores, along, lanes, tiles), vector=True)}
    elif len(across) == 1 and is_contraction(across[0]):
        free = [a for a in own if not _is_ordered(a, stores)]
        how |= _tiles_across(across[0], free, machine)
    return {axis: chosen for axis, chosen in how.items() if axis not in fixed}


def _vector_axis(
    stores: list[Store], own: tuple[Axis, ...], reduces: list[Scalar], lanes: int
) -> Axis | None:
    """The axis of the store along which memory is read and written best, the last where
    they are equal; none where vectors run better along the summed axes.
    """
    candidates = [axis for axis in reversed(own) if _may_be_vector(axis, stores)]
    if not candidates:
        return None
    costs = {axis: _cost(stores, axis, own, lanes) for axis in candidates}
    best = min(candidates, key=lambda axis: costs[axis])
    return best if costs[best] <= _cost_across(stores, reduces, lanes) else None


def _may_be_vector(axis: Axis, stores: list[Store]) -> bool:
    if axis.extent == 1 or _is_ordered(axis, stores):
        return False
    return all(s.place().factor_of(axis) is not None for s in stores)


def _is_ordered(axis: Axis, stores: list[Store]) -> bool:
    return any(axis in store.ordered for store in stores)


def _sums_lanes(node: Scalar) -> bool:
    """Whether a reduction may run along a vector of its last axis."""
    axis = node.params[1][-1]
    reads = [n for n in walk(node.args) if n.op == "read"]
    inside = any(n.op == "reduce" and axis in ir.free_axes(n) for n in walk(node.args))
    unit = all(ir.offset(n).factor_of(axis) in (0, 1) for n in reads)
    return not inside and unit and axis.extent != 1


def _cost(stores: list[Store], axis: Axis, own: tuple[Axis, ...], lanes: int) -> float:
    """Reading and writing vectors along an axis of the stores, weighed by how often."""
    total = 0.0
    for store in stores:
        total += _write(store, axis, own, lanes) * points(store.axes)
        for node, around in _reads(store):
            total += _load(node, axis, lanes) * points(around)
    return total / (lanes * _filled(axis.extent, lanes))


def _cost_across(stores: list[Store], reduces: list[Scalar], lanes: int) -> float:
    """The same when vectors run along the summed axes and the rest is done by element."""
    if not any(_sums_lanes(node) for node in reduces):
        return inf
    total = 0.0
    filled = min(_filled(node.params[1][-1].extent, lanes) for node in reduces)
    for store in stores:
        total += 2 * points(store.axes)
        for _, around in _reads(store):
            inside = around > set(store.axes)
            total += points(around) / (lanes * filled if inside else 1)
    return total + HORIZONTAL * sum(points(ir.free_axes(node)) for node in reduces)


def _write(store: Store, axis: Axis, own: tuple[Axis, ...], lanes: int) -> float:
    if store.place().factor_of(axis) == 1:
        return 1.0
    return float(TURN + 1 if _may_turn(store, axis, own, lanes) else lanes)


def _may_turn(store: Store, vector: Axis, own: tuple[Axis, ...], lanes: int) -> bool:
    """Whether a store may turn squares of vectors along `vector`."""
    side = _side(store, vector)
    if side is None or store.accumulate or side in store.ordered or side not in own:
        return False
    return typical(side.extent) >= lanes // 2


def _squares(
    stores: list[Store], own: tuple[Axis, ...], vector: Axis, lanes: int
) -> dict[Axis, How]:
    """The axis along which memory runs where a store runs across the vector."""
    apart = [s for s in stores if s.place().factor_of(vector) != 1]
    sides = {_side(s, vector) for s in apart if _may_turn(s, vector, own, lanes)}
    return {side: How(lanes) for side in sides if side is not None and len(sides) == 1}


def _load(node: Scalar, axis: Axis, lanes: int) -> float:
    """What a read costs for each vector, and its mask where that differs by lane."""
    factor = ir.offset(node).factor_of(axis)
    cost = 0.3 if factor == 0 else 1.0 if factor == 1 else float(lanes)
    guard = ir.read_parts(node)[3]
    if guard is None or (factor != 0 and axis not in ir.free_axes(guard)):
        return cost
    return cost + GUARD


def _reads(store: Store) -> Iterable[tuple[Scalar, frozenset[Axis]]]:
    """Each read under the store, with the axes of all loops around it."""
    stack = [(store.value, frozenset(store.axes))]
    seen: set[tuple[Scalar, frozenset[Axis]]] = set()
    while stack:
        node, around = stack.pop()
        if (node, around) in seen:
            continue
        seen.add((node, around))
        if node.op == "read":
            yield node, around
        if node.op == "reduce":
            around = ir.free_axes(node) | set(node.params[1])
        stack += [(argument, around) for argument in node.args]


def _filled(extent: Size, lanes: int) -> float:
    """The share of lanes that hold an element."""
    n = typical(extent)
    return n / (-(-n // lanes) * lanes) if n else 1.0


def _tiles(
    stores: list[Store], own: tuple[Axis, ...], vector: Axis, lanes: int, machine: Machine
) -> dict[Axis, How]:
    """The axis along which each vector that was loaded is used several times."""
    products = [n for s in stores for n in walk([s.value]) if is_contraction(n)]
    reused = [
        axis
        for axis in own
        if axis is not vector and not _is_ordered(axis, stores)
        if any(vector in free and axis not in free for free in _factors(products))
    ]
    if not reused:
        return {}
    axis = max(reused, key=lambda a: typical(a.extent))
    vectors = 2 if typical(vector.extent) >= 2 * lanes else 1
    most = min(8 if vectors == 2 else 12, (machine.registers - vectors - 1) // vectors)
    return {axis: How(_even(axis.extent, most))}


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


def _vectors(
    stores: list[Store], axis: Axis, lanes: int, tiles: Mapping[Axis, How]
) -> int:
    """How many vectors stand side by side."""
    n = typical(axis.extent)
    if tiles:
        wide = n >= 2 * lanes and all(how.tile < WIDE for how in tiles.values())
        return 2 if wide else 1
    if any(node.op == "reduce" for s in stores for node in walk([s.value])):
        return max(1, min(4, n // lanes))
    small = len(list(walk(s.value for s in stores))) < 40
    return 2 if small and n >= 4 * lanes else 1


def _accumulators(node: Scalar, lanes: int) -> int:
    """How many vectors of partial sums stand side by side."""
    long = typical(node.params[1][-1].extent) >= 8 * lanes
    return 4 if long and not is_contraction(node) else 1


