"""The rewrites as whole passes: from output expressions to output expressions."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from exprgrad.graph.mode import rebuilt, replaced
from exprgrad.graph.node import transform
from exprgrad.graph.tensor import Tensor, apply
from exprgrad.rewrite import algebra, contraction, fold, hoist, stability, structure
from exprgrad.rewrite.deviations import without_deviations
from exprgrad.rewrite.fixpoint import Rules, Search, fixpoint
from exprgrad.rewrite.shared import shared

SAFE = [row.rule() for row in (*algebra.ROWS, *stability.ROWS)]

MOVES = [*structure.RULES, *hoist.RULES]
# One table for both passes: a loss and what its gradient shares with it, rewritten
# before the chain rule and after it, come to the same nodes and are computed once.
RULES = Rules([*fold.RULES, *MOVES, *contraction.RULES, *SAFE])


def stabilize(outputs: Sequence[Tensor], keep: Collection[Tensor] = ()) -> list[Tensor]:
    """`outputs` spelled so that neither value nor gradient overflows or cancels.

    The nodes `keep`, such as those that a gradient is asked of, stay what they are:
    nothing at or below them is rewritten.

    >>> import exprgrad as eg
    >>> x = eg.input("x")
    >>> stabilize([eg.log(1 / (1 + eg.exp(-x)))])
    [-softplus(-x)]
    """
    stand_ins = {
        node: apply("input", (), (node.shape, node.dtype, f"kept {number}"))
        for number, node in enumerate(keep)
        if node.args
    }
    originals = {stand_in: node for node, stand_in in stand_ins.items()}
    hidden = _replaced(outputs, stand_ins)
    return _replaced(shared(fixpoint(hidden, RULES)), originals)


def _replaced(outputs: Sequence[Tensor], by: dict[Tensor, Tensor]) -> list[Tensor]:
    image = replaced(outputs, by)
    return [image[output] for output in outputs]


def simplify(outputs: Sequence[Tensor]) -> list[Tensor]:
    """`outputs` in a shorter, faster and numerically safer form of equal value.

    Equal subexpressions are one node, constants are folded, movement is composed, sums of
    a product that is computed anyway are read from it. Raises `CompileError` naming the
    rules when they do not come to an end.

    >>> import exprgrad as eg
    >>> x = eg.input("x")
    >>> simplify([(x * 1 + 0) ** 2])
    [x * x]
    """
    return shared(fixpoint(outputs, RULES))


def condense(outputs: Sequence[Tensor]) -> list[Tensor]:
    """`outputs` simplified for the last time, when no derivative is taken of them any more:
    sums lose the terms that come to 0 (`deviations.py`).

    >>> import exprgrad as eg
    >>> x, c = eg.input("x", ("batch",)), eg.input("c", ("batch",))
    >>> condense([(c + 3 * (x - x.mean())).sum()])
    [sum(c)]
    """
    finish = Search(RULES).finish
    found = [finish(output) for output in outputs]
    left = without_deviations(found, finish)
    return shared([finish(output) for output in left])


def erase(outputs: Sequence[Tensor]) -> list[Tensor]:
    """`outputs` without the marks that only a gradient reads.

    `stop_gradient(x)`, `checkpoint(x)` and `custom(x, ...)` become x. Taken after the
    gradient.
    """
    image = transform(outputs, _erased)
    return [image[output] for output in outputs]


def _erased(node: Tensor, args: tuple[Tensor, ...]) -> Tensor:
    if node.op in ("stop_gradient", "checkpoint", "custom"):
        return args[0]
    return rebuilt(node, args)
