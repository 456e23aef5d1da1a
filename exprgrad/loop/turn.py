"""A factor whose neighbours along the sum lie on pages of their own is turned first.

    for i, j: c[i, j] = sum over k: a[k, i] * b[k, j]         rows of a are 8192 bytes apart
    ->
    for k, i: turned[i, k] = a[k, i]
    for i, j: c[i, j] = sum over k: turned[i, k] * b[k, j]

What is so far apart meets in the same few places of the cache: a long sum, or a shorter one
over rows that are 1024 or 2048 bytes apart, would fetch the rows of `a` again for each tile.
(Factors along the columns are read from panels, see `contract`.)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

from exprgrad.graph.state import PAGE
from exprgrad.loop import ir
from exprgrad.loop.contract import contraction
from exprgrad.loop.cost import typical
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store

# How long a sum is whose rows do not stay in the cache, how much of it they may take where
# they meet in few places, and how many columns use the copy.
LONG = 512
ROOM = 1 << 17
USES = 64


def turn(kernels: Sequence[Kernel]) -> list[Kernel]:
    """`kernels`, and before each the copies that it reads in place of such factors."""
    return [part for kernel in kernels for part in _parts(kernel)]


def _parts(kernel: Kernel) -> list[Kernel]:
    axes = kernel.stores[0].axes
    columns = next((a for a in axes if _runs_along(kernel, a)), None)
    found = contraction(kernel.stores, columns) if columns is not None else None
    if found is None or typical(found.columns.extent) < USES:
        return [kernel]
    copies: dict[Scalar, tuple[Kernel, Scalar]] = {}
    for factor, summed in found.factors:
        far = [axis for axis in summed if _is_far(factor, axis, found.rows)]
        if far and factor not in copies and found.columns not in ir.free_axes(factor):
            copies[factor] = _turned(factor, found.rows, far[0])
    images = {factor: read for factor, (_, read) in copies.items()}
    made = [copy for copy, _ in copies.values()]
    return [*made, Kernel(tuple(ir.replaced(s, images, {}) for s in kernel.stores))]


def _runs_along(kernel: Kernel, axis: Axis) -> bool:
    return all(axis in s.axes and s.place().factor_of(axis) == 1 for s in kernel.stores)


def _is_far(factor: Scalar, axis: Axis, rows: Axis) -> bool:
    """Whether a factor lies along the rows, and its rows do not stay in the cache: along
    a long sum they are pages apart, or they meet in few places.
    """
    if factor.op != "read" or ir.free_axes(factor) != {axis, rows}:
        return False
    place, steps = ir.offset(factor), typical(axis.extent)
    apart = place.factor_of(axis)
    if not isinstance(apart, int) or place.factor_of(rows) != 1:
        return False
    nbytes = apart * factor.dtype.size
    room = gcd(nbytes, PAGE)
    meet = room >= PAGE // 4 and steps * room >= ROOM
    return meet or (nbytes >= PAGE and steps >= LONG)


def _turned(factor: Scalar, rows: Axis, summed: Axis) -> tuple[Kernel, Scalar]:
    """The kernel that makes the copy, and what is read in place of the factor."""
    shape = (rows.extent, summed.extent)
    name = f"{factor.params[0].name}.turned"
    copy = Buffer(name, shape, factor.dtype, "temporary")
    own = [Axis(axis.name, axis.extent) for axis in (rows, summed)]
    old = [ir.axis_value(axis) for axis in (rows, summed)]
    index = tuple(ir.axis_value(axis) for axis in own)
    value = ir.substitute(factor, dict(zip(old, index, strict=True)))
    store = Store(copy, (own[1], own[0]), index, value)
    return Kernel((store,)), ir.read(copy, shape, old)
