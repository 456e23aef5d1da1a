"""One loop in place of several, where all that is read and stored runs through them as
if they were one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from exprgrad.graph.dims import Shape, count
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.fuse import has_contraction
from exprgrad.loop.ir import Axis, Kernel, Scalar, Store


def collapse(kernel: Kernel) -> Kernel:
    """One loop in place of all, or of two in a contraction or a copy, that nothing tells
    apart.

    for i, j: y[i, j] = exp(x[i, j])   ->   for i: y[i] = exp(x[i])   (as flat arrays)

    >>> import exprgrad as eg
    >>> from exprgrad.loop.show import show_passes
    >>> x, w = eg.input("x", ("n", 8, 5)), eg.input("w", (5, 3))
    >>> print(show_passes([x @ w], lambda kernels: [collapse(k) for k in kernels]))
    kernel y1
        for i < 8*n:
            for k < 3:
                y1[i, k] = sum over u < 5: x[i, u] * w[u, k]
    """
    kernel = _flat(kernel)
    while (pair := next(_pairs(kernel), None)) is not None:
        kernel = _joined(kernel, pair)
    return kernel


def _flat(kernel: Kernel) -> Kernel:
    """All loops as one, where every element is read where it is stored."""
    axes = kernel.stores[0].axes
    if len(axes) < 2 or not all(_is_flat(store, axes) for store in kernel.stores):
        return kernel
    total = count(tuple(axis.extent for axis in axes))
    axis = Axis(axes[0].name, total)
    place = ir.axis_value(axis)
    images = {
        node: ir.read(node.params[0], (total,), (place,))
        for node in ir.scalars(kernel)
        if node.op == "read" and ir.free_axes(node)
    }
    values = ir.substitute_all([s.value for s in kernel.stores], images)
    if any(ir.free_axes(value) - {axis} for value in values):
        return kernel
    stores = (
        Store(s.buffer, (axis,), (place,), value, view=(total,))
        for s, value in zip(kernel.stores, values, strict=True)
    )
    return Kernel(tuple(stores))


def _is_flat(store: Store, axes: tuple[Axis, ...]) -> bool:
    if store.axes != axes or store.accumulate or store.ordered:
        return False
    extents = tuple(axis.extent for axis in axes)
    here = ir.flat(extents, [ir.axis_value(axis) for axis in axes])
    if not store.place().same(here):
        return False
    return all(_reads_flat(node, here) for node in walk([store.value]))


def _reads_flat(node: Scalar, here: ir.Affine) -> bool:
    if node.op != "read" or not ir.free_axes(node):
        return node.op != "reduce"
    return ir.read_parts(node)[3] is None and ir.offset(node).same(here)


# Two loops

Place = tuple[Shape, Sequence[Scalar]]  # a view and an index into it


def _pairs(kernel: Kernel) -> Iterator[tuple[Axis, Axis]]:
    """Loops of a contraction or a copy, one right inside the other, whose axes stand side by
    side wherever they are: together they are more rows or more columns.
    """
    axes = kernel.stores[0].axes
    copies = len(kernel.stores) == 1 and kernel.stores[0].value.op == "read"
    if not copies and not has_contraction(kernel):
        return
    if any(s.axes != axes or s.accumulate or s.ordered for s in kernel.stores):
        return
    nodes = ir.scalars(kernel)
    places = [(store.shape, store.index) for store in kernel.stores]
    places += [(node.params[1], node.args) for node in nodes if node.op == "read"]
    elsewhere = {s.value for s in kernel.stores}
    elsewhere |= {a for node in nodes if node.op != "read" for a in node.args}
    for pair in pairwise(axes):
        apart = elsewhere.isdisjoint(map(ir.axis_value, pair))
        if apart and all(_where(place, pair) is not None for place in places):
            yield pair


def _where(place: Place, pair: tuple[Axis, Axis]) -> int | None:
    """Where two axes stand side by side and nowhere else; -1 where they do not stand at
    all, None where they stand otherwise.
    """
    view, index = place
    moved = [
        n for n, each in enumerate(index) if not ir.free_axes(each).isdisjoint(pair)
    ]
    if not moved:
        return -1
    first, *rest = moved
    whole = rest == [first + 1] and view[first + 1 : first + 2] == (pair[1].extent,)
    there = [ir.axis_value(axis) for axis in pair]
    return first if whole and list(index[first : first + 2]) == there else None


def _joined(kernel: Kernel, pair: tuple[Axis, Axis]) -> Kernel:
    """The kernel with one loop in the place of two."""
    axis = Axis(pair[0].name, pair[0].extent * pair[1].extent)
    images = {}
    for node in ir.scalars(kernel):
        if node.op == "read" and not ir.free_axes(node).isdisjoint(pair):
            view, index = _together((node.params[1], node.args), pair, axis)
            images[node] = ir.scalar(
                "read", tuple(index), (node.params[0], view), node.dtype
            )
    values = ir.substitute_all([s.value for s in kernel.stores], images)
    stores = []
    for store, value in zip(kernel.stores, values, strict=True):
        view, index = _together((store.shape, store.index), pair, axis)
        axes = tuple(
            axis if a is pair[0] else a for a in store.axes if a is not pair[1]
        )
        new = replace(store, axes=axes, index=tuple(index), value=value, view=view)
        stores.append(new)
    return Kernel(tuple(stores))


def _together(place: Place, pair: tuple[Axis, Axis], axis: Axis) -> Place:
    """The place with one axis in the place of two."""
    view, index = place
    n = _where(place, pair)
    if n is None or n < 0:
        return place
    extents = (*view[:n], view[n] * view[n + 1], *view[n + 2 :])
    return extents, (*index[:n], ir.axis_value(axis), *index[n + 2 :])
