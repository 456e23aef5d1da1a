"""Blocks of networks: a loss, and its gradient by the parameters, of a named number of rows."""

from __future__ import annotations

from typing import Any

import exprgrad as eg

from .case import Case


def _block(name: str, ours: Any, theirs: Any, *shapes: Any, rows: int, data: int = 1) -> Case:
    """The first `data` of `shapes` are inputs, whose first axis has a name."""
    named = tuple(("rows", *s) if n < data else s for n, s in enumerate(shapes))
    return Case(name, named, ours, theirs, rows=rows, first=data, scale=0.1)


def _both(name: str, of: Any, *shapes: Any, rows: int) -> Case:
    """What both libraries spell alike: `of(library, *tensors)`."""
    return _block(name, lambda *x: of(eg, *x), of, *shapes, rows=rows)


def _squares(x: Any) -> Any:
    return (x * x).mean()


# Recurrent networks, unrolled


def _lstm(steps: int, width: int) -> Any:
    """Hochreiter and Schmidhuber 1997, with a forget gate."""

    def loss(o: Any, x: Any, of_input: Any, of_state: Any, bias: Any) -> Any:
        h = c = None
        for t in range(steps):
            z = x[:, t] @ of_input + bias
            z = z if h is None else z + h @ of_state
            i, f, g, out = (z[:, n * width : (n + 1) * width] for n in range(4))
            new = o.sigmoid(i) * o.tanh(g)
            c = new if c is None else new + o.sigmoid(f) * c
            h = o.sigmoid(out) * o.tanh(c)
        return _squares(h)

    return loss


def _gru(steps: int, width: int) -> Any:
    """Cho et al. 2014."""

    def loss(o: Any, x: Any, of_input: Any, of_state: Any, bias: Any) -> Any:
        h = o.tanh(x[:, 0] @ of_input[:, :width])
        for t in range(1, steps):
            a, r = x[:, t] @ of_input + bias, h @ of_state
            update = o.sigmoid(a[:, :width] + r[:, :width])
            reset = o.sigmoid(a[:, width : 2 * width] + r[:, width : 2 * width])
            new = o.tanh(a[:, 2 * width :] + reset * r[:, 2 * width :])
            h = (1 - update) * new + update * h
        return _squares(h)

    return loss


# A transformer's layer (Vaswani et al. 2017, normalised first)

HEADS, TOKENS, WIDTH = 4, 32, 64


