"""Operations as exprgrad spells them."""

from __future__ import annotations

from typing import Any

import exprgrad as eg

relu, sigmoid, gelu, sqrt, abs = eg.relu, eg.sigmoid, eg.gelu, eg.sqrt, eg.abs
mean, sum = eg.mean, eg.sum


def dense(x: Any, weight: Any, bias: Any = None) -> Any:
    return x @ weight if bias is None else x @ weight + bias


def mean_rows(x: Any) -> Any:
    return x.mean(axis=0)


def cross_entropy(logits: Any, labels: Any) -> Any:
    return eg.nn.cross_entropy(logits, labels).mean()


def bernoulli(z: Any, y: Any) -> Any:
    return (eg.softplus(z) - y * z).sum()


def drawn(probability: Any, u: Any, i: int) -> Any:
    return (u(i, probability.shape) < probability).astype(probability.dtype)


def dropout(x: Any, rate: float, u: Any, i: int) -> Any:
    return eg.where(u(i, x.shape) >= rate, x / (1 - rate), 0.0)


def conv(x: Any, filters: Any, bias: Any, padding: int) -> Any:
    return eg.conv2d(x, filters, padding=padding) + bias[:, None, None]


def max_pool(x: Any) -> Any:
    return eg.max_pool2d(x, 2)


def pixels_flat(x: Any) -> Any:
    channels, height, width = x.shape[1:]
    return x.reshape(-1, channels * height * width)


def pixels_mean(x: Any) -> Any:
    return x.mean(axis=(2, 3))


def batch_norm(x: Any, g: Any, s: Any, mean: Any, var: Any, extra: Any) -> Any:
    momentum, epsilon = extra["momentum"], extra["epsilon"]
    y, changes = eg.nn.batch_norm(x, g, s, mean, var, momentum=momentum, epsilon=epsilon)
    return y, (changes[mean], changes[var])


def layer_norm(x: Any, g: Any, s: Any) -> Any:
    return eg.nn.layer_norm(x, g, s)


def embedded_mean(table: Any, tokens: Any) -> Any:
    return eg.take(table, tokens).mean(axis=1)


def heads(x: Any, n: int) -> Any:
    _, places, width = x.shape
    return x.reshape(-1, places, n, width // n).permute_dims((0, 2, 1, 3))


def joined(x: Any) -> Any:
    _, n, places, width = x.shape
    return x.permute_dims((0, 2, 1, 3)).reshape(-1, places, n * width)


def attention(q: Any, k: Any, v: Any) -> Any:
    scores = q @ k.permute_dims((0, 1, 3, 2)) / q.shape[-1] ** 0.5
    return eg.softmax(scores, axis=-1) @ v
