"""Operations as PyTorch spells them: its fused functions, dense weights as it keeps them,
[out, in].
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

relu, sigmoid, gelu, sqrt, abs = F.relu, torch.sigmoid, F.gelu, torch.sqrt, torch.abs
mean, sum = torch.mean, torch.sum
dense, cross_entropy = F.linear, F.cross_entropy


def mean_rows(x: Any) -> Any:
    return x.mean(0)


def bernoulli(z: Any, y: Any) -> Any:
    return F.binary_cross_entropy_with_logits(z, y, reduction="sum")


def drawn(probability: Any, u: Any, i: int) -> Any:
    if u is None:
        return torch.bernoulli(probability)
    return (u(i, probability.shape) < probability).to(probability.dtype)


def dropout(x: Any, rate: float, u: Any, i: int) -> Any:
    return F.dropout(x, rate) if u is None else x * ((u(i, x.shape) >= rate) / (1 - rate))


def conv(x: Any, filters: Any, bias: Any, padding: int) -> Any:
    return F.conv2d(x, filters, bias, padding=padding)


def max_pool(x: Any) -> Any:
    return F.max_pool2d(x, 2)


def pixels_flat(x: Any) -> Any:
    return x.flatten(1)


def pixels_mean(x: Any) -> Any:
    return x.mean((2, 3))


def batch_norm(x: Any, g: Any, s: Any, mean: Any, var: Any, extra: Any) -> Any:
    """The running statistics are changed in place."""
    y = F.batch_norm(x, mean, var, g, s, True, extra["momentum"], extra["epsilon"])
    return y, (mean, var)


def layer_norm(x: Any, g: Any, s: Any) -> Any:
    return F.layer_norm(x, x.shape[-1:], g, s)


def embedded_mean(table: Any, tokens: Any) -> Any:
    return F.embedding_bag(tokens, table, mode="mean")


def heads(x: Any, n: int) -> Any:
    return x.unflatten(-1, (n, -1)).transpose(1, 2)


def joined(x: Any) -> Any:
    return x.transpose(1, 2).flatten(2)


attention = F.scaled_dot_product_attention
