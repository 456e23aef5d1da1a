"""Functions that move elements without computing on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np

from exprgrad.errors import DTypeError, ShapeError, out_of_range
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.dims import Dim, Monomial, Shape, Size, as_size, count
from exprgrad.graph.elementwise import (
    as_tensor,
    astype,
    broadcast_to,
    constant,
    size_value,
)
from exprgrad.graph.tensor import Operand, Tensor, apply


def as_axis(axis: int, ndim: int) -> int:
    """`axis` counted from the front. Raises `ShapeError` when there is no such axis."""
    if not isinstance(axis, SupportsIndex):
        raise ShapeError(f"an axis is an integer, not {axis!r}")
    if not -ndim <= axis < ndim:
        raise ShapeError(f"axis {axis} does not exist in {ndim} axes")
    return axis % ndim


def as_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """The axes meant by an integer, a sequence, or None for all; sorted, each once."""
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(sorted(as_axis(a, ndim) for a in given))
    if len(set(axes)) != len(axes):
        raise ShapeError(f"axis {given} names an axis twice")
    return axes


def reshape(x: Operand, shape: Any) -> Tensor:
    """The same elements in row-major order under another shape; one -1 is inferred.

    >>> import exprgrad as eg
    >>> eg.reshape(eg.input("x", ("batch", 28, 28)), ("batch", -1)).shape
    (batch, 784)
    """
    x = as_tensor(x)
    given = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    sizes = _inferred(x, given) if -1 in given else tuple(as_size(n) for n in given)
    source = x.args[0] if x.op == "reshape" else x
    return source if sizes == source.shape else apply("reshape", (source,), (sizes,))


def _inferred(x: Tensor, given: tuple[Any, ...]) -> Shape:
    if given.count(-1) > 1:
        raise ShapeError(f"only one size of {given} may be -1")
    rest = tuple(as_size(n) for n in given if n != -1)
    whole, known = count(x.shape), count(rest)
    size = _quotient(whole, known)
    if size is None:
        raise ShapeError(f"reshape: {x.type} does not divide into {given}")
    return tuple(size if n == -1 else as_size(n) for n in given)


def _quotient(whole: Size, part: Size) -> Size | None:
    """whole / part when it is exact."""
    if isinstance(part, int):
        if part == 0:
            return None
        quotient = whole // part
        return quotient if quotient * part == whole else None
    if whole == part:
        return 1
    if isinstance(whole, int) or len(part.terms) > 1:
        return None
    ((monomial, n),) = part.terms
    return _divided(whole, monomial, n)


def _divided(whole: Dim, monomial: Monomial, n: int) -> Size | None:
    """Each term of `whole` divided by `n * monomial`, when all are divisible."""
    total: Size = 0
    for product, factor in whole.terms:
        left = list(product)
        if factor % n or any(atom not in left for atom in monomial):
            return None
        for atom in monomial:
            left.remove(atom)
        rest = Dim(((tuple(left), factor // n),)) if left else factor // n
        total = total + rest
    return total


def permute_dims(x: Operand, axes: Sequence[int]) -> Tensor:
    """The axes in another order: axis i of the result is axis `axes[i]` of `x`."""
    x = as_tensor(x)
    order = tuple(as_axis(a, x.ndim) for a in axes)
    return x if order == tuple(range(x.ndim)) else apply("permute", (x,), (order,))


def expand_dims(x: Operand, axis: int | Sequence[int] = 0) -> Tensor:
    """`x` with axes of size 1 put in at `axis` of the result."""
    x = as_tensor(x)
    ndim = x.ndim + (1 if isinstance(axis, int) else len(axis))
    axes = as_axes(axis, ndim)
    sizes = iter(x.shape)
    return reshape(x, tuple(1 if a in axes else next(sizes) for a in range(ndim)))


def squeeze(x: Operand, axis: int | Sequence[int]) -> Tensor:
    """`x` without the axes `axis`, each of which has size 1."""
    x = as_tensor(x)
    axes = as_axes(axis, x.ndim)
    for a in axes:
        if x.shape[a] != 1:
            raise ShapeError(f"squeeze: axis {a} of {x.type} is not 1")
    return reshape(x, tuple(n for a, n in enumerate(x.shape) if a not in axes))


def pad(x: Operand, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """`x` with `widths[axis] = (before, after)` elements of `value` around it."""
    t = as_tensor(x)
    pairs = tuple((int(low), int(high)) for low, high in widths)
    if len(pairs) != t.ndim or any(min(pair) < 0 for pair in pairs):
        raise ShapeError(
            f"pad: {pairs} is not a pair of widths for each axis of {t.type}"
        )
    if all(pair == (0, 0) for pair in pairs):
        return t
    if value == 0:
        return apply("pad", (t,), (pairs,))
    inside = apply("pad", (broadcast_to(constant(True), t.shape),), (pairs,))
    around = broadcast_to(constant(value, t.dtype), inside.shape)
    return apply("where", (inside, apply("pad", (t,), (pairs,)), around))


def strided_slice(
    x: Tensor, starts: tuple[Size, ...], steps: tuple[int, ...], shape: Shape
) -> Tensor:
    """Element i of the result's axis is element `start + i * step` of that axis of `x`."""
    if shape == x.shape and all(s == 0 for s in starts) and set(steps) <= {1}:
        return x
    return apply("slice", (x,), (starts, steps, shape))


