"""Movement nodes made in normal form, and what their axes are.

A view that changes nothing is its argument. An axis of size 1 is put in and taken out
by reshape, every other new axis by expand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from exprgrad.graph.dims import Shape
from exprgrad.graph.tensor import Tensor, apply

Axes = tuple[int, ...]


def without(shape: Shape, axes: Collection[int]) -> Shape:
    """`shape` less its `axes`."""
    return tuple(n for axis, n in enumerate(shape) if axis not in axes)


def reshaped(x: Tensor, shape: Shape) -> Tensor:
    """reshape(x), or x."""
    return x if x.shape == shape else apply("reshape", (x,), (shape,))


def expanded(x: Tensor, shape: Shape, axes: Iterable[int]) -> Tensor:
    """expand(x), or x."""
    exact = tuple(sorted(axes))
    return apply("expand", (x,), (shape, exact)) if exact else x


def permuted(x: Tensor, order: Iterable[int]) -> Tensor:
    """permute(x), or x."""
    axes = tuple(order)
    return x if axes == tuple(range(x.ndim)) else apply("permute", (x,), (axes,))


def reduced(op: str, x: Tensor, axes: Iterable[int]) -> Tensor:
    """op(x) over `axes`, or x."""
    exact = tuple(sorted(axes))
    return apply(op, (x,), (exact,)) if exact else x


def kept_axes(ndim: int, axes: Collection[int]) -> Axes:
    """The axes that are not in `axes`."""
    return tuple(axis for axis in range(ndim) if axis not in axes)


def after_removal(axes: Iterable[int], removed: Collection[int]) -> Axes:
    """What `axes`, none of them removed, are called once `removed` are gone."""
    return tuple(axis - sum(r < axis for r in removed) for axis in axes)


def longer_axes(shape: Shape) -> Axes:
    """The axes of `shape` whose size is not 1."""
    return tuple(axis for axis, n in enumerate(shape) if n != 1)


def differ_by_units(a: Shape, b: Shape) -> bool:
    """Whether `a` and `b` are the same but for axes of size 1."""
    return [n for n in a if n != 1] == [n for n in b if n != 1]


def unit_map(a: Shape, b: Shape) -> dict[int, int]:
    """Of shapes that differ by units: which axis of `b` each longer axis of `a` is."""
    return dict(zip(longer_axes(a), longer_axes(b), strict=True))
