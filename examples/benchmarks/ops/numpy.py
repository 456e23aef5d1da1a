"""Operations in NumPy, each with its derivative written by hand: in float64 the reference
to which all losses are held, and in float32 what NumPy alone can do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]
Pullback = Callable[[Array], tuple[Array, ...]]


class Var:
    """An array, what it was made of, and how its cotangent becomes theirs."""

    def __init__(
        self, value: Any, args: tuple[Var, ...] = (), back: Pullback | None = None
    ) -> None:
        self.value = np.asarray(value)
        self.args, self.back = args, back

    shape = property(lambda self: self.value.shape)
    T = property(lambda self: made(self.value.T, (self,), lambda g: (g.T,)))

    def __add__(self, other: Any) -> Var:
        return made(self.value + raw(other), (self, other), lambda g: (g, g))

    def __sub__(self, other: Any) -> Var:
        return made(self.value - raw(other), (self, other), lambda g: (g, -g))

    def __mul__(self, other: Any) -> Var:
        a, b = self.value, raw(other)
        return made(a * b, (self, other), lambda g: (g * b, g * a))

    def __truediv__(self, other: float) -> Var:
        return self * (1 / other)

    def __matmul__(self, other: Any) -> Var:
        a, b = self.value, raw(other)
        if b.ndim == 1:
            return made(a @ b, (self, other), lambda g: (g[..., None] * b, g @ a))
        return made(a @ b, (self, other), lambda g: (g @ b.swapaxes(-1, -2), _product(a, g)))

    __radd__ = __add__
    __rmul__ = __mul__


def raw(value: Any) -> Any:
    return value.value if isinstance(value, Var) else value


def made(value: Any, args: tuple[Any, ...], back: Pullback) -> Var:
    variables = tuple(a if isinstance(a, Var) else Var(a) for a in args)
    return Var(value, variables, back)


def _product(a: Array, g: Array) -> Array:
    """The cotangent of b in a @ b, where b may have been repeated along rows of a."""
    if a.ndim == g.ndim == 2 or a.ndim == 4:
        return a.swapaxes(-1, -2) @ g
    return a.reshape(-1, a.shape[-1]).T @ g.reshape(-1, g.shape[-1])


def gradients(loss: Var, wanted: dict[str, Var]) -> dict[str, Array]:
    """The derivative of a scalar by each of the wanted variables."""
    order: list[Var] = []
    seen: set[int] = set()

    def visit(node: Var) -> None:
        if id(node) not in seen:
            seen.add(id(node))
            for argument in node.args:
                visit(argument)
            order.append(node)

    visit(loss)
    cotangents = {id(loss): np.ones_like(loss.value)}
    for node in reversed(order):
        if node.back is None:
            continue
        for argument, g in zip(node.args, node.back(cotangents[id(node)]), strict=False):
            g = _like(g, argument.shape)
            before = cotangents.get(id(argument))
            cotangents[id(argument)] = g if before is None else before + g
    return {name: cotangents[id(node)] for name, node in wanted.items()}


def _like(g: Array, shape: tuple[int, ...]) -> Array:
    """A cotangent summed over the axes along which its argument was repeated."""
    g = g.sum(tuple(range(g.ndim - len(shape))))
    repeated = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return g.sum(repeated, keepdims=True)


# Functions of one variable: value and slope


def dense(x: Var, weight: Var, bias: Any = None) -> Var:
    return x @ weight if bias is None else x @ weight + bias


def relu(x: Var) -> Var:
    return made(np.maximum(x.value, 0), (x,), lambda g: (g * (x.value > 0),))


def sigmoid(x: Var) -> Var:
    y = 1 / (1 + np.exp(-x.value))
    return made(y, (x,), lambda g: (g * y * (1 - y),))


def gelu(x: Var) -> Var:
    z = x.value
    below = 0.5 * (1 + _erf(z / math.sqrt(2)))
    slope = below + z * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return made(z * below, (x,), lambda g: (g * slope,))


_erf = np.vectorize(math.erf)


def sqrt(x: Var) -> Var:
    y = np.sqrt(x.value)
    return made(y, (x,), lambda g: (g / (2 * y),))


def abs(x: Var) -> Var:
    return made(np.abs(x.value), (x,), lambda g: (g * np.sign(x.value),))


# Sums, means and losses


def sum(x: Var) -> Var:
    return made(x.value.sum(), (x,), lambda g: (np.broadcast_to(g, x.shape),))


def mean(x: Var) -> Var:
    return sum(x) / x.value.size


def mean_rows(x: Var) -> Var:
    n = len(x.value)
    return made(x.value.mean(0), (x,), lambda g: (np.broadcast_to(g / n, x.shape),))


def cross_entropy(logits: Var, labels: Var) -> Var:
    z, rows, y = logits.value, np.arange(len(labels.value)), labels.value
    shifted = z - z.max(1, keepdims=True)
    probable = np.exp(shifted)
    total = probable.sum(1, keepdims=True)
    slope = probable / total
    slope[rows, y] -= 1
    value = (np.log(total[:, 0]) - shifted[rows, y]).mean()
    return made(value, (logits,), lambda g: (g * slope / len(y),))


def bernoulli(z: Var, y: Any) -> Var:
    a, b = z.value, raw(y)
    value = (np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a))) - a * b).sum()
    return made(value, (z,), lambda g: (g * (1 / (1 + np.exp(-a)) - b),))


# Noise


def drawn(probability: Var, u: Any, i: int) -> Var:
    chosen = u(i, probability.shape) < probability.value
    return Var(chosen.astype(probability.value.dtype))


def dropout(x: Var, rate: float, u: Any, i: int) -> Var:
    return x * ((u(i, x.shape) >= rate) / (1 - rate)).astype(x.value.dtype)


# Images


def conv(x: Var, filters: Var, bias: Var, padding: int) -> Var:
    pads = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    k, padded = filters.value, np.pad(x.value, pads)
    side = k.shape[2]
    value = np.einsum("bihwuv,oiuv->bohw", _windows(padded, side), k, optimize=True)

    def back(g: Array) -> tuple[Array, ...]:
        around = np.pad(g, ((0, 0), (0, 0), (side - 1, side - 1), (side - 1, side - 1)))
        flipped = k[:, :, ::-1, ::-1]
        gx = np.einsum("bohwuv,oiuv->bihw", _windows(around, side), flipped, optimize=True)
        gk = np.einsum("bihwuv,bohw->oiuv", _windows(padded, side), g, optimize=True)
        inside = slice(padding, -padding or None)
        return gx[:, :, inside, inside], gk, g.sum((0, 2, 3))

    return made(value + bias.value[:, None, None], (x, filters, bias), back)


def _windows(x: Array, side: int) -> Array:
    return sliding_window_view(x, (side, side), axis=(2, 3))


def max_pool(x: Var) -> Var:
    b, c, h, w = x.shape
    quarters = x.value.reshape(b, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    flat = quarters.reshape(b, c, h // 2, w // 2, 4)
    chosen = flat.argmax(-1)[..., None]

    def back(g: Array) -> tuple[Array, ...]:
        spread = np.zeros_like(flat)
        np.put_along_axis(spread, chosen, g[..., None], -1)
        spread = spread.reshape(quarters.shape).transpose(0, 1, 2, 4, 3, 5)
        return (spread.reshape(x.shape),)

    return made(np.take_along_axis(flat, chosen, -1)[..., 0], (x,), back)


def pixels_flat(x: Var) -> Var:
    return _reshaped(x, (len(x.value), -1))


def pixels_mean(x: Var) -> Var:
    n = x.shape[2] * x.shape[3]
    back = lambda g: (np.broadcast_to(g[..., None, None] / n, x.shape),)  # noqa: E731
    return made(x.value.mean((2, 3)), (x,), back)


def _reshaped(x: Var, shape: tuple[int, ...]) -> Var:
    return made(x.value.reshape(shape), (x,), lambda g: (g.reshape(x.shape),))


# Normalisation: y = (x - mean) / root(var + eps) * g + s, over one axis


def _normed(x: Var, g: Var, s: Var, axis: int, epsilon: float) -> tuple[Var, Array, Array]:
    m, v = x.value.mean(axis, keepdims=True), x.value.var(axis, keepdims=True)
    scale = 1 / np.sqrt(v + epsilon)
    unit = (x.value - m) * scale

    def back(c: Array) -> tuple[Array, ...]:
        d = c * g.value
        along = unit * (d * unit).mean(axis, keepdims=True)
        return scale * (d - d.mean(axis, keepdims=True) - along), c * unit, c

    return made(unit * g.value + s.value, (x, g, s), back), m.squeeze(axis), v.squeeze(axis)


def batch_norm(x: Var, g: Var, s: Var, mean: Var, var: Var, extra: Any) -> Any:
    y, m, v = _normed(x, g, s, 0, extra["epsilon"])
    rows, part = x.shape[0], extra["momentum"]
    unbiased = v * (rows / (rows - 1))
    return y, (mean * (1 - part) + part * m, var * (1 - part) + part * unbiased)


def layer_norm(x: Var, g: Var, s: Var) -> Var:
    return _normed(x, g, s, -1, 1e-5)[0]


# Rows of a table, attention


def embedded_mean(table: Var, tokens: Var) -> Var:
    index, n = tokens.value, tokens.shape[1]

    def back(g: Array) -> tuple[Array, ...]:
        spread = np.zeros_like(table.value)
        np.add.at(spread, index, g[:, None] / n)
        return (spread,)

    return made(table.value[index].mean(1), (table,), back)


def heads(x: Var, n: int) -> Var:
    b, places, width = x.shape
    return _swapped(_reshaped(x, (b, places, n, width // n)))


def joined(x: Var) -> Var:
    b, n, places, width = x.shape
    return _reshaped(_swapped(x), (b, places, n * width))


def _swapped(x: Var) -> Var:
    return made(x.value.swapaxes(1, 2), (x,), lambda g: (g.swapaxes(1, 2),))


def attention(q: Var, k: Var, v: Var) -> Var:
    turned = made(k.value.swapaxes(2, 3), (k,), lambda g: (g.swapaxes(2, 3),))
    return _softmax(q @ turned / math.sqrt(q.shape[-1])) @ v


def _softmax(x: Var) -> Var:
    y = np.exp(x.value - x.value.max(-1, keepdims=True))
    y /= y.sum(-1, keepdims=True)
    return made(y, (x,), lambda g: (y * (g - (g * y).sum(-1, keepdims=True)),))
