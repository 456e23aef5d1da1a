"""Movement below elementwise operations and reductions moves above them.

So work is done on the tensor before it is stretched, and movements meet and compose.
"""

from __future__ import annotations

from exprgrad.graph.dims import Shape, count
from exprgrad.graph.elementwise import astype, broadcast_to, size_value
from exprgrad.graph.ops import OPS, is_elementwise
from exprgrad.graph.tensor import Tensor, apply
from exprgrad.rewrite.match import like_shape, uniform
from exprgrad.rewrite.structure import Rewrite, rules_of
from exprgrad.rewrite.views import (
    Axes,
    after_removal,
    differ_by_units,
    expanded,
    kept_axes,
    permuted,
    reduced,
    reshaped,
    unit_map,
    without,
)


def elementwise_of_expand(node: Tensor) -> Tensor | None:
    """f(expand(x), expand(y)) -> expand(f(x, y)) over the axes that both expand"""
    moving = [arg for arg in node.args if uniform(arg) is None]
    if not moving or any(arg.op != "expand" for arg in moving):
        return None
    common = set.intersection(*(set(arg.params[1]) for arg in moving))
    if not common:
        return None
    args = tuple(_unexpanded(arg, common) for arg in node.args)
    return expanded(apply(node.op, args, node.params), node.shape, common)


def _unexpanded(arg: Tensor, axes: set[int]) -> Tensor:
    shape = without(arg.shape, axes)
    value = uniform(arg)
    if value is not None:
        return like_shape(shape, value, arg.dtype)
    rest = [axis for axis in arg.params[1] if axis not in axes]
    return expanded(arg.args[0], shape, after_removal(rest, axes))


def elementwise_of_reshape(node: Tensor) -> Tensor | None:
    """f(reshape(x), reshape(y)) -> reshape(f(x, y)) for the same reshape"""
    moving = [arg for arg in node.args if uniform(arg) is None]
    if not moving or any(arg.op != "reshape" for arg in moving):
        return None
    source = moving[0].args[0].shape
    if any(arg.args[0].shape != source for arg in moving):
        return None
    args = tuple(_source(arg, source) for arg in node.args)
    return reshaped(apply(node.op, args, node.params), node.shape)


def _source(arg: Tensor, shape: Shape) -> Tensor:
    value = uniform(arg)
    return arg.args[0] if value is None else like_shape(shape, value, arg.dtype)


def elementwise_of_permute(node: Tensor) -> Tensor | None:
    """f(permute(x), permute(y)) -> permute(f(x, y)) for the same permute

    An expand whose own axes stay in order is permuted at no cost.
    """
    orders = {arg.params[0] for arg in node.args if arg.op == "permute"}
    if len(orders) != 1:
        return None
    (order,) = orders
    inverse = tuple(order.index(axis) for axis in range(len(order)))
    if not all(_turns_freely(arg, inverse) for arg in node.args):
        return None
    args = tuple(_turned(arg, inverse) for arg in node.args)
    return permuted(apply(node.op, args, node.params), order)


def _turns_freely(arg: Tensor, order: Axes) -> bool:
    if arg.op != "expand":
        return arg.op == "permute"
    kept = [axis for axis in order if axis not in arg.params[1]]
    return kept == sorted(kept)


def _turned(arg: Tensor, order: Axes) -> Tensor:
    """permute(arg), composed."""
    if arg.op == "permute":
        return arg.args[0]
    shape = tuple(arg.shape[axis] for axis in order)
    axes = (place for place, axis in enumerate(order) if axis in arg.params[1])
    return expanded(arg.args[0], shape, axes)


def rounding_of_rounded(node: Tensor) -> Tensor | None:
    """bfloat16(bfloat16(x)) -> bfloat16(x)"""
    x = node.args[0]
    return x if x.op == "bfloat16" else None


def rounding_of_same_values(node: Tensor) -> Tensor | None:
    """bfloat16(f(x)) -> f(bfloat16(x)) for f = window, pad, negative

    Each element is rounded once, however many windows it is in.
    """
    x = node.args[0]
    if x.op not in ("window", "pad", "negative"):
        return None
    return apply(x.op, (apply("bfloat16", x.args),), x.params)


def reduce_of_units(node: Tensor) -> Tensor | None:
    """sum(x) over axes of size 1 -> reshape(x)"""
    x, (axes,) = node.args[0], node.params
    longer = [axis for axis in axes if x.shape[axis] != 1]
    if len(longer) == len(axes):
        return None
    return reshaped(reduced(node.op, x, longer), node.shape)


def reduce_of_reduce(node: Tensor) -> Tensor | None:
    """sum(sum(x)) -> sum(x)"""
    x, (axes,) = node.args[0], node.params
    if x.op != node.op:
        return None
    kept = kept_axes(x.args[0].ndim, x.params[0])
    return reduced(node.op, x.args[0], (*x.params[0], *(kept[axis] for axis in axes)))


