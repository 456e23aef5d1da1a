"""A loop whose iterations are tried by a condition, in pieces: where it always holds,
and before and after.

    for i < 9: x[i] = sum over k < 3: where(0 <= i - k and i - k < 7, y[i - k] * w[k], 0)
    ->
    for i < 2: x[i] = sum over k < 3: where(0 <= i - k, y[i - k] * w[k], 0)
    for i < 5: x[i + 2] = sum over k < 3: y[i + 2 - k] * w[k]
    for i < 2: x[i + 7] = sum over k < 3: where(i - k < 0, y[i + 7 - k] * w[k], 0)

Only the loop that is unrolled into a tile is divided. Conditions along a vector are
masks, those along other loops limit the sum (`backend.limits`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.cost import Machine
from exprgrad.loop.ir import Affine, Axis, Kernel, Store
from exprgrad.loop.nests import piece
from exprgrad.loop.ranges import conjuncts, range_of, room_of
from exprgrad.loop.schedule import schedule

LEAST = 4  # iterations for which the condition has to hold always


def cut(kernels: Sequence[Kernel], machine: Machine) -> list[Kernel]:
    """`kernels` with the loops of their tiles divided where conditions begin to hold."""
    return [_cut(kernel, machine) for kernel in kernels]


def _cut(kernel: Kernel, machine: Machine) -> Kernel:
    """A kernel in pieces; the one inside may have another tile, and is cut again."""
    axes = kernel.stores[0].axes
    same = all(s.axes == axes and not (s.ordered or s.accumulate) for s in kernel.stores)
    if not same or not any(True for _ in _conditions(kernel.stores)):
        return kernel
    scheduled = schedule(kernel, machine)
    tiles = [a for a in axes if scheduled.of(a).tile > 1 and not scheduled.of(a).vector]
    stores = list(kernel.stores)
    for axis in tiles:
        low, high = _interior(list(_conditions(stores)), axis)
        if high - low >= LEAST and (low > 0 or high != axis.extent):
            before, after = piece(stores, axis, 0, low), piece(stores, axis, high, axis.extent)
            inside = _cut(Kernel(tuple(piece(stores, axis, low, high))), machine)
            return Kernel((*before, *inside.stores, *after))
    return kernel


def _conditions(stores: Sequence[Store]) -> Iterator[Affine]:
    """What sums ask of their iterations, as values that must not be negative."""
    for node in walk(store.value for store in stores):
        if ir.summed_product(node) is not None:
            condition, _ = ir.condition_of(node.args[0])
            for each in conjuncts(condition):
                room = room_of(each)
                if room is not None:
                    yield room


def _interior(tried: list[Affine], axis: Axis) -> tuple[int, int]:
    """The iterations of an axis for which all conditions on it hold."""
    low, high = 0, axis.extent if isinstance(axis.extent, int) else 0
    for room in tried:
        factor = room.factor_of(axis)
        if factor not in (1, -1):
            continue
        assert isinstance(factor, int)
        least, _ = range_of(room + Affine(((ir.axis_value(axis), -factor),)))
        if least == -inf:
            return 0, 0
        if factor == 1:
            low = max(low, -int(least))
        else:
            high = min(high, int(least) + 1)
    return low, high
