"""Loops in pieces where a choice is decided by how far they have come.

>>> import exprgrad as eg
>>> from exprgrad.loop.show import show_passes
>>> x = eg.input("x", (100,))
>>> y = eg.where(eg.arange(100) < 40, x, eg.exp(x))
>>> print(show_passes([y]))
kernel y1
    for i < 100:
        y1[i] = where(i < 40, x[i], exp(x[i]))
>>> print(show_passes([y], in_pieces))
kernel y1
    for i < 40:
        y1[i] = x[i]
    for i < 60:
        y1[i + 40] = exp(x[i + 40])

So arrays that are put side by side are copied as they lie, and nothing is tried for each
element. Zeros around an array are no such choice: see `border`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Kernel, Scalar
from exprgrad.loop.nests import Nest, nests_of, piece, shared_axes, with_known_values
from exprgrad.loop.ranges import conjuncts, room_of

MOST = 16  # stores of a kernel in pieces
LEAST = 32  # elements that a piece has to store side by side


def in_pieces(kernels: Sequence[Kernel]) -> list[Kernel]:
    """`kernels` with nests in pieces where a loop decides a choice and may be cut."""
    return [_cut(kernel) for kernel in kernels]


def _cut(kernel: Kernel) -> Kernel:
    if any(store.ordered or store.accumulate for store in kernel.stores):
        return kernel
    shared = shared_axes(kernel)
    nests = nests_of(kernel)
    most = MOST - len(kernel.stores)  # beside what there is
    parts = [part for nest in nests for part in _pieces(nest, shared, most // len(nest) + 1)]
    stores = tuple(store for part in parts for store in part)
    return kernel if len(stores) > MOST else Kernel(stores)


def _pieces(nest: Nest, shared: Collection[Axis], most: int) -> list[Nest]:
    """A nest in `most` pieces or fewer; one that would have more is left whole."""
    for axis in nest[0].axes:
        ends = _ends(nest, axis)
        if axis not in shared and 2 < len(ends) <= most + 1 and _may_be_cut(nest, axis, ends):
            parts = [piece(nest, axis, a, b, shared) for a, b in pairwise(ends)]
            each = most // len(parts)
            return [deeper for part in parts for deeper in _pieces(part, shared, each)]
    return [with_known_values(nest) if any(True for _ in _decisions(nest)) else nest]


def _ends(nest: Nest, axis: Axis) -> list[int]:
    """The iterations of an axis where choices change, between its first and its end."""
    n = axis.extent
    if not isinstance(n, int):
        return []
    found = {begin for each in _decisions(nest) for begin in _begins(each, axis)}
    return [0, *sorted(begin for begin in found if 0 < begin < n), n]


def _decisions(nest: Nest) -> Iterator[Scalar]:
    """The conditions of choices between values."""
    for node in walk(store.value for store in nest):
        if node.op == "where" and ir.condition_of(node)[0] is None:
            yield from conjuncts(node.args[0])


def _begins(condition: Scalar, axis: Axis) -> Iterator[int]:
    """Where a condition on an axis alone begins or ceases to hold."""
    room = room_of(condition)
    if room is None or not isinstance(room.offset, int):
        return
    match room.terms:
        case (((atom, 1),)) if atom is ir.axis_value(axis):
            yield -room.offset
        case (((atom, -1),)) if atom is ir.axis_value(axis):
            yield room.offset + 1


def _may_be_cut(nest: Nest, axis: Axis, ends: Sequence[int]) -> bool:
    """Whether each piece stores enough elements side by side to be worth a loop, and no
    reduction would be computed for each piece anew.
    """
    nodes = walk(store.value for store in nest)
    if any(node.op == "reduce" and axis not in ir.free_axes(node) for node in nodes):
        return False
    shortest = min(b - a for a, b in pairwise(ends))
    steps = [store.place().factor_of(axis) for store in nest]
    return all(isinstance(step, int) and shortest * step >= LEAST for step in steps)
