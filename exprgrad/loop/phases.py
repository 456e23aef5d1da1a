"""Where threads have to wait for one another: kernels between two barriers form a phase.

A kernel waits where it touches what another thread may have written in its phase, or
writes what another may still touch. Kernels are put into the first phase in which they
need not wait, so that there are few phases, and are divided so that each thread goes on
with what it wrote itself where that can be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from exprgrad.graph.dims import Size, count
from exprgrad.loop import ir
from exprgrad.loop.cost import typical, work
from exprgrad.loop.ir import Buffer
from exprgrad.loop.memory import TEMPORARY
from exprgrad.loop.schedule import Scheduled
from exprgrad.loop.share import MANY, Meeting, common_grains, divisions
from exprgrad.loop.sink import sink

# In additions: what is worth a barrier.
PARALLEL_WORK = 20_000
# The same: what is worth the claims of parts. Smaller phases work on what is in the cache of
# the core that had it in the step before, and would travel.
CLAIMED_WORK = 40_000_000
# In bytes: what a phase may store early, or in memory that a barrier would have set free,
# to save barriers: half of what stays near a core.
SPARE = 1 << 19
# How many kernels that have to wait are passed over in search of one that has not.
AHEAD = 64


@dataclass(frozen=True, eq=False)
class Waiting:
    """A kernel that has no phase yet, with the ways to divide it."""

    alone: Scheduled
    ways: list[Scheduled]
    work: int
    nbytes: int
    reads: Set[Buffer]
    writes: Set[Buffer]
    checks_index: bool
    writes_state: bool

    @property
    def small(self) -> bool:
        """Whether it is not worth a barrier that threads divide the kernel."""
        return self.work < PARALLEL_WORK or not self.ways


def _waiting(scheduled: Scheduled, grains: Mapping[Size, int]) -> Waiting:
    kernel = scheduled.kernel
    return Waiting(
        scheduled,
        divisions(scheduled, grains),
        work(kernel),
        sum(_bytes(b) for b in kernel.writes() if b.role in TEMPORARY),
        kernel.reads(),
        kernel.writes(),
        any(node.op == "bound" for node in ir.scalars(kernel)),
        writes_state(scheduled),
    )


def _bytes(buffer: Buffer) -> int:
    return typical(count(buffer.shape)) * buffer.dtype.size


class Phase:
    """Kernels between two barriers, and what they may still store."""

    def __init__(self) -> None:
        self.meeting = Meeting()
        self.spare = SPARE
        self.checks_index = False

    def fitting(self, each: Waiting, early: bool = False) -> Scheduled | None:
        """How to run a kernel in this phase; None when it has to wait. `early` says that
        others which come before it have to.

        Where an index may be out of range, states are written in a later phase: there
        the threads agree whether one was.
        """
        if each.writes_state and self.checks_index:
            return None
        if (early or self._shares(each)) and each.nbytes > self.spare:
            return None
        ways = [*each.ways, each.alone] if each.small else each.ways
        return next((way for way in ways if self.meeting.holds(way)), None)

    def _shares(self, each: Waiting) -> bool:
        """Whether the kernel would have to wait if nobody knew who touches what."""
        read, written = self.meeting.read.keys(), self.meeting.written.keys()
        return bool(each.reads & written or each.writes & (read | written))

    def add(self, each: Waiting, chosen: Scheduled, early: bool = False) -> None:
        """Take a kernel into the phase."""
        if early or self._shares(each):
            self.spare -= each.nbytes
        self.checks_index |= each.checks_index
        self.meeting.add(chosen)


class Passed:
    """Kernels left for a later phase: what follows from them has to wait too."""

    def __init__(self) -> None:
        self.kernels: list[Waiting] = []
        self.read: set[Buffer] = set()
        self.written: set[Buffer] = set()
        self.checks_index = False

    def holds_up(self, each: Waiting) -> bool:
        """Whether a kernel has to come after one of these."""
        return bool(
            each.writes & (self.read | self.written)
            or each.reads & self.written
            or (each.writes_state and self.checks_index)
        )

    def add(self, each: Waiting) -> None:
        """Leave a kernel for later."""
        self.kernels.append(each)
        self.read |= each.reads
        self.written |= each.writes
        self.checks_index |= each.checks_index


def _beginning(each: Waiting, following: Sequence[Waiting]) -> Scheduled:
    """How to run the first kernel of a phase. A small one is divided where a larger one
    that reads its results can then go on without waiting.
    """
    if not each.small:
        return each.ways[0]
    readers = (w for w in following if not w.small and each.writes & w.reads)
    reader = next(readers, None) if each.ways else None
    for way in each.ways if reader is not None else []:
        phase = Phase()
        phase.add(each, way)
        if reader is not None and phase.fitting(reader) is not None:
            return way
    return each.alone


def into_phases(kernels: Sequence[Scheduled]) -> list[list[Scheduled]]:
    """The kernels of each phase, divided among threads or left to the first alone."""
    grains = common_grains(kernels)
    waiting = [_waiting(scheduled, grains) for scheduled in kernels]
    result: list[list[Scheduled]] = []
    while waiting:
        phase, passed = Phase(), Passed()
        result.append([])
        for n, each in enumerate(waiting):
            if len(passed.kernels) == AHEAD:
                passed.kernels += waiting[n:]
                break
            if not result[-1]:
                chosen: Scheduled | None = _beginning(each, waiting[1:AHEAD])
            else:
                held = passed.holds_up(each)
                chosen = None if held else phase.fitting(each, bool(passed.kernels))
            if chosen is None:
                passed.add(each)
            else:
                phase.add(each, chosen, bool(passed.kernels))
                result[-1].append(chosen)
        waiting = passed.kernels
    late = sink(result)
    return [[replace(each, claimed=is_claimed(phase)) for each in phase] for phase in late]


def writes_state(scheduled: Scheduled) -> bool:
    """Whether a kernel overwrites a parameter or a state."""
    return any(buffer.role == "state" for buffer in scheduled.kernel.writes())


def is_claimed(phase: Sequence[Scheduled]) -> bool:
    """Whether threads claim parts of a phase's loops one after another, rather than have
    a share each: where parts can be small, repeat nothing, and are worth a claim.
    """
    divided = [each for each in phase if each.parallel is not None]
    enough = sum(work(each.kernel) for each in divided) >= CLAIMED_WORK
    return enough and all(map(_has_parts, divided))


def _has_parts(each: Scheduled) -> bool:
    """Whether a divided kernel has many parts, of which none repeats another's work: a
    panel, or loops that are not divided.
    """
    axes = [
        [axis for axis in store.axes if each.of(axis).parallel] for store in each.kernel.stores
    ]
    if any(len(found) != 1 for found in axes):
        return False
    blocks = (-(-typical(axis.extent) // each.share(axis)) for (axis,) in axes)
    return min(blocks) >= MANY and (not each.panels or each.parallel in each.panels)
