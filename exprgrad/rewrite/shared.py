"""Sums of a product that is computed anyway, read from it.

    dot "j,jk->k"(sum(x, 0), w), beside dot "ij,jk->ik"(x, w)   ->   sum(dot(x, w), 0)

By itself the left side is cheaper, and other rules spell the mean of a layer's results
so. Batch normalisation needs these results as well: `w` would be read a second time, and a
gradient would go back through both products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exprgrad.graph.dims import count
from exprgrad.graph.mode import rebuilt
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from exprgrad.rewrite.contraction import LETTERS
from exprgrad.rewrite.views import permuted, reduced

# The factors of a product, and the labels of their axes in the order in which they are met
Key = tuple[tuple[Tensor, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Taken:
    """A product, the axes over which it is summed, and the order of those that are left."""

    product: Tensor
    axes: tuple[int, ...]
    order: tuple[int, ...]


def shared(outputs: Sequence[Tensor]) -> list[Tensor]:
    """`outputs` with each product of a sum taken from the product of what is summed, where
    that is computed for them and has no more elements than what is summed.

    >>> import exprgrad as eg
    >>> from exprgrad.rewrite.simplify import simplify  # which ends with it
    >>> x, w = eg.input("x", (9, 5)), eg.input("w", (5, 4))
    >>> simplify([(x @ w).sum(axis=0)])
    [sum(x, axis=0) @ w]
    >>> simplify([(x @ w).sum(axis=0), eg.tanh(x @ w)])
    [sum(x @ w, axis=0), tanh(x @ w)]
    """
    dots = [node for node in walk(outputs) if node.op == "dot"]
    products: dict[Key, list[Tensor]] = {}
    for node in dots:
        products.setdefault((node.args, node.params[:2]), []).append(node)
    taken = {node: found for node in dots if (found := _taken(node, products)) is not None}
    if not taken:
        return list(outputs)
    image: dict[Tensor, Tensor] = {}
    for node in walk(outputs, lambda n: (taken[n].product,) if n in taken else n.args):
        if (found := taken.get(node)) is None:
            image[node] = rebuilt(node, tuple(image[arg] for arg in node.args))
        else:
            total = reduced("sum", image[found.product], found.axes)
            image[node] = permuted(total, found.order)
    return [image[output] for output in outputs]


def _taken(node: Tensor, products: dict[Key, list[Tensor]]) -> Taken | None:
    """From which product a dot may be taken, if there is one."""
    for side, arg in enumerate(node.args):
        if arg.op == "sum":
            args, labels, summed = _before_sum(node, side)
            names = dict(zip(dict.fromkeys("".join(labels)), LETTERS, strict=False))
            specs = tuple("".join(names[c] for c in part) for part in labels)
            over, wanted = ("".join(names[c] for c in part) for part in (summed, node.params[2]))
            for product in products.get((args, specs), ()):
                if set(product.params[2]) == {*over, *wanted} and _is_smaller(product, side):
                    return _as_taken(product, over, wanted)
    return None


def _before_sum(node: Tensor, side: int) -> tuple[tuple[Tensor, ...], list[str], str]:
    """The factors and labels of the product before its factor on one side was summed, and
    the labels of what is summed.
    """
    total = node.args[side]
    x, (axes,) = total.args[0], total.params
    args, labels = list(node.args), list(node.params[:2])
    free = (c for c in LETTERS if c not in "".join(node.params))
    kept = iter(labels[side])
    labels[side] = "".join(next(free if axis in axes else kept) for axis in range(x.ndim))
    args[side] = x
    return tuple(args), labels, "".join(labels[side][axis] for axis in axes)


def _is_smaller(product: Tensor, side: int) -> bool:
    """Whether a product is known to have no more elements than one of its factors."""
    own, out = product.params[side], product.params[2]
    lost = count(
        tuple(n for c, n in zip(own, product.args[side].shape, strict=True) if c not in out)
    )
    gained = count(tuple(n for c, n in zip(out, product.shape, strict=True) if c not in own))
    return isinstance(lost, int) and isinstance(gained, int) and gained <= lost


def _as_taken(product: Tensor, over: str, wanted: str) -> Taken:
    out = product.params[2]
    rest = [c for c in out if c not in over]
    axes = tuple(axis for axis, c in enumerate(out) if c in over)
    return Taken(product, axes, tuple(rest.index(c) for c in wanted))
