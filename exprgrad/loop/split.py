"""A long sum with few results is divided, so that threads share it.

>>> import exprgrad as eg
>>> from exprgrad.loop.show import show_passes
>>> x = eg.input("x", (100_000,))
>>> print(show_passes([eg.sum(x)]))
kernel y1
    y1 = sum over u < 100000: x[u]
>>> print(show_passes([eg.sum(x)], split))
kernel y1.part
    for b < 24:
        y1.part[b] = sum over t < 4096: x[b * 4096 + t]
<BLANKLINE>
kernel y1
    s1 = sum over b < 24: y1.part[b]
    s2 = sum over t < 1696: x[98304 + t]
    y1 = s1 + s2

A sum over several axes is divided along the first that is long enough: into its
iterations where they are few, else into blocks of them. How it is divided depends on
sizes only, and so does the order of its additions.
"""

from __future__ import annotations

from collections.abc import Sequence

from exprgrad.graph.dims import Size
from exprgrad.loop import ir
from exprgrad.loop.cost import points, typical
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store

BLOCK = 4096
FEW = 64
LONG = 16 * BLOCK
PARTS = 8
COMBINE = {"sum": "add", "max": "maximum", "min": "minimum"}


def split(kernels: Sequence[Kernel]) -> list[Kernel]:
    """`kernels` with their long sums divided."""
    return [part for kernel in kernels for part in _parts(kernel)]


def _parts(kernel: Kernel) -> list[Kernel]:
    sums = [n for n in ir.scalars(kernel) if n.op == "reduce"]
    if len(sums) != 1 or len(kernel.stores) != 1 or kernel.stores[0].accumulate:
        return [kernel]
    (store,), (node,) = kernel.stores, sums
    kind, axes = node.params
    few = points(store.axes) <= FEW and ir.free_axes(node) <= set(store.axes)
    if not few or kind not in COMBINE or points(axes) < LONG:
        return [kernel]
    axis = next(a for a in axes if typical(a.extent) >= PARTS or a is axes[-1])
    if len(axes) == 1 or typical(axis.extent) >= LONG:
        return _blocks(store, node, axis)
    return _along(store, node, axis)


def _along(store: Store, node: Scalar, axis: Axis) -> list[Kernel]:
    """One partial result for each iteration of a summed axis."""
    kind, axes = node.params
    inner = ir.reduction(kind, node.args, tuple(a for a in axes if a is not axis))
    buffer, first = _partial(store, axis, inner)
    over = Axis(axis.name, axis.extent)
    total = ir.reduction(kind, (_read(buffer, over, store),), (over,))
    return [first, _final(store, node, total)]


def _blocks(store: Store, node: Scalar, axis: Axis) -> list[Kernel]:
    """One partial result for each block of a summed axis, and the rest."""
    kind = node.params[0]
    count: Size = axis.extent // BLOCK
    outer, inner = Axis("b", count), Axis("t", BLOCK)
    block = _part(node, axis, ir.times(ir.axis_value(outer), BLOCK), inner)
    buffer, first = _partial(store, outer, block)
    over = Axis("b", count)
    total = ir.reduction(kind, (_read(buffer, over, store),), (over,))
    rest = axis.extent - count * BLOCK
    if rest != 0:
        last = _part(node, axis, ir.size(count * BLOCK), Axis("t", rest))
        total = ir.scalar(COMBINE[kind], (total, last), (), node.dtype)
    return [first, _final(store, node, total)]


def _part(node: Scalar, axis: Axis, start: Scalar, inner: Axis) -> Scalar:
    """The reduction with the iterations `start + inner` in place of all of `axis`."""
    kind, axes = node.params
    place = ir.add(start, ir.axis_value(inner))
    body = ir.substitute_all(node.args, {ir.axis_value(axis): place})
    return ir.reduction(kind, tuple(body), tuple(inner if a is axis else a for a in axes))


def _partial(store: Store, outer: Axis, value: Scalar) -> tuple[Buffer, Kernel]:
    shape = (outer.extent, *(axis.extent for axis in store.axes))
    buffer = Buffer(f"{store.buffer.name}.part", shape, value.dtype, "temporary")
    own = tuple(Axis(axis.name, axis.extent) for axis in store.axes)
    pairs = zip(store.axes, own, strict=True)
    images = {ir.axis_value(old): ir.axis_value(new) for old, new in pairs}
    index = tuple(ir.axis_value(axis) for axis in (outer, *own))
    kernel = Store(buffer, (outer, *own), index, ir.substitute(value, images))
    return buffer, Kernel((kernel,))


def _read(buffer: Buffer, outer: Axis, store: Store) -> Scalar:
    index = [ir.axis_value(axis) for axis in (outer, *store.axes)]
    return ir.read(buffer, buffer.shape, index)


def _final(store: Store, node: Scalar, total: Scalar) -> Kernel:
    return Kernel((ir.replaced(store, {node: total}, {}),))
