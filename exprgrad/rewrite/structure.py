"""Movement of movement: each function composes a node with what its argument is.

The normal form has expand outermost, then permute, then slices and pads, so that work
is done on the smallest tensor and equal expressions meet as one node.
"""

from __future__ import annotations

from collections.abc import Callable

from exprgrad.graph.dims import Size
from exprgrad.graph.tensor import Tensor, apply
from exprgrad.rewrite.match import Rule, like_shape, uniform
from exprgrad.rewrite.views import (
    after_removal,
    differ_by_units,
    expanded,
    kept_axes,
    permuted,
    reshaped,
    unit_map,
    without,
)

Rewrite = Callable[[Tensor], Tensor | None]


def view_of_number(node: Tensor) -> Tensor | None:
    """reshape | expand | permute | slice(number) -> number at that shape"""
    value = uniform(node.args[0])
    if value is None:
        return None
    return like_shape(node.shape, value, node.dtype)


def reshape_of_reshape(node: Tensor) -> Tensor | None:
    """reshape(reshape(x)) -> reshape(x)"""
    x = node.args[0]
    if x.op != "reshape" and x.shape != node.shape:
        return None
    return reshaped(x.args[0] if x.op == "reshape" else x, node.shape)


def reshape_of_expand(node: Tensor) -> Tensor | None:
    """reshape(expand(x)) -> expand(reshape(x)) where reshape changes unit axes alone"""
    x, shape = node.args[0], node.shape
    if x.op != "expand" or not differ_by_units(x.shape, shape):
        return None
    place = unit_map(x.shape, shape)
    axes = tuple(place[axis] for axis in x.params[1] if axis in place)
    return expanded(reshaped(x.args[0], without(shape, axes)), shape, axes)


def expand_of_expand(node: Tensor) -> Tensor | None:
    """expand(expand(x)) -> expand(x)"""
    x, (shape, axes) = node.args[0], node.params
    if x.op != "expand":
        return None
    kept = kept_axes(len(shape), axes)
    inner = tuple(kept[axis] for axis in x.params[1])
    return expanded(x.args[0], shape, (*axes, *inner))


def expand_by_units(node: Tensor) -> Tensor | None:
    """expand(x) over axes of size 1 -> reshape(x)"""
    shape, axes = node.params
    longer = tuple(axis for axis in axes if shape[axis] != 1)
    if longer == axes or uniform(node) is not None:
        return None
    return expanded(reshaped(node.args[0], without(shape, longer)), shape, longer)


def permute_of_permute(node: Tensor) -> Tensor | None:
    """permute(permute(x)) -> permute(x)"""
    x, (order,) = node.args[0], node.params
    if x.op != "permute":
        return permuted(x, order)
    return permuted(x.args[0], (x.params[0][axis] for axis in order))


def permute_of_units(node: Tensor) -> Tensor | None:
    """permute(x) -> reshape(x) where axes of size 1 alone change place"""
    x, (order,) = node.args[0], node.params
    longer = [axis for axis in order if x.shape[axis] != 1]
    return reshaped(x, node.shape) if longer == sorted(longer) else None


def permute_of_expand(node: Tensor) -> Tensor | None:
    """permute(expand(x)) -> expand(permute(x))"""
    x, (order,) = node.args[0], node.params
    if x.op != "expand":
        return None
    gone = x.params[1]
    inner = after_removal((axis for axis in order if axis not in gone), gone)
    axes = (place for place, axis in enumerate(order) if axis in gone)
    return expanded(permuted(x.args[0], inner), node.shape, axes)


# The types that hold every value of a type, so that a cast through them loses nothing.
HOLDERS = {
    "bool": {"bool", "int32", "int64", "float32", "float64"},
    "int32": {"int32", "int64", "float64"},
    "int64": {"int64"},
    "float32": {"float32", "float64"},
    "float64": {"float64"},
}


def cast_of_cast(node: Tensor) -> Tensor | None:
    """cast(cast(x, f64), f32) -> cast(x, f32) where the inner cast loses nothing"""
    x, (dtype,) = node.args[0], node.params
    if x.op == "cast" and x.dtype.name in HOLDERS[x.args[0].dtype.name]:
        x = x.args[0]
    return x if x.dtype is dtype else apply("cast", (x,), (dtype,))


def slice_of_nothing(node: Tensor) -> Tensor | None:
    """slice(x) of all of x -> x"""
    starts, steps, shape = node.params
    x = node.args[0]
    whole = shape == x.shape and set(starts) <= {0} and set(steps) <= {1}
    return x if whole else None


def slice_of_slice(node: Tensor) -> Tensor | None:
    """slice(slice(x)) -> slice(x)"""
    x, (starts, steps, shape) = node.args[0], node.params
    if x.op != "slice":
        return None
    inner = zip(x.params[0], x.params[1], starts, strict=True)
    first = tuple(a + step * b for a, step, b in inner)
    stride = tuple(a * b for a, b in zip(x.params[1], steps, strict=True))
    return apply("slice", (x.args[0],), (first, stride, shape))


