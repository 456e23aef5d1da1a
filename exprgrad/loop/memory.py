"""Where temporaries lie in one arena: buffers whose lives do not overlap share memory.

A buffer lives from the first phase that stores to it to the last that reads it (within a
phase threads do not wait for one another). The largest buffers are placed first, each at
the lowest place where it fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exprgrad.graph import dims as sizes
from exprgrad.loop.ir import Buffer, Kernel

ALIGNMENT = 64
TEMPORARY = {"temporary", "next"}


@dataclass(frozen=True, slots=True)
class Life:
    """The first and the last phase that need a buffer."""

    buffer: Buffer
    first: int
    last: int

    def meets(self, other: Life) -> bool:
        """Whether both are needed at one time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Plan:
    """The place of each temporary in an arena of `nbytes`."""

    offsets: Mapping[Buffer, int]
    nbytes: int


def lives(kernels: Sequence[Kernel], phases: Sequence[int]) -> list[Life]:
    """When each temporary is needed."""
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    for kernel, phase in zip(kernels, phases, strict=True):
        for buffer in sorted(kernel.reads() | kernel.writes(), key=lambda b: b.number):
            if buffer.role in TEMPORARY:
                first.setdefault(buffer, phase)
                last[buffer] = phase
    return [Life(buffer, first[buffer], last[buffer]) for buffer in first]


def nbytes(buffer: Buffer, dims: Mapping[str, int]) -> int:
    """The memory of a buffer, rounded up to whole cache lines, at least one."""
    n = sizes.evaluate(sizes.count(buffer.shape), dims) * buffer.dtype.size
    return max(ALIGNMENT, n + -n % ALIGNMENT)


def plan(needed: Sequence[Life], dims: Mapping[str, int]) -> Plan:
    """Places for all temporaries, with run-time sizes as in `dims`."""
    size = {life.buffer: nbytes(life.buffer, dims) for life in needed}
    placed: list[Life] = []
    offsets: dict[Buffer, int] = {}
    for life in sorted(needed, key=lambda life: -size[life.buffer]):
        taken = sorted(
            (offsets[other.buffer], offsets[other.buffer] + size[other.buffer])
            for other in placed
            if other.meets(life)
        )
        offsets[life.buffer] = _gap(taken, size[life.buffer])
        placed.append(life)
    total = max((offsets[b] + size[b] for b in offsets), default=0)
    return Plan(offsets, total)


def _gap(taken: list[tuple[int, int]], size: int) -> int:
    """The lowest place of `size` bytes outside all `taken` ranges."""
    place = 0
    for start, end in taken:
        if place + size <= start:
            break
        place = max(place, end)
    return place