def reduce_of_permute(node: Tensor) -> Tensor | None:
    """sum(permute(x)) -> permute(sum(x))"""
    x, (axes,) = node.args[0], node.params
    if x.op != "permute":
        return None
    (order,) = x.params
    gone = [order[axis] for axis in axes]
    rest = [axis for axis in order if axis not in gone]
    return permuted(reduced(node.op, x.args[0], gone), after_removal(rest, gone))


def reduce_of_reshape(node: Tensor) -> Tensor | None:
    """sum(reshape(x)) -> reshape(sum(x)) where reshape changes unit axes alone"""
    x, (axes,) = node.args[0], node.params
    if x.op != "reshape" or not differ_by_units(x.shape, x.args[0].shape):
        return None
    place = unit_map(x.shape, x.args[0].shape)
    inner = [place[axis] for axis in axes if axis in place]
    return reshaped(reduced(node.op, x.args[0], inner), node.shape)


def sum_of_expand(node: Tensor) -> Tensor | None:
    """sum(expand(x)) -> expand(sum(x)) * n over the n elements of expanded axes"""
    x, (axes,) = node.args[0], node.params
    if x.op != "expand":
        return None
    result = _reduced_below(node)
    n = count(tuple(x.shape[axis] for axis in axes if axis in x.params[1]))
    if n == 1:
        return result
    return result * broadcast_to(astype(size_value(n), node.dtype), node.shape)


def extreme_of_expand(node: Tensor) -> Tensor | None:
    """max(expand(x)) -> expand(max(x))"""
    return _reduced_below(node) if node.args[0].op == "expand" else None


def _reduced_below(node: Tensor) -> Tensor:
    x, (axes,) = node.args[0], node.params
    stretched = x.params[1]
    inner = after_removal((axis for axis in axes if axis not in stretched), stretched)
    left = after_removal((axis for axis in stretched if axis not in axes), axes)
    return expanded(reduced(node.op, x.args[0], inner), node.shape, left)


def unwindow_of_reshape(node: Tensor) -> Tensor | None:
    """unwindow(reshape(x)) -> reshape(unwindow(x)) where reshape leaves its axes"""
    x, (axis, n, stride, dilation) = node.args[0], node.params
    if x.op != "reshape":
        return None
    inner, taps = _kept(x, axis), x.args[0].ndim - 1
    if inner is None or inner == taps or _kept(x, x.ndim - 1) != taps:
        return None
    below = apply("unwindow", x.args, (inner, n, stride, dilation))
    return reshaped(below, node.shape)


def slice_of_reshape(node: Tensor) -> Tensor | None:
    """slice(reshape(x)) -> reshape(slice(x)) where reshape leaves what is cut"""
    x, (starts, steps, shape) = node.args[0], node.params
    if x.op != "reshape":
        return None
    cut = [a for a in range(x.ndim) if (starts[a], steps[a]) != (0, 1) or shape[a] != x.shape[a]]
    places = {axis: _kept(x, axis) for axis in cut}
    if None in places.values() or len(set(places.values())) < len(cut):
        return None
    below = x.args[0]
    bounds = [list(part) for part in ((0,) * below.ndim, (1,) * below.ndim, below.shape)]
    for axis, place in places.items():
        for part, given in zip(bounds, (starts, steps, shape), strict=True):
            part[place or 0] = given[axis]
    return reshaped(apply("slice", (below,), tuple(map(tuple, bounds))), node.shape)


def _kept(x: Tensor, axis: int) -> int | None:
    """Which axis of what a reshape has been given is this axis of its result."""
    source, before = x.args[0].shape, count(x.shape[:axis])
    same = (k for k, n in enumerate(source) if n == x.shape[axis])
    return next((k for k in same if count(source[:k]) == before), None)


_BELOW: list[Rewrite] = [
    elementwise_of_expand,
    elementwise_of_reshape,
    elementwise_of_permute,
]
_POINTWISE = [op for op in OPS if is_elementwise(op)] + ["stop_gradient"]
_REDUCE: list[Rewrite] = [
    reduce_of_units,
    reduce_of_reduce,
    reduce_of_permute,
    reduce_of_reshape,
]

HOISTS: dict[str, list[Rewrite]] = {
    **{op: _BELOW for op in _POINTWISE},
    "bfloat16": [*_BELOW, rounding_of_rounded, rounding_of_same_values],
    "sum": [*_REDUCE, sum_of_expand],
    "max": [*_REDUCE, extreme_of_expand],
    "min": [*_REDUCE, extreme_of_expand],
    "unwindow": [unwindow_of_reshape],
    "slice": [slice_of_reshape],
}

RULES = rules_of(HOISTS)
