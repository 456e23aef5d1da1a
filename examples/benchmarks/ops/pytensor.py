"""Operations as PyTensor spells them; it has no convolution of batches and no pooling."""

from __future__ import annotations

from typing import Any

import pytensor.tensor as pt

sigmoid, sqrt, abs, mean, sum = pt.sigmoid, pt.sqrt, pt.abs, pt.mean, pt.sum


def absent(*arguments: Any) -> Any:
    raise NotImplementedError("PyTensor has no convolution of batches and no pooling")


conv = max_pool = pixels_flat = pixels_mean = absent


def relu(x: Any) -> Any:
    return pt.maximum(x, 0)


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + pt.erf(x * 0.5**0.5))


def dense(x: Any, weight: Any, bias: Any = None) -> Any:
    return x @ weight if bias is None else x @ weight + bias


def mean_rows(x: Any) -> Any:
    return x.mean(0)


def cross_entropy(logits: Any, labels: Any) -> Any:
    rows = pt.arange(labels.shape[0])
    return -pt.mean(pt.special.log_softmax(logits, axis=1)[rows, labels])


def bernoulli(z: Any, y: Any) -> Any:
    return pt.sum(pt.softplus(z) - y * z)


def drawn(probability: Any, u: Any, i: int) -> Any:
    return (u(i, probability.shape) < probability).astype(probability.dtype)


def dropout(x: Any, rate: float, u: Any, i: int) -> Any:
    return pt.switch(u(i, x.shape) >= rate, x * (1 / (1 - rate)), 0)


def batch_norm(x: Any, g: Any, s: Any, mean: Any, var: Any, extra: Any) -> Any:
    part, rows = extra["momentum"], x.shape[0].astype(x.dtype)
    m = x.mean(0)
    v = pt.mean((x - m) ** 2, 0)
    y = (x - m) * (g / pt.sqrt(v + extra["epsilon"])) + s
    unbiased = v * rows / (rows - 1)
    return y, ((1 - part) * mean + part * m, (1 - part) * var + part * unbiased)


def layer_norm(x: Any, g: Any, s: Any) -> Any:
    m = x.mean(-1, keepdims=True)
    v = pt.mean((x - m) ** 2, -1, keepdims=True)
    return (x - m) / pt.sqrt(v + 1e-5) * g + s


def embedded_mean(table: Any, tokens: Any) -> Any:
    return table[tokens].mean(1)


def heads(x: Any, n: int) -> Any:
    return x.reshape((x.shape[0], x.shape[1], n, x.shape[2] // n)).transpose(0, 2, 1, 3)


def joined(x: Any) -> Any:
    rows, n, places, width = (x.shape[i] for i in range(4))
    return x.transpose(0, 2, 1, 3).reshape((rows, places, n * width))


def attention(q: Any, k: Any, v: Any) -> Any:
    scores = q @ k.transpose(0, 1, 3, 2) / pt.sqrt(q.shape[-1].astype(q.dtype))
    return pt.special.softmax(scores, axis=-1) @ v
