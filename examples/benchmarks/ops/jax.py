"""Operations as JAX spells them; images have their channels last inside."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

relu, sigmoid, sqrt, abs = jax.nn.relu, jax.nn.sigmoid, jnp.sqrt, jnp.abs
mean, sum = jnp.mean, jnp.sum


def dense(x: Any, weight: Any, bias: Any = None) -> Any:
    return x @ weight if bias is None else x @ weight + bias


def gelu(x: Any) -> Any:
    return jax.nn.gelu(x, approximate=False)


def mean_rows(x: Any) -> Any:
    return x.mean(0)


def cross_entropy(logits: Any, labels: Any) -> Any:
    chosen = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - chosen)


def bernoulli(z: Any, y: Any) -> Any:
    return jnp.sum(jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z))) - y * z)


def drawn(probability: Any, u: Any, i: int) -> Any:
    return (u(i, probability.shape) < probability).astype(probability.dtype)


def dropout(x: Any, rate: float, u: Any, i: int) -> Any:
    return jnp.where(u(i, x.shape) >= rate, x / (1 - rate), 0)


def conv(x: Any, filters: Any, bias: Any, padding: int) -> Any:
    kinds = ("NHWC", "OIHW", "NHWC")
    pads = [(padding, padding)] * 2
    return lax.conv_general_dilated(x, filters, (1, 1), pads, dimension_numbers=kinds) + bias


def max_pool(x: Any) -> Any:
    window = (1, 2, 2, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")


def pixels_flat(x: Any) -> Any:
    return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)


def pixels_mean(x: Any) -> Any:
    return x.mean((1, 2))


def batch_norm(x: Any, g: Any, s: Any, mean: Any, var: Any, extra: Any) -> Any:
    rows, part = x.shape[0], extra["momentum"]
    m = x.mean(0)
    v = jnp.mean((x - m) ** 2, 0)
    y = (x - m) * (lax.rsqrt(v + extra["epsilon"]) * g) + s
    unbiased = v * (rows / (rows - 1))
    return y, ((1 - part) * mean + part * m, (1 - part) * var + part * unbiased)


def layer_norm(x: Any, g: Any, s: Any) -> Any:
    m = x.mean(-1, keepdims=True)
    v = jnp.mean((x - m) ** 2, -1, keepdims=True)
    return (x - m) * lax.rsqrt(v + 1e-5) * g + s


def embedded_mean(table: Any, tokens: Any) -> Any:
    return table.at[tokens].get(mode="promise_in_bounds").mean(1)


def heads(x: Any, n: int) -> Any:
    return x.reshape(*x.shape[:2], n, -1).transpose(0, 2, 1, 3)


def joined(x: Any) -> Any:
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def attention(q: Any, k: Any, v: Any) -> Any:
    scores = jnp.einsum("bnqd,bnkd->bnqk", q, k) / q.shape[-1] ** 0.5
    return jnp.einsum("bnqk,bnkd->bnqd", jax.nn.softmax(scores, axis=-1), v)
