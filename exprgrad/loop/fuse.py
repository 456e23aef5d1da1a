"""Kernels that run over the same points become one; what was stored only to be read
back at the same point is handed on instead.

>>> import exprgrad as eg
>>> from exprgrad.loop.show import show_passes
>>> a, b = eg.input("a", ("n", 8)), eg.input("b", (8, 4))
>>> print(show_passes([eg.tanh(a @ b)]))
kernel dot1
    for i < n:
        for j < 4:
            dot1[i, j] = sum over u < 8: a[i, u] * b[u, j]
<BLANKLINE>
kernel y1
    for i < n:
        for j < 4:
            y1[i, j] = tanh(dot1[i, j])
>>> print(show_passes([eg.tanh(a @ b)], fuse))
kernel y1
    for i < n:
        for j < 4:
            s1 = sum over u < 8: a[i, u] * b[u, j]
            y1[i, j] = tanh(s1)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.dependences import Dependences
from exprgrad.loop.ir import Buffer, Kernel, Scalar, Store
from exprgrad.loop.nests import common_axes
from exprgrad.loop.place import MOST_SCALARS

MOST_STORES = 12
# Of the kernels that read a temporary, how many are tried with each other one.
MOST_BESIDE = 16


class Fusion:
    """Kernels under fusion, by number, and which of them reads from which."""

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        self.kernels: dict[int, Kernel] = dict(enumerate(kernels))
        writer = {b: n for n, k in self.kernels.items() for b in k.writes()}
        self.readers: dict[Buffer, set[int]] = {}
        sources: dict[int, set[int]] = {}
        for n, kernel in self.kernels.items():
            sources[n] = {writer[b] for b in kernel.reads() if b in writer} - {n}
            for buffer in kernel.reads():
                self.readers.setdefault(buffer, set()).add(n)
        self.waits = Dependences(sources)

    def partners(self, n: int) -> Iterator[int]:
        """Kernels that `n` may join: those it reads from, then the nearest beside it that
        read the same temporary.
        """
        yield from sorted(self.waits.sources[n], reverse=True)
        for source in sorted(self.waits.sources[n]):
            for buffer in self.kernels[source].writes():
                beside = sorted(m for m in self.readers.get(buffer, ()) if m < n)
                yield from beside[-MOST_BESIDE:]

    def may_join(self, first: int, last: int) -> bool:
        """Whether one kernel can do what `first` and then `last` do."""
        waits = self.waits
        apart = not (waits.between(first, last) or waits.between(last, first))
        return apart and last not in waits.sources[first]

    def join(self, first: int, last: int, merged: Kernel) -> None:
        """Put `merged` in the place of two kernels."""
        self.waits.join(first, last)
        for buffer in self.kernels[last].reads():
            self.readers[buffer] = (self.readers[buffer] - {last}) | {first}
        self.kernels[first] = merged
        del self.kernels[last]


def fuse(kernels: Sequence[Kernel]) -> list[Kernel]:
    """Fewer kernels with the same effect, in no particular order."""
    state = Fusion(kernels)
    for n in list(state.kernels):
        tried: set[int] = set()
        while (joined := _join_one(state, n, tried)) is not None:
            n = joined
    return without_dead_stores(list(state.kernels.values()))


def _join_one(state: Fusion, n: int, tried: set[int]) -> int | None:
    for m in state.partners(n):
        if m in tried or m == n or m not in state.kernels:
            continue
        tried.add(m)
        if not state.may_join(m, n):
            continue
        merged = merge(state.kernels[m], state.kernels[n])
        if merged is not None:
            state.join(m, n, merged)
            return m
    return None


def merge(first: Kernel, last: Kernel) -> Kernel | None:
    """One kernel that does what `first` and then `last` do; None when their loops do
    not fit or when a point of `last` needs another point of `first`.
    """
    if any(s.accumulate or s.ordered for s in (*first.stores, *last.stores)):
        return None
    shared = alike_axes(first, last)
    whole = all(len(s.axes) == shared for s in (*first.stores, *last.stores))
    if not whole and (shared == 0 or has_contraction(first) or has_contraction(last)):
        return None
    if len(first.stores) + len(last.stores) > MOST_STORES:
        return None
    axes = dict(zip(last.stores[0].axes[:shared], first.stores[0].axes, strict=False))
    images = {ir.axis_value(a): ir.axis_value(b) for a, b in axes.items()}
    moved = [ir.replaced(store, images, axes) for store in last.stores]
    forward = _forwarded(first, moved, shared, whole)
    if forward is None:
        return None
    handed_on = [ir.replaced(store, forward, {}) for store in moved]
    merged = Kernel((*first.stores, *handed_on))
    if contractions(merged) > 2 or len(ir.scalars(merged)) > MOST_SCALARS:
        return None
    return merged


def alike_axes(first: Kernel, last: Kernel) -> int:
    """How many leading loops of equal extent all stores of both kernels have."""
    prefixes = [common_axes(kernel) for kernel in (first, last)]
    shared = 0
    for a, b in zip(*prefixes, strict=False):
        if a.extent != b.extent:
            break
        shared += 1
    return shared


def _forwarded(
    first: Kernel, moved: list[Store], shared: int, whole: bool
) -> dict[Scalar, Scalar] | None:
    """The reads that `first`'s values stand for; None when a read is of another point."""
    stores = {store.buffer: store for store in first.stores}
    found: dict[Scalar, Scalar] = {}
    for node in walk(root for s in moved for root in (*s.index, s.value)):
        if node.op != "read" or node.params[0] not in stores:
            continue
        store = stores[node.params[0]]
        if same_place(node, store):
            if len(store.axes) == shared:
                found[node] = _guarded(node, store.value)
        elif whole or not _same_row(node, store, shared):
            return None
        elif (source := _copied_from(node, store)) is not None:
            found[node] = source
    return found


