"""Contractions: views of operands become labels, sums of products become `dot`.

A label is a letter for an axis, as in Einstein's notation; `dot "ij,jk->ik"`.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase, ascii_uppercase

from exprgrad.graph.dims import Size
from exprgrad.graph.tensor import Tensor, apply
from exprgrad.rewrite.match import uniform
from exprgrad.rewrite.structure import Rewrite, rules_of
from exprgrad.rewrite.views import expanded, permuted, reduced, reshaped

LETTERS = ascii_lowercase[8:] + ascii_lowercase[:8] + ascii_uppercase  # from i on


def dot(args: Sequence[Tensor], labels: Sequence[str], out: str) -> Tensor:
    """The contraction, its labels renamed in the order in which they are met."""
    names = dict(zip(dict.fromkeys("".join(labels)), LETTERS, strict=False))
    specs = tuple("".join(names[c] for c in part) for part in (*labels, out))
    return apply("dot", tuple(args), specs)


def dot_in_order(node: Tensor) -> Tensor | None:
    """dot "ab,bc->ac"(x, y) -> dot "ij,jk->ik"(x, y)"""
    return dot(node.args, node.params[:2], node.params[2])


def dot_of_permute(node: Tensor) -> Tensor | None:
    """dot "ij,jk->ik"(permute(x), y) -> dot "ji,jk->ik"(x, y)"""
    if all(arg.op != "permute" for arg in node.args):
        return None
    args, labels = list(node.args), list(node.params[:2])
    for i, arg in enumerate(node.args):
        if arg.op == "permute":
            args[i] = arg.args[0]
            labels[i] = "".join(
                labels[i][arg.params[0].index(a)] for a in range(arg.ndim)
            )
    return dot(args, labels, node.params[2])


def dot_of_units(node: Tensor) -> Tensor | None:
    """dot over labels of size 1 -> reshape(dot without them)"""
    sizes = _sizes(node)
    units = {label for label, n in sizes.items() if n == 1}
    if not units:
        return None
    la, lb, out = ("".join(c for c in part if c not in units) for part in node.params)
    a, b = (
        reshaped(arg, tuple(sizes[c] for c in labels))
        for arg, labels in zip(node.args, (la, lb), strict=True)
    )
    return reshaped(dot((a, b), (la, lb), out), node.shape)


def dot_of_expand(node: Tensor) -> Tensor | None:
    """dot "ij,jk->ik"(expand(x), y) -> dot "i,jk->ik"(x, y) over expanded j"""
    args, labels = list(node.args), list(node.params[:2])
    other = (labels[1], labels[0])
    for i, arg in enumerate(node.args):
        gone = _stretched(arg, labels[i], other[i])
        if gone:
            args[i] = _unstretched(arg, gone)
            labels[i] = "".join(c for a, c in enumerate(labels[i]) if a not in gone)
            return dot(args, labels, node.params[2])
    return None


def dot_of_outer_expand(node: Tensor) -> Tensor | None:
    """dot "ij,jk->ik"(expand(x), y) -> expand(dot "j,jk->k"(x, y)) over expanded i"""
    args, labels, out = list(node.args), list(node.params[:2]), node.params[2]
    other = (labels[1], labels[0])
    for i, arg in enumerate(node.args):
        gone = _stretched(arg, labels[i], "".join(set(out) - set(other[i])))
        if gone:
            lost = {labels[i][axis] for axis in gone}
            args[i] = _unstretched(arg, gone)
            labels[i] = "".join(c for c in labels[i] if c not in lost)
            rest = "".join(c for c in out if c not in lost)
            small = dot(args, labels, rest)
            return expanded(small, node.shape, (out.index(c) for c in lost))
    return None


def _stretched(arg: Tensor, labels: str, other: str) -> list[int]:
    """The axes that are expanded and whose labels are in `other`."""
    if uniform(arg) is None and arg.op != "expand":
        return []
    return [axis for axis in arg.params[1] if labels[axis] in other] if arg.args else []


def _unstretched(arg: Tensor, gone: list[int]) -> Tensor:
    shape = tuple(n for a, n in enumerate(arg.shape) if a not in gone)
    rest = [axis for axis in arg.params[1] if axis not in gone]
    axes = (axis - sum(g < axis for g in gone) for axis in rest)
    return expanded(arg.args[0], shape, axes)


def dot_of_lone(node: Tensor) -> Tensor | None:
    """dot "ij,jk->k"(x, y) -> dot "j,jk->k"(sum(x), y): i is in x alone"""
    args, labels = list(node.args), list(node.params[:2])
    for i, other in enumerate((labels[1], labels[0])):
        lone = set(labels[i]) - set(other) - set(node.params[2])
        if lone:
            args[i] = reduced("sum", args[i], (labels[i].index(c) for c in lone))
            labels[i] = "".join(c for c in labels[i] if c not in lone)
            return dot(args, labels, node.params[2])
    return None


def dot_without_sum(node: Tensor) -> Tensor | None:
    """dot "i,j->ij"(x, y) -> expand(x) * expand(y): nothing is summed"""
    la, lb, out = node.params
    if set(la + lb) != set(out):
        return None
    a, b = (
        _spread(arg, labels, out, node)
        for arg, labels in zip(node.args, (la, lb), strict=True)
    )
    return a * b


def _spread(arg: Tensor, labels: str, out: str, node: Tensor) -> Tensor:
    """`arg` with its axes in the order of `out`, expanded over those it lacks."""
    order = [labels.index(c) for c in out if c in labels]
    axes = [axis for axis, c in enumerate(out) if c not in labels]
    return expanded(permuted(arg, order), node.shape, axes)


def dot_of_negative(node: Tensor) -> Tensor | None:
    """dot(-x, y) -> -dot(x, y)"""
    args = tuple(arg.args[0] if arg.op == "negative" else arg for arg in node.args)
    signs = sum(arg.op == "negative" for arg in node.args)
    if not signs:
        return None
    result = apply("dot", args, node.params)
    return -result if signs == 1 else result


def permute_of_dot(node: Tensor) -> Tensor | None:
    """permute(dot "ij,jk->ik"(x, y)) -> dot "ij,jk->ki"(x, y)"""
    x, (order,) = node.args[0], node.params
    if x.op != "dot":
        return None
    *labels, out = x.params
    return dot(x.args, labels, "".join(out[axis] for axis in order))


def sum_of_dot(node: Tensor) -> Tensor | None:
    """sum(dot "ij,jk->ik"(x, y)) -> dot "ij,jk->k"(x, y)"""
    x, (axes,) = node.args[0], node.params
    if x.op != "dot":
        return None
    *labels, out = x.params
    return dot(x.args, labels, "".join(c for a, c in enumerate(out) if a not in axes))


def sum_of_product(node: Tensor) -> Tensor | None:
    """sum(expand(x) * expand(y)) -> dot(x, y) where each is stretched along the other

    Where one operand has all axes the product is no larger than it, and stays a sum, so
    that it is computed in the same loop as what it is made of.
    """
    x, (axes,) = node.args[0], node.params
    if x.op != "multiply":
        return None
    every = LETTERS[: x.ndim]
    (a, la), (b, lb) = (_narrow(arg, every) for arg in x.args)
    summed = {every[axis] for axis in axes}
    if not (summed & set(la) & set(lb) and set(la) - set(lb) and set(lb) - set(la)):
        return None
    return dot((a, b), (la, lb), "".join(c for c in every if c not in summed))


def _narrow(arg: Tensor, labels: str) -> tuple[Tensor, str]:
    """What `arg` expands, and the labels of the axes that it has."""
    if arg.op != "expand":
        return arg, labels
    return arg.args[0], "".join(
        c for a, c in enumerate(labels) if a not in arg.params[1]
    )


def _sizes(node: Tensor) -> dict[str, Size]:
    sizes: dict[str, Size] = {}
    for arg, labels in zip(node.args, node.params[:2], strict=True):
        sizes.update(zip(labels, arg.shape, strict=True))
    return sizes


CONTRACTIONS: dict[str, list[Rewrite]] = {
    "sum": [sum_of_dot, sum_of_product],
    "dot": [
        dot_of_permute,
        dot_of_units,
        dot_of_expand,
        dot_of_outer_expand,
        dot_of_lone,
        dot_without_sum,
        dot_of_negative,
        dot_in_order,
    ],
    "permute": [permute_of_dot],
}

RULES = rules_of(CONTRACTIONS)
