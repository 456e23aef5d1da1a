"""`x[index]` by NumPy's rules: integers, slices, None, `...`, arrays and expressions.

Integers and slices become one strided slice and a reshape. Array indices become one
gather: several of them are first combined to an index of the flattened axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np

from exprgrad.errors import DTypeError, GraphError, IndexOutOfRange, ShapeError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.dims import Dim, Size
from exprgrad.graph.dims import count as count_of
from exprgrad.graph.elementwise import (
    as_tensor,
    broadcast_shapes,
    broadcast_to,
    size_value,
)
from exprgrad.graph.movement import bound, permute_dims, reshape, strided_slice, take
from exprgrad.graph.tensor import Tensor, apply

FULL = slice(None)


@dataclass(frozen=True, slots=True)
class Place:
    """What an index does with one axis, or where it puts a new one.

    kind is "slice", "drop" (an integer), "array" or "new" (None).
    """

    kind: str
    start: Size = 0
    step: int = 1
    n: Size = 1
    array: Tensor | None = None


def getitem(x: Tensor, index: Any) -> Tensor:
    """`x[index]` as NumPy has it.

    Along a named dimension the bounds of a slice must lie inside it when the program
    runs: `x[:5]` has 5 rows, and a batch of 3 is an error of the call. An index array
    is checked when the program runs; a boolean mask must be a literal array, since the
    size of the result depends on it.

    >>> import exprgrad as eg
    >>> x = eg.input("x", ("batch", 8))
    >>> x[1:, ::-2].shape, x[:, None, 0].shape
    ((batch - 1, 4), (batch, 1))
    """
    places = _places(x, _normalised(x, index))
    basic = _basic(x, places)
    return _gathered(basic, places) if any(p.kind == "array" for p in places) else basic


def _normalised(x: Tensor, index: Any) -> list[Any]:
    """One entry for each axis of `x` and each new axis; masks as integer arrays."""
    given = list(index) if isinstance(index, tuple) else [index]
    entries = [part for item in given for part in _parts(item)]
    used = sum(item is not None and item is not Ellipsis for item in entries)
    ellipses = [i for i, item in enumerate(entries) if isinstance(item, EllipsisType)]
    if len(ellipses) > 1:
        raise ShapeError("an index has one `...` at most")
    if used > x.ndim:
        raise ShapeError(f"{used} indices were given for {x.type}")
    at = ellipses[0] if ellipses else len(entries)
    entries[at : at + 1] = [FULL] * (x.ndim - used)
    return _checked_masks(x, given, entries)


def _parts(item: Any) -> list[Any]:
    """`item` itself, or the integer arrays that a mask stands for."""
    if isinstance(item, bool | np.bool_):
        raise GraphError("True and False are no indices; choose with eg.where(...)")
    if isinstance(item, Tensor) and item.dtype == dtypes.bool_:
        if item.op != "constant":
            raise GraphError(
                "the size of x[mask] would depend on values; choose with "
                "eg.where(mask, x, other), or give the mask as a NumPy array"
            )
        item = item.params[0].array
    if isinstance(item, list):
        item = np.asarray(item, np.int64 if not item else None)
    if isinstance(item, np.ndarray) and item.dtype == bool:
        return list(np.nonzero(item))
    return [item]


def _checked_masks(x: Tensor, given: list[Any], entries: list[Any]) -> list[Any]:
    """`entries`, once each mask among `given` is seen to have the shape of its axes."""
    axis = 0
    for item in given:
        if isinstance(item, EllipsisType):
            axis += x.ndim - sum(_rank(i) for i in given)
        mask = _mask_shape(item)
        shape = x.shape[axis : axis + len(mask)]
        if mask != shape:
            raise ShapeError(
                f"a mask of shape {mask} does not fit {x.type} at axis {axis}"
            )
        axis += _rank(item)
    return entries


def _mask_shape(item: Any) -> tuple[int, ...]:
    array = (
        item.params[0].array if isinstance(item, Tensor) and _is_literal(item) else item
    )
    if isinstance(array, list):
        array = np.asarray(array)
    is_mask = isinstance(array, np.ndarray) and array.dtype == bool
    return array.shape if is_mask else ()


def _is_literal(x: Tensor) -> bool:
    return x.op == "constant"


def _rank(item: Any) -> int:
    """How many axes an entry uses."""
    if item is None or isinstance(item, EllipsisType):
        return 0
    return len(_mask_shape(item)) or 1


def _places(x: Tensor, entries: list[Any]) -> list[Place]:
    sizes = iter(x.shape)
    return [Place("new") if e is None else _place(x, e, next(sizes)) for e in entries]


def _place(x: Tensor, entry: Any, n: Size) -> Place:
    if isinstance(entry, slice):
        return _sliced(entry, n)
    if isinstance(entry, Tensor | np.ndarray):
        array = as_tensor(entry)
        if array.dtype.kind != "i":
            raise DTypeError(f"an index is of integers, not {array.type}")
        return Place("array", n=n, array=array)
    if isinstance(entry, Dim):
        return Place("drop", start=entry)
    try:
        i = entry.__index__()
    except (AttributeError, TypeError):
        raise DTypeError(
            f"an index is an integer, a slice, None, ... or an array, not {entry!r}"
        ) from None
    if isinstance(n, int) and not -n <= i < n:
        raise IndexOutOfRange(f"index {i} is outside an axis of {n} in {x.type}")
    return Place("drop", start=i if i >= 0 else n + i)


def _sliced(given: slice, n: Size) -> Place:
    step = _bound_of(given.step, 1)
    if not isinstance(step, int) or step == 0:
        raise ShapeError(f"the step of a slice is an integer that is not 0, not {step}")
    start, stop = _bound_of(given.start, None), _bound_of(given.stop, None)
    if all(isinstance(v, int | None) for v in (n, start, stop)):
        first, last, _ = slice(start, stop, step).indices(n)  # type: ignore[arg-type]
        kept = len(range(first, last, step))
        return Place("slice", first if kept else 0, step, kept)
    front, back = (0, n) if step > 0 else (n - 1, -1)
    low = front if start is None else _from_front(start, n)
    high = back if stop is None else _from_front(stop, n)
    span = (high - low) * (1 if step > 0 else -1)
    count = (span + abs(step) - 1) // abs(step)
    if isinstance(count, int) and count <= 0:
        return Place("slice", 0, step, 0)
    return Place("slice", low, step, count)


def _from_front(i: Size, n: Size) -> Size:
    return n + i if isinstance(i, int) and i < 0 else i


def _bound_of(value: Any, default: Any) -> Any:
    """A bound of a slice: an integer, a size, or `default` for None."""
    if value is None or isinstance(value, Dim):
        return default if value is None else value
    if isinstance(value, Tensor):
        raise GraphError("the bounds of a slice are numbers or sizes, not expressions")
    try:
        return value.__index__()
    except (AttributeError, TypeError):
        raise DTypeError(f"a bound of a slice is an integer, not {value!r}") from None


def _basic(x: Tensor, places: list[Place]) -> Tensor:
    """`x` with its slices taken and axes dropped and put in; arrays left for later."""
    axes = [p for p in places if p.kind != "new"]
    starts, steps = tuple(p.start for p in axes), tuple(p.step for p in axes)
    taken = strided_slice(x, starts, steps, tuple(p.n for p in axes))
    return reshape(taken, tuple(p.n for p in places if p.kind != "drop"))


def _gathered(x: Tensor, places: list[Place]) -> Tensor:
    """`x` read at its array indices.

    The result's new axes stand where the indices stood; in front when a slice, None or
    `...` separates them (an integer counts as an index here, as it does in NumPy).
    """
    kept = [p for p in places if p.kind != "drop"]
    axes = [i for i, p in enumerate(kept) if p.kind == "array"]
    indices = [p.array for p in kept if p.array is not None]
    rest = [i for i in range(x.ndim) if i not in axes]
    special = [i for i, p in enumerate(places) if p.kind in ("array", "drop")]
    together = special[-1] - special[0] == len(special) - 1
    if len(axes) == 1:
        rank = indices[0].ndim
        result = take(x, indices[0], axes[0])
        moved = range(axes[0], axes[0] + rank)
        others = [i for i in range(result.ndim) if i not in moved]
        return result if together else permute_dims(result, (*moved, *others))
    at = sum(1 for i in rest if i < axes[0]) if together else 0
    order = (*rest[:at], *axes, *rest[at:])
    sizes = tuple(x.shape[a] for a in axes)
    lead, tail = rest[:at], rest[at:]
    shape = (*(x.shape[a] for a in lead), count_of(sizes), *(x.shape[a] for a in tail))
    flat = reshape(permute_dims(x, order), shape)
    return apply("gather", (flat, _flat_index(indices, sizes)), (at,))


def _flat_index(indices: list[Tensor], sizes: tuple[Size, ...]) -> Tensor:
    """The row-major index of axes of `sizes` taken as one; each index is checked."""
    shape = broadcast_shapes(*(i.shape for i in indices))
    total: Tensor | None = None
    for index, size in zip(indices, sizes, strict=True):
        checked = broadcast_to(bound(index, size), shape)
        total = checked if total is None else total * size_value(size) + checked
    assert total is not None
    return total
