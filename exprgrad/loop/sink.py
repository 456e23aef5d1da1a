"""Kernels in later phases, where that frees memory and costs no barrier.

    tanh1, tanh1.turned | tanh2 | ... | gradient of tanh1 | weights of layer 1
    ->
    tanh1 | tanh2 | ... | gradient of tanh1, tanh1.turned | weights of layer 1

A kernel is put into the first phase in which it need not wait (`phases.py`). What it stores
lives from there on to the last phase that reads it: a copy of what the backward pass reads
would lie beside the original all the time. Moved to right before its reader it does not, as
long as what it is made of is needed until then anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exprgrad.loop import ir
from exprgrad.loop.ir import Buffer
from exprgrad.loop.memory import TEMPORARY
from exprgrad.loop.schedule import Scheduled
from exprgrad.loop.share import Meeting


def sink(phases: Sequence[Sequence[Scheduled]]) -> list[list[Scheduled]]:
    """`phases` with each kernel that stores temporaries alone as late as it can be."""
    found = [list(phase) for phase in phases]
    uses = Uses(found)
    meetings = [Meeting() for _ in found]
    for number in reversed(range(len(found))):
        overwritten: set[Buffer] = set()
        for each in reversed(phases[number]):
            keeps = overwritten.isdisjoint(each.kernel.reads())
            later = uses.later(each, number) if keeps else ()
            overwritten |= each.kernel.writes()
            there = next((n for n in later if meetings[n].holds(each)), number)
            meetings[there].add(each)
            if there != number:
                found[number].remove(each)
                found[there].insert(0, each)
                uses.move(each, number, there)
    return [phase for phase in found if phase]


class Uses:
    """The phases in which each buffer is read and written, once for each kernel."""

    def __init__(self, phases: Sequence[Sequence[Scheduled]]) -> None:
        self.read: dict[Buffer, list[int]] = {}
        self.written: dict[Buffer, list[int]] = {}
        for number, phase in enumerate(phases):
            for each in phase:
                self._add(each, number)

    def _add(self, each: Scheduled, number: int) -> None:
        for buffer in each.kernel.reads():
            self.read.setdefault(buffer, []).append(number)
        for buffer in each.kernel.writes():
            self.written.setdefault(buffer, []).append(number)

    def move(self, each: Scheduled, number: int, later: int) -> None:
        """Note that a kernel runs in a later phase."""
        for buffer in each.kernel.reads():
            self.read[buffer].remove(number)
        for buffer in each.kernel.writes():
            self.written[buffer].remove(number)
        self._add(each, later)

    def later(self, each: Scheduled, number: int) -> Iterable[int]:
        """The later phases in which a kernel may run, the last first: not after its results
        are read, not after what it reads is written anew, or would have been free.
        """
        kernel = each.kernel
        reads, writes = kernel.reads(), kernel.writes()
        alone = all(len(self.written[buffer]) == 1 for buffer in writes)
        temporary = all(buffer.role in TEMPORARY for buffer in writes)
        if not alone or not temporary or reads & writes or _checks(each):
            return ()
        last = min((n for buffer in writes for n in self.read.get(buffer, ())), default=number)
        for buffer in reads:
            last = min([last, *(n - 1 for n in self.written.get(buffer, ()) if n > number)])
            if buffer.role in TEMPORARY:
                others = list(self.read[buffer])
                others.remove(number)
                last = min(last, max(others, default=number))
        return range(last, number, -1)


def _checks(each: Scheduled) -> bool:
    """Whether a kernel checks an index, which has to be done before states are written."""
    return any(node.op == "bound" for node in ir.scalars(each.kernel))
