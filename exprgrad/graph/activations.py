"""Activations and what goes with them: each spelled with the operations of the table."""

from __future__ import annotations

import math
from typing import Any

from exprgrad.errors import GraphError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.dims import as_size
from exprgrad.graph.elementwise import (
    as_tensor,
    astype,
    broadcast_to,
    equal,
    erf,
    exp,
    expm1,
    less,
    less_equal,
    log,
    maximum,
    minimum,
    sigmoid,
    tanh,
    where,
)
from exprgrad.graph.movement import as_axes, bound, expand_dims, iota
from exprgrad.graph.reduction import Axis, kept, max, sum
from exprgrad.graph.special import stop_gradient
from exprgrad.graph.tensor import Operand, Tensor


def _float(x: Operand) -> Tensor:
    x = as_tensor(x)
    return x if x.dtype.kind == "f" else astype(x, dtypes.float32)


def relu(x: Operand) -> Tensor:
    """max(x, 0); its gradient at 0 is 0. NaN stays NaN.

    >>> import exprgrad as eg
    >>> eg.relu(eg.input("x", (3,)))
    where(x <= 0.0, 0.0, x)
    """
    x = as_tensor(x)
    return where(less_equal(x, 0), 0, x)


def leaky_relu(x: Operand, slope: Operand = 0.01) -> Tensor:
    """x for x > 0, else slope * x."""
    x = _float(x)
    return where(less(0, x), x, slope * x)


def elu(x: Operand, alpha: Operand = 1.0) -> Tensor:
    """x for x > 0, else alpha * (exp(x) - 1). (Clevert et al. 2016, equation 15.)"""
    x = _float(x)
    return where(less(0, x), x, alpha * expm1(where(less(0, x), 0, x)))


def silu(x: Operand) -> Tensor:
    """x * sigmoid(x), also called swish."""
    t = _float(x)
    return t * sigmoid(t)


def gelu(x: Operand, approximate: str = "none") -> Tensor:
    """x times the normal distribution function at x (Hendrycks and Gimpel 2016).

    `approximate` is "none" for the exact form by erf, or "tanh" for the paper's
    approximation 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3))).
    """
    t = _float(x)
    if approximate == "none":
        return 0.5 * t * (1 + erf(t * math.sqrt(0.5)))
    if approximate == "tanh":
        return 0.5 * t * (1 + tanh(math.sqrt(2 / math.pi) * (t + 0.044715 * t * t * t)))
    raise GraphError(f'approximate is "none" or "tanh", not {approximate!r}')


def softmax(x: Operand, axis: Axis = -1) -> Tensor:
    """exp(x) / sum(exp(x)) over `axis`; finite for every finite x.

    >>> import exprgrad as eg
    >>> eg.softmax(eg.input("x", ("batch", 10))).shape
    (batch, 10)
    """
    x = _float(x)
    e = exp(x - _peak(x, axis))
    return e / sum(e, axis, keepdims=True)


def log_softmax(x: Operand, axis: Axis = -1) -> Tensor:
    """log(softmax(x)), finite for every finite x."""
    t = _float(x)
    shifted = t - _peak(t, axis)
    return shifted - log(sum(exp(shifted), axis, keepdims=True))


def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over `axis`, finite for every finite x; -inf where all x are."""
    x = _float(x)
    axes = as_axes(axis, x.ndim)
    peak = stop_gradient(max(x, axes))
    peak = where(abs(peak) < math.inf, peak, 0.0)  # inf - inf is NaN
    total = log(sum(exp(x - kept(peak, x, axes)), axes)) + peak
    return kept(total, x, axes) if keepdims else total


def _peak(x: Tensor, axis: Axis) -> Tensor:
    """The largest of each row; the value does not depend on it, so no gradient does."""
    axes = as_axes(axis, x.ndim)
    return kept(stop_gradient(max(x, axes)), x, axes)


def clip(x: Operand, low: Operand = None, high: Operand = None) -> Tensor:
    """`x` held between `low` and `high`; None leaves that side open."""
    x = as_tensor(x)
    x = x if low is None else maximum(x, low)
    return x if high is None else minimum(x, high)


def square(x: Operand) -> Tensor:
    """x * x"""
    t = as_tensor(x)
    return t * t


def one_hot(index: Operand, size: Any, dtype: object = "float32") -> Tensor:
    """1 at the place that each index names on a new last axis of `size`, else 0.

    An index outside `size` is an `IndexOutOfRange` error of the call.

    >>> import exprgrad as eg
    >>> eg.one_hot(eg.input("y", ("batch",), "int64"), 10).shape
    (batch, 10)
    """
    size = as_size(size)
    place = expand_dims(bound(index, size), -1)
    shape = (*place.shape[:-1], size)
    return astype(equal(broadcast_to(place, shape), iota(size)), dtype)
