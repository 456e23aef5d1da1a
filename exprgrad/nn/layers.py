"""Layers as functions of expressions: each spells the formula of its paper.

Dropout and batch normalisation mean one thing in training and another at inference. A
step with updates is training, a function without is inference; `inference(expr)` says
it outright.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exprgrad.errors import GraphError, ShapeError
from exprgrad.graph import random
from exprgrad.graph.dims import Shape, count
from exprgrad.graph.elementwise import (
    as_tensor,
    astype,
    less_equal,
    maximum,
    rsqrt,
    size_value,
    where,
)
from exprgrad.graph.mode import in_mode, training
from exprgrad.graph.movement import as_axes, reshape
from exprgrad.graph.reduction import Axis, matmul, mean
from exprgrad.graph.tensor import Operand, Tensor

SMALLEST_KEEP = 2.0**-24  # below this, 1 - rate is 0 in float32


def dense(x: Operand, weight: Operand, bias: Operand | None = None) -> Tensor:
    """x @ weight + bias: `x[batch, in]`, `weight[in, out]`, `bias[out]`."""
    product = matmul(x, weight)
    return product if bias is None else product + bias


def dropout(x: Operand, rate: Operand) -> Tensor:
    """In training each element is 0 with probability `rate`, else x / (1 - rate).

    At inference it is x. `rate` is a number, or a state whose value may change without
    compiling again. Srivastava et al. 2014, Dropout, in its inverted form (section 10),
    where the paper's p is 1 - rate. Raises `GraphError` for a rate outside 0 to 1.

    >>> import exprgrad as eg
    >>> rate = eg.state("rate", init=0.5)
    >>> dropout(eg.input("x", ("batch", 8)), rate).shape
    (batch, 8)
    """
    x = as_tensor(x)
    if not isinstance(rate, Tensor) and not 0 <= rate <= 1:
        raise GraphError(f"the rate of dropout lies from 0 to 1, but {rate} was given")
    if x.dtype.kind != "f":
        raise GraphError(f"dropout takes a floating-point tensor, not {x.type}")
    rate = astype(as_tensor(rate, x), x.dtype)
    kept = less_equal(rate, random.uniform(x.shape, dtype=x.dtype))
    scaled = x * (1 / maximum(1 - rate, SMALLEST_KEEP))
    return where(training, where(kept, scaled, 0.0), x)


def batch_norm(
    x: Operand,
    gamma: Operand,
    beta: Operand,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: Operand = 0.1,
    epsilon: float = 1e-5,
    axis: int | Sequence[int] = 0,
) -> tuple[Tensor, dict[Tensor, Tensor]]:
    """y = gamma (x - mean) / sqrt(var + epsilon) + beta, and the states' updates.

    In training mean and var are the batch's over `axis` (0 for `x[batch, features]`,
    (0, 2, 3) for images `[batch, channels, height, width]`), var with 1/m, and the
    gradient flows through both. At inference they are the running ones, each
    (1 - momentum) running + momentum batch, with var m / (m - 1) times the batch's
    (PyTorch's form). Parameters and states have the shape of the axes that are left.
    Give the updates to the trainer: `eg.Trainer(loss, optimizer, updates=updates)`.

    Ioffe and Szegedy 2015, Batch normalization, algorithms 1 and 2. A batch of one row
    has no variance; its running variance becomes NaN.

    >>> import exprgrad as eg
    >>> x = eg.input("x", ("batch", 4))
    >>> mean, var = eg.state("mean", (4,)), eg.state("var", (4,), init=1.0)
    >>> y, updates = batch_norm(x, 1.0, 0.0, mean, var)
    >>> y.shape, list(updates) == [mean, var]
    ((batch, 4), True)
    """
    x = as_tensor(x)
    axes = as_axes(axis, x.ndim)
    kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    left = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    _require_statistics(x, axes, left, running_mean, running_var)
    centre = mean(x, axes)
    deviation = x - reshape(centre, kept)
    spread = mean(deviation * deviation, axes)
    used_mean = reshape(where(training, centre, running_mean), kept)
    used_var = reshape(where(training, spread, running_var), kept)
    normal = (x - used_mean) * rsqrt(used_var + epsilon)
    y = normal * _shaped(gamma, left, kept) + _shaped(beta, left, kept)
    m = astype(size_value(count(tuple(x.shape[a] for a in axes))), x.dtype)
    unbiased = spread * (m / (m - 1))
    updates = {
        running_mean: running_mean + momentum * (centre - running_mean),
        running_var: running_var + momentum * (unbiased - running_var),
    }
    return y, updates


def _require_statistics(
    x: Tensor, axes: tuple[int, ...], left: Shape, *states: Tensor
) -> None:
    for state in states:
        if state.shape != left:
            raise ShapeError(
                f"batch_norm over {axes} of {x.type} needs statistics of {left}, but "
                f"{state.name} is {state.type}"
            )


def layer_norm(
    x: Operand,
    gamma: Operand | None = None,
    beta: Operand | None = None,
    axis: Axis = -1,
    epsilon: float = 1e-5,
) -> Tensor:
    """gamma (x - mean) / sqrt(var + epsilon) + beta, mean and var over `axis`.

    The variance has 1/n; training and inference are the same. `gamma` and `beta` have
    the shape of `axis`. Ba, Kiros and Hinton 2016, Layer normalization, equation 3,
    with epsilon inside the root as in PyTorch.
    """
    x = as_tensor(x)
    axes = as_axes(axis, x.ndim)
    deviation = x - mean(x, axes, keepdims=True)
    variance = mean(deviation * deviation, axes, keepdims=True)
    y: Tensor = deviation * rsqrt(variance + epsilon)
    inner = tuple(x.shape[a] for a in axes)
    placed = tuple(n if a in axes else 1 for a, n in enumerate(x.shape))
    if gamma is not None:
        y = y * _shaped(gamma, inner, placed)
    if beta is not None:
        y = y + _shaped(beta, inner, placed)
    return y


def inference(expression: Tensor) -> Tensor:
    """`expression` without dropout, and with running statistics in place of a batch's.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> inference(dropout(x, 0.5)) is x
    True
    """
    return in_mode([expression], False)[expression]


def _shaped(value: Operand, shape: Shape, placed: Shape) -> Any:
    """`value`, of `shape` or a scalar, with unit axes so that it broadcasts."""
    if not isinstance(value, Tensor) or not value.ndim:
        return value
    if value.shape != shape:
        raise ShapeError(f"{value.type} is the scale or the shift of axes {shape}")
    return reshape(value, placed)
