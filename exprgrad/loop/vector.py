"""Which axis of the stores is a vector: the one along which memory is read and written
in the fewest vectors, lanes that hold nothing included, and sums take the least beside.

    y[i, j] = x[i, j] + b[j]     along j: 2 loads and a store for each vector of results
                                 along i: 16 elements of x and of y, one by one

A store that runs across the vector may turn squares of values in registers (crosswise
stores), and a factor of a contraction may be read from a panel (`contract`).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from math import inf
from weakref import WeakKeyDictionary

from exprgrad.graph.dims import Size
from exprgrad.graph.node import walk
from exprgrad.graph.state import LINE
from exprgrad.loop import ir
from exprgrad.loop.contract import Contraction, contraction, panels
from exprgrad.loop.cost import Machine, nbytes, points, typical
from exprgrad.loop.ir import Axis, Kernel, Scalar, Store
from exprgrad.loop.pages import page_steps
from exprgrad.loop.tile import MANY, Area, tile

# In vector operations: adding up the lanes of a vector.
HORIZONTAL = 12
# In vectors read: a load of a tile, which its rows or vectors share, and one from a page
# whose place is not known.
SHARED = 0.5
PAGE_STEP = 6.0
# Fetching a line for an element that is stored apart from the others of its vector, into the
# first cache, where not all of an array stays that has more bytes than `NEAR`; the lines of a
# state are there, for its old value was read.
FETCHED = 9.0
NEAR = 1 << 15
# By the step from lane to lane; others are read and written one by one, as steps of 2 to 4
# are where vectors have no masks (`backend.access.NEAR`).
NEXT: dict[Size | None, float] = {2: 3.0, 3: 5.0, 4: 7.0}
PLAIN: dict[Size | None, float] = {0: 0.3, 1: 1.0, -1: 1.5}
LOADS: dict[Size | None, float] = {**PLAIN, **NEXT}
GUARD = 0.7  # making the mask of a guarded read or product, in vectors read

# Stores are priced along each of their axes, in many orders of others' axes.
Found = list[tuple[Scalar, frozenset[Axis]]]
_found: WeakKeyDictionary[Store, Found] = WeakKeyDictionary()


def element_bytes(kernel: Kernel) -> int:
    """The size of the widest floating-point element computed with in the loops; what is
    the same in all of them is computed once, outside.
    """
    found = [n.dtype for n in ir.scalars(kernel) if ir.free_axes(n)]
    found += [store.buffer.dtype for store in kernel.stores]
    return max((dtype.size for dtype in found if dtype.kind == "f"), default=8)


def vector_axis(
    stores: list[Store],
    own: tuple[Axis, ...],
    reduces: list[Scalar],
    lanes: int,
    machine: Machine,
) -> Axis | None:
    """The axis of the store along which memory is read and written best, the last where
    they are equal; none where vectors run better along the summed axes.
    """
    candidates = [axis for axis in reversed(own) if _may_be_vector(axis, stores)]
    if not candidates:
        return None
    costs = {axis: cost(stores, axis, own, lanes, machine) for axis in candidates}
    best = min(candidates, key=lambda axis: costs[axis])
    return best if costs[best] <= cost_across(stores, reduces, lanes) else None


def _may_be_vector(axis: Axis, stores: list[Store]) -> bool:
    if axis.extent == 1 or is_ordered(axis, stores):
        return False
    factors = [(s.place().factor_of(axis), s.ordered) for s in stores]
    # What was just stored lane by lane cannot be gathered before it has left for the cache.
    return all(n is not None and (n == 1 or not ordered) for n, ordered in factors)


def is_ordered(axis: Axis, stores: list[Store]) -> bool:
    """Whether iterations of the axis depend on one another."""
    return any(axis in store.ordered for store in stores)


def sums_lanes(node: Scalar) -> bool:
    """Whether a reduction may run along a vector of its last axis."""
    axis = node.params[1][-1]
    reads = [n for n in walk(node.args) if n.op == "read"]
    inside = any(n.op == "reduce" and axis in ir.free_axes(n) for n in walk(node.args))
    unit = all(ir.offset(n).factor_of(axis) in (0, 1) for n in reads)
    return not inside and unit and axis.extent != 1


def cost(
    stores: list[Store], axis: Axis, own: tuple[Axis, ...], lanes: int, machine: Machine
) -> float:
    """Reading and writing vectors along an axis of the stores, weighed by how often, and
    what the steps of sums take beside.
    """
    total = 0.0
    found = contraction(stores, axis)
    copied = set(panels(found, machine)) if found is not None else set()
    often = cache(points)
    for store in stores:
        turned = own if found is None else ()
        total += _write(store, axis, turned, lanes, machine.masks) * points(store.axes)
        for node, around in _priced(store):
            if node.op == "where":
                total += GUARD * often(around) * (axis in ir.free_axes(node.args[0]))
            elif node in copied:
                total += _from_panel(found, lanes) * often(around)
            else:
                total += _load(node, axis, lanes, machine.masks) * often(around)
    if found is not None:
        own_steps = _steps(found, copied, lanes, machine.registers)
        total += own_steps * often(frozenset(stores[0].axes))
    return total / (lanes * _filled(axis.extent, lanes))


def _steps(
    found: Contraction, copied: Collection[Scalar], lanes: int, registers: int
) -> float:
    """What the steps of sums cost beside that, for each vector of results: loads that few
    rows or few vectors of a tile share, and those from other pages.
    """
    vectors = -(-typical(found.columns.extent) // lanes)
    high, wide = tile(Area(MANY, vectors), registers)
    total = 0.0
    for factor, summed in found.factors:
        along = found.columns in ir.free_axes(factor)
        step = SHARED / (high if along else wide)
        if factor.op == "read" and factor not in copied:
            elsewhere = page_steps(factor, summed, found.rows, high)
            step += PAGE_STEP * elsewhere / (high * wide)
        total += step * points(summed)
    return total


def cost_across(stores: list[Store], reduces: list[Scalar], lanes: int) -> float:
    """Reading and writing when vectors run along the summed axes and the rest is done by
    element.
    """
    if not any(sums_lanes(node) for node in reduces):
        return inf
    total = 0.0
    filled = min(_filled(node.params[1][-1].extent, lanes) for node in reduces)
    for store in stores:
        total += 2 * points(store.axes)
        for node, around in _priced(store):
            inside = around > set(store.axes)
            if node.op == "read":
                total += points(around) / (lanes * filled if inside else 1)
    return total + HORIZONTAL * sum(points(ir.free_axes(node)) for node in reduces)


def _write(
    store: Store, axis: Axis, own: tuple[Axis, ...], lanes: int, masks: bool
) -> float:
    factor = store.place().factor_of(axis)
    if factor == 1:
        return 1.0
    if may_turn(store, axis, own, lanes):
        return 1.0 + _turning(lanes)
    if masks and factor in NEXT:
        return NEXT[factor]
    if store.buffer.role in ("state", "next") or nbytes(store.buffer) <= NEAR:
        return float(lanes)
    apart = LINE if factor is None else abs(typical(factor)) * store.buffer.dtype.size
    return lanes * (1.0 + FETCHED * min(1.0, apart / LINE))


def side_of(store: Store, vector: Axis) -> Axis | None:
    """The axis along which a store's memory runs, if it is not the vector."""
    return next(
        (a for a in store.axes if a is not vector and store.place().factor_of(a) == 1),
        None,
    )


