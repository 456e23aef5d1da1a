"""What is stored for later kernels, and the minimum cut that decides it."""

from __future__ import annotations

import random
from collections.abc import Callable

import networkx as nx
import pytest

import exprgrad as eg
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.mincut import Network
from exprgrad.loop.place import place
from exprgrad.rewrite.simplify import erase, simplify
from tests.loop.stages import stages

X = eg.input("x", ("batch", 256))
W = eg.parameter("keep W", (256, 256))
B = eg.parameter("keep b", (256,))


def test_a_cut_is_as_cheap_as_that_of_networkx() -> None:
    rng = random.Random(0)
    for _ in range(60):
        n = rng.randrange(2, 12)
        pairs = {(rng.randrange(n), rng.randrange(n)) for _ in range(3 * n)}
        edges = {(a, b): float(rng.randrange(6)) for a, b in sorted(pairs) if a != b}
        ours, theirs = Network(), nx.DiGraph()
        theirs.add_nodes_from([0, n - 1])
        for (a, b), capacity in edges.items():
            ours.connect(a, b, capacity)
            theirs.add_edge(a, b, capacity=capacity)
        near = ours.near(0, n - 1)
        crossing = [c for (a, b), c in edges.items() if a in near and b not in near]
        assert 0 in near and n - 1 not in near
        assert sum(crossing) == nx.minimum_cut_value(theirs, 0, n - 1)


def test_what_cannot_be_parted_is_refused() -> None:
    network = Network()
    network.connect("a", "b", float("inf"))
    with pytest.raises(ValueError, match="cannot be parted"):
        network.near("a", "b")


def stored(outputs: list[Tensor]) -> list[Tensor]:
    """What the temporaries hold that one kernel hands to another."""
    kernels = stages(outputs).ordered
    buffers = {b for k in kernels for b in k.writes() if b.role == "temporary"}
    return [b.source for b in buffers if b.source is not None]


def bytes_of_first_layer(activation: Callable[[Tensor], Tensor]) -> dict[str, int]:
    """What is stored of a layer until its gradient, and the bytes of an element."""
    first = X @ W + B
    loss = eg.tanh(activation(first) @ W).sum()
    held = stored([*eg.grad(loss, [B])])
    below = set(walk(simplify([activation(first)])))
    return {node.op: node.dtype.size for node in held if node in below}


def test_of_a_relu_its_condition_is_stored_and_not_its_argument() -> None:
    assert bytes_of_first_layer(eg.relu) == {"where": 4, "less_equal": 1}


def test_of_a_tanh_its_value_alone_is_stored() -> None:
    assert bytes_of_first_layer(eg.tanh) == {"tanh": 4}


def test_what_one_reduction_reads_is_not_stored() -> None:
    (loss,) = simplify(erase([eg.exp(X - 1.0).sum()]))
    assert {t.op for t in place([loss])} == {"sum"}


def test_a_value_is_computed_again_where_that_is_cheaper_than_its_bytes() -> None:
    near = X + B
    outputs = simplify([((eg.tanh(near) @ W) * near).sum()])
    assert {t.op for t in place(outputs)} == {"tanh", "dot", "sum"}


def test_of_two_spellings_of_one_size_the_nearer_is_stored() -> None:
    near = X @ W + B
    outputs = simplify([((eg.tanh(near) @ W) * (near * near)).sum()])
    held = [t for t in stored(outputs) if t in set(walk(simplify([near * eg.tanh(near)])))]
    assert sorted(t.op for t in held) == ["add", "tanh"]


def test_rows_that_each_sum_reads_once_are_not_copied() -> None:
    """A mini-batch that meets one column is read where it lies, forward and backward."""
    table, order = eg.input("table", (500, 30)), eg.input("order", ("batch",), "int64")
    rows = eg.take(table, order, 0)
    for columns, copied in ((), False), ((8,), True):
        weights = eg.parameter("weights", (30, *columns), init=0.1)
        loss = eg.mean(eg.softplus(rows @ weights))
        kernels = stages([loss, *eg.grad(loss, [weights])]).ordered
        shapes = [b.shape[1:] for k in kernels for b in k.writes()]
        assert ((30,) in shapes) is copied
