"""Training and inference: one expression, two meanings, chosen before it is compiled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


def choices(roots: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """What is taken in training and what at inference, wherever `training` decides;
    those that others depend on first.
    """
    return [(node.args[1], node.args[2]) for node in walk(roots) if _is_choice(node)]


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
