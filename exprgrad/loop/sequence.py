"""In which sequence kernels run, so that few bytes live at a time.

A kernel that frees as many bytes as it stores runs as soon as it can: a gradient that
updates its parameter does not wait for the other gradients. The rest run depth first,
the longest chain of each kernel before its shorter ones, so that what is quickly made
is made right before it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from exprgrad.errors import CompileError
from exprgrad.graph.dims import count
from exprgrad.loop.cost import typical
from exprgrad.loop.ir import Buffer, Kernel
from exprgrad.loop.memory import TEMPORARY

Dependents = Sequence[set[int]]


def sequence(
    kernels: Sequence[Kernel], after: Dependents, first: set[int], held: set[int]
) -> list[int]:
    """A topological order of `kernels`; those in `after[n]` come after kernel n, and
    none of `held` comes before all of `first` are done. Raises `CompileError` where there
    is none.
    """
    depths = _depth_first(after)
    balance = Balance(kernels)
    waiting = _waiting(after)
    ready: list[tuple[int, int]] = []
    parked: set[int] = set()
    missing = set(first)
    done: dict[int, None] = {}

    def offer(numbers: Iterable[int]) -> None:
        for n in numbers:
            if n in held and missing:
                parked.add(n)
            elif not waiting[n] and n not in done:
                heappush(ready, (balance.rank(n), depths[n]))

    numbered = sorted(range(len(after)), key=depths.__getitem__)
    offer(n for n in numbered if not waiting[n])
    while ready:
        n = numbered[heappop(ready)[1]]
        if n in done:
            continue
        done[n] = None
        missing.discard(n)
        for user in after[n]:
            waiting[user] -= 1
        offer(sorted(after[n] | balance.run(n)))
        if not missing:
            offer(sorted(parked))
            parked.clear()
    if len(done) < len(after):
        raise CompileError("order: some kernels wait for one another, so that none can run")
    return list(done)


class Balance:
    """The bytes that each kernel stores, and those that it would be the last to read."""

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        self._readers: dict[Buffer, set[int]] = {}
        self._reads: list[list[Buffer]] = []
        self._change: list[int] = []
        for n, kernel in enumerate(kernels):
            stored = {b for b in kernel.writes() if b.role in TEMPORARY}
            read = {b for b in kernel.reads() if b.role in TEMPORARY} - stored
            for buffer in read:
                self._readers.setdefault(buffer, set()).add(n)
            self._reads.append(sorted(read, key=lambda b: b.number))
            self._change.append(sum(map(_bytes, stored)))
        for buffer, readers in self._readers.items():
            self._last(buffer, readers)

    def _last(self, buffer: Buffer, readers: set[int]) -> set[int]:
        if len(readers) != 1:
            return set()
        (n,) = readers
        self._change[n] -= _bytes(buffer)
        return {n}

    def rank(self, n: int) -> int:
        """The bytes that kernel n sets free, negated; 1 for all that take more."""
        return min(self._change[n], 1)

    def run(self, n: int) -> set[int]:
        """Take kernel n as done; gives those that now are the last to read a buffer."""
        found: set[int] = set()
        for buffer in self._reads[n]:
            self._readers[buffer].discard(n)
            found |= self._last(buffer, self._readers[buffer])
        return found


def _bytes(buffer: Buffer) -> int:
    return typical(count(buffer.shape)) * buffer.dtype.size


def _depth_first(after: Dependents) -> list[int]:
    """The place of each kernel when each comes right after those that it waits for."""
    before: list[list[int]] = [[] for _ in after]
    for n, users in enumerate(after):
        for user in sorted(users):
            before[user].append(n)
    length = _longest_chains(after)
    for sources in before:
        sources.sort(key=lambda n: (length[n], -n))
    place: dict[int, int] = {}
    stack = [n for n, users in reversed(list(enumerate(after))) if not users]
    while stack:
        n = stack[-1]
        if n not in place and before[n]:
            stack.append(before[n].pop())
            continue
        place.setdefault(stack.pop(), len(place))
    return [place[n] for n in range(len(after))]


def _longest_chains(after: Dependents) -> list[int]:
    """How many kernels the longest chain has that ends in each."""
    waiting = _waiting(after)
    length = [1] * len(after)
    ready = [n for n, missing in enumerate(waiting) if not missing]
    while ready:
        n = ready.pop()
        for user in after[n]:
            length[user] = max(length[user], length[n] + 1)
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    return length


def _waiting(after: Dependents) -> list[int]:
    """How many kernels each one waits for."""
    waiting = [0] * len(after)
    for users in after:
        for user in users:
            waiting[user] += 1
    return waiting
