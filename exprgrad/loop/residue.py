"""Loops divided by the remainder of their axis where an index is divided by a stride.

>>> import exprgrad as eg
>>> from exprgrad.loop.show import show_passes
>>> y, w = eg.input("y", (8,)), eg.input("w", (3,))
>>> x = eg.input("x", (17,))
>>> taps = eg.sliding_window(x, 3, 0, stride=2)
>>> spread = eg.vjp(eg.einsum("ik,k->i", taps, w), x, y)
>>> print(show_passes([spread]))
kernel y1
    for i < 17:
        y1[i] = sum over k < 3:
            t1 = (i + k * -1) // 2
            t2 = ((i + k * -1) % 2 == 0) & (0 <= t1) & (t1 < 8)
            where(t2, where(t2, y[t1], 0) * w[k], 0)
>>> print(show_passes([spread], divide))
kernel y1
    for i < 9:
        y1[i * 2] = sum over k < 2:
            t1 = (0 <= i + k * -1) & (i + k * -1 < 8)
            where(t1, where(t1, y[i + k * -1], 0) * w[k * 2], 0)
    for i < 8:
        y1[i * 2 + 1] = y[i] * w[1]

Such is the gradient of a strided convolution. Of each remainder the taps are known ahead:
none is tried in vain, and all that is read lies at a multiple of an axis.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from math import gcd

from exprgrad.graph.dims import Size
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Kernel, Scalar
from exprgrad.loop.nests import Nest, moved, nests_of, shared_axes, with_known_values
from exprgrad.loop.ranges import folded

MOST = 4  # remainders of one axis
MOST_STORES = 16


def interleave(kernels: Sequence[Kernel]) -> list[Kernel]:
    """`kernels` that store all remainders at one point, where that takes no other loops.

    for i < 8: x[i] = y[i // 2] * 3   ->   for q < 4: x[q * 2] = y[q] * 3
                                                      x[q * 2 + 1] = y[q] * 3
    """
    return [_divided(kernel, in_place=True) for kernel in kernels]


def divide(kernels: Sequence[Kernel]) -> list[Kernel]:
    """`kernels` without divisions, where their loops can be divided instead."""
    return [_divided(kernel, in_place=False) for kernel in kernels]


def _divided(kernel: Kernel, in_place: bool) -> Kernel:
    if any(s.ordered or s.accumulate for s in kernel.stores):
        return kernel
    shared = shared_axes(kernel)
    given = nests_of(kernel)
    nests = [part for nest in given for part in _nests(nest, shared)]
    count = sum(map(len, nests))
    if count == len(kernel.stores) or count > MOST_STORES:
        return kernel
    if in_place and len(nests) > len(given):
        return kernel
    return Kernel(tuple(store for nest in nests for store in _without_divisions(nest)))


def _nests(nest: Nest, shared: Collection[Axis]) -> list[Nest]:
    found = (pair for pair in _remainders(nest) if pair[0] in nest[0].axes)
    pair = next((pair for pair in found if pair[0] not in shared), None)
    if pair is None:
        return [nest]
    parts = _by_remainder(nest, *pair, shared)
    return [deeper for part in parts for deeper in _nests(part, shared)]


def _remainders(nest: Nest) -> Iterator[tuple[Axis, int]]:
    """Axes on which the remainder of a division depends, and how many there are."""
    for node in walk(store.value for store in nest):
        yield from remainders(node)


def remainders(node: Scalar) -> Iterator[tuple[Axis, int]]:
    """The same of one scalar."""
    step = ir.value_of(node.args[1]) if node.op in ("floor_divide", "remainder") else None
    if step is None or node.dtype.kind != "i":
        return
    terms = ir.affine(node.args[0]).terms
    if any(atom.op != "axis" or not isinstance(factor, int) for atom, factor in terms):
        return
    for atom, factor in terms:
        count = step // gcd(int(factor), step) if isinstance(factor, int) else 1
        if 1 < count <= MOST:
            yield atom.params[0], count


def _by_remainder(
    nest: Nest, axis: Axis, count: int, shared: Collection[Axis]
) -> list[Nest]:
    """One nest for each remainder of an axis; a single one where no sum differs."""
    whole = isinstance(axis.extent, int) and axis.extent % count == 0
    sums = [n for n in walk(s.value for s in nest) if n.op == "reduce"]
    together = whole and not any(axis in ir.free_axes(node) for node in sums)
    quotient = Axis(axis.name, _share(axis.extent, count, 0))
    nests: list[Nest] = []
    for rest in range(count):
        if not together:
            quotient = Axis(axis.name, _share(axis.extent, count, rest))
        place = ir.add(ir.times(ir.axis_value(quotient), count), ir.number(rest))
        kept = nest[0].axes if together else shared
        if quotient.extent != 0:
            nests.append(moved(nest, axis, quotient, place, kept))
    return [[store for part in nests for store in part]] if together else nests


def _share(extent: Size, count: int, rest: int) -> Size:
    """How many numbers below `extent` leave `rest`."""
    return (extent + (count - 1 - rest)) // count


# Sums


def _without_divisions(nest: Nest) -> Nest:
    """A nest whose sums are divided by the remainders of their own axes; one that several
    stores have is the same in all of them afterwards, too.
    """
    for node in walk(store.value for store in nest):
        if node.op == "reduce" and node.params[0] == "sum":
            parts = _parts(node)
            if parts != [node]:
                images = {node: _total(parts, node)}
                values = ir.substitute_all([store.value for store in nest], images)
                made = [replace(s, value=v) for s, v in zip(nest, values, strict=True)]
                return _without_divisions(with_known_values(made))
    return nest


def _parts(node: Scalar) -> list[Scalar]:
    """A sum as sums without divisions; those that are 0 are left out."""
    if node.op != "reduce":
        return [node]
    found = (pair for inner in walk(node.args) for pair in remainders(inner))
    kind, axes = node.params
    pair = next((pair for pair in found if pair[0] in axes), None)
    if pair is None:
        return [node]
    axis, count = pair
    parts = []
    for rest in range(count):
        quotient = Axis(axis.name, _share(axis.extent, count, rest))
        own = {a: Axis(a.name, a.extent) for a in axes} | {axis: quotient}
        images = {ir.axis_value(a): ir.axis_value(b) for a, b in own.items()}
        place = ir.times(ir.axis_value(quotient), count)
        images[ir.axis_value(axis)] = ir.add(place, ir.number(rest))
        args = tuple(ir.substitute_all(node.args, images))
        (part,) = folded([ir.reduction(kind, args, tuple(own[a] for a in axes))])
        if quotient.extent != 0 and part.op != "constant":
            parts.append(part)
    return [deeper for part in parts for deeper in _parts(part)]


def _total(parts: list[Scalar], node: Scalar) -> Scalar:
    if not parts:
        return ir.zero(node.dtype)
    total, *others = parts
    for part in others:
        total = ir.scalar("add", (total, part), (), node.dtype)
    return total
