"""What a sum need not go through: factors that are the same along it, and what comes to 0.

    sum(c * w * d, axis=0)                        ->   sum(c * d, axis=0) * w
    sum(c + k * d, axis=0)                        ->   sum(c, axis=0)
    where d = x - mean(x, axis=0) and w, k have no axis 0

So the derivatives of a normalised layer with respect to its scale, its variance and its mean
are spelled with two sums over the batch, of c and of c * d, and the deviations of the
variance's derivative need no sum of their own.

Both hold up to rounding where numbers are finite. A factor of 0 in front of a sum that
overflows gives NaN and not 0; deviations of an infinite or missing number come to 0 and not
to NaN, beside others of its row, which are NaN still.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from operator import mul, truediv

from exprgrad.graph.dims import count
from exprgrad.graph.elementwise import astype, size_value
from exprgrad.graph.mode import rebuilt
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from exprgrad.rewrite.match import like_shape, uniform
from exprgrad.rewrite.structure import Rewrite, rules_of
from exprgrad.rewrite.views import Axes, after_removal, expanded, reduced, without

# How many operations below a sum are looked through: what follows from one layer has fewer.
DEPTH = 8

# A product in two: what is summed, and what is the same along the sum, without its axes
Split = tuple[Tensor | None, Tensor | None]


def sum_of_scaled(node: Tensor) -> Tensor | None:
    """sum(x * expand(y)), sum(x / expand(y)) -> sum(x) * y, sum(x) / y over expanded axes"""
    x, (axes,) = node.args[0], node.params
    inside, factor = _split(x, axes, DEPTH)
    if inside is None or factor is None:
        return None
    return reduced("sum", inside, axes) * factor


def _split(x: Tensor, axes: Axes, depth: int) -> Split:
    """The factors of `x` that vary along `axes`, and the others."""
    if uniform(x) is None and _is_stretched(x, axes):
        rest = [axis for axis in x.params[1] if axis not in axes]
        shape = without(x.shape, axes)
        return None, expanded(x.args[0], shape, after_removal(rest, axes))
    if x.op not in ("multiply", "divide") or not depth:
        return x, None
    combine = mul if x.op == "multiply" else truediv
    pairs = zip(*(_split(arg, axes, depth - 1) for arg in x.args), strict=True)
    inside, factor = (_combined(combine, *pair) for pair in pairs)
    return (x, None) if factor is None else (inside, factor)


def _combined(
    combine: Callable[[Tensor, Tensor], Tensor], first: Tensor | None, second: Tensor | None
) -> Tensor | None:
    if second is None:
        return first
    if first is None:
        if combine is mul:
            return second
        first = like_shape(second.shape, 1, second.dtype)
    return combine(first, second)


def _is_stretched(x: Tensor, axes: Collection[int]) -> bool:
    """Whether `x` is the same along `axes`."""
    return uniform(x) is not None or (x.op == "expand" and set(axes) <= set(x.params[1]))


SCALED: dict[str, list[Rewrite]] = {"sum": [sum_of_scaled]}

RULES = rules_of(SCALED)


# Sums of deviations


def without_deviations(
    outputs: Sequence[Tensor], normal: Callable[[Tensor], Tensor]
) -> list[Tensor]:
    """`outputs` less the terms of sums that come to 0, as they are multiples of deviations
    from the mean over what is summed; `normal` gives the form in which means are spelled.

    >>> import exprgrad as eg
    >>> from exprgrad.rewrite.simplify import simplify  # which begins with it
    >>> x, c = eg.input("x", ("batch", 5)), eg.input("c", ("batch", 5))
    >>> deviation = x - x.mean(axis=0)
    >>> simplify([(c + 3 * deviation).sum(axis=0)])
    [sum(c, axis=0)]
    """
    found = {node: axes for node in walk(outputs) if (axes := _deviates(node, normal))}
    sums = [node for node in walk(outputs) if node.op == "sum"] if found else []
    left = {node: _left(node.args[0], node.params[0], found, DEPTH) for node in sums}
    left = {node: rest for node, rest in left.items() if rest is not node.args[0]}
    if not left:
        return list(outputs)
    image: dict[Tensor, Tensor] = {}
    for node in walk(outputs, lambda n: _needed(n, left)):
        args = tuple(image[arg] for arg in _needed(node, left))
        if node.args and not args:
            image[node] = like_shape(node.shape, 0, node.dtype)
        else:
            image[node] = rebuilt(node, args)
    return [image[output] for output in outputs]


def _needed(node: Tensor, left: Mapping[Tensor, Tensor | None]) -> tuple[Tensor, ...]:
    """What a node is made of: of a sum what is left of its terms."""
    if node not in left:
        return node.args
    rest = left[node]
    return () if rest is None else (rest,)


def _deviates(node: Tensor, normal: Callable[[Tensor], Tensor]) -> Axes:
    """The axes over which `node` is what its first argument has above its mean, if any."""
    if node.op != "subtract" or node.args[1].op != "expand" or node.dtype.kind != "f":
        return ()
    x, (shape, axes) = node.args[0], node.args[1].params
    n = count(tuple(shape[axis] for axis in axes))
    mean = reduced("sum", x, axes) / astype(size_value(n), x.dtype)
    return tuple(axes) if normal(expanded(mean, shape, axes)) is node.args[1] else ()


def _left(
    x: Tensor, summed: Axes, deviations: Mapping[Tensor, Axes], depth: int
) -> Tensor | None:
    """`x` less the terms whose sum is 0; None where none is left."""
    if _vanishes(x, summed, deviations, depth):
        return None
    if x.op not in ("add", "subtract", "negative") or not depth:
        return x
    args = [_left(arg, summed, deviations, depth - 1) for arg in x.args]
    rest = [arg for arg in args if arg is not None]
    if len(rest) == len(args):
        return rebuilt(x, tuple(rest))
    if not rest:
        return None
    return -rest[0] if x.op == "subtract" and args[0] is None else rest[0]


def _vanishes(
    x: Tensor, summed: Axes, deviations: Mapping[Tensor, Axes], depth: int
) -> Axes:
    """The axes along which `x` is a deviation from a mean, times what is the same along them,
    if all of these are summed.
    """
    axes = deviations.get(x, ())
    if axes and set(axes) <= set(summed):
        return axes
    if x.op not in ("multiply", "divide", "negative") or not depth:
        return ()
    for place, each in enumerate(x.args[:1] if x.op == "divide" else x.args):
        axes = _vanishes(each, summed, deviations, depth - 1)
        others = (arg for n, arg in enumerate(x.args) if n != place)
        if axes and all(_is_stretched(arg, axes) for arg in others):
            return axes
    return ()
