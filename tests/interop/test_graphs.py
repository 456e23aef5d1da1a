"""The graph that networkx gets is the expression, argument by argument."""

from __future__ import annotations

import networkx as nx

import exprgrad as eg


def test_nodes_edges_and_what_they_bear() -> None:
    x = eg.input("x", ("batch", 3))
    y = eg.exp(x) - x
    graph = y.to_networkx()
    numbers = {data["label"]: number for number, data in graph.nodes(data=True)}
    assert nx.is_directed_acyclic_graph(graph)
    assert sorted(numbers) == ["exp", "subtract", "x"]
    assert graph.edges[numbers["exp"], numbers["subtract"], 0]["position"] == 0
    assert graph.edges[numbers["x"], numbers["subtract"], 0]["position"] == 1
    data = graph.nodes[numbers["subtract"]]
    assert data["tensor"] is y
    assert (data["op"], data["dtype"], data["shape"]) == ("subtract", "float32", "(batch, 3)")
    assert data["line"].endswith("y = eg.exp(x) - x")


def test_an_argument_used_twice_has_two_edges() -> None:
    x = eg.input("x", (3,))
    graph = eg.to_networkx([x * x, x + 1])
    square = next(n for n, op in graph.nodes(data="op") if op == "multiply")
    assert graph.in_degree(square) == 2
    assert len(graph.pred[square]) == 1


def test_a_deep_graph() -> None:
    x = eg.input("x")
    for _ in range(3000):
        x = x + 1.5
    assert nx.dag_longest_path_length(nx.DiGraph(eg.to_networkx(x))) == 3000
