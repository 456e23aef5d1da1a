"""Long arithmetic after a sum over lanes runs in a loop of its own, and only that."""

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.tensor import Tensor
from tests.loop.stages import stages

X, W = eg.input("x", (32, 30)), eg.input("w", (30,))


def names(graph: Tensor) -> list[str]:
    return [kernel.name for kernel in stages([graph]).parts]


@pytest.mark.parametrize("long", [eg.sigmoid, eg.tanh, lambda z: eg.exp(z) * z])
def test_long_arithmetic_is_lifted(long) -> None:
    assert names(long(X @ W)) == ["output0.sum", "output0"]


@pytest.mark.parametrize(
    "graph",
    [
        X @ W,
        eg.relu(X @ W),  # short
        eg.sigmoid((X * W).sum(axis=0)),  # vectors run along the results
        eg.softmax(X, axis=1),  # the rest of the row needs it at once
        eg.sigmoid((X @ W).sum()),  # one value
    ],
    ids=["nothing", "short", "columns", "row", "scalar"],
)
def test_other_arithmetic_stays(graph: Tensor) -> None:
    assert not any(name.endswith(".sum") for name in names(graph))


def test_values() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(32, 30)), rng.normal(size=30)
    a, b = eg.input("a", x.shape, dtype="float64"), eg.input("b", w.shape, dtype="float64")
    f = eg.function([a, b], [eg.sigmoid(a @ b), eg.tanh(a @ b) * 2])
    first, second = f(x, w)
    np.testing.assert_allclose(first, 1 / (1 + np.exp(-(x @ w))), rtol=1e-13)
    np.testing.assert_allclose(second, 2 * np.tanh(x @ w), rtol=1e-13)
