"""Copies of what contractions read, whose axes may then be put into any order.

    for n, o, y, x: z[n, o, y, x] = sum over i, j: data[row[n], y + i - 1, x + j - 1] * ...
    ->
    for n, y, x: copy[n, y, x] = data[row[n], y - 1, x - 1] where that exists, else 0
    for n, o, y, x: z[n, o, y, x] = sum over i, j: copy[n, y + i, x + j] * ...

A copy holds the border of zeros too. Only `layout` makes them, and keeps those that it
has given another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, prod

from exprgrad.graph.dims import Size
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.cost import points, typical
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store
from exprgrad.loop.pull import conjunction, within
from exprgrad.loop.ranges import conjuncts, range_of

REUSE = 4  # how often each element is read, for a copy to be worth its time


# What a copy holds, and along which of its axes its readers sum: others are at their best
# in another order.
Copied = tuple[Scalar, tuple[bool, ...]]


@dataclass(eq=False)
class Copies:
    """Copies by what they hold, the reads of sources that they can replace, and those
    of them that spare their readers a guard.
    """

    kernels: dict[Copied, Kernel] = field(default_factory=dict)
    images: dict[Scalar, Scalar] = field(default_factory=dict)
    axes: dict[tuple[int, Size], Axis] = field(default_factory=dict)
    bordered: set[Buffer] = field(default_factory=set)

    def axis(self, place: int, extent: Size) -> Axis:
        """The axis over a dimension of copies, one for each place and extent."""
        name = "abcdefgh"[place % 8]
        return self.axes.setdefault((place, extent), Axis(name, extent))

    def merged(self, innermost: Mapping[Buffer, int]) -> Copies:
        """One copy in place of those that hold the same with the same axis innermost."""
        first: dict[tuple[Scalar, int | None], Buffer] = {}
        same: dict[Buffer, Buffer] = {}
        for (value, _), kernel in self.kernels.items():
            copy = kernel.stores[0].buffer
            same[copy] = first.setdefault((value, innermost.get(copy)), copy)
        kernels = {k: v for k, v in self.kernels.items() if v.stores[0].buffer in same.values()}
        images = {}
        for read, image in self.images.items():
            copy, view, index, guard = ir.read_parts(image)
            images[read] = ir.read(same[copy], view, index, guard)
        return replace(self, kernels=kernels, images=images)


def copies(kernels: Sequence[Kernel]) -> Copies:
    """A copy for each factor of a sum over windows that is worth one."""
    found = Copies()
    for kernel in kernels:
        for node in sums(kernel):
            _, product = ir.condition_of(node.args[0])
            times = points(frozenset(kernel.stores[0].axes) | ir.free_axes(product))
            for factor in product.args:
                if factor.op == "read" and factor.params[0] not in kernel.writes():
                    _propose(found, factor, frozenset(node.params[1]), times)
    return found


def sums(kernel: Kernel) -> Iterator[Scalar]:
    """The sums of products of which a factor is read through windows."""
    for node in ir.scalars(kernel):
        product = ir.summed_product(node)
        if product is not None and any(is_window(read) for read in walk([product])):
            yield node


def is_window(node: Scalar) -> bool:
    """Whether a read slides along one axis as another one runs, or jumps."""
    if node.op != "read":
        return False
    for index in ir.read_parts(node)[2]:
        factors = [factor for atom, factor in ir.affine(index).terms if atom.op == "axis"]
        if len(factors) > 1 or factors not in ([], [1]):
            return True
    return False


def _propose(
    found: Copies, read: Scalar, summed: frozenset[Axis], times: int
) -> None:
    """Enter a copy of what is read, where its place in the copy is a plain index.

    A temporary is put in order itself; only its border is a reason to copy it. What a
    kernel writes itself cannot be copied before.
    """
    buffer, view, index, guard = ir.read_parts(read)
    if buffer.role == "temporary" and guard is None:
        return
    sides = [_side(found, n, i) for n, i in enumerate(index)]
    known = [side for side in sides if side is not None]
    if len(known) < len(index) or not _guards(guard, index, view):
        return
    shape = tuple(side.axis.extent for side in known)
    if prod(map(typical, shape)) * REUSE > times:
        return
    outside = [
        within(side.source, n)
        for side, n in zip(known, view, strict=True)
        if guard is not None and not _lies_inside(side.source, n)
    ]
    value = ir.read(buffer, view, [s.source for s in known], conjunction(outside))
    key = value, tuple(bool(ir.free_axes(i) & summed) for i in index)
    if key not in found.kernels:
        copy = Buffer(f"{buffer.name}.copy", shape, buffer.dtype, "temporary")
        found.kernels[key] = _copying(copy, [side.axis for side in known], value)
    copy = found.kernels[key].stores[0].buffer
    found.bordered |= {copy} if guard is not None else set()
    found.images[read] = ir.read(copy, shape, [side.place for side in known])


def _copying(copy: Buffer, over: Sequence[Axis], value: Scalar) -> Kernel:
    """The kernel that fills a copy, in loops of its own."""
    own = [Axis(axis.name, axis.extent) for axis in over]
    place = tuple(ir.axis_value(axis) for axis in own)
    images = dict(zip(map(ir.axis_value, over), place, strict=True))
    return Kernel((Store(copy, tuple(own), place, ir.substitute(value, images)),))


@dataclass(frozen=True, slots=True)
class _Side:
    """An axis of a copy: what it holds there, and where the reader finds its element."""

    axis: Axis
    source: Scalar
    place: Scalar


def _side(found: Copies, number: int, index: Scalar) -> _Side | None:
    """How an index runs over an axis of the copy; None where it is of several axes."""
    low, high = range_of(ir.affine(index))
    free = ir.free_axes(index)
    if -inf < low and high < inf:
        axis = found.axis(number, int(high - low) + 1)
        source = ir.add(ir.axis_value(axis), ir.number(int(low)))
        return _Side(axis, source, ir.add(index, ir.number(-int(low))))
    if len(free) != 1 or any(node.op == "reduce" for node in walk([index])):
        return None
    (own,) = free
    axis = found.axis(number, own.extent)
    source = ir.substitute(index, {ir.axis_value(own): ir.axis_value(axis)})
    return _Side(axis, source, ir.axis_value(own))


def _guards(guard: Scalar | None, index: Sequence[Scalar], view: Sequence[Size]) -> bool:
    """Whether a guard asks for nothing but that the index lies inside."""
    if guard is None:
        return True
    inside = [within(i, n) for i, n in zip(index, view, strict=True)]
    return set(conjuncts(guard)) <= {c for each in inside for c in conjuncts(each)}


def _lies_inside(index: Scalar, n: Size) -> bool:
    """Whether an index is known to be one of an axis of size `n`."""
    if index.op == "axis" and index.params[0].extent == n:
        return True
    low, high = range_of(ir.affine(index))
    return isinstance(n, int) and low >= 0 and high < n