def may_turn(store: Store, vector: Axis, own: tuple[Axis, ...], lanes: int) -> bool:
    """Whether a store may turn squares of vectors along `vector`."""
    side = side_of(store, vector)
    if side is None or store.accumulate or side in store.ordered or side not in own:
        return False
    return typical(side.extent) >= lanes // 2


def _load(node: Scalar, axis: Axis, lanes: int, masks: bool) -> float:
    """What a read costs for each vector, and its mask where that differs by lane."""
    factor = ir.offset(node).factor_of(axis)
    cost = (LOADS if masks else PLAIN).get(factor, float(lanes))
    guard = ir.read_parts(node)[3]
    if guard is None or (factor != 0 and axis not in ir.free_axes(guard)):
        return cost
    return cost + GUARD


def _turning(lanes: int) -> int:
    """A vector's share of the shuffles that turn a square of vectors."""
    return lanes.bit_length() - 1


def _from_panel(found: Contraction | None, lanes: int) -> float:
    """A vector of a panel, and its share in what turning and storing it took."""
    return (
        1.0 + (_turning(lanes) + 2) / typical(found.rows.extent)
        if found is not None
        else 1.0
    )


def _priced(store: Store) -> Found:
    """Each read under the store, and each choice in a reduction, with the axes of all loops
    around it.
    """
    if store not in _found:
        stack = [(store.value, frozenset(store.axes))]
        seen: set[tuple[Scalar, frozenset[Axis]]] = set()
        _found[store] = found = []
        while stack:
            node, around = each = stack.pop()
            if each in seen:
                continue
            seen.add(each)
            if node.op == "read" or (node.op == "where" and around > set(store.axes)):
                found.append(each)
            if node.op == "reduce":
                around = ir.free_axes(node) | set(node.params[1])
            stack += [(argument, around) for argument in node.args]
    return _found[store]


def _filled(extent: Size, lanes: int) -> float:
    """The share of lanes that hold an element."""
    n = typical(extent)
    return n / (-(-n // lanes) * lanes) if n else 1.0
