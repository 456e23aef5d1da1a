"""Products of factors that are rounded first, and added up in float32.

    a @ b    ->    bfloat16(a) @ bfloat16(b)

The rounding stands in the graph, so that it is printed, differentiated and compiled
like all else. A product of two bfloat16 numbers is exact in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from exprgrad.errors import GraphError, lines_of
from exprgrad.graph.dtype import float32
from exprgrad.graph.elementwise import bfloat16
from exprgrad.graph.mode import in_mode, rebuilt
from exprgrad.graph.node import transform
from exprgrad.graph.tensor import Tensor

# What becomes of a float32 factor; factors of other types stay as they are.
PRECISIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "float32": lambda x: x,
    "bfloat16": lambda x: x if x.op == "bfloat16" else bfloat16(x),
}


def checked_precision(precision: str) -> str:
    """A precision that there is; else a `GraphError`."""
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise GraphError(f"the precision of products is one of {known}, not {precision!r}")
    return precision


def as_factor(x: Tensor, precision: str) -> Tensor:
    """`x` as it enters a product."""
    rounding = PRECISIONS[checked_precision(precision)]
    return rounding(x) if x.dtype == float32 else x


def in_precision(roots: Iterable[Tensor], precision: str) -> dict[Tensor, Tensor]:
    """Every node of `roots` with all contractions in `precision`.

    >>> import exprgrad as eg
    >>> y = eg.input("x", (2, 3)) @ eg.input("w", (3, 4))
    >>> in_precision([y], "bfloat16")[y]
    bfloat16(x) @ bfloat16(w)
    """

    def visit(node: Tensor, args: tuple[Tensor, ...]) -> Tensor:
        if node.op == "dot":
            with lines_of(node.where):
                args = tuple(as_factor(x, precision) for x in args)
        return rebuilt(node, args)

    return transform(roots, visit)


def decided(
    roots: Sequence[Tensor], training: bool, precision: str
) -> dict[Tensor, Tensor]:
    """Each of `roots` in one mode, its products in one precision."""
    image = in_mode(roots, training)
    rounded = in_precision([image[root] for root in roots], precision)
    return {root: rounded[image[root]] for root in roots}
