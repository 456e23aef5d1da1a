"""Which kernels wait for which, and which states are updated in place.

Updates read old values whatever their order, so a kernel may overwrite a state only
after every other kernel that reads it, and after all that may meet a bad index. Where
that is impossible, or where a point of the kernel itself reads another point of the
state, the new value is kept apart and copied at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.fuse import same_place, without_dead_stores
from exprgrad.loop.ir import Buffer, Kernel, Scalar, Store
from exprgrad.loop.pull import axes_of
from exprgrad.loop.sequence import sequence


def order(kernels: Sequence[Kernel], states: Mapping[Buffer, Buffer]) -> list[Kernel]:
    """`kernels` in a valid order, writing no state before all indices are checked.

    `states` maps the buffer of each new value to the state it is for.
    """
    writers, readers = _users(kernels)
    after = _dependents(writers, readers, len(kernels))
    checking = {n for n, kernel in enumerate(kernels) if _checks_index(kernel)}
    in_place: dict[Buffer, Buffer] = {}
    for new, state in states.items():
        (writer, *others) = writers.get(new, [None])
        if writer is None or others or not _pointwise(kernels[writer], new, state):
            continue
        earlier = readers.get(state, set()) - {writer}
        if _reached(after, writer).isdisjoint(earlier | checking):
            for n in earlier:
                after[n].add(writer)
            in_place[new] = state
    renamed = [_renamed(kernel, in_place) for kernel in kernels]
    late = {n for n, k in enumerate(renamed) if any(b.role == "state" for b in k.writes())}
    ordered = [renamed[n] for n in sequence(renamed, after, checking, late)]
    apart = {new: state for new, state in states.items() if new not in in_place}
    settled = without_dead_stores([_settled(kernel) for kernel in ordered])
    return [*settled, *(_copy(new, state) for new, state in apart.items())]


def _users(
    kernels: Sequence[Kernel],
) -> tuple[dict[Buffer, list[int]], dict[Buffer, set[int]]]:
    """Which kernels write each buffer, one or each a piece of it, and which ones read it."""
    writers: dict[Buffer, list[int]] = {}
    readers: dict[Buffer, set[int]] = {}
    for n, kernel in enumerate(kernels):
        for buffer in kernel.writes():
            writers.setdefault(buffer, []).append(n)
        for buffer in kernel.reads():
            readers.setdefault(buffer, set()).add(n)
    return writers, readers


def _dependents(
    writers: Mapping[Buffer, list[int]], readers: Mapping[Buffer, set[int]], count: int
) -> list[set[int]]:
    """The kernels that wait for each: those that read what it writes."""
    after: list[set[int]] = [set() for _ in range(count)]
    for buffer, found in writers.items():
        for writer in found:
            after[writer] |= readers.get(buffer, set()) - {*found}
    return after


def _reached(after: Sequence[set[int]], start: int) -> set[int]:
    """The kernels that have to wait for `start`, and itself."""
    seen: set[int] = set()
    stack = [start]
    while stack:
        n = stack.pop()
        if n not in seen:
            seen.add(n)
            stack += after[n]
    return seen


def _checks_index(kernel: Kernel) -> bool:
    return any(node.op == "bound" for node in ir.scalars(kernel))


def _pointwise(kernel: Kernel, new: Buffer, state: Buffer) -> bool:
    """Whether each point reads the state only where it stores, and not after that. What
    is added to it later reads nothing of it.
    """
    store, *others = (s for s in kernel.stores if s.buffer is new)
    if not all(other.accumulate for other in others):
        return False
    stored = False
    for axes, run in groupby(kernel.stores, key=lambda s: s.axes):
        together = list(run)
        reads = [
            node
            for node in walk(root for s in together for root in (*s.index, s.value))
            if node.op == "read" and node.params[0] is state
        ]
        if reads and (stored or axes != store.axes):
            return False
        if not all(same_place(node, store) for node in reads):
            return False
        stored = stored or store in together
    return True


def _renamed(kernel: Kernel, buffers: Mapping[Buffer, Buffer]) -> Kernel:
    """The kernel storing to and reading from the states that took over new values."""
    images = {}
    for node in ir.scalars(kernel):
        if node.op == "read" and node.params[0] in buffers:
            buffer, view, index, guard = ir.read_parts(node)
            images[node] = ir.read(buffers[buffer], view, index, guard)
    stores = (
        replace(ir.replaced(s, images, {}), buffer=buffers.get(s.buffer, s.buffer))
        for s in kernel.stores
    )
    return Kernel(tuple(stores))


def _settled(kernel: Kernel) -> Kernel:
    """again(x, y)  ->  x: that y is known has been seen to by the sequence. What stores
    an element of a state in its own place does nothing.
    """
    images: dict[Scalar, Scalar] = {}
    for node in ir.scalars(kernel):
        if node.op == "again":
            images[node] = ir.substitute(node.args[0], images)
    needed = [store for store in kernel.stores if not _keeps(store)]
    if not images and len(needed) == len(kernel.stores):
        return kernel
    return Kernel(tuple(ir.replaced(store, images, {}) for store in needed))


def _keeps(store: Store) -> bool:
    value = store.value
    in_place = value.op == "read" and value.params[0] is store.buffer and not store.accumulate
    return in_place and ir.read_parts(value)[3] is None and same_place(value, store)


def _copy(new: Buffer, state: Buffer) -> Kernel:
    axes = axes_of(new.shape)
    index = tuple(ir.axis_value(axis) for axis in axes)
    return Kernel((Store(state, axes, index, ir.read(new, new.shape, index)),))
