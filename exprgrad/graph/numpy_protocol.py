"""NumPy's functions on expressions: `np.exp(x)` is an expression as `eg.exp(x)` is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exprgrad.errors import GraphError
from exprgrad.graph import (
    activations,
    creation,
    elementwise,
    movement,
    reduction,
    rounding,
    truth,
)
from exprgrad.graph.elementwise import broadcast_to
from exprgrad.graph.tensor import Operand, Tensor

# NumPy's elementwise functions; those with our name are entered below.
UFUNCS: dict[Any, Callable[..., Tensor]] = {
    np.power: elementwise.pow,
    np.absolute: elementwise.abs,
    np.fabs: elementwise.abs,
    np.true_divide: elementwise.divide,
    np.square: activations.square,
    np.reciprocal: lambda x: 1 / x,
    np.matmul: reduction.matmul,
    np.positive: lambda x: x,
    np.bitwise_and: elementwise.both,
    np.bitwise_or: elementwise.either,
    np.invert: elementwise.invert,
    np.rint: rounding.round,
}
for _name in """add subtract multiply divide floor_divide remainder maximum minimum
    negative sign floor exp expm1 log log1p sqrt tanh sin cos equal not_equal less
    less_equal greater greater_equal logical_and logical_or logical_not""".split():
    UFUNCS[getattr(np, _name)] = getattr(elementwise, _name)
UFUNCS |= {np.ceil: rounding.ceil, np.trunc: rounding.trunc}
UFUNCS |= {np.isnan: truth.isnan, np.isinf: truth.isinf, np.isfinite: truth.isfinite}

REDUCTIONS: dict[Any, Callable[..., Tensor]] = {
    np.add: reduction.sum,
    np.multiply: reduction.prod,
    np.maximum: reduction.max,
    np.minimum: reduction.min,
}


def _transpose(x: Tensor, axes: Any = None) -> Tensor:
    return movement.permute_dims(
        x, tuple(reversed(range(x.ndim))) if axes is None else axes
    )


def _pad(
    x: Tensor, widths: Any, mode: str = "constant", constant_values: float = 0
) -> Tensor:
    if mode != "constant":
        raise GraphError(
            f"np.pad of an expression pads with a constant, not by {mode!r}"
        )
    pairs = np.broadcast_to(np.asarray(widths), (x.ndim, 2)).tolist()
    return movement.pad(x, pairs, constant_values)


def _dot(a: Operand, b: Operand) -> Tensor:
    a, b = elementwise.as_tensor(a), elementwise.as_tensor(b)
    if not a.ndim or not b.ndim:
        return elementwise.multiply(a, b)
    if b.ndim > 2:
        raise GraphError(
            "np.dot of more than two axes is not taken; use @ or eg.einsum"
        )
    return reduction.tensordot(a, b, 1)


def _var(
    x: Tensor, axis: Any = None, ddof: float = 0, keepdims: bool = False
) -> Tensor:
    return reduction.var(x, axis, ddof, keepdims)


def _std(
    x: Tensor, axis: Any = None, ddof: float = 0, keepdims: bool = False
) -> Tensor:
    return reduction.std(x, axis, ddof, keepdims)


def _cumsum(x: Tensor, axis: Any = None) -> Tensor:
    if axis is None:
        return reduction.cumulative_sum(movement.reshape(x, (-1,)), 0)
    return reduction.cumulative_sum(x, axis)


def _take(x: Operand, index: Operand, axis: Any = None) -> Tensor:
    x = elementwise.as_tensor(x)
    return movement.take(
        movement.reshape(x, (-1,)) if axis is None else x, index, axis or 0
    )


def _zeros_like(x: Tensor, dtype: Any = None) -> Tensor:
    return creation.zeros_like(x, dtype)


def _ones_like(x: Tensor, dtype: Any = None) -> Tensor:
    return creation.ones_like(x, dtype)


FUNCTIONS_OF_NUMPY: dict[Any, Callable[..., Any]] = {
    np.sum: reduction.sum,
    np.prod: reduction.prod,
    np.mean: reduction.mean,
    np.var: _var,
    np.std: _std,
    np.max: reduction.max,
    np.min: reduction.min,
    np.amax: reduction.max,
    np.amin: reduction.min,
    np.any: truth.any,
    np.all: truth.all,
    np.argmax: reduction.argmax,
    np.argmin: reduction.argmin,
    np.cumsum: _cumsum,
    np.linalg.norm: lambda x, axis=None: reduction.norm(x, axis),
    np.einsum: reduction.einsum,
    np.dot: _dot,
    np.tensordot: reduction.tensordot,
    np.outer: lambda a, b: reduction.einsum("i,j->ij", a, b),
    np.where: elementwise.where,
    np.round: rounding.round,
    np.clip: lambda x, low=None, high=None: activations.clip(x, low, high),
    np.reshape: movement.reshape,
    np.transpose: _transpose,
    np.expand_dims: movement.expand_dims,
    np.squeeze: movement.squeeze,
    np.broadcast_to: broadcast_to,
    np.concatenate: movement.concat,
    np.stack: movement.stack,
    np.pad: _pad,
    np.flip: movement.flip,
    np.roll: movement.roll,
    np.take: _take,
    np.take_along_axis: movement.take_along_axis,
    np.zeros_like: _zeros_like,
    np.ones_like: _ones_like,
    np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim,
}


def ufunc(
    function: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor:
    """The expression for a NumPy elementwise function or its `reduce`.

    Raises `GraphError` naming the function when there is none, or when it is to write
    into an array.

    >>> import numpy as np
    >>> import exprgrad as eg
    >>> np.exp(eg.input("x", (3,)))
    exp(x)
    """
    spelled = f"np.{function.__name__}" + ("" if method == "__call__" else f".{method}")
    if kwargs.get("out") is not None:
        raise GraphError(
            f"{spelled} cannot write an expression into out=, which has no value yet"
        )
    table = {"__call__": UFUNCS, "reduce": REDUCTIONS}.get(method, {})
    if method == "reduce" and len(args) == 1:
        kwargs = {"axis": 0, **kwargs}
    result: Tensor = _called(table, function, spelled, args, kwargs)
    return result


def array_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The expression for a NumPy function. Raises `GraphError` naming it if none is.

    >>> import numpy as np
    >>> import exprgrad as eg
    >>> np.sum(eg.input("x", (3,)))
    sum(x)
    """
    spelled = f"{function.__module__.replace('numpy', 'np')}.{function.__name__}"
    if kwargs.get("out") is not None:
        raise GraphError(
            f"{spelled} cannot write an expression into out=, which has no value yet"
        )
    return _called(FUNCTIONS_OF_NUMPY, function, spelled, args, kwargs)


def _called(
    table: dict[Any, Callable[..., Any]],
    function: Any,
    spelled: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    if function not in table:
        raise GraphError(f"{spelled} does not take expressions")
    try:
        return table[function](*args, **kwargs)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise GraphError(f"{spelled} of an expression: {error}") from error
