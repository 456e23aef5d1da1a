"""Factors whose rows do not stay in the cache are turned, and only these."""

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.tensor import Tensor
from tests.loop.stages import stages


def product(spec: str, m: int, k: int, n: int) -> Tensor:
    size = {"i": m, "j": n, "k": k}
    first, second = (tuple(size[c] for c in part) for part in spec[:-4].split(","))
    return eg.einsum(spec, eg.input("a", first), eg.input("b", second))


@pytest.mark.parametrize(
    ("graph", "copies"),
    [
        (product("ki,kj->ij", 1024, 512, 64), 1),
        (product("ki,kj->ij", 1000, 128, 64), 0),  # a short sum
        (product("ki,kj->ij", 1000, 512, 64), 0),  # not quite a page
        (product("ki,kj->ij", 512, 128, 64), 1),  # rows in two places of the cache
        (product("ki,kj->ij", 256, 64, 64), 0),  # in four, and few of them
        (product("ki,kj->ij", 64, 1024, 64), 0),  # side by side
        (product("ki,kj->ij", 1024, 512, 16), 0),  # few columns
        (product("ik,kj->ij", 1024, 512, 64), 0),  # in order
    ],
)
def test_which_factors_are_turned(graph: Tensor, copies: int) -> None:
    names = [kernel.name for kernel in stages([graph]).parts]
    assert sum(name.endswith(".turned") for name in names) == copies


def test_values() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(515, 1030)), rng.normal(size=(515, 70))
    a, b = eg.input("a", x.shape, "float64"), eg.input("b", y.shape, "float64")
    f = eg.function([a, b], [eg.tanh(a.T @ b), (a.T @ b).sum(axis=0)])
    first, second = f(x, y)
    np.testing.assert_allclose(first, np.tanh(x.T @ y), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(second, (x.T @ y).sum(0), rtol=1e-10)
