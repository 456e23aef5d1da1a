"""Nests: runs of stores of a kernel over the same axes, and how one of them is moved to
other iterations of an axis.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import groupby

from exprgrad.graph.dims import Size
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Kernel, Scalar, Store
from exprgrad.loop.ranges import folded

Nest = list[Store]


def nests_of(kernel: Kernel) -> list[Nest]:
    """The nests of a kernel, in their order."""
    return [list(run) for _, run in groupby(kernel.stores, key=lambda store: store.axes)]


def common_axes(kernel: Kernel) -> tuple[Axis, ...]:
    """The outer loops that all stores of a kernel share."""
    axes = kernel.stores[0].axes
    for store in kernel.stores[1:]:
        same = [a is b for a, b in zip(axes, store.axes, strict=False)]
        axes = axes[: [*same, False].index(False)]
    return axes


def shared_axes(kernel: Kernel) -> tuple[Axis, ...]:
    """The loops around all nests, where there are several: none may divide them for itself."""
    alone = all(store.axes == kernel.stores[0].axes for store in kernel.stores)
    return () if alone else common_axes(kernel)


def piece(
    nest: Nest, axis: Axis, start: Size, stop: Size, shared: Collection[Axis] = ()
) -> Nest:
    """The stores of the iterations from `start` to `stop`, in loops of their own but for
    those that are `shared`; none where there is no such iteration.
    """
    if start == stop:
        return []
    inner = Axis(axis.name, stop - start)
    place = ir.add(ir.axis_value(inner), ir.size(start))
    return moved(nest, axis, inner, place, shared)


def moved(
    nest: Nest, axis: Axis, inner: Axis, place: Scalar, shared: Collection[Axis] = ()
) -> Nest:
    """The stores with a loop over `inner` for that over `axis`, whose iteration is `place`."""
    own = {a: a if a in shared else Axis(a.name, a.extent) for a in nest[0].axes}
    own[axis] = inner
    images = {ir.axis_value(a): ir.axis_value(b) for a, b in own.items()}
    images[ir.axis_value(axis)] = place
    return with_known_values([ir.replaced(store, images, own) for store in nest])


def with_known_values(nest: Sequence[Store]) -> Nest:
    """The stores with all that is known from the extents of axes computed ahead."""
    values = folded([store.value for store in nest])
    return [replace(s, value=value) for s, value in zip(nest, values, strict=True)]