def _transformer(x: Any, query: Any, key: Any, value: Any, out: Any, up: Any, down: Any) -> Any:
    def norm(a: Any) -> Any:
        deviation = a - a.mean(-1, keepdims=True)
        return deviation / eg.sqrt(a.var(-1, keepdims=True) + 1e-5)

    h = norm(x)
    q, k, v = (
        (h @ w).reshape(-1, TOKENS, HEADS, WIDTH // HEADS) for w in (query, key, value)
    )
    scores = eg.einsum("bihd,bjhd->bhij", q, k) / (WIDTH // HEADS) ** 0.5
    mixed = eg.einsum("bhij,bjhd->bihd", eg.softmax(scores, axis=-1), v)
    x = x + mixed.reshape(-1, TOKENS, WIDTH) @ out
    return _squares(x + eg.gelu(norm(x) @ up) @ down)


def _torch_transformer(
    t: Any, x: Any, query: Any, key: Any, value: Any, out: Any, up: Any, down: Any
) -> Any:
    f = t.nn.functional
    h = f.layer_norm(x, (WIDTH,))
    q, k, v = (
        (h @ w).reshape(-1, TOKENS, HEADS, WIDTH // HEADS).transpose(1, 2)
        for w in (query, key, value)
    )
    mixed = f.scaled_dot_product_attention(q, k, v).transpose(1, 2)
    x = x + mixed.reshape(-1, TOKENS, WIDTH) @ out
    return _squares(x + f.gelu(f.layer_norm(x, (WIDTH,)) @ up) @ down)


# Convolutional networks


def _normed(a: Any, scale: Any, shift: Any) -> Any:
    """Batch norm of pictures."""
    axes = (0, 2, 3)
    deviation = a - a.mean(axes, keepdims=True)
    normal = deviation / eg.sqrt(a.var(axes, keepdims=True) + 1e-5)
    return normal * scale[:, None, None] + shift[:, None, None]


def _torch_normed(t: Any, a: Any, scale: Any, shift: Any) -> Any:
    return t.nn.functional.batch_norm(a, None, None, scale, shift, True)


def _residual(x: Any, v: Any, w: Any, *scales: Any) -> Any:
    """He et al. 2016, with batch norm."""
    h = eg.relu(_normed(eg.conv2d(x, v, padding=1), *scales[:2]))
    return _squares(eg.relu(x + _normed(eg.conv2d(h, w, padding=1), *scales[2:])))


def _torch_residual(t: Any, x: Any, v: Any, w: Any, *scales: Any) -> Any:
    f = t.nn.functional
    h = f.relu(_torch_normed(t, f.conv2d(x, v, padding=1), *scales[:2]))
    return _squares(f.relu(x + _torch_normed(t, f.conv2d(h, w, padding=1), *scales[2:])))


def _mobile(x: Any, first: Any, apart: Any, together: Any, *scales: Any) -> Any:
    """The beginning of a MobileNet (Howard et al. 2017): each channel in strides of two."""
    h = eg.relu(_normed(eg.conv2d(x, first, padding=1), *scales[:2]))
    h = eg.conv2d(h, apart, stride=2, padding=1, groups=apart.shape[0])
    h = eg.relu(_normed(h, *scales[2:4]))
    return _squares(eg.relu(_normed(eg.conv2d(h, together), *scales[4:])))


def _torch_mobile(t: Any, x: Any, first: Any, apart: Any, together: Any, *scales: Any) -> Any:
    f = t.nn.functional
    h = f.relu(_torch_normed(t, f.conv2d(x, first, padding=1), *scales[:2]))
    h = f.conv2d(h, apart, stride=2, padding=1, groups=apart.shape[0])
    h = f.relu(_torch_normed(t, h, *scales[2:4]))
    return _squares(f.relu(_torch_normed(t, f.conv2d(h, together), *scales[4:])))


def _strided(x: Any, *kernels: Any) -> Any:
    """Rectifiers and convolutions in strides of two in place of pooling."""
    for k in kernels:
        x = eg.relu(eg.conv2d(x, k, stride=2, padding=1))
    return _squares(x.mean((2, 3)))


def _torch_strided(t: Any, x: Any, *kernels: Any) -> Any:
    f = t.nn.functional
    for k in kernels:
        x = f.relu(f.conv2d(x, k, stride=2, padding=1))
    return _squares(x.mean((2, 3)))


def _deep(x: Any, *kernels: Any) -> Any:
    """Simonyan and Zisserman 2015: two convolutions, then pooling."""
    for v, w in zip(kernels[::2], kernels[1::2], strict=True):
        x = eg.relu(eg.conv2d(eg.relu(eg.conv2d(x, v, padding=1)), w, padding=1))
        x = eg.max_pool2d(x, 2)
    return _squares(x.mean((2, 3)))


def _torch_deep(t: Any, x: Any, *kernels: Any) -> Any:
    f = t.nn.functional
    for v, w in zip(kernels[::2], kernels[1::2], strict=True):
        x = f.relu(f.conv2d(f.relu(f.conv2d(x, v, padding=1)), w, padding=1))
        x = f.max_pool2d(x, 2)
    return _squares(x.mean((2, 3)))


def _side_by_side(x: Any, v: Any, w: Any, u: Any) -> Any:
    """Two convolutions of one picture, read as one by a third (Ronneberger et al. 2015)."""
    a, b = eg.relu(eg.conv2d(x, v, padding=1)), eg.relu(eg.conv2d(x, w))
    return _squares(eg.conv2d(eg.concat([a, b], 1), u, padding=1))


def _torch_side_by_side(t: Any, x: Any, v: Any, w: Any, u: Any) -> Any:
    f = t.nn.functional
    a, b = f.relu(f.conv2d(x, v, padding=1)), f.relu(f.conv2d(x, w))
    return _squares(f.conv2d(t.cat([a, b], 1), u, padding=1))


def _separable(x: Any, *kernels: Any) -> Any:
    """Howard et al. 2017: a convolution of each channel, then of each pixel."""
    for apart, together in zip(kernels[::2], kernels[1::2], strict=True):
        x = x + eg.conv2d(eg.relu(eg.conv2d(x, apart, padding=1, groups=32)), together)
    return _squares(x)


def _torch_separable(t: Any, x: Any, *kernels: Any) -> Any:
    f = t.nn.functional
    for apart, together in zip(kernels[::2], kernels[1::2], strict=True):
        x = x + f.conv2d(f.relu(f.conv2d(x, apart, padding=1, groups=32)), together)
    return _squares(x)


def _pooled(x: Any, *kernels: Any) -> Any:
    for k in kernels:
        x = eg.max_pool2d(eg.relu(eg.conv2d(x, k, padding=1)), 3, stride=2)
    return _squares(x.mean((2, 3)))


def _torch_pooled(t: Any, x: Any, *kernels: Any) -> Any:
    f = t.nn.functional
    for k in kernels:
        x = f.max_pool2d(f.relu(f.conv2d(x, k, padding=1)), 3, stride=2)
    return _squares(x.mean((2, 3)))


# Others


def _variational(o: Any, x: Any, v: Any, mean: Any, spread: Any, w: Any, u: Any) -> Any:
    """Kingma and Welling 2014, with the mean for the draw."""
    h = o.tanh(x @ v)
    m, s = h @ mean, h @ spread
    z = o.tanh((m + o.exp(0.5 * s)) @ w) @ u
    return _squares(o.sigmoid(z) - x) - 0.5 * (1 + s - m * m - o.exp(s)).sum(1).mean()


def _contrastive(o: Any, x: Any, w: Any) -> Any:
    z = x @ w
    z = z / o.sqrt((z * z).sum(1)[:, None] + 1e-6)
    return o.log(o.exp(5.0 * (z @ z.T)).sum(1)).mean()


def _experts(o: Any, x: Any, gate: Any, w: Any) -> Any:
    odds = o.exp(x @ gate)
    mixed = o.einsum("be,beo->bo", odds, o.tanh(o.einsum("bi,eio->beo", x, w)))
    return _squares(mixed / odds.sum(1)[:, None])


BLOCKS = [
    _both("LSTM, 10 steps", _lstm(10, 128), (10, 32), (32, 512), (128, 512), (512,), rows=64),
    _both("GRU, 20 steps", _gru(20, 64), (20, 16), (16, 192), (64, 192), (192,), rows=32),
    _block("transformer's layer", _transformer, _torch_transformer, (TOKENS, WIDTH),
           *[(WIDTH, WIDTH)] * 4, (WIDTH, 256), (256, WIDTH), rows=32),
    _block("residual block", _residual, _torch_residual, (32, 16, 16),
           *[(32, 32, 3, 3)] * 2, *[(32,)] * 4, rows=16),
    _block("convolutions side by side", _side_by_side, _torch_side_by_side, (16, 32, 32),
           (16, 16, 3, 3), (16, 16, 1, 1), (16, 32, 3, 3), rows=8),
    _block("separable convolutions", _separable, _torch_separable, (32, 16, 16),
           *[(32, 1, 3, 3), (32, 32, 1, 1)] * 2, rows=16),
    _block("MobileNet's beginning", _mobile, _torch_mobile, (3, 32, 32), (32, 3, 3, 3),
           (32, 1, 3, 3), (64, 32, 1, 1), *[(32,)] * 4, *[(64,)] * 2, rows=32),
    _block("three layers in strides", _strided, _torch_strided, (3, 64, 64), (16, 3, 3, 3),
           (32, 16, 3, 3), (64, 32, 3, 3), rows=16),
    _block("six layers, pooled", _deep, _torch_deep, (3, 32, 32), (32, 3, 3, 3), (32, 32, 3, 3),
           (64, 32, 3, 3), (64, 64, 3, 3), (128, 64, 3, 3), (128, 128, 3, 3), rows=4),
    _block("three layers, pooled", _pooled, _torch_pooled, (3, 64, 64), (16, 3, 3, 3),
           (32, 16, 3, 3), (64, 32, 3, 3), rows=16),
    _both("variational autoencoder", _variational, (784,), (784, 400), (400, 20), (400, 20),
          (20, 400), (400, 784), rows=128),
    _both("contrastive loss", _contrastive, (128,), (128, 64), rows=256),
    _both("mixture of experts", _experts, (64,), (64, 8), (8, 64, 64), rows=256),
]  # fmt: skip
