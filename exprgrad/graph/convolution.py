"""Convolution and pooling of images x[batch, channel, row, column].

Both are spelled with sliding windows: a convolution is a contraction over them, a
pooling a reduction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from exprgrad.errors import ShapeError
from exprgrad.graph.dims import Size
from exprgrad.graph.elementwise import as_tensor
from exprgrad.graph.movement import pad, reshape, sliding_window
from exprgrad.graph.reduction import einsum, max, mean
from exprgrad.graph.tensor import Operand, Tensor

Pair = tuple[int, int]
Padding = str | int | Sequence[Any]


def conv2d(
    x: Operand,
    w: Operand,
    stride: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of x[batch, in, h, w] with w[out, in / groups, kh, kw].

    `padding` is "valid" (none), "same" (h / stride rows come out, rounded up), a
    number, one for rows and one for columns, or a pair (before, after) for each.
    Raises `ShapeError` when channels and groups do not fit.

    >>> import exprgrad as eg
    >>> x, w = eg.input("x", ("batch", 3, 9, 9)), eg.parameter("w", (8, 3, 3, 3))
    >>> eg.conv2d(x, w, stride=2, padding=1).shape
    (batch, 8, 5, 5)
    """
    x, w = as_tensor(x), as_tensor(w)
    _check_channels(x, w, groups)
    kernel = _kernel(w)
    taps = _windows(x, kernel, _pair(stride), padding, _pair(dilation), 0.0)
    if groups == 1:
        return einsum("ncyxij,ocij->noyx", taps, w)
    batch, _, *rest = taps.shape
    taps = reshape(taps, (batch, groups, w.shape[1], *rest))
    w = reshape(w, (groups, w.shape[0] // groups, *w.shape[1:]))
    result = einsum("ngcyxij,gocij->ngoyx", taps, w)
    return reshape(result, (batch, w.shape[0] * w.shape[1], *result.shape[3:]))


def _check_channels(x: Tensor, w: Tensor, groups: int) -> None:
    if x.ndim != 4 or w.ndim != 4:
        raise ShapeError(
            f"conv2d takes x[n, c, h, w] and w[o, i, h, w], not {x.type}, {w.type}"
        )
    fits = groups >= 1 and w.shape[1] * groups == x.shape[1]
    if not fits or not isinstance(w.shape[0], int) or w.shape[0] % groups:
        raise ShapeError(f"conv2d: {w.type} in {groups} groups does not fit {x.type}")


def _kernel(w: Tensor) -> Pair:
    height, width = w.shape[2:]
    if not isinstance(height, int) or not isinstance(width, int):
        raise ShapeError(f"conv2d needs a kernel whose sizes are numbers, not {w.type}")
    return height, width


def max_pool2d(
    x: Operand,
    window: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: Padding = 0,
) -> Tensor:
    """Maximum of each window of x[batch, channel, h, w]; `stride` is the window's size
    when not given. Padding is minus infinity. The gradient goes to the first maximum.

    >>> import exprgrad as eg
    >>> eg.max_pool2d(eg.input("x", ("batch", 3, 8, 8)), 2).shape
    (batch, 3, 4, 4)
    """
    size = _pair(window)
    steps = size if stride is None else _pair(stride)
    return max(
        _windows(as_tensor(x), size, steps, padding, (1, 1), -math.inf), (-2, -1)
    )


def avg_pool2d(
    x: Operand,
    window: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: Padding = 0,
) -> Tensor:
    """Mean of each window of x[batch, channel, h, w]; zeros of the padding count."""
    size = _pair(window)
    steps = size if stride is None else _pair(stride)
    return mean(_windows(as_tensor(x), size, steps, padding, (1, 1), 0.0), (-2, -1))


def _windows(
    x: Tensor, size: Pair, stride: Pair, padding: Padding, dilation: Pair, value: float
) -> Tensor:
    """x[n, c, h, w] -> windows[n, c, h', w', size[0], size[1]]"""
    if x.ndim != 4:
        raise ShapeError(f"an image is x[batch, channel, h, w], not {x.type}")
    around = [
        _widths(
            padding, axis, x.shape[2 + axis], size[axis], stride[axis], dilation[axis]
        )
        for axis in (0, 1)
    ]
    x = pad(x, [(0, 0), (0, 0), *around], value)
    for axis in (0, 1):
        x = sliding_window(x, size[axis], 2 + axis, stride[axis], dilation[axis])
    return x


def _widths(
    padding: Padding, axis: int, n: Size, size: int, stride: int, dilation: int
) -> Pair:
    if padding == "valid":
        return 0, 0
    if padding == "same":
        return _same(n, size, stride, dilation)
    if isinstance(padding, str):
        raise ShapeError(f'padding is "valid", "same" or numbers, not {padding!r}')
    widths: Any = padding if isinstance(padding, int) else padding[axis]
    return _pair(widths)


def _same(n: Size, size: int, stride: int, dilation: int) -> Pair:
    """Widths that give ceil(n / stride) windows, the larger one after."""
    reach = (size - 1) * dilation + 1
    if stride == 1:
        missing = reach - 1
    elif isinstance(n, int):
        needed = (-(-n // stride) - 1) * stride + reach
        missing = needed - n if needed > n else 0
    else:
        raise ShapeError(
            f'padding "same" with a stride needs a size that is a number, not {n}'
        )
    return missing // 2, missing - missing // 2


def _pair(value: int | Sequence[int]) -> Pair:
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)
