"""Values and gradients beside PyTorch's, where it is installed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import exprgrad as eg

torch = pytest.importorskip("torch")
F = torch.nn.functional

# name: our spelling, PyTorch's, the shapes of the arguments, the range of their values
CASES: dict[str, tuple[Callable[..., Any], Callable[..., Any], list[Any], tuple[float, float]]] = {
    **{
        name: (getattr(eg, name), getattr(torch, name), [(17, 3)], (-3, 3))
        for name in "negative abs sign floor exp expm1 tanh sigmoid erf sin cos".split()
    },
    **{
        name: (getattr(eg, name), getattr(torch, name), [(17, 3)], (0.1, 3))
        for name in "log log1p sqrt rsqrt".split()
    },
    **{
        name: (getattr(eg, name), getattr(torch, name), [(7, 3), (7, 3)], (0.5, 3))
        for name in "add subtract multiply divide pow maximum minimum".split()
    },
    "softplus": (eg.softplus, F.softplus, [(17, 3)], (-9, 9)),
    "relu": (eg.relu, F.relu, [(17, 3)], (-3, 3)),
    "gelu": (eg.gelu, F.gelu, [(17, 3)], (-3, 3)),
    "elu": (eg.elu, F.elu, [(17, 3)], (-3, 3)),
    "silu": (eg.silu, F.silu, [(17, 3)], (-3, 3)),
    "where": (
        lambda a, b: eg.where(a < b, a * a, b),
        lambda a, b: torch.where(a < b, a * a, b),
        [(7, 3), (7, 3)],
        (-3, 3),
    ),
    "sum": (lambda x: eg.sum(x, axis=1), lambda x: x.sum(1), [(7, 33)], (-3, 3)),
    "mean": (lambda x: eg.mean(x, axis=0), lambda x: x.mean(0), [(7, 33)], (-3, 3)),
    "max": (lambda x: eg.max(x, axis=1), lambda x: x.amax(1), [(7, 33)], (-3, 3)),
    "min": (lambda x: eg.min(x, axis=1), lambda x: x.amin(1), [(7, 33)], (-3, 3)),
    "var": (lambda x: eg.var(x, axis=1), lambda x: x.var(1, correction=0), [(7, 33)], (-3, 3)),
    "prod": (lambda x: eg.prod(x, axis=1), lambda x: x.prod(1), [(7, 5)], (-2, 2)),
    "cumsum": (eg.cumulative_sum, lambda x: x.cumsum(-1), [(7, 33)], (-3, 3)),
    "matmul": (eg.matmul, torch.matmul, [(2, 7, 17), (17, 33)], (-2, 2)),
    "einsum": (
        lambda a, b: eg.einsum("bij,bkj->ibk", a, b),
        lambda a, b: torch.einsum("bij,bkj->ibk", a, b),
        [(2, 7, 17), (2, 3, 17)],
        (-2, 2),
    ),
    "softmax": (lambda x: eg.softmax(x, axis=1), lambda x: x.softmax(1), [(7, 33)], (-9, 9)),
    "log_softmax": (
        lambda x: eg.log_softmax(x, axis=1), lambda x: x.log_softmax(1), [(7, 33)], (-9, 9)
    ),
    "logsumexp": (
        lambda x: eg.logsumexp(x, axis=1), lambda x: x.logsumexp(1), [(7, 33)], (-9, 9)
    ),
    "layer_norm": (eg.nn.layer_norm, lambda x: F.layer_norm(x, (33,)), [(7, 33)], (-3, 3)),
    "conv2d": (
        lambda x, w: eg.conv2d(x, w, stride=2, padding=1),
        lambda x, w: F.conv2d(x, w, stride=2, padding=1),
        [(2, 3, 9, 8), (4, 3, 3, 3)],
        (-2, 2),
    ),
    "conv2d dilated, in groups": (
        lambda x, w: eg.conv2d(x, w, dilation=2, groups=2),
        lambda x, w: F.conv2d(x, w, dilation=2, groups=2),
        [(2, 4, 9, 8), (6, 2, 3, 3)],
        (-2, 2),
    ),
    "max_pool2d": (
        lambda x: eg.max_pool2d(x, 3, stride=2),
        lambda x: F.max_pool2d(x, 3, stride=2),
        [(2, 3, 9, 8)],
        (-2, 2),
    ),
    "avg_pool2d": (
        lambda x: eg.avg_pool2d(x, 2), lambda x: F.avg_pool2d(x, 2), [(2, 3, 8, 6)], (-2, 2)
    ),
    "flip, slice, concat": (
        lambda a, b: eg.concat([eg.flip(a, 1)[:, ::2], b[1:]]),
        lambda a, b: torch.cat([a.flip(1)[:, ::2], b[1:]]),
        [(3, 7), (4, 4)],
        (-2, 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name: str, dtype: str) -> None:
    ours, theirs, shapes, (low, high) = CASES[name]
    rng = np.random.default_rng(3)
    arrays = [rng.uniform(low, high, shape).astype(dtype) for shape in shapes]
    inputs = [eg.input(f"torch_{n}", a.shape, dtype) for n, a in enumerate(arrays)]
    y = ours(*inputs)
    weights = rng.normal(size=y.shape).astype(dtype)
    gradients = eg.grad((y * weights).sum(), inputs)
    found = eg.function(inputs, [y, *gradients])(*arrays)

    given = [torch.tensor(a, requires_grad=True) for a in arrays]
    z = theirs(*given)
    (z * torch.tensor(weights)).sum().backward()
    tolerance = 3e-5 if dtype == "float32" else 1e-11
    for a, b in zip(found, [z.detach(), *(x.grad for x in given)], strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=tolerance, atol=tolerance)
