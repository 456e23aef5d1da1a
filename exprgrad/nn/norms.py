"""Normalisation of each row by itself: the same in training and at inference.

    y = gamma (x - mean) / sqrt(var + epsilon) + beta

The kinds differ in the axes over which mean and var, with 1/n, are taken.
"""

from __future__ import annotations

from exprgrad.errors import ShapeError
from exprgrad.graph.elementwise import as_tensor, rsqrt
from exprgrad.graph.movement import as_axes, reshape
from exprgrad.graph.reduction import Axis, mean
from exprgrad.graph.tensor import Operand, Tensor


def layer_norm(
    x: Operand,
    gamma: Operand | None = None,
    beta: Operand | None = None,
    axis: Axis = -1,
    epsilon: float = 1e-5,
) -> Tensor:
    """gamma (x - mean) / sqrt(var + epsilon) + beta, mean and var over `axis`.

    `gamma` and `beta` have the shape of `axis`, or are numbers; else a `ShapeError`.
    Ba, Kiros and Hinton 2016, Layer normalization, equation 3, with epsilon inside the
    root as in PyTorch.

    >>> import exprgrad as eg
    >>> x = eg.constant([[1.0, 3.0], [10.0, 30.0]])
    >>> eg.function([], layer_norm(x))().round(3)
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """
    x = as_tensor(x)
    axes = as_axes(axis, x.ndim)
    return scaled(standardised(x, axes, epsilon), gamma, beta, axes)


def rms_norm(
    x: Operand,
    gamma: Operand | None = None,
    axis: Axis = -1,
    epsilon: float = 1e-5,
) -> Tensor:
    """gamma x / sqrt(mean(x²) + epsilon), the mean over `axis`.

    `gamma` has the shape of `axis`, or is a number; else a `ShapeError`. Zhang and
    Sennrich 2019, Root mean square layer normalization, equation 4.

    >>> import exprgrad as eg
    >>> eg.function([], rms_norm(eg.constant([3.0, 4.0, 0.0, 0.0])))().round(3)
    array([1.2, 1.6, 0. , 0. ], dtype=float32)
    """
    x = as_tensor(x)
    axes = as_axes(axis, x.ndim)
    y = x * rsqrt(mean(x * x, axes, keepdims=True) + epsilon)
    return scaled(y, gamma, None, axes)


def group_norm(
    x: Operand,
    groups: int,
    gamma: Operand | None = None,
    beta: Operand | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """`x[batch, channel, ...]`: mean and var over the channels of a group and all pixels.

    `gamma[channel]` and `beta[channel]`, or numbers. One group is layer normalisation
    over all axes of a row, as many groups as channels is `instance_norm`. Raises
    `ShapeError` where groups do not divide channels. Wu and He 2018, Group
    normalization, equation 7.

    >>> import exprgrad as eg
    >>> group_norm(eg.input("x", ("batch", 6, 8, 8)), 3).shape
    (batch, 6, 8, 8)
    """
    x = as_tensor(x)
    channels = x.shape[1] if x.ndim > 1 else None
    if not isinstance(channels, int) or groups < 1 or channels % groups:
        raise ShapeError(
            f"group_norm: {groups} groups of equal size do not make up the channels, "
            f"axis 1, of {x.type}"
        )
    parts = reshape(x, (x.shape[0], groups, channels // groups, *x.shape[2:]))
    even = standardised(parts, tuple(range(2, parts.ndim)), epsilon)
    return scaled(reshape(even, x.shape), gamma, beta, (1,))


def instance_norm(
    x: Operand,
    gamma: Operand | None = None,
    beta: Operand | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """`x[batch, channel, ...]`: mean and var over the pixels of each channel and row.

    `gamma[channel]` and `beta[channel]`, or numbers. Ulyanov, Vedaldi and Lempitsky
    2016, Instance normalization, equation 4.
    """
    x = as_tensor(x)
    if x.ndim < 3:
        raise ShapeError(f"instance_norm takes x[batch, channel, ...], not {x.type}")
    y = standardised(x, tuple(range(2, x.ndim)), epsilon)
    return scaled(y, gamma, beta, (1,))


def standardised(x: Tensor, axes: tuple[int, ...], epsilon: float) -> Tensor:
    """(x - mean) / sqrt(var + epsilon) over `axes`."""
    deviation = x - mean(x, axes, keepdims=True)
    var = mean(deviation * deviation, axes, keepdims=True)
    y: Tensor = deviation * rsqrt(var + epsilon)
    return y


def scaled(
    x: Tensor, gamma: Operand | None, beta: Operand | None, axes: tuple[int, ...]
) -> Tensor:
    """gamma x + beta, both of the shape of `axes` of x, numbers, or not there."""
    y: Tensor = x if gamma is None else x * _placed(gamma, x, axes)
    z: Tensor = y if beta is None else y + _placed(beta, x, axes)
    return z


def _placed(value: Operand, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """`value` with unit axes, so that it broadcasts along all but `axes` of `x`."""
    factor: Tensor = as_tensor(value, x)
    inner = tuple(x.shape[a] for a in axes)
    if factor.ndim and factor.shape != inner:
        raise ShapeError(f"{factor.type} is the scale or the shift of axes {inner}")
    unit = tuple(n if a in axes else 1 for a, n in enumerate(x.shape))
    return reshape(factor, unit) if factor.ndim else factor