def flip(x: Operand, axis: int | Sequence[int] | None = None) -> Tensor:
    """`x` with the order of elements along `axis` (all axes when None) reversed."""
    x = as_tensor(x)
    axes = as_axes(axis, x.ndim)
    starts = tuple(n - 1 if a in axes else 0 for a, n in enumerate(x.shape))
    steps = tuple(-1 if a in axes else 1 for a in range(x.ndim))
    return strided_slice(x, starts, steps, x.shape)


def roll(x: Operand, shift: int, axis: int | None = None) -> Tensor:
    """`x` moved on by `shift` along an axis, what leaves at one end entering at the other;
    over all elements in row-major order when `axis` is None. A named axis is at least as
    long as the shift when the program runs, else `InputError`.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (5,))
    >>> eg.function([x], eg.roll(x, 2))([1, 2, 3, 4, 5])
    array([4., 5., 1., 2., 3.], dtype=float32)
    """
    t = as_tensor(x)
    if not isinstance(shift, int | np.integer):
        raise ShapeError(f"roll moves along one axis by an integer, not {shift!r}")
    shift = int(shift)
    if axis is None:
        rolled: Tensor = roll(reshape(t, (-1,)), shift, 0)
        return reshape(rolled, t.shape)
    axis = as_axis(axis, t.ndim)
    n = t.shape[axis]
    if isinstance(n, int):
        shift = shift % n if n else 0
    if shift == 0:
        return t
    start = n - shift if shift > 0 else -shift
    return concat([_between(t, axis, start, n), _between(t, axis, 0, start)], axis)


def _between(x: Tensor, axis: int, start: Size, stop: Size) -> Tensor:
    starts = tuple(start if a == axis else 0 for a in range(x.ndim))
    shape = tuple(stop - start if a == axis else n for a, n in enumerate(x.shape))
    return strided_slice(x, starts, (1,) * x.ndim, shape)


def concat(tensors: Sequence[Operand], axis: int = 0) -> Tensor:
    """`tensors` laid one after another along an axis that they have."""
    if not tensors:
        raise ShapeError("concat needs at least one tensor")
    promoted = _promoted(tensors)
    axis = as_axis(axis, promoted[0].ndim)
    return promoted[0] if len(promoted) == 1 else apply("concat", promoted, (axis,))


def stack(tensors: Sequence[Operand], axis: int = 0) -> Tensor:
    """`tensors` of equal shape laid along a new axis."""
    return concat([expand_dims(t, axis) for t in tensors], axis)


def _promoted(tensors: Sequence[Operand]) -> tuple[Tensor, ...]:
    given = [as_tensor(t) for t in tensors]
    meeting = dtypes.promote(*(t.dtype for t in given))
    return tuple(astype(t, meeting) for t in given)


