"""Composed functions against SymPy's derivatives, closed forms, and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy

import exprgrad as eg
from exprgrad.grad import check_grad, grad
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.tensor import Tensor

POINTS = np.array([0.3, 0.8, 1.7])

# One program, spelled twice by the same function: with our names and with SymPy's.
SCALAR: dict[str, Callable[[Any, Any], Any]] = {
    "polynomial": lambda m, x: 3 * x**4 - x**3 + 2 * x - 7,
    "quotient": lambda m, x: (x**2 + 1) / (x**3 + 2),
    "gauss": lambda m, x: m.exp(-x * x / 2) * m.sin(3 * x),
    "logistic": lambda m, x: 1 / (1 + m.exp(-x)) * m.tanh(x),
    "towers": lambda m, x: x**x + 2**x,
    "roots": lambda m, x: m.sqrt(x + m.sqrt(x)) * m.log(1 + x),
    "waves": lambda m, x: m.cos(m.sin(x) * x) ** 3,
    "errors": lambda m, x: m.erf(x) * m.exp(m.erf(-x)),
}


@pytest.mark.parametrize("name", SCALAR)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_derivatives_equal_those_of_sympy(name: str, order: int) -> None:
    function = SCALAR[name]
    symbol = sympy.Symbol("x", positive=True)
    expected = sympy.diff(function(sympy, symbol), symbol, order)
    wanted = [float(expected.subs(symbol, point).evalf(20)) for point in POINTS]
    x = eg.input("x", (3,), "float64")
    y = function(eg, x)
    for _ in range(order):
        y = grad(eg.sum(y), x)
    np.testing.assert_allclose(evaluate([y], {x: POINTS})[0], wanted, rtol=1e-10)


def softmax(x: Tensor) -> Tensor:
    e = eg.exp(x - eg.max(x, -1, keepdims=True))
    return e / eg.sum(e, -1, keepdims=True)


def test_softmax_cross_entropy_is_p_minus_y() -> None:
    rng = np.random.default_rng(0)
    logits, labels = eg.input("z", (4, 5), "float64"), eg.input("y", (4, 5), "float64")
    loss = -eg.sum(labels * eg.log(softmax(logits)))
    at = {logits: rng.normal(size=(4, 5)), labels: np.eye(5)[[1, 0, 4, 1]]}
    g, p = evaluate([grad(loss, logits), softmax(logits)], at)
    np.testing.assert_allclose(g, p - at[labels], atol=1e-14)


def test_least_squares_has_the_normal_equations() -> None:
    rng = np.random.default_rng(1)
    x, w = eg.input("x", ("n", 3), "float64"), eg.input("w", (3,), "float64")
    y = eg.input("y", ("n",), "float64")
    loss = ((x @ w - y) ** 2).mean()
    at = {x: rng.normal(size=(7, 3)), w: rng.normal(size=3), y: rng.normal(size=7)}
    g = evaluate([grad(loss, w)], at)[0]
    np.testing.assert_allclose(g, 2 / 7 * at[x].T @ (at[x] @ at[w] - at[y]))


def convolution(x: Tensor, k: Tensor) -> Tensor:
    """Strided, padded, by windows along both axes; x[n, h, w, in], k[in, kh, kw, out]."""
    x = eg.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = eg.sliding_window(x, 3, axis=1, stride=2)
    x = eg.sliding_window(x, 3, axis=2, stride=2)
    return eg.einsum("nhwikl,iklo->nhwo", x, k)


def test_a_small_convolution_network_to_second_order() -> None:
    x = eg.input("x", ("n", 5, 6, 2), "float64")
    k = eg.input("k", (2, 3, 3, 3), "float64")
    h = eg.softplus(convolution(x, k))
    pooled = eg.max(eg.sliding_window(h, 2, axis=1), -1)
    rng = np.random.default_rng(2)
    at = {x: rng.normal(size=(2, 5, 6, 2)), k: 0.3 * rng.normal(size=(2, 3, 3, 3))}
    assert check_grad((pooled**2).mean(), at) == 4


def test_a_recurrence_and_a_normalisation_to_second_order() -> None:
    x = eg.input("x", (3, 4), "float64")
    u = eg.input("u", (4, 4), "float64")
    h = x[0]
    for t in range(3):
        h = eg.tanh(h @ u + x[t])
    centred = h - eg.mean(h)
    normal = centred * eg.rsqrt(eg.mean(centred * centred) + 1e-3)
    rng = np.random.default_rng(3)
    at = {x: rng.normal(size=(3, 4)), u: rng.normal(size=(4, 4))}
    assert check_grad(normal * x[1], at) == 4


@pytest.mark.parametrize("name", ["dot", "norm", "gather", "window", "max", "pow"])
def test_gradients_equal_those_of_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    a, b = rng.uniform(0.5, 2, (3, 4)), rng.uniform(0.5, 2, (4, 4))
    x, y = eg.input("x", (3, 4), "float64"), eg.input("y", (4, 4), "float64")
    rows = eg.constant([2, 0, 2], "int64")
    ours = {
        "dot": lambda: eg.tanh(x @ y),
        "norm": lambda: eg.norm(x, 1) * eg.norm(y),
        "gather": lambda: eg.take(x, rows) @ y,
        "window": lambda: eg.sliding_window(x, 2, axis=1, stride=2) * y[:3, None, :2],
        "max": lambda: eg.max(x @ y, 1),
        "pow": lambda: (x ** y[:3]) ** 1.5,
    }
    tx, ty = (torch.tensor(v, requires_grad=True) for v in (a, b))
    theirs = {
        "dot": lambda: torch.tanh(tx @ ty),
        "norm": lambda: tx.norm(dim=1) * ty.norm(),
        "gather": lambda: tx[[2, 0, 2]] @ ty,
        "window": lambda: tx.unfold(1, 2, 2) * ty[:3, None, :2],
        "max": lambda: (tx @ ty).max(1).values,
        "pow": lambda: (tx ** ty[:3]) ** 1.5,
    }
    (theirs[name]() ** 2).sum().backward()
    found = evaluate(grad(eg.sum(ours[name]() ** 2), [x, y]), {x: a, y: b})
    for mine, other in zip(found, (tx.grad, ty.grad), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-13)


COMPOSED: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": eg.relu,
    "leaky_relu": eg.leaky_relu,
    "elu": eg.elu,
    "gelu": eg.gelu,
    "silu": eg.silu,
    "softmax": eg.softmax,
    "log_softmax": eg.log_softmax,
    "logsumexp": eg.logsumexp,
    "square": eg.square,
    "clip": lambda x: eg.clip(x, -0.5, 0.5),
    "mean": lambda x: eg.mean(x * x, 0),
    "var": eg.var,
    "std": lambda x: eg.std(x, 1),
    "norm": lambda x: eg.norm(x, 1),
    "prod": lambda x: eg.prod(x, 1),
    "stack": lambda x: eg.stack([x, x * x], 1),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_composed_functions_to_second_order(name: str) -> None:
    x = eg.input("x", (2, 5), "float64")
    at = np.random.default_rng(6).normal(size=(2, 5))
    assert check_grad(COMPOSED[name](x), {x: at}) == 4
