"""Nests of one kernel that need nothing of one another are parted where one of them
stores along a loop that they share.

    for i < batch:                                 for i < batch, j < 784:
        for j < 784:                                   x[j, i] = data[row[i], j]
            x[j, i] = data[row[i], j]        ->    for i < batch, j < 10:
        for j < 10:                                    y[i, j] = label[row[i]] == j
            y[i, j] = label[row[i]] == j

Squares of `i` and `j` are turned in registers then, which takes both loops as its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from exprgrad.loop.ir import Kernel, Store
from exprgrad.loop.nests import common_axes, nests_of


def part(kernels: Iterable[Kernel]) -> list[Kernel]:
    """`kernels` with such nests in kernels of their own."""
    return [each for kernel in kernels for each in _parts(kernel)]


def _parts(kernel: Kernel) -> list[Kernel]:
    apart = kernel.reads().isdisjoint(kernel.writes()) and not any(
        store.accumulate for store in kernel.stores
    )
    if not apart or not any(_stores_along_shared(kernel, s) for s in kernel.stores):
        return [kernel]
    return [Kernel(tuple(nest)) for nest in nests_of(kernel)]


def _stores_along_shared(kernel: Kernel, store: Store) -> bool:
    """Whether a store with loops of its own steps by one element in a shared loop."""
    shared = common_axes(kernel)
    inside = len(store.axes) > len(shared)
    return inside and any(store.place().factor_of(axis) == 1 for axis in shared)
