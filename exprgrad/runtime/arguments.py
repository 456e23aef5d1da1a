"""Arrays given at run time: converted where that is exact, checked, or refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exprgrad.errors import GraphError, InputError, NonFiniteError
from exprgrad.graph import dims as sizes
from exprgrad.graph.check import Demand
from exprgrad.graph.dims import Dim, Shape, Size
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor

Array = NDArray[Any]

# The kinds of array (NumPy's letters) that an input of each kind takes. A float is
# never rounded to an integer; float64 to float32 rounds, as all float32 work does.
TAKES = {
    "b": ("b", "booleans"),
    "i": ("biu", "integers, and never rounds a float"),
    "f": ("biuf", "real numbers"),
}


def line_of(node: Tensor) -> str:
    """Where the user made `node`, for a message."""
    return f"{node.name}: {node.type} made at {node.where}"


def as_array(node: Tensor, value: object) -> Array:
    """`value` as a C-contiguous array of the input's dtype: itself where it is one.

    Raises `InputError` when `value` is no array of numbers, or its kind does not fit.
    """
    exact = node.dtype.numpy
    if type(value) is np.ndarray and value.dtype == exact and _is_plain(value):
        return value
    array = _raw(node, value)
    kinds, words = TAKES[node.dtype.kind]
    if array.dtype.kind not in kinds:
        raise InputError(
            f"input {node.name} takes {words}, but {array.dtype} was given; "
            f"{line_of(node)}"
        )
    _require_fits(node, array)
    if array.dtype == exact and _is_plain(array):
        return array
    return np.require(array, exact, ["C", "A"])


def _is_plain(array: Array) -> bool:
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def _raw(node: Tensor, value: object) -> Array:
    if isinstance(value, np.ndarray):
        return value
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError, BufferError) as error:
        raise InputError(
            f"input {node.name} takes an array, and {type(value).__name__} does not "
            f"become one: {error}; {line_of(node)}"
        ) from error
    empty = array.size == 0 and not hasattr(value, "__array__")
    return array.astype(node.dtype.numpy) if empty else array


def _require_fits(node: Tensor, array: Array) -> None:
    """Integers of another width must lie inside the input's own."""
    if node.dtype.kind != "i" or array.dtype.kind == "b" or not array.size:
        return
    if np.can_cast(array.dtype, node.dtype.numpy):
        return
    limits = np.iinfo(node.dtype.numpy)
    low, high = int(array.min()), int(array.max())
    if low < limits.min or high > limits.max:
        raise InputError(
            f"input {node.name} takes {node.dtype}, whose numbers end at "
            f"{limits.min} and {limits.max}, but {low} to {high} were given; "
            f"{line_of(node)}"
        )


def require_finite(name: str, array: Array) -> None:
    """Raise `NonFiniteError`, which names the first element that is not finite."""
    if array.dtype.kind != "f":
        return
    wrong = ~np.isfinite(array)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise NonFiniteError(
            f"{name} must be finite, but element {list(at)} is {array[at]} "
            f"({int(wrong.sum())} of {array.size} are not finite)"
        )


@dataclass(frozen=True, slots=True)
class Given:
    """The value of a named dimension, and the input that gave it."""

    n: int
    by: str


def bind(inputs: Sequence[Tensor], arrays: Sequence[Array]) -> dict[str, int]:
    """The named dimensions' values that the shapes of `arrays` give.

    Raises `InputError` where a rank, a size, or a second value of a name does not fit.
    """
    found: dict[str, Given] = {}
    for node, array in zip(inputs, arrays, strict=True):
        if array.ndim != node.ndim:
            raise InputError(
                f"input {node.name} has {node.ndim} axes {sizes.show(node.shape)}, but "
                f"an array of {array.ndim} axes {list(array.shape)} was given; "
                f"{line_of(node)}"
            )
        for axis, size in enumerate(node.shape):
            if (name := plain_name(size)) is not None:
                _bind_name(found, name, node, axis, array.shape[axis])
    dims = {name: given.n for name, given in found.items()}
    for node, array in zip(inputs, arrays, strict=True):
        _require_sizes(node, array, dims)
    return dims


def _bind_name(
    found: dict[str, Given], name: str, node: Tensor, axis: int, n: int
) -> None:
    before = found.setdefault(name, Given(n, node.name))
    if before.n != n:
        raise InputError(
            f"dimension {name} has one value in a call, but it is {before.n} in "
            f"{before.by} and {n} in axis {axis} of {node.name}; {line_of(node)}"
        )


def _require_sizes(node: Tensor, array: Array, dims: Mapping[str, int]) -> None:
    for axis, size in enumerate(node.shape):
        wanted = sizes.evaluate(size, dims)
        if array.shape[axis] != wanted:
            stated = str(size) if isinstance(size, int) else f"{size} = {wanted}"
            raise InputError(
                f"axis {axis} of input {node.name} has size {stated}, but "
                f"{array.shape[axis]} in the array given, {list(array.shape)}; "
                f"{line_of(node)}"
            )


def plain_name(size: Size) -> str | None:
    """The name, when `size` is one named dimension and nothing more."""
    if isinstance(size, Dim) and len(size.terms) == 1:
        (monomial, factor) = size.terms[0]
        if factor == 1 and len(monomial) == 1 and isinstance(monomial[0], str):
            return monomial[0]
    return None


def require_demands(demands: Sequence[Demand], dims: Mapping[str, int]) -> None:
    """Raise `InputError` for the first size that must not be negative but is."""
    for size, node, rule in demands:
        if sizes.evaluate(size, dims) < 0:
            named = ", ".join(f"{k} = {dims[k]}" for k in sorted(sizes.names(size)))
            raise InputError(
                f"{rule}: {size} is negative when {named}; the node {node.op}: "
                f"{node.type} was made at {node.where}"
            )


def require_known_names(inputs: Sequence[Tensor], roots: Iterable[Tensor]) -> None:
    """Raise `GraphError` for a named dimension that no input's own axis gives."""
    given = {plain_name(size) or "" for node in inputs for size in node.shape}
    for node in walk([*roots, *inputs]):
        mentioned = node.params if node.op == "size" else node.shape
        for name in sorted(_names(mentioned) - given):
            raise GraphError(
                f"dimension {name} is the size of an axis of no input, so that it has "
                f"no value in a call; it stands in {node.type} made at {node.where}"
            )


def _names(shape: Shape) -> set[str]:
    return {name for size in shape for name in sizes.names(size)}