def slice_of_expand(node: Tensor) -> Tensor | None:
    """slice(expand(x)) -> expand(slice(x))"""
    x, (starts, steps, shape) = node.args[0], node.params
    if x.op != "expand":
        return None
    axes = x.params[1]
    inner = tuple(without(part, axes) for part in (starts, steps, shape))
    return expanded(apply("slice", x.args, inner), shape, axes)


def slice_of_permute(node: Tensor) -> Tensor | None:
    """slice(permute(x)) -> permute(slice(x))"""
    x = node.args[0]
    if x.op != "permute":
        return None
    (order,) = x.params
    inner = tuple(
        tuple(part[order.index(a)] for a in range(x.ndim)) for part in node.params
    )
    return permuted(apply("slice", x.args, inner), order)


def slice_of_pad(node: Tensor) -> Tensor | None:
    """slice(pad(x)) -> slice(x) where no padding is read"""
    x, (starts, steps, shape) = node.args[0], node.params
    if x.op != "pad":
        return None
    inner = x.args[0]
    lows = tuple(low for low, _ in x.params[0])
    first = tuple(start - low for start, low in zip(starts, lows, strict=True))
    axes = zip(first, steps, shape, inner.shape, strict=True)
    if not all(_inside(*axis) for axis in axes):
        return None
    return apply("slice", (inner,), (first, steps, shape))


def slice_of_concat(node: Tensor) -> Tensor | None:
    """slice(concat(x, y)) -> slice(x) where y is not read"""
    x, (starts, steps, shape) = node.args[0], node.params
    if x.op != "concat":
        return None
    (axis,) = x.params
    offset: Size = 0
    for part in x.args:
        start, n = starts[axis] - offset, part.shape[axis]
        if _inside(start, steps[axis], shape[axis], n):
            first = (*starts[:axis], start, *starts[axis + 1 :])
            return apply("slice", (part,), (first, steps, shape))
        offset = offset + n
    return None


def _inside(start: Size, step: int, count: Size, n: Size) -> bool:
    """Whether elements start, start + step, ... lie within an axis of `n`."""
    if start == 0 and step == 1 and count == n:
        return True
    if not (isinstance(start, int) and isinstance(count, int) and isinstance(n, int)):
        return False
    last = start + (count - 1) * step
    return count > 0 and 0 <= start < n and 0 <= last < n


def pad_of_pad(node: Tensor) -> Tensor | None:
    """pad(pad(x)) -> pad(x)"""
    x, (widths,) = node.args[0], node.params
    if all(pair == (0, 0) for pair in widths):
        return x
    if x.op != "pad":
        return None
    pairs = zip(x.params[0], widths, strict=True)
    both = tuple((a + c, b + d) for (a, b), (c, d) in pairs)
    return apply("pad", x.args, (both,))


def pad_of_zero(node: Tensor) -> Tensor | None:
    """pad(0) -> 0"""
    value = uniform(node.args[0])
    return like_shape(node.shape, 0, node.dtype) if value == 0 else None


def pad_of_expand(node: Tensor) -> Tensor | None:
    """pad(expand(x)) -> expand(pad(x)) where other axes are padded"""
    x, (widths,) = node.args[0], node.params
    if x.op != "expand" or any(widths[axis] != (0, 0) for axis in x.params[1]):
        return None
    inner = tuple(w for axis, w in enumerate(widths) if axis not in x.params[1])
    return expanded(apply("pad", x.args, (inner,)), node.shape, x.params[1])


def concat_of_concat(node: Tensor) -> Tensor | None:
    """concat(concat(x, y), z) -> concat(x, y, z)"""
    (axis,) = node.params
    parts: list[Tensor] = []
    for arg in node.args:
        same = arg.op == "concat" and arg.params == node.params
        parts.extend(arg.args if same else (arg,))
    filled = [part for part in parts if part.shape[axis] != 0] or parts[:1]
    if len(filled) == len(node.args):
        return None
    return filled[0] if len(filled) == 1 else apply("concat", tuple(filled), (axis,))


_NUMBERS: dict[str, list[Rewrite]] = {
    op: [view_of_number] for op in ("reshape", "expand", "permute", "slice")
}

COMPOSITIONS: dict[str, list[Rewrite]] = {
    "reshape": [reshape_of_reshape, reshape_of_expand],
    "expand": [expand_of_expand, expand_by_units],
    "permute": [permute_of_permute, permute_of_units, permute_of_expand],
    "cast": [cast_of_cast],
    "slice": [
        slice_of_nothing,
        slice_of_slice,
        slice_of_expand,
        slice_of_permute,
        slice_of_pad,
        slice_of_concat,
    ],
    "pad": [pad_of_pad, pad_of_zero, pad_of_expand],
    "concat": [concat_of_concat],
}


def rules_of(*tables: dict[str, list[Rewrite]]) -> list[Rule]:
    """The functions of `tables` as rules, named by their docstrings."""
    return [
        Rule(op, rewrite, str(rewrite.__doc__))
        for table in tables
        for op, rewrites in table.items()
        for rewrite in rewrites
    ]


RULES = rules_of(_NUMBERS, COMPOSITIONS)