def _copied_from(node: Scalar, store: Store) -> Scalar | None:
    """What a read of a copy reads, if nothing was computed on the way: then nobody has to
    wait until the copy is there.
    """
    index, guard = ir.read_parts(node)[2:]
    places = tuple(ir.axis_value(axis) for axis in store.axes)
    if store.value.op != "read" or store.index != places or guard is not None:
        return None
    return ir.substitute(store.value, dict(zip(places, index, strict=True)))


def same_place(node: Scalar, store: Store) -> bool:
    """Whether a read falls where the store of the same point has stored."""
    return ir.offset(node).same(store.place())


def _guarded(node: Scalar, value: Scalar) -> Scalar:
    guard = ir.read_parts(node)[3]
    if guard is None:
        return value
    return ir.scalar("where", (guard, value, ir.zero(value.dtype)), (), value.dtype)


def _same_row(node: Scalar, store: Store, shared: int) -> bool:
    _, view, index, _ = ir.read_parts(node)
    row = [ir.axis_value(axis) for axis in store.axes[:shared]]
    return view == store.shape == store.buffer.shape and all(
        a is b and a is c
        for a, b, c in zip(index[:shared], store.index[:shared], row, strict=True)
    )


def contractions(kernel: Kernel) -> int:
    """How many contractions a kernel computes: sums of products of two factors each of
    which is used again along an axis that the other one has.
    """
    return sum(is_contraction(node) for node in ir.scalars(kernel))


def has_contraction(kernel: Kernel) -> bool:
    """Whether a kernel computes a contraction."""
    return contractions(kernel) > 0


def is_contraction(node: Scalar) -> bool:
    """Whether a scalar is a sum of products each of whose factors is used again."""
    product = ir.summed_product(node)
    if product is None:
        return False
    left, right = (ir.free_axes(a) for a in product.args)
    return bool(left - right) and bool(right - left)


def without_dead_stores(kernels: Sequence[Kernel]) -> list[Kernel]:
    """`kernels` without the temporaries that none of them reads."""
    read = {buffer for kernel in kernels for buffer in kernel.reads()}
    result = []
    for kernel in kernels:
        kept = tuple(
            s for s in kernel.stores if s.buffer.role != "temporary" or s.buffer in read
        )
        if kept:
            result.append(replace(kernel, stores=kept))
    return result
