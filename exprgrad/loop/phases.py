"""Where threads have to wait for one another: kernels between two barriers form a phase.

A kernel waits when it shares a buffer that an earlier kernel of its phase writes (or
reads, and it writes), unless both are run by the first thread alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from exprgrad.loop import ir
from exprgrad.loop.ir import Buffer
from exprgrad.loop.schedule import Scheduled


class Touched:
    """What the kernels of a phase have read and written, and whether many threads did."""

    def __init__(self) -> None:
        self.read: dict[Buffer, bool] = {}
        self.written: dict[Buffer, bool] = {}

    def conflicts(self, scheduled: Scheduled) -> bool:
        """Whether a kernel must wait for those before it."""
        kernel, many = scheduled.kernel, scheduled.parallel is not None
        reads, writes = kernel.reads(), kernel.writes()
        return any(
            buffer in touched and (many or touched[buffer])
            for buffers, touched in ((reads | writes, self.written), (writes, self.read))
            for buffer in buffers
        )

    def add(self, scheduled: Scheduled) -> None:
        """Take a kernel into account."""
        kernel, many = scheduled.kernel, scheduled.parallel is not None
        for buffers, touched in (
            (kernel.reads(), self.read),
            (kernel.writes(), self.written),
        ):
            for buffer in buffers:
                touched[buffer] = touched.get(buffer, False) or many


def phases(kernels: Sequence[Scheduled]) -> list[int]:
    """The number of the phase in which each kernel runs.

    Where an index may be out of range, a phase begins with the first kernel that writes
    a state: there the threads agree whether one was.
    """
    result: list[int] = []
    phase, touched = 0, Touched()
    pending = any(map(checks_index, kernels))
    for scheduled in kernels:
        late = pending and writes_state(scheduled)
        if late or touched.conflicts(scheduled):
            phase, touched = phase + 1, Touched()
        pending = pending and not late
        touched.add(scheduled)
        result.append(phase)
    return result


def writes_state(scheduled: Scheduled) -> bool:
    """Whether a kernel overwrites a parameter or a state."""
    return any(buffer.role == "state" for buffer in scheduled.kernel.writes())


def checks_index(scheduled: Scheduled) -> bool:
    """Whether a kernel may meet an index that is out of range."""
    return any(node.op == "bound" for node in ir.scalars(scheduled.kernel))
