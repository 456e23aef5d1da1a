"""How threads divide a kernel among them, and which part of a buffer each then touches.

    for i < 64 (parallel), j: h[i, j] = ...                  each thread writes rows of h
    for i < 64 (parallel), k: z[i, k] = sum over j: h[i, j] * w[j, k]

In the second kernel a thread reads of `h` only the rows that it wrote itself, as long as
both divide `i` in equal blocks: between the two nobody has to wait. Of `w` every thread
reads all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import product
from math import lcm

from exprgrad.graph.dims import Shape, Size
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.cost import typical
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store
from exprgrad.loop.nests import common_axes
from exprgrad.loop.schedule import SERIAL, Scheduled

# So many blocks make parts of about equal size.
MANY = 8


@dataclass(frozen=True, slots=True)
class Slab:
    """The thread of element e is that of iteration `e // stride % count` (no remainder
    where `count` is None) of a loop of `extent` that is divided in blocks of `grain`.
    """

    stride: Size
    count: Size | None
    extent: Size
    grain: Size


class Anyone(Enum):
    """Parts that are no slabs: of the first thread, which has all; of no known one."""

    FIRST = "first"
    UNKNOWN = "unknown"


Part = Slab | Anyone
Touched = Mapping[Buffer, frozenset[Part]]


def divisions(scheduled: Scheduled, grains: Mapping[Size, int]) -> list[Scheduled]:
    """The ways to divide a kernel among threads, the best first: along the outermost loop
    that has many blocks, along another such, or along what has any. Where panels are
    filled that is the loop over them, so that no two threads fill the same, unless
    that is little work: rows divide more evenly.
    """
    common = common_axes(scheduled.kernel)
    if not common and _are_apart(scheduled.kernel):
        return _each_divided(scheduled)
    axes = _divisible(scheduled, common)
    light = scheduled.group is not None and scheduled.group.is_light
    copied = [axis for axis in axes if axis in scheduled.panels and not light]
    return [divided(scheduled, a, grains.get(a.extent, 1)) for a in copied or axes]


def _divisible(scheduled: Scheduled, axes: Sequence[Axis]) -> list[Axis]:
    stores = scheduled.kernel.stores
    free = [a for a in axes if not any(a in store.ordered for store in stores)]
    blocks = {a: -(-typical(a.extent) // scheduled.unit(a)) for a in free}
    many = [a for a in free if blocks[a] >= MANY]
    return many or sorted((a for a in free if blocks[a] > 1), key=lambda a: -blocks[a])


def _are_apart(kernel: Kernel) -> bool:
    """Whether no store needs what another one has stored."""
    apart = kernel.reads().isdisjoint(kernel.writes())
    return apart and not any(store.accumulate for store in kernel.stores)


def _each_divided(scheduled: Scheduled) -> list[Scheduled]:
    """Each nest of loops divided on its own; one that cannot be is run by all threads."""
    nests = dict.fromkeys(store.axes for store in scheduled.kernel.stores)
    found = [axis for axes in nests for axis in _divisible(scheduled, axes)[:1]]
    result = scheduled
    for axis in found:
        result = divided(result, axis, 1)
    return [result] if found else []


def divided(scheduled: Scheduled, axis: Axis, grain: int) -> Scheduled:
    """The kernel with one loop divided among threads, in blocks of `grain` where its
    units fit into them.
    """
    how = dict(scheduled.how)
    how[axis] = replace(how.get(axis, SERIAL), parallel=True)
    fits = grain % scheduled.unit(axis) == 0
    return replace(scheduled, how=how, grain=grain if fits else 1)


def common_grains(kernels: Iterable[Scheduled]) -> dict[Size, int]:
    """A block for each extent into which the units of most loops of that extent fit: the
    least common multiple, as long as it leaves many blocks.

    A loop over all elements of several rows takes whole blocks of the loop over rows.
    """
    grains: dict[Size, int] = {}
    for scheduled in kernels:
        for way in divisions(scheduled, {}):
            axis = way.parallel
            assert axis is not None
            _join(grains, axis.extent, way.unit(axis))
    for extent, rows in product(sorted(grains, key=typical), list(grains)):
        row, rest = divmod(typical(extent), typical(rows))
        if not rest and row > 1 and rows * row == extent:
            _join(grains, extent, grains[rows] * row)
    return grains


def _join(grains: dict[Size, int], extent: Size, block: int) -> None:
    joint = lcm(grains.get(extent, 1), block)
    if joint * MANY <= typical(extent):
        grains[extent] = joint


def reads(scheduled: Scheduled) -> Touched:
    """The parts that a thread reads of each buffer."""
    accesses = [
        (store, *ir.read_parts(node)[:3])
        for store in scheduled.kernel.stores
        for node in walk((*store.index, store.value))
        if node.op == "read"
    ]
    return _parts(scheduled, accesses)


def writes(scheduled: Scheduled) -> Touched:
    """The parts that a thread writes of each buffer."""
    accesses = [(s, s.buffer, s.shape, s.index) for s in scheduled.kernel.stores]
    return _parts(scheduled, accesses)


def _parts(
    scheduled: Scheduled, accesses: Iterable[tuple[Store, Buffer, Shape, Sequence[Scalar]]]
) -> Touched:
    found: dict[Buffer, frozenset[Part]] = {}
    for store, buffer, view, index in accesses:
        axis = next((a for a in store.axes if scheduled.of(a).parallel), None)
        part: Part = Anyone.FIRST if scheduled.parallel is None else Anyone.UNKNOWN
        if axis is not None:
            part = slab(view, index, axis, scheduled.share(axis))
        found[buffer] = found.get(buffer, frozenset()) | {part}
    return found


def slab(view: Shape, index: Sequence[Scalar], axis: Axis, grain: int) -> Part:
    """The elements at `index` that belong to a thread's iterations of `axis`.

    Views of one buffer whose outermost axis is divided agree whatever their shapes.
    """
    value = ir.axis_value(axis)
    found = next((n for n, each in enumerate(index) if each is value), None)
    if found is None:
        return Anyone.UNKNOWN
    stride = ir.strides(view)[found]
    if all(n == 1 for n in view[:found]):
        return Slab(1, None, axis.extent * stride, grain * stride)
    return Slab(stride, view[found], axis.extent, grain)


class Meeting:
    """What threads do between two barriers: the parts that each reads and writes of the
    buffers.
    """

    def __init__(self, kernels: Iterable[Scheduled] = ()) -> None:
        self.read: dict[Buffer, frozenset[Part]] = {}
        self.written: dict[Buffer, frozenset[Part]] = {}
        for scheduled in kernels:
            self.add(scheduled)

    def add(self, scheduled: Scheduled) -> None:
        """Take a kernel in."""
        for found, mine in ((reads(scheduled), self.read), (writes(scheduled), self.written)):
            for buffer, parts in found.items():
                mine[buffer] = mine.get(buffer, frozenset()) | parts

    def holds(self, scheduled: Scheduled) -> bool:
        """Whether no thread would meet another's data in the kernel."""
        read, written = reads(scheduled), writes(scheduled)
        return _apart(written, self.written) and all(
            _apart(ours, theirs)
            for ours, theirs in ((read, self.written), (written, self.read))
        )


def _apart(ours: Touched, theirs: Touched) -> bool:
    """Whether each thread keeps to its own part of all buffers in both."""
    for buffer in ours.keys() & theirs.keys():
        parts = ours[buffer] | theirs[buffer]
        if len(parts) > 1 or Anyone.UNKNOWN in parts:
            return False
    return True
