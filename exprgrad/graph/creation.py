"""Tensors made of numbers: filled, counted, spaced."""

from __future__ import annotations

from typing import Any

import numpy as np

from exprgrad.graph.dims import Dim, as_size
from exprgrad.graph.dtype import as_dtype
from exprgrad.graph.elementwise import as_tensor, astype, constant, full
from exprgrad.graph.movement import iota
from exprgrad.graph.tensor import Operand, Tensor


def zeros(shape: Any, dtype: object = "float32") -> Tensor:
    """A tensor of zeros."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: object = "float32") -> Tensor:
    """A tensor of ones."""
    return full(shape, 1, dtype)


def zeros_like(x: Operand, dtype: object = None) -> Tensor:
    """Zeros of the shape (and the dtype, when none is given) of `x`."""
    x = as_tensor(x)
    return full(x.shape, 0, as_dtype(dtype) if dtype else x.dtype)


def ones_like(x: Operand, dtype: object = None) -> Tensor:
    """Ones of the shape (and the dtype, when none is given) of `x`."""
    x = as_tensor(x)
    return full(x.shape, 1, as_dtype(dtype) if dtype else x.dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: object = None) -> Tensor:
    """start, start + step, ... before `stop`; with one size given, 0, 1, ... size - 1.

    >>> import exprgrad as eg
    >>> eg.arange("batch").type.shape
    (batch,)
    """
    if stop is None and isinstance(start, str | Dim | int) and step == 1:
        counted = iota(as_size(start))
        return counted if dtype is None else astype(counted, dtype)
    first, last = (0, start) if stop is None else (start, stop)
    values = np.arange(first, last, step)
    exact = dtype or ("float32" if values.dtype.kind == "f" else "int64")
    return constant(values, exact)


def linspace(start: float, stop: float, num: int, dtype: object = "float32") -> Tensor:
    """`num` evenly spaced numbers from `start` to `stop`, both included."""
    return constant(np.linspace(start, stop, num), dtype)
