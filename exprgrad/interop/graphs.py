"""The graph of an expression as networkx has it, for analysis of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx

from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS
from exprgrad.graph.tensor import Tensor


def to_networkx(outputs: Tensor | Sequence[Tensor]) -> nx.MultiDiGraph[int]:
    """The graph that `outputs` depend on; edges run from an argument to its user.

    Nodes are numbered in an order of evaluation and bear `op`, `label`, `dtype`, `shape`
    (both as text), `line` (the user's) and `tensor` (the expression itself). An edge's
    `position` is the place of the argument: `a - b` has two, `a * a` has two as well.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> graph = to_networkx(x * x)
    >>> [graph.nodes[n]["label"] for n in graph], list(graph.edges(data="position"))
    (['x', 'multiply'], [(0, 1, 0), (0, 1, 1)])
    """
    roots = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
    number: dict[Tensor, int] = {}
    for node in walk(roots):
        number[node] = len(number)
        graph.add_node(number[node], **_attributes(node))
        for position, argument in enumerate(node.args):
            graph.add_edge(number[argument], number[node], position=position)
    return graph


def _attributes(node: Tensor) -> dict[str, Any]:
    return {
        "op": node.op,
        "label": label(node),
        "dtype": node.dtype.name,
        "shape": str(node.shape),
        "line": str(node.where),
        "tensor": node,
    }


def label(node: Tensor) -> str:
    """What a picture calls a node: its name, its value, or its operation."""
    if "name" in OPS[node.op].params:
        return node.name
    if node.op == "size":
        return str(node.params[0])
    if node.op == "constant" and node.ndim == 0:
        return repr(node.params[0])
    return node.op
