"""What only sums read, and read once, is computed where they read it: nothing is stored.

    for i < n: y[i] = sqrt(x[i])                   ->    s1 = sum over t: sqrt(x[t])
    s1 = sum over t: y[t]                                s2 = sum over t: sqrt(x[t]) * z[t]
    s2 = sum over t: y[t] * z[t]

Sums over the same axes run in one loop, in which such a value is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.cost import points, visited
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store
from exprgrad.loop.place import MOST_SCALARS

Site = tuple[frozenset[Axis], tuple[Scalar, ...]]  # the loops around a read, its index


def absorb(kernels: Sequence[Kernel]) -> list[Kernel]:
    """`kernels` without those that store what is computed where it is read."""
    found: dict[int, Kernel] = dict(enumerate(kernels))
    readers: dict[Buffer, set[int]] = {}
    for n, kernel in found.items():
        for buffer in kernel.reads():
            readers.setdefault(buffer, set()).add(n)
    for n in reversed(list(found)):
        kernel = found[n]
        users = sorted(set().union(*(readers.get(b, ()) for b in kernel.writes())))
        if not _is_pointwise(kernel) or not users or n in users:
            continue
        changed = {user: _with_values(found[user], kernel.stores) for user in users}
        if not _worth(kernel, [found[u] for u in users], list(changed.values())):
            continue
        found |= changed
        del found[n]
        for buffer in kernel.reads():
            readers[buffer] = (readers[buffer] - {n}).union(users)
    return list(found.values())


def _is_pointwise(kernel: Kernel) -> bool:
    """Whether a kernel stores temporaries alone, each point on its own."""
    axes = kernel.stores[0].axes
    index = tuple(map(ir.axis_value, axes))
    alike = all(
        store.buffer.role == "temporary"
        and store.view is None
        and store.axes == axes
        and store.index == index
        and not store.accumulate
        and not store.ordered
        for store in kernel.stores
    )
    return (
        alike and bool(axes) and not any(n.op == "reduce" for n in ir.scalars(kernel))
    )


def _worth(kernel: Kernel, users: Sequence[Kernel], changed: Sequence[Kernel]) -> bool:
    """Whether all reads are by sums that compute no value more often than it was stored."""
    stored = {store.buffer for store in kernel.stores}
    times = 0
    for user, new in zip(users, changed, strict=True):
        sites = set(_sites(user, stored))
        inside = all(around > frozenset(user.stores[0].axes) for around, _ in sites)
        if not inside or stored & new.reads() or len(ir.scalars(new)) > MOST_SCALARS:
            return False
        times += sum(points(around) for around, _ in sites)
    return times <= points(kernel.stores[0].axes)


def _sites(kernel: Kernel, buffers: set[Buffer]) -> Iterator[Site]:
    """Where a kernel reads from `buffers`."""
    places = (
        (node, frozenset(store.axes)) for store in kernel.stores for node in walk(store.index)
    )
    for node, around in (*visited(kernel), *places):
        if node.op == "read" and node.params[0] in buffers:
            yield around, node.args


def _with_values(kernel: Kernel, stores: Sequence[Store]) -> Kernel:
    """The kernel with what `stores` store in the place of its plain reads of it."""
    by_buffer = {store.buffer: store for store in stores}
    images = {}
    for node in ir.scalars(kernel):
        store = by_buffer.get(node.params[0]) if node.op == "read" else None
        if store is not None:
            buffer, view, index, guard = ir.read_parts(node)
            if view == buffer.shape and guard is None:
                here = zip(map(ir.axis_value, store.axes), index, strict=True)
                images[node] = ir.substitute(store.value, dict(here))
    return Kernel(tuple(ir.replaced(s, images, {}) for s in kernel.stores))
