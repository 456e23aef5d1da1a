"""Single operations, and pairs that compilers fuse."""

from __future__ import annotations

from typing import Any

import exprgrad as eg

from .case import Case, Shape

SQUARE, ROWS, PICTURES = (1000, 1000), (2048, 512), (64, 16, 32, 32)


def _same(name: str, of: Any, *shapes: Shape, **more: Any) -> Case:
    """What both libraries spell alike: `of(library, *tensors)`."""
    return Case(name, shapes, lambda *x: of(eg, *x), of, **more)


def _convolution(name: str, image: Shape, kernel: Shape, **how: int) -> Case:
    return Case(
        name,
        (image, kernel),
        lambda x, w: eg.conv2d(x, w, **how),
        lambda t, x, w: t.nn.functional.conv2d(x, w, **how),
        scale=0.1,
    )


def _normalised(x: eg.Tensor, axes: Any) -> eg.Tensor:
    deviation = x - x.mean(axes, keepdims=True)
    return deviation / eg.sqrt(x.var(axes, keepdims=True) + 1e-5)


def _attention(q: eg.Tensor, k: eg.Tensor, v: eg.Tensor) -> eg.Tensor:
    scores = eg.einsum("bhid,bhjd->bhij", q, k) / q.shape[-1] ** 0.5
    return eg.softmax(scores, axis=-1) @ v


MOVEMENTS = [
    Case("concat, channels", (PICTURES, PICTURES), lambda a, b: eg.concat([a, b], 1),
         lambda t, a, b: t.cat([a, b], 1)),
    Case("concat, columns", ((2000, 100), (2000, 156)), lambda a, b: eg.concat([a, b], 1),
         lambda t, a, b: t.cat([a, b], 1)),
    Case("concat, few columns", ((20000, 6), (20000, 10)), lambda a, b: eg.concat([a, b], 1),
         lambda t, a, b: t.cat([a, b], 1)),
    Case("stack", ((1000, 256),) * 4, lambda *x: eg.stack(x, 1), lambda t, *x: t.stack(x, 1)),
    Case("flip, columns", (SQUARE,), lambda a: a[:, ::-1], lambda t, a: t.flip(a, [1])),
    Case("flip, pictures", (PICTURES,), lambda a: a[..., ::-1], lambda t, a: t.flip(a, [3])),
    Case("transpose", (SQUARE,), lambda a: a.T, lambda t, a: a.T.contiguous()),
    Case("channels last", ((32, 64, 28, 28),), lambda a: a.transpose(0, 2, 3, 1),
         lambda t, a: a.permute(0, 2, 3, 1).contiguous()),
    Case("pad", (PICTURES,), lambda a: eg.pad(a, ((0, 0), (0, 0), (1, 1), (1, 1))),
         lambda t, a: t.nn.functional.pad(a, (1, 1, 1, 1))),
    Case("every second column", (SQUARE,), lambda a: a[:, ::2],
         lambda t, a: a[:, ::2].contiguous()),
    _same("difference of neighbours", lambda o, a: a[:, 1:] - a[:, :-1], SQUARE),
    _same("rows of a table", lambda o, a, i: a[i], (10000, 64), (5000,), below=(None, 10000)),
    Case("embedding, summed", ((5000, 64), (1000, 20)), lambda a, i: a[i].sum(1),
         lambda t, a, i: a[i].sum(1), below=(None, 5000)),
]  # fmt: skip

ELEMENTWISE = [
    _same("tanh", lambda o, a: o.tanh(a), SQUARE),
    _same("sin cos", lambda o, a: o.sin(a) * o.cos(a), SQUARE),
    _same("exp log", lambda o, a: o.log(1 + o.exp(a)), SQUARE),
    _same("power", lambda o, a: o.exp(a) ** 1.7, SQUARE),
    _same("root and quotient", lambda o, a: a / o.sqrt(a * a + 1), SQUARE),
    _same("choice", lambda o, a, b: o.where(a > b, a * b, b), SQUARE, SQUARE),
    _same("gates", lambda o, a, b: o.sigmoid(a) * b + o.tanh(b) * (1 - o.sigmoid(a)),
          SQUARE, SQUARE),
    Case("gelu", (SQUARE,), eg.gelu, lambda t, a: t.nn.functional.gelu(a)),
    Case("silu", (SQUARE,), eg.silu, lambda t, a: t.nn.functional.silu(a)),
    Case("clip", (SQUARE,), lambda a: eg.clip(a, -1, 1), lambda t, a: a.clamp(-1, 1)),
    _same("a column by a row", lambda o, a, b: a * b + o.tanh(a), (1000, 1), (1, 1000)),
    _same("channels scaled", lambda o, a, b: a * b[:, :, None, None], PICTURES, (64, 16)),
]  # fmt: skip

