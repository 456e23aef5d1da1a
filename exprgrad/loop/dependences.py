"""Which kernel waits for which, while kernels are joined two by two.

Each kernel has a rank above those of all that it waits for, so that a search between two
kernels looks only at what lies between them. A join moves the ranks of these alone
(Pearce and Kelly 2006, A dynamic topological sort algorithm for directed acyclic graphs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter

# Kernels that are looked at between two before these count as far apart, and dependent:
# whatever they share has left the caches meanwhile.
FAR = 64


class Dependences:
    """Kernels by number: `sources` are those that each waits for, `users` the inverse.

    >>> chain = Dependences({0: set(), 1: {0}, 2: {1}, 3: {0}})
    >>> chain.between(0, 2), chain.between(0, 1)
    (True, False)
    >>> chain.join(0, 3)
    >>> chain.users[0]
    {1}
    """

    def __init__(self, sources: Mapping[int, set[int]]) -> None:
        self.sources = {n: set(found) for n, found in sources.items()}
        self.users: dict[int, set[int]] = {n: set() for n in sources}
        for n, found in sources.items():
            for source in found:
                self.users[source].add(n)
        order = TopologicalSorter(self.sources).static_order()
        self.rank = {n: rank for rank, n in enumerate(order)}

    def between(self, first: int, last: int) -> bool:
        """Whether `last` waits for `first` by way of a third, or is far apart from it."""
        low = self.rank[first]
        seen: set[int] = set()
        stack = [n for n in self.sources[last] if self.rank[n] > low]
        while stack:
            n = stack.pop()
            if n in seen:
                continue
            seen.add(n)
            if first in self.sources[n] or len(seen) > FAR:
                return True
            stack += [source for source in self.sources[n] if self.rank[source] > low]
        return False

    def join(self, first: int, last: int) -> None:
        """Let `first` stand for both of two kernels, neither of which waits for the other
        by way of a third.
        """
        self._rank_jointly(first, last)
        sources, users = self.sources.pop(last), self.users.pop(last)
        for source in sources - {first}:
            self.users[source] = (self.users[source] - {last}) | {first}
        for user in users - {first}:
            self.sources[user] = (self.sources[user] - {last}) | {first}
        self.sources[first] = (self.sources[first] | sources) - {first, last}
        self.users[first] = (self.users[first] | users) - {first, last}
        del self.rank[last]

    def _rank_jointly(self, first: int, last: int) -> None:
        """Rank `first` above what either waits for and below what waits for either."""
        rank = self.rank
        low, high = sorted((first, last), key=lambda n: rank[n])
        before = self._reached(high, self.sources, lambda n: rank[n] > rank[low])
        after = self._reached(low, self.users, lambda n: rank[n] < rank[high])
        places = sorted(rank[n] for n in (low, high, *before, *after))
        moved = [*sorted(before, key=lambda n: rank[n]), first]
        rank.update(zip(moved, places, strict=False))
        above = sorted(after, key=lambda n: -rank[n])
        rank.update(zip(above, reversed(places), strict=False))

    def _reached(
        self, start: int, edges: Mapping[int, set[int]], inside: Callable[[int], bool]
    ) -> set[int]:
        """What is reached from `start` by way of kernels that are inside."""
        seen: set[int] = set()
        stack = [n for n in edges[start] if inside(n)]
        while stack:
            n = stack.pop()
            if n not in seen:
                seen.add(n)
                stack += [each for each in edges[n] if inside(each)]
        return seen
