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
iterations where they are few, else into blocks of them; one that has a single result
also where its terms are not many, but much work. How it is divided depends on sizes
only, and so does the order of its additions. Sums of one kernel that are divided into
equally many parts share the loop over them, and the axes inside it, so that what they
read is read once. A sum that another one needs in each of its terms, as a variance does the mean,
is stored first, in parts of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exprgrad.graph.dims import Size
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.cost import points, typical, work
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store

BLOCK = 4096
FEW = 64
LONG = 16 * BLOCK
PARTS = 8
DEAR = 4 * LONG  # in additions
COMBINE = {"sum": "add", "max": "maximum", "min": "minimum"}


def split(kernels: Sequence[Kernel]) -> list[Kernel]:
    """`kernels` with their long sums divided."""
    return [part for kernel in kernels for part in _parts(kernel)]


def _parts(kernel: Kernel) -> list[Kernel]:
    axes = kernel.stores[0].axes
    alike = all(s.axes == axes and not s.accumulate and not s.ordered for s in kernel.stores)
    sums = [node for node in _outermost(kernel) if _is_long(node, axes, kernel)]
    if not alike or not sums or points(axes) > FEW:
        return [kernel]
    inside = walk(argument for node in sums for argument in node.args)
    reduces = [node for node in inside if node.op == "reduce"]
    if needed := [node for node in reduces if _is_long(node, axes, kernel)]:
        return [part for stage in _in_turn(kernel, needed) for part in _parts(stage)]
    partial: dict[Size, list[Store]] = {}
    totals: dict[Scalar, Scalar] = {}
    for number, node in enumerate(sums):
        name = f"{kernel.name}.part{number or ''}"
        count, part, rest = _divided(node)
        outer = next(iter(partial[count])).axes[0] if count in partial else Axis("b", count)
        first = _partial(name, axes, outer, part(outer))
        partial.setdefault(count, []).append(first)
        totals[node] = _total(node, first.buffer, axes, rest)
    firsts = [alone(stores) for stores in partial.values()]
    last = Kernel(tuple(ir.replaced(s, totals, {}) for s in kernel.stores))
    return [_in_step(part) for part in (*firsts, last)]


def _in_turn(kernel: Kernel, sums: Sequence[Scalar]) -> tuple[Kernel, Kernel]:
    """A kernel that stores sums over its loops, and the kernel that then reads them."""
    axes = kernel.stores[0].axes
    shape = tuple(axis.extent for axis in axes)
    index = tuple(ir.axis_value(axis) for axis in axes)
    stores, images = [], {}
    for number, node in enumerate(sums):
        name = f"{kernel.name}.sum{number or ''}"
        stores.append(Store(Buffer(name, shape, node.dtype, "temporary"), axes, index, node))
        images[node] = ir.read(stores[-1].buffer, shape, index)
    rest = Kernel(tuple(ir.replaced(store, images, {}) for store in kernel.stores))
    return alone(stores), rest


def _in_step(kernel: Kernel) -> Kernel:
    """The kernel with the same axes for sums that are equally long and read in order.

    sum over t < 9: x[t], sum over u < 9: y[u]   ->   sum over t < 9: x[t], ... y[t]
    """
    common: dict[tuple[Size, ...], tuple[Axis, ...]] = {}
    images = {}
    for node in filter(_reads_in_order, _outermost(kernel)):
        kind, own = node.params
        axes = common.setdefault(tuple(axis.extent for axis in own), own)
        if axes is not own:
            args = ir.substitute_all(node.args, _renamed(own, axes))
            images[node] = ir.reduction(kind, tuple(args), axes)
    return Kernel(tuple(ir.replaced(s, images, {}) for s in kernel.stores))


def _reads_in_order(node: Scalar) -> bool:
    """Whether all that a reduction reads lies along its last axis, and none is inside it."""
    last, inside = node.params[1][-1], list(walk(node.args))
    reads = [n for n in inside if n.op == "read"]
    apart = all(n.op != "reduce" for n in inside)
    return apart and all(ir.offset(n).factor_of(last) in (0, 1) for n in reads)


def _outermost(kernel: Kernel) -> list[Scalar]:
    """The reductions of a kernel that stand inside no other."""
    into = lambda node: () if node.op == "reduce" else node.args  # noqa: E731
    return [n for n in walk([s.value for s in kernel.stores], into) if n.op == "reduce"]


def _is_long(node: Scalar, axes: tuple[Axis, ...], kernel: Kernel) -> bool:
    kind, summed = node.params
    if kind not in COMBINE or not ir.free_axes(node) <= set(axes):
        return False
    dear = points(axes) == 1 and len(summed) > 1 and work(kernel) >= DEAR
    return dear or points(summed) >= LONG


def _divided(node: Scalar) -> tuple[Size, Callable[[Axis], Scalar], Scalar | None]:
    """Into how many parts a reduction is divided, the part of an iteration of the loop
    over them, and the rest that is in none.
    """
    kind, axes = node.params
    axis = next(a for a in axes if typical(a.extent) >= PARTS or a is axes[-1])
    if len(axes) > 1 and typical(axis.extent) < LONG:
        inner = ir.reduction(kind, node.args, tuple(a for a in axes if a is not axis))
        along = lambda outer: ir.substitute(inner, _renamed((axis,), (outer,)))  # noqa: E731
        return axis.extent, along, None
    count: Size = axis.extent // BLOCK
    block = lambda outer: piece(  # noqa: E731
        node, axis, ir.times(ir.axis_value(outer), BLOCK), Axis("t", BLOCK)
    )
    rest = axis.extent - count * BLOCK
    last = piece(node, axis, ir.size(count * BLOCK), Axis("t", rest)) if rest != 0 else None
    return count, block, last


def _total(
    node: Scalar, buffer: Buffer, axes: tuple[Axis, ...], rest: Scalar | None
) -> Scalar:
    """The partial results combined in order, and the rest last."""
    kind, over = node.params[0], Axis("b", buffer.shape[0])
    index = [ir.axis_value(axis) for axis in (over, *axes)]
    total = ir.reduction(kind, (ir.read(buffer, buffer.shape, index),), (over,))
    if rest is None:
        return total
    return ir.scalar(COMBINE[kind], (total, rest), (), node.dtype)


def piece(node: Scalar, axis: Axis, start: Scalar, inner: Axis) -> Scalar:
    """The reduction with the iterations `start + inner` in place of all of `axis`."""
    kind, axes = node.params
    place = ir.add(start, ir.axis_value(inner))
    body = ir.substitute_all(node.args, {ir.axis_value(axis): place})
    return ir.reduction(kind, tuple(body), tuple(inner if a is axis else a for a in axes))


def _partial(name: str, axes: tuple[Axis, ...], outer: Axis, value: Scalar) -> Store:
    shape = (outer.extent, *(axis.extent for axis in axes))
    buffer = Buffer(name, shape, value.dtype, "temporary")
    index = tuple(ir.axis_value(axis) for axis in (outer, *axes))
    return Store(buffer, (outer, *axes), index, value)


def alone(stores: Sequence[Store]) -> Kernel:
    """A kernel of stores over the same loops, which get loops of their own."""
    old = stores[0].axes
    new = tuple(Axis(axis.name, axis.extent) for axis in old)
    images, axes = _renamed(old, new), dict(zip(old, new, strict=True))
    return Kernel(tuple(ir.replaced(s, images, axes) for s in stores))


def _renamed(old: Sequence[Axis], new: Sequence[Axis]) -> dict[Scalar, Scalar]:
    return {
        ir.axis_value(a): ir.axis_value(b) for a, b in zip(old, new, strict=True)
    }
