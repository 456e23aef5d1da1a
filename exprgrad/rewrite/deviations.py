"""Sums of deviations from a mean, which come to 0.

    sum(c + k * d, axis=0)   ->   sum(c, axis=0)      where d = x - mean(x, axis=0)
                                                      and k is the same along axis 0

They stand in the gradient of every variance: how it moves with the mean that is taken off.
Without them what is summed needs no memory of its own, nor a second way through it.

The sum is 0 up to rounding. Deviations of an infinite or missing number are NaN, and their
sum counts as 0 all the same: beside it stand others of the same numbers, which are NaN still.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from exprgrad.graph.dims import count
from exprgrad.graph.elementwise import astype, size_value
from exprgrad.graph.mode import rebuilt
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from exprgrad.rewrite.match import like_shape, uniform
from exprgrad.rewrite.views import Axes, expanded, reduced

# How many operations below a sum are looked through, so that many sums of one long chain
# take no time in proportion to its length.
DEPTH = 8
Normal = Callable[[Tensor], Tensor]


def without_deviations(outputs: Sequence[Tensor], normal: Normal) -> list[Tensor]:
    """`outputs` less the terms of sums that are multiples of deviations from the mean over
    what is summed; `normal` gives the form in which a mean is spelled.

    Not for what a derivative will be asked of: by a deviation itself it would be 0.

    >>> import exprgrad as eg
    >>> from exprgrad.rewrite.simplify import simplify
    >>> x, c = eg.input("x", ("batch", 5)), eg.input("c", ("batch", 5))
    >>> deviation = x - x.mean(axis=0)
    >>> without_deviations([(c + 3 * deviation).sum(axis=0)], lambda n: simplify([n])[0])
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


def _deviates(node: Tensor, normal: Normal) -> Axes:
    """The axes over which `node` is what its first argument has above its mean, if any."""
    if node.op != "subtract" or node.args[1].op != "expand" or node.dtype.kind != "f":
        return ()
    (x, stretched), (shape, axes) = node.args, node.args[1].params
    if not any(arg.op in ("sum", "dot") for arg in stretched.args[0].args):
        return ()
    n = count(tuple(shape[axis] for axis in axes))
    mean = reduced("sum", x, axes) / astype(size_value(n), x.dtype)
    is_mean = normal(expanded(mean, shape, axes)) is normal(stretched)
    return tuple(axes) if is_mean else ()


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
        if axes and all(_is_constant(arg, axes) for arg in others):
            return axes
    return ()


def _is_constant(x: Tensor, axes: Collection[int]) -> bool:
    """Whether `x` does not change along `axes`."""
    return uniform(x) is not None or (x.op == "expand" and set(axes) <= set(x.params[1]))
