"""Long arithmetic after a sum over lanes runs in a loop of its own, and only that."""

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.cost import Machine
from tests.compiled import assert_right
from tests.loop.stages import stages

X, W = eg.input("x", (32, 30)), eg.input("w", (30,))


AVX512, AVX2 = Machine(64, 32), Machine(32, 16)


def names(graph: Tensor, machine: Machine = AVX512) -> list[str]:
    return [kernel.name for kernel in stages([graph], machine=machine).parts]


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


def test_draws_run_where_all_words_of_each_are_used() -> None:
    """In the tile of a contraction, if that is as wide as the vectors of a draw."""
    v, w = eg.input("v", (32, 30)), eg.input("w", (30, 128))
    sample = (eg.random.uniform((32, 128)) < eg.sigmoid(v @ w)).astype("float32")
    assert names(sample, AVX512) == ["output0"]
    assert names(sample, AVX2) == ["output0.sum", "output0"]


def test_values() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(32, 30)), rng.normal(size=30)
    a, b = eg.input("a", x.shape, dtype="float64"), eg.input("b", w.shape, dtype="float64")
    f = eg.function([a, b], [eg.sigmoid(a @ b), eg.tanh(a @ b) * 2])
    first, second = f(x, w)
    np.testing.assert_allclose(first, 1 / (1 + np.exp(-(x @ w))), rtol=1e-13)
    np.testing.assert_allclose(second, 2 * np.tanh(x @ w), rtol=1e-13)


def test_a_sum_is_not_taken_in_front_of_what_it_reads() -> None:
    x = eg.input("x", ("n", 40))
    first = eg.tanh((x * x).sum(axis=1) / 20)
    second = x * first[:, None]
    third = eg.sin(eg.exp(eg.tanh((second * x).sum(axis=1))))
    values = {x: np.random.default_rng(0).standard_normal((9, 40))}
    assert_right([first, second, third], values, scale=10)
