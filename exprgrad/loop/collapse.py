"""One loop in place of several, where every element is read where it is stored."""

from __future__ import annotations

from exprgrad.graph.dims import count
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Kernel, Scalar, Store


def collapse(kernel: Kernel) -> Kernel:
    """One loop instead of a nest, where every element is read where it is stored.

    for i, j: y[i, j] = exp(x[i, j])   ->   for i: y[i] = exp(x[i])   (as flat arrays)

    >>> import exprgrad as eg
    >>> from exprgrad.loop.show import show_passes
    >>> x = eg.input("x", ("n", 8))
    >>> print(show_passes([eg.exp(x)], lambda kernels: [collapse(k) for k in kernels]))
    kernel y1
        for i < 8*n:
            y1[i] = exp(x[i])
    """
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
