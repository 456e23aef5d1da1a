"""What only sums read is not stored, and sums over the same axes run in one loop."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.tensor import Tensor
from exprgrad.loop import split
from exprgrad.runtime.compile import Request, compile_request
from tests.backend.test_assembly import AVX512, innermost_loops
from tests.loop.stages import stages

X, Y = (eg.input(name, ("n",), "float64") for name in "xy")
A = eg.input("a", (), "float64")


def losses(x: Tensor, y: Tensor) -> list[Tensor]:
    """A robust loss and its derivative: three long sums of two values in common."""
    residual = x * A - y
    loss = eg.mean(eg.sqrt(1 + residual * residual) - 1)
    return [loss, *eg.grad(loss, [A])]


@pytest.mark.parametrize("n", [1, 4095, 4096, 70_001])
def test_values(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    f = eg.function([X, Y, A], losses(X, Y))
    rng = np.random.default_rng(n)
    x, y, a = rng.normal(size=n), rng.normal(size=n), 0.7
    monkeypatch.setenv("EXPRGRAD_THREADS", "1")
    alone = f(x, y, a)
    residual = x * a - y
    root = np.sqrt(1 + residual**2)
    np.testing.assert_allclose(alone[0], np.mean(root - 1), rtol=1e-11)
    np.testing.assert_allclose(
        alone[1], np.mean(residual / root * x), rtol=1e-11, atol=1e-14
    )
    monkeypatch.setenv("EXPRGRAD_THREADS", "2")
    assert f(x, y, a) == alone


def test_nothing_long_is_stored() -> None:
    x, y = (eg.input(name, (100_000,), "float64") for name in "xy")
    parts = stages(losses(x, y)).parts
    assert (
        max(b.shape[0] for k in parts for b in k.writes() if b.shape)
        == 100_000 // split.BLOCK
    )


def test_what_is_read_elsewhere_stays() -> None:
    x, y = (eg.input(name, (100_000,), "float64") for name in "xy")
    root = eg.exp(x * y)
    total = eg.sum(root * x)
    stored = [
        b.shape for k in stages([total, root * total, root]).parts for b in k.writes()
    ]
    assert (100_000,) in stored
    weights = eg.input("w", (100, 8), "float64")
    rows = eg.input("rows", ("n", 100), "float64")
    hidden = eg.exp(rows)
    product = stages([hidden @ weights, eg.sum(hidden)]).parts
    assert any(
        len(b.shape) == 2 and b.shape[1] == 100 for k in product for b in k.writes()
    )


def test_what_several_sums_read_is_computed_once() -> None:
    x, y = (eg.input(name, (100_000,), "float64") for name in "xy")
    assembly = compile_request(Request(losses(x, y), {}), AVX512).library.assembly
    roots = [
        sum("\tvsqrtpd" in line for line in loop) for loop in innermost_loops(assembly)
    ]
    assert max(roots) == 4  # vectors side by side
