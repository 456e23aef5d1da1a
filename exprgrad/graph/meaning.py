"""What each operation means: one line of NumPy, in the order of OPS.

A row is called with the node's parameters by name (`n.axes`, sizes as integers) and the
values of its arguments. Every backend is tested against this table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from exprgrad.errors import out_of_range
from exprgrad.graph.dtype import convert
from exprgrad.graph.philox import uniform

Array = Any  # an NDArray; NumPy types its results no closer

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _pow(n: SimpleNamespace, a: Array, b: Array) -> Array:
    """For integers a**-b is 1 / a**b without its fraction, and 0**-b is 0."""
    if a.dtype.kind == "f":
        return np.power(a, b)
    sign = np.where(b % 2 == 0, 1, a)
    inverse = np.where(np.abs(a) == 1, sign, 0)
    return np.where(b < 0, inverse, np.power(a, np.maximum(b, 0)))


def _sigmoid(n: SimpleNamespace, x: Array) -> Array:
    """1 / (1 + e**-x) for x >= 0, e**x / (1 + e**x) below: the exponential is at most 1."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def _bfloat16(n: SimpleNamespace, x: Array) -> Array:
    """The upper 16 of the 32 bits, to which a carry comes from the lower; ties to even."""
    bits = np.asarray(x).view(np.uint32)
    kept = (bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(x), x, kept.view(np.float32))


def _bound(n: SimpleNamespace, index: Array) -> Array:
    lowest = -n.size if n.wraps else 0
    outside = index[(index < lowest) | (index >= n.size)]
    if outside.size:
        raise out_of_range(outside[0], n.size, n.wraps, n.where)
    return np.where(index < 0, index + n.size, index)


def _argmax(n: SimpleNamespace, x: Array) -> Array:
    """Of several axes the index is that of the flattened axes."""
    ends = tuple(range(-len(n.axes), 0))
    last = np.moveaxis(x, n.axes, ends)
    rest = x.ndim - len(n.axes)
    flat = last.reshape(*last.shape[:rest], math.prod(last.shape[rest:]))
    return np.argmax(flat, axis=-1)


def _expand(n: SimpleNamespace, x: Array) -> Array:
    return np.broadcast_to(np.expand_dims(x, n.axes), n.shape)


def _slice(n: SimpleNamespace, x: Array) -> Array:
    axes = zip(n.starts, n.steps, n.shape, strict=True)
    return x[np.ix_(*(start + step * np.arange(size) for start, step, size in axes))]


def _window(n: SimpleNamespace, x: Array) -> Array:
    reach = (n.size - 1) * n.dilation + 1
    if x.shape[n.axis] < reach:
        return np.zeros(
            (*x.shape[: n.axis], 0, *x.shape[n.axis + 1 :], n.size), x.dtype
        )
    windows = sliding_window_view(x, reach, n.axis)[..., :: n.dilation]
    return windows[(slice(None),) * n.axis + (slice(None, None, n.stride),)]


def _unwindow(n: SimpleNamespace, y: Array) -> Array:
    """y[.., i, .., k] is added to element i * stride + k * dilation of the axis."""
    result = np.zeros((*y.shape[: n.axis], n.n, *y.shape[n.axis + 1 : -1]), y.dtype)
    view = np.moveaxis(result, n.axis, 0)
    for k in range(y.shape[-1]):
        taps = np.moveaxis(y[..., k], n.axis, 0)
        first = k * n.dilation
        view[first : first + len(taps) * n.stride : n.stride][: len(taps)] += taps
    return result


def _scatter_add(n: SimpleNamespace, updates: Array, index: Array) -> Array:
    rank = index.ndim
    source = np.moveaxis(updates, range(n.axis, n.axis + rank), range(rank))
    rest = source.shape[rank:]
    result = np.zeros((n.n, *rest), updates.dtype)
    np.add.at(result, index, source)
    return np.moveaxis(result, 0, n.axis)


def _random(n: SimpleNamespace, step: Array, seed: Array) -> Array:
    return uniform(n.shape, n.dtype.numpy, n.key, int(step), int(seed))


def _given(n: SimpleNamespace) -> Array:
    """A leaf's value, which `evaluate` puts there."""
    value: Array = n.given
    return value


MEANING: dict[str, Callable[..., Any]] = {
    # leaves
    "input": _given,
    "parameter": _given,
    "state": _given,
    "constant": lambda n: n.value.array,
    "size": lambda n: np.int64(n.size),
    "iota": lambda n: np.arange(n.size),
    # elementwise
    "add": lambda n, a, b: a + b,
    "subtract": lambda n, a, b: a - b,
    "multiply": lambda n, a, b: a * b,
    "divide": lambda n, a, b: a / b,
    "floor_divide": lambda n, a, b: a // b,
    "remainder": lambda n, a, b: a % b,
    "pow": _pow,
    "maximum": lambda n, a, b: np.maximum(a, b),
    "minimum": lambda n, a, b: np.minimum(a, b),
    "negative": lambda n, x: -x,
    "abs": lambda n, x: np.abs(x),
    "sign": lambda n, x: np.sign(x),
    "floor": lambda n, x: np.floor(x),
    "exp": lambda n, x: np.exp(x),
    "expm1": lambda n, x: np.expm1(x),
    "log": lambda n, x: np.log(x),
    "log1p": lambda n, x: np.log1p(x),
    "sqrt": lambda n, x: np.sqrt(x),
    "rsqrt": lambda n, x: 1 / np.sqrt(x),
    "tanh": lambda n, x: np.tanh(x),
    "sigmoid": _sigmoid,
    "softplus": lambda n, x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "erf": lambda n, x: _erf(x).astype(x.dtype),
    "sin": lambda n, x: np.sin(x),
    "cos": lambda n, x: np.cos(x),
    "bfloat16": _bfloat16,
    "equal": lambda n, a, b: a == b,
    "not_equal": lambda n, a, b: a != b,
    "less": lambda n, a, b: a < b,
    "less_equal": lambda n, a, b: a <= b,
    "logical_and": lambda n, a, b: a & b,
    "logical_or": lambda n, a, b: a | b,
    "logical_not": lambda n, x: ~x,
    "where": lambda n, condition, a, b: np.where(condition, a, b),
    "cast": lambda n, x: convert(x, n.dtype),
    "bound": _bound,
    # reductions
    "sum": lambda n, x: np.sum(x, n.axes, x.dtype),
    "max": lambda n, x: np.max(x, n.axes),
    "min": lambda n, x: np.min(x, n.axes),
    "argmax": _argmax,
    "cumsum": lambda n, x: np.cumsum(x, n.axis, x.dtype),
    "dot": lambda n, x, y: np.einsum(f"{n.a},{n.b}->{n.out}", x, y, optimize=True),
    # movement
    "reshape": lambda n, x: np.reshape(x, n.shape),
    "expand": _expand,
    "permute": lambda n, x: np.transpose(x, n.axes),
    "pad": lambda n, x: np.pad(x, n.widths) if n.widths else x,
    "slice": _slice,
    "concat": lambda n, *parts: np.concatenate(parts, n.axis),
    "window": _window,
    "unwindow": _unwindow,
    "gather": lambda n, x, index: np.take(x, index, n.axis),
    "scatter_add": _scatter_add,
    # special
    "random": _random,
    "stop_gradient": lambda n, x: x,
    "custom": lambda n, value, *inputs: value,
    "checkpoint": lambda n, x: x,
    "again": lambda n, x, after: x,
}