REDUCTIONS = [
    _same("sum of all", lambda o, a: a.sum() * 1.0, (4000, 1000)),
    _same("sum over rows", lambda o, a: a.sum(0), (4000, 1000)),
    _same("sum over the middle", lambda o, a: a.sum(1), (64, 128, 128)),
    _same("mean of pictures", lambda o, a: a.mean((2, 3)), PICTURES),
    Case("max of rows", (SQUARE,), lambda a: a.max(1), lambda t, a: a.amax(1)),
    Case("max over the middle", ((64, 128, 128),), lambda a: a.max(1), lambda t, a: a.amax(1)),
    Case("variance of channels", (PICTURES,), lambda a: a.var((0, 2, 3)),
         lambda t, a: a.var((0, 2, 3), unbiased=False)),
    Case("variance of columns", (SQUARE,), lambda a: a.var(0),
         lambda t, a: a.var(0, unbiased=False)),
    Case("cumulative sum of rows", (SQUARE,), lambda a: eg.cumulative_sum(a, axis=1),
         lambda t, a: t.cumsum(a, 1)),
    Case("cumulative sum over rows", (SQUARE,), lambda a: eg.cumulative_sum(a, axis=0),
         lambda t, a: t.cumsum(a, 0)),
    Case("softmax of 10", ((20000, 10),), lambda a: eg.softmax(a, axis=1),
         lambda t, a: t.softmax(a, 1)),
    Case("softmax of 1000", (SQUARE,), lambda a: eg.softmax(a, axis=1),
         lambda t, a: t.softmax(a, 1)),
    Case("log of a sum of exp", (SQUARE,), lambda a: eg.logsumexp(a, axis=1),
         lambda t, a: t.logsumexp(a, 1)),
    Case("cross-entropy", (SQUARE, (1000,)), eg.nn.cross_entropy,
         lambda t, a, i: t.nn.functional.cross_entropy(a, i, reduction="none"),
         below=(None, 1000)),
    Case("layer norm", (ROWS,), lambda a: _normalised(a, 1),
         lambda t, a: t.nn.functional.layer_norm(a, a.shape[1:])),
    Case("batch norm of pictures", ((16, 32, 16, 16),), lambda a: _normalised(a, (0, 2, 3)),
         lambda t, a: t.nn.functional.batch_norm(a, None, None, training=True)),
    Case("cosine similarity", (ROWS, ROWS),
         lambda a, b: (a * b).sum(1) / eg.sqrt((a * a).sum(1) * (b * b).sum(1)),
         lambda t, a, b: t.nn.functional.cosine_similarity(a, b)),
]  # fmt: skip

PRODUCTS = [
    _same("product of matrices", lambda o, a, b: a @ b, (512, 512), (512, 512)),
    _same("product, few columns", lambda o, a, b: a @ b, (4096, 64), (64, 64)),
    _same("product of rank 4", lambda o, a, b: a @ b, (1000, 4), (4, 1000)),
    _same("products side by side", lambda o, a, b: a @ b, (64, 64, 64), (64, 64, 64)),
    _same("matrix and vector", lambda o, a, b: a @ b, (2000, 2000), (2000,)),
    _same("vector and matrix", lambda o, a, b: a @ b, (2000,), (2000, 2000)),
    _same("Gram matrix", lambda o, a: a.T @ a, (2000, 100)),
    _same("bilinear form", lambda o, a, b, w: o.einsum("bi,kij,bj->bk", a, w, b),
          (256, 32), (256, 32), (16, 32, 32)),
    _same("squared distances", lambda o, a, b: ((a[:, None] - b[None]) ** 2).sum(2),
          (500, 16), (400, 16)),
    Case("attention", ((8, 4, 128, 32),) * 3, _attention,
         lambda t, *x: t.nn.functional.scaled_dot_product_attention(*x)),
]  # fmt: skip

WINDOWS = [
    _convolution("convolution 1x1", (32, 64, 16, 16), (64, 64, 1, 1)),
    _convolution("convolution 3x3, 16", (32, 16, 32, 32), (16, 16, 3, 3), padding=1),
    _convolution("convolution 3x3, 64", (4, 64, 56, 56), (64, 64, 3, 3), padding=1),
    _convolution("convolution 3x3, 256", (16, 256, 14, 14), (256, 256, 3, 3), padding=1),
    _convolution("convolution, stride 2", (32, 32, 32, 32), (64, 32, 3, 3), stride=2, padding=1),
    _convolution("convolution, dilated", (16, 32, 28, 28), (32, 32, 3, 3), dilation=2, padding=2),
    _convolution("convolution, 8 groups", (32, 64, 28, 28), (64, 8, 3, 3), groups=8, padding=1),
    _convolution("convolution, depthwise", (32, 64, 28, 28), (64, 1, 3, 3), groups=64, padding=1),
    _convolution("convolution 7x7 of RGB", (8, 3, 112, 112), (64, 3, 7, 7), stride=2, padding=3),
    Case("max pooling 2x2", (PICTURES,), lambda a: eg.max_pool2d(a, 2),
         lambda t, a: t.nn.functional.max_pool2d(a, 2)),
    Case("max pooling, overlapping", ((64, 16, 33, 33),), lambda a: eg.max_pool2d(a, 3, stride=2),
         lambda t, a: t.nn.functional.max_pool2d(a, 3, stride=2)),
    Case("mean pooling", (PICTURES,), lambda a: eg.avg_pool2d(a, 2),
         lambda t, a: t.nn.functional.avg_pool2d(a, 2)),
]  # fmt: skip

OPERATIONS = [*MOVEMENTS, *ELEMENTWISE, *REDUCTIONS, *PRODUCTS, *WINDOWS]
