"""Training and inference: one expression, two meanings, chosen before it is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import or_

from exprgrad.graph import dtype as dtypes
from exprgrad.graph.elementwise import constant
from exprgrad.graph.leaves import state
from exprgrad.graph.node import intern, transform, walk
from exprgrad.graph.ops import type_of
from exprgrad.graph.tensor import Tensor

# True in a training step, False at inference. Dropout and batch normalisation read it.
training = state("training", dtype=dtypes.bool_, init=False)

_VIEWS = frozenset({"reshape", "expand", "permute"})


def in_mode(roots: Iterable[Tensor], mode: bool) -> dict[Tensor, Tensor]:
    """Every node of `roots` with `training` taken as `mode`.

    A choice that `training` decides keeps the chosen branch alone, so that inference
    neither draws masks nor computes statistics of the batch.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> y = eg.where(training, 2 * x, x)
    >>> in_mode([y], False)[y] is x
    True
    """
    answer = constant(mode)

    def visit(node: Tensor, args: tuple[Tensor, ...]) -> Tensor:
        if node is training:
            return answer
        if _is_choice(node):
            return args[1] if mode else args[2]
        return rebuilt(node, args)

    return transform(roots, visit)


def inference(expression: Tensor) -> Tensor:
    """`expression` without dropout, and with running statistics in place of a batch's.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> inference(eg.nn.dropout(x, 0.5)) is x
    True
    """
    return in_mode([expression], False)[expression]


def running_statistics(roots: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Each state that inference reads in place of a batch's value, and that value.

    Those that others depend on come first. In training the value does not depend on the
    state, as dropout's does on what it drops.

    >>> import exprgrad as eg
    >>> x, mean = eg.input("x", ("batch",)), eg.state("mean")
    >>> running_statistics([x - eg.where(training, x.mean(), mean)])
    [(mean: f32, sum(x) / batch)]
    """
    order = walk(roots)
    place = {node: number for number, node in enumerate(order)}
    found = [(node.args[2], node.args[1]) for node in order if _is_choice(node)]
    states = dict.fromkeys(state for state, _ in found if state.op == "state")
    below = _which_below(order, states)
    pairs = [(s, batch) for s, batch in found if s in states and s not in below(batch)]
    return sorted(pairs, key=lambda pair: place[pair[1]])


def _which_below(
    order: list[Tensor], leaves: Iterable[Tensor]
) -> Callable[[Tensor], set[Tensor]]:
    """What tells on which of `leaves` a node depends in training; one bit for each."""
    bit = {leaf: 1 << number for number, leaf in enumerate(leaves)}
    bits: dict[Tensor, int] = {}
    for node in order:
        read = node.args[1:2] if _is_choice(node) else node.args
        bits[node] = reduce(or_, (bits[a] for a in read), bit.get(node, 0))
    return lambda node: {leaf for leaf, mine in bit.items() if bits[node] & mine}


def replaced(
    roots: Iterable[Tensor], images: Mapping[Tensor, Tensor]
) -> dict[Tensor, Tensor]:
    """Every node of `roots` with each key of `images` replaced by its value."""

    def visit(node: Tensor, args: tuple[Tensor, ...]) -> Tensor:
        return images[node] if node in images else rebuilt(node, args)

    return transform(roots, visit)


def rebuilt(node: Tensor, args: tuple[Tensor, ...]) -> Tensor:
    """`node` on other arguments, with its line; itself where nothing changed."""
    if all(new is old for new, old in zip(args, node.args, strict=True)):
        return node
    type = type_of(node.op, tuple(a.type for a in args), node.params)
    return intern(Tensor, node.op, args, node.params, type, node.where)


def _is_choice(node: Tensor) -> bool:
    return node.op == "where" and _behind_views(node.args[0]) is training


def _behind_views(node: Tensor) -> Tensor:
    while node.op in _VIEWS:
        node = node.args[0]
    return node
