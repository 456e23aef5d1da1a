"""The first oracle: an expression's value by plain NumPy, one node after another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from exprgrad.errors import InputError
from exprgrad.graph.check import check_demands
from exprgrad.graph.dims import Dim, Size, names
from exprgrad.graph.dims import evaluate as size_of
from exprgrad.graph.meaning import MEANING
from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS, is_elementwise
from exprgrad.graph.tensor import Tensor

Array = NDArray[Any]


def evaluate(
    outputs: Iterable[Tensor],
    values: Mapping[Any, object] | None = None,
    dims: Mapping[str, int] | None = None,
) -> list[Array]:
    """The values of `outputs`, computed by NumPy in each node's own type.

    `values` gives arrays for inputs, by tensor or by name; parameters and states have
    their present value unless given. Named dimensions are read from the arrays.
    Raises `InputError` for a missing or ill-shaped array.

    >>> import exprgrad as eg
    >>> x = eg.input("x", ("batch",))
    >>> evaluate([x.sum()], {"x": [1.0, 2.0]})
    [array(3., dtype=float32)]
    """
    roots = list(outputs)
    order = walk(roots)
    given = _leaf_values(order, dict(values or {}))
    sizes = {**dims_of(given), **(dims or {})}
    _check_known(order, sizes)
    for leaf, value in given.items():
        _check_shape(leaf, value, sizes)
    check_demands(roots, sizes)
    result = _computed(order, sizes, given)
    return [np.array(result[root]) for root in roots]


def _computed(
    order: Iterable[Tensor], sizes: Mapping[str, int], given: Mapping[Tensor, Array]
) -> dict[Tensor, Array]:
    """The value of each node; those of a node's arguments stand before it."""
    result: dict[Tensor, Array] = {}
    with np.errstate(all="ignore"):
        for node in order:
            namespace = _namespace(node, sizes, given)
            value = MEANING[node.op](namespace, *(result[a] for a in node.args))
            result[node] = np.asarray(value).astype(node.dtype.numpy, copy=False)
    return result


def evaluate_along(
    expression: Tensor, values: Mapping[Tensor, ArrayLike]
) -> Array:
    """The value of a scalar expression for each element of arrays of one length.

    `values` maps scalar leaves, such as `eg.step`, to a row of numbers, or to one.
    Where every operation is one of scalars, NumPy computes all at once.

    >>> import exprgrad as eg
    >>> evaluate_along(eg.step * eg.step + eg.epoch, {eg.step: range(4), eg.epoch: 1})
    array([ 1,  2,  5, 10])
    """
    rows = dict(zip(values, np.broadcast_arrays(*values.values()), strict=True))
    order = walk([expression])
    plain = {node for node in order if is_elementwise(node.op) and not node.ndim}
    if not all(node in plain or not node.args for node in order):
        singles = [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]
        return np.array([evaluate([expression], single)[0] for single in singles])
    given = _leaf_values(order, {})
    given |= {leaf: np.asarray(row, leaf.dtype.numpy) for leaf, row in rows.items()}
    computed = _computed(order, {}, given)[expression]
    return np.broadcast_to(computed, next(iter(rows.values())).shape)


def _leaf_values(order: list[Tensor], values: dict[Any, object]) -> dict[Tensor, Array]:
    given: dict[Tensor, Array] = {}
    others = [key for key in values if isinstance(key, Tensor)]  # they may tell sizes
    for node in dict.fromkeys([*order, *others]):
        if "name" not in OPS[node.op].params:
            continue
        value = values.get(node, values.get(node.name))
        if value is None and node.op == "input":
            raise InputError(
                f"input {node.name}: {node.type} was not given", node.where
            )
        given[node] = np.asarray(
            node.value if value is None else value, node.dtype.numpy
        )
    return given


def dims_of(given: Mapping[Tensor, Array]) -> dict[str, int]:
    """The named dimensions as the arrays have them; the first array decides."""
    found: dict[str, int] = {}
    for leaf, value in given.items():
        for size, n in zip(leaf.shape, value.shape, strict=False):
            name = _plain_name(size)
            if name is not None:
                found.setdefault(name, n)
    return found


def _plain_name(size: Size) -> str | None:
    """The name that `size` is, when it is nothing else."""
    if isinstance(size, Dim) and len(size.terms) == 1:
        ((monomial, n),) = size.terms
        if n == 1 and len(monomial) == 1 and isinstance(monomial[0], str):
            return monomial[0]
    return None


def _check_known(order: list[Tensor], dims: Mapping[str, int]) -> None:
    for node in order:
        sizes = (*node.shape, *(p for p in node.params if isinstance(p, Dim)))
        for name in sorted(set().union(*map(names, sizes)) - set(dims)):
            raise InputError(
                f"{node.op}: the size {name} is not known: give it in dims"
            )


def _check_shape(leaf: Tensor, value: Array, dims: Mapping[str, int]) -> None:
    if value.shape != tuple(size_of(size, dims) for size in leaf.shape):
        raise InputError(
            f"{leaf.name}: {leaf.type} was given an array of shape {value.shape}",
            leaf.where,
        )


def _namespace(
    node: Tensor, dims: Mapping[str, int], given: Mapping[Tensor, Array]
) -> SimpleNamespace:
    """The parameters of `node` by name, with every size an integer."""
    named = zip(OPS[node.op].params, node.params, strict=True)
    fields = {name: _resolved(value, dims) for name, value in named}
    return SimpleNamespace(**{**fields, "given": given.get(node), "where": node.where})


def _resolved(value: Any, dims: Mapping[str, int]) -> Any:
    if isinstance(value, Dim):
        return size_of(value, dims)
    return (
        tuple(_resolved(v, dims) for v in value) if isinstance(value, tuple) else value
    )
