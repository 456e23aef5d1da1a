"""What is stored of values that are read again much later, as by the backward pass.

    z = x @ w + b; h = max(z, 0); ...; dz = where(z > 0, dh, 0)    ->    z > 0 is stored

Kernels that depend on one another through a reduction do not share loops: what a later
one reads of an earlier one is stored, or computed again from what is stored. Storing
costs the bytes that are written and read, computing again costs arithmetic; the
cheapest choice for all values together is a minimum cut:

    source --arithmetic--> v computed --bytes--> v at hand later --inf--> sink, if read
    a at hand later --inf--> v computed, for each argument a of v

Vertices on the sink's side are at hand later. An edge of bytes that is cut is a value
to store, one of arithmetic a value that is computed again. (The same idea for PyTorch:
He and Yu 2023, Transcending runtime-memory tradeoffs in checkpointing.)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import inf

from exprgrad.graph.dims import count
from exprgrad.graph.ops import OPS
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.cost import COSTS, typical
from exprgrad.loop.mincut import Network

# The bytes that are written or read in the time of one addition.
BYTES = 2.0
# A group of values that hang together is cut in time that grows with its square.
LARGEST = 2000

VIEWS = {"reshape", "permute", "slice", "pad", "expand", "window"}

Times = dict[Tensor, set[int]]
Vertex = tuple[str, Tensor | None]
SOURCE: Vertex = ("source", None)
SINK: Vertex = ("sink", None)


def keep(nodes: Sequence[Tensor], at_hand: Collection[Tensor]) -> set[Tensor]:
    """Which of `nodes`, arguments before users, are stored for later kernels.

    Those `at_hand` are stored in any case. Reductions are not named: the kernel of one
    that no other kernel reads does not store it.
    """
    homes = _homes(nodes, at_hand)
    uses, needed = _uses(nodes, homes, at_hand)
    stored: set[Tensor] = set()
    for group in _groups(uses):
        if len(group) <= LARGEST:
            stored |= _cut(group, uses, needed)
    return {node for node in stored if OPS[node.op].group != "reduce"}


def _homes(nodes: Sequence[Tensor], at_hand: Collection[Tensor]) -> dict[Tensor, int]:
    """How many reductions, one after another, come before each node is first computed.

    A reduction is computed as soon as it can be, all else where it is first read.
    """
    homes: dict[Tensor, int] = {}
    for node in nodes:
        before = max((homes[a] for a in node.args), default=0)
        homes[node] = before + (OPS[node.op].group == "reduce")
    first: dict[Tensor, int] = {}
    for node in reversed(nodes):
        waits = OPS[node.op].group != "reduce" and node not in at_hand
        if waits and node in first:
            homes[node] = first[node]
        for argument in values(node):
            first[argument] = min(first.get(argument, homes[node]), homes[node])
    return homes


def _uses(
    nodes: Sequence[Tensor], homes: Mapping[Tensor, int], at_hand: Collection[Tensor]
) -> tuple[Times, set[Tensor]]:
    """When each value may be read after its own time, and which surely are."""
    uses: Times = {}
    needed: set[Tensor] = set()
    for node in reversed(nodes):
        again = uses.get(node, set()) if _arithmetic(node) < inf else set()
        for argument in values(node):
            if argument in at_hand or OPS[argument.op].group == "leaf":
                continue
            later = {homes[node]} if homes[node] > homes[argument] else set()
            if later:
                needed.add(argument)
            if later or again:
                uses.setdefault(argument, set()).update(later | again)
    return uses, needed


def _groups(uses: Times) -> list[list[Tensor]]:
    """The values of `uses` that depend on one another, by way of others or not."""
    group = {node: [node] for node in uses}
    for node in uses:
        for argument in values(node):
            if argument in group and group[argument] is not group[node]:
                few, many = sorted((group[argument], group[node]), key=len)
                many += few
                group.update(dict.fromkeys(few, many))
    return list({id(found): found for found in group.values()}.values())


def _cut(group: Sequence[Tensor], uses: Times, needed: set[Tensor]) -> set[Tensor]:
    """The values of a group that are stored."""
    network: Network[Vertex] = Network()
    members = set(group)
    for node in group:
        times = len(uses[node])
        computed, later = ("computed", node), ("later", node)
        network.connect(SOURCE, computed, _arithmetic(node) * times)
        network.connect(computed, later, _traffic(node, times))
        if node in needed:
            network.connect(later, SINK, inf)
        for argument in values(node):
            if argument in members:
                network.connect(("later", argument), computed, inf)
    near = network.near(SOURCE, SINK)
    return {n for n in group if ("computed", n) in near and ("later", n) not in near}


def _arithmetic(node: Tensor) -> float:
    """What computing a value again costs, in additions; reductions never are."""
    group = OPS[node.op].group
    if group == "reduce":
        return inf
    each = COSTS.get(node.op, 1 if group == "elementwise" else 0)
    return float(each * typical(count(node.shape)))


def _traffic(node: Tensor, times: int) -> float:
    """What storing a value and reading it costs; a view or a scalar is not stored."""
    group = OPS[node.op].group
    if group != "reduce" and (node.op in VIEWS or node.op == "again" or not node.shape):
        return inf
    return typical(count(node.shape)) * node.dtype.size * (1 + times) / BYTES


def values(node: Tensor) -> tuple[Tensor, ...]:
    """The arguments whose values are read: `again` only waits for its second."""
    return node.args[:1] if node.op == "again" else node.args
