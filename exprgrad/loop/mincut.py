"""The cheapest set of edges that parts a source from a sink.

Dinic 1970: Algorithm for solution of a problem of maximum flow in a network with power
estimation. (networkx has this too; importing it takes a tenth of a second, which the
first step of every program would wait for.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from math import inf
from typing import Generic, TypeVar

V = TypeVar("V", bound=Hashable)


class Network(Generic[V]):
    """Edges with capacities; an edge and its reverse are neighbours in `_to`."""

    def __init__(self) -> None:
        self._to: list[V] = []
        self._free: list[float] = []
        self._from: dict[V, list[int]] = {}

    def connect(self, start: V, end: V, capacity: float) -> None:
        """An edge more."""
        for a, b, free in ((start, end, capacity), (end, start, 0.0)):
            self._from.setdefault(a, []).append(len(self._to))
            self._to.append(b)
            self._free.append(free)

    def near(self, source: V, sink: V) -> set[V]:
        """The vertices on the source's side of a minimum cut.

        >>> network = Network()
        >>> network.connect("a", "b", 3.0)
        >>> network.connect("b", "c", 1.0)
        >>> sorted(network.near("a", "c"))
        ['a', 'b']
        """
        self._from.setdefault(source, [])
        while sink in (distance := self._distances(source)):
            unused = {v: list(edges) for v, edges in self._from.items()}
            while path := self._path(source, sink, distance, unused):
                flow = min(self._free[edge] for edge in path)
                for edge in path:
                    self._free[edge] -= flow
                    self._free[edge ^ 1] += flow
        return set(distance)

    def _distances(self, source: V) -> dict[V, int]:
        """How many edges with free capacity lead to each vertex that can be reached."""
        distance = {source: 0}
        queue = deque([source])
        while queue:
            v = queue.popleft()
            for edge in self._from[v]:
                if self._free[edge] > 0 and self._to[edge] not in distance:
                    distance[self._to[edge]] = distance[v] + 1
                    queue.append(self._to[edge])
        return distance

    def _path(
        self, source: V, sink: V, distance: dict[V, int], unused: dict[V, list[int]]
    ) -> list[int]:
        """A shortest path with free capacity; edges that lead nowhere are used up."""
        path: list[int] = []
        v = source
        while v != sink:
            edges = unused[v]
            while edges and not self._leads_on(edges[-1], distance[v], distance):
                edges.pop()
            if edges:
                path.append(edges[-1])
                v = self._to[edges[-1]]
            elif path:
                v = self._to[path.pop() ^ 1]
                unused[v].pop()
            else:
                return []
        if all(self._free[edge] == inf for edge in path):
            raise ValueError("source and sink cannot be parted")
        return path

    def _leads_on(self, edge: int, here: int, distance: dict[V, int]) -> bool:
        return self._free[edge] > 0 and distance.get(self._to[edge]) == here + 1