def sliding_window(
    x: Operand, size: int, axis: int = -1, stride: int = 1, dilation: int = 1
) -> Tensor:
    """Windows of `size` elements of an axis, put last: y[.., i, .., k] = x[.., i*s + k*d, ..].

    >>> import exprgrad as eg
    >>> eg.sliding_window(eg.input("x", (10,)), 3, stride=2).shape
    (4, 3)
    """
    x = as_tensor(x)
    if min(size, stride, dilation) < 1:
        raise ShapeError(f"window: {size=}, {stride=}, {dilation=} must be at least 1")
    return apply("window", (x,), (as_axis(axis, x.ndim), size, stride, dilation))


def iota(size: Size) -> Tensor:
    """0, 1, ... size - 1 as int64."""
    return apply("iota", (), (as_size(size),))


def bound(index: Operand, size: Size, wraps: bool = True) -> Tensor:
    """An index checked when the program runs; negative ones count from the end if it
    `wraps`, and name nothing if it does not, as the numbers of classes.

    An index outside `size` is an `IndexOutOfRange` error of the call.
    """
    given = as_tensor(index)
    if given.dtype.kind != "i":
        raise DTypeError(f"an index is of integers, not {given.type}")
    exact = astype(given, dtypes.int64)
    if exact.op == "constant" and isinstance(size, int):
        return _bound_literal(exact, size, wraps)
    return apply("bound", (exact,), (size, wraps))


def _bound_literal(index: Tensor, size: int, wraps: bool) -> Tensor:
    array = index.params[0].array
    outside = array[(array < (-size if wraps else 0)) | (array >= size)]
    if outside.size:
        raise out_of_range(outside[0], size, wraps)
    return constant(np.where(array < 0, array + size, array))


def take(x: Operand, index: Operand, axis: int = 0) -> Tensor:
    """The elements of `x` at `index` along `axis`; the index may have any shape.

    >>> import exprgrad as eg
    >>> rows = eg.input("rows", ("batch",), "int64")
    >>> eg.take(eg.input("table", (100, 8)), rows).shape
    (batch, 8)
    """
    x = as_tensor(x)
    axis = as_axis(axis, x.ndim)
    return apply("gather", (x, bound(index, x.shape[axis])), (axis,))


def scatter_add(updates: Operand, index: Operand, size: Size, axis: int = 0) -> Tensor:
    """Zeros of `size` along `axis`, to which each of `updates` is added at its index.

    The order of additions is the order of the index.
    """
    updates = as_tensor(updates)
    axis = as_axis(axis, updates.ndim)
    size = as_size(size)
    return apply("scatter_add", (updates, bound(index, size)), (axis, size))


def take_along_axis(x: Operand, index: Operand, axis: int = -1) -> Tensor:
    """Element `index` of each row of `x` along `axis`; the other axes are matched.

    >>> import exprgrad as eg
    >>> x, y = eg.input("x", ("batch", 10)), eg.input("y", ("batch", 1), "int64")
    >>> eg.take_along_axis(x, y).shape
    (batch, 1)
    """
    x, index = as_tensor(x), as_tensor(index)
    axis = as_axis(axis, x.ndim)
    if index.ndim != x.ndim:
        raise ShapeError(f"take_along_axis: {index.type} has not the axes of {x.type}")
    n = index.shape[axis]
    shape = tuple(n if a == axis else size for a, size in enumerate(x.shape))
    places = [iota(size) for size in shape]
    places[axis] = bound(index, x.shape[axis])
    flat = constant(0, dtypes.int64)
    for a, place in enumerate(places):
        along = place if a == axis else reshape(place, _along(a, x.ndim, shape[a]))
        flat = flat * size_value(x.shape[a]) + along if a else along
    return apply("gather", (reshape(x, (-1,)), broadcast_to(flat, shape)), (0,))


def _along(axis: int, ndim: int, n: Size) -> Shape:
    return tuple(n if a == axis else 1 for a in range(ndim))
