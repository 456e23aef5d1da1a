"""Constant folding: what depends on constants alone is computed now, by NumPy."""

from __future__ import annotations

from math import prod

from exprgrad.errors import IndexOutOfRange, InputError
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.ops import OPS, is_elementwise
from exprgrad.graph.tensor import Constant, Tensor, apply
from exprgrad.rewrite.match import Kinds, Rule, like_shape, uniform

LARGEST = 1024  # elements of an array that is folded; larger ones are left to the step


def fold_numbers(node: Tensor) -> Tensor | None:
    """f(number, number) -> number, expanded to the same shape"""
    values = [uniform(arg) for arg in node.args]
    if not values or None in values or not is_elementwise(node.op):
        return None
    scalars = tuple(
        like_shape((), value, arg.dtype)
        for arg, value in zip(node.args, values, strict=True)
        if value is not None
    )
    folded = _value(apply(node.op, scalars, node.params))
    if folded is None:
        return None
    return like_shape(node.shape, folded.params[0].array.item(), node.dtype)


def fold_array(node: Tensor) -> Tensor | None:
    """f(constant) -> constant, where both are small"""
    if node.op == "expand" or not node.args:
        return None
    return _value(node) if all(map(_is_small, (node, *node.args))) else None


def fold_equal_elements(node: Tensor) -> Tensor | None:
    """a constant whose elements are all equal -> expand(number)"""
    array = node.params[0].array
    if not 0 < array.size <= LARGEST or not array.shape:
        return None
    first = array.flat[0]
    if array.tobytes() != first.tobytes() * array.size:
        return None
    return like_shape(node.shape, first.item(), node.dtype)


def _is_small(node: Tensor) -> bool:
    """Whether the shape of `node` is known and its elements are few."""
    sizes = [n for n in node.shape if isinstance(n, int)]
    return len(sizes) == node.ndim and prod(sizes) <= LARGEST


def _is_constant(node: Tensor) -> bool:
    return node.op == "constant" or uniform(node) is not None


def _value(node: Tensor) -> Tensor | None:
    """The constant that `node` is.

    None when it depends on a size, or has an error that the call must raise.
    """
    if not all(map(_is_constant, node.args)):
        return None
    try:
        (array,) = evaluate([node])
    except (IndexOutOfRange, InputError):
        return None
    return apply("constant", (), (Constant(array, node.dtype),))


def _numbers(kinds: Kinds) -> bool:
    return all(number for _, number in kinds)


def _constants(kinds: Kinds) -> bool:
    return all(number or op == "constant" for op, number in kinds)


_FOLDED = [op for op, row in OPS.items() if row.group not in ("leaf", "random")]
RULES = [
    Rule("constant", fold_equal_elements, str(fold_equal_elements.__doc__)),
    *(Rule(op, fold_numbers, f"fold {op} of numbers", _numbers) for op in _FOLDED),
    *(Rule(op, fold_array, f"fold {op} of arrays", _constants) for op in _FOLDED),
]
