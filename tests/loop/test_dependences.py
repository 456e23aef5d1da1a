"""Joining kernels keeps the order of all others: compared with networkx on random graphs."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from exprgrad.loop.dependences import Dependences


def random_sources(rng: np.random.Generator, count: int) -> dict[int, set[int]]:
    """Each number waits for a few smaller ones, after being shuffled."""
    names = rng.permutation(count).tolist()
    return {
        name: {names[m] for m in rng.integers(0, max(n, 1), rng.integers(0, 3)).tolist()} - {name}
        for n, name in enumerate(names)
    }


def graph_of(waits: Dependences) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(waits.sources)
    graph.add_edges_from((s, n) for n, sources in waits.sources.items() for s in sources)
    return graph


def by_way_of_a_third(graph: nx.DiGraph, first: int, last: int) -> bool:
    others = graph.copy()
    if others.has_edge(first, last):
        others.remove_edge(first, last)
    return nx.has_path(others, first, last)


@pytest.mark.parametrize("seed", range(12))
def test_joins_of_random_graphs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    waits = Dependences(random_sources(rng, 30))
    for _ in range(60):
        graph = graph_of(waits)
        assert all(waits.rank[a] < waits.rank[b] for a, b in graph.edges)
        assert len(set(waits.rank.values())) == len(waits.rank)
        assert all(waits.users[n] == set(graph.successors(n)) for n in graph)
        if len(graph) < 3:
            break
        first, last = (int(n) for n in rng.choice(sorted(waits.sources), 2, replace=False))
        for a, b in ((first, last), (last, first)):
            assert waits.between(a, b) == by_way_of_a_third(graph, a, b)
        if not (waits.between(first, last) or waits.between(last, first)):
            joined = nx.contracted_nodes(graph, first, last, self_loops=False)
            waits.join(first, last)
            assert set(graph_of(waits).edges) == set(joined.edges)


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="cycle"):
        Dependences({0: {1}, 1: {0}})
