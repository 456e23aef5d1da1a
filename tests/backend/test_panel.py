"""Factors that memory gives in the wrong order are read from panels, and only these."""

import re

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend.jit import named
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.tensor import Tensor
from exprgrad.runtime.compile import Request, compile_request
from tests.backend.test_assembly import hottest, multiplications

AVX512 = named("x86-64-v4", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+fma")


def panels(graph: Tensor) -> int:
    """How many factors are copied."""
    kernels = compile_request(Request([graph], {}), AVX512).kernels
    return sum(len(each) for k in kernels for each in k.panels.values())


def product(spec: str, **size: int) -> Tensor:
    first, second = (tuple(size[c] for c in part) for part in spec[:-4].split(","))
    return eg.einsum(spec, eg.input("a", first), eg.input("b", second))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("named_rows", [False, True], ids=["fixed", "named"])
@pytest.mark.parametrize(
    ("m", "k", "n"), [(64, 128, 256), (33, 50, 77), (64, 10, 128), (13, 5, 1000), (20, 300, 16)]
)
def test_values(m: int, k: int, n: int, named_rows: bool, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(n, k)).astype(dtype)
    a = eg.input("a", ("rows" if named_rows else m, k), dtype=dtype)
    b = eg.input("b", (n, k), dtype=dtype)
    f = eg.function([a, b], eg.tanh(a @ b.T / 8) + 1)
    expected = np.tanh(x.astype("d") @ y.T.astype("d") / 8) + 1
    near = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-13}
    np.testing.assert_allclose(f(x, y), expected, **near)


def test_many_products_at_once() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(5, 40, 33)), rng.normal(size=(5, 21, 33))
    a, b = (eg.input(name, v.shape, dtype="float64") for name, v in (("a", x), ("b", y)))
    f = eg.function([a, b], eg.einsum("hik,hjk->hij", a, b))
    np.testing.assert_allclose(f(x, y), x @ y.transpose(0, 2, 1), rtol=1e-12, atol=1e-13)


def test_which_factors_are_copied() -> None:
    assert panels(product("ik,jk->ij", i=64, j=256, k=128)) == 1
    assert panels(product("ik,kj->ij", i=64, j=256, k=128)) == 0
    assert panels(product("ki,kj->ij", i=64, j=256, k=128)) == 0
    # four rows of results use each element too seldom
    assert panels(product("ik,jk->ij", i=4, j=256, k=128)) == 0
    # what is larger than the cache is copied although it lies in order
    assert panels(product("ik,kj->ij", i=512, j=1024, k=1024)) == 1


def test_the_inner_loop_reads_nothing_but_vectors_and_repeated_elements() -> None:
    loop = hottest(product("ik,jk->ij", i=64, j=256, k=128), AVX512)
    assert multiplications(loop) == 24 * AVX512.steps
    assert not [line for line in loop if re.search(r"gather|shuf|perm|unpck", line)]


def test_an_update_fused_into_a_gradient_is_made_in_place() -> None:
    x = eg.input("x", ("batch", 64))
    w = eg.parameter("w", (64, 64), init=eg.init.normal())
    loss = (eg.tanh(x @ w.T) ** 2).sum()
    before = w.value.copy()
    step = eg.function([x], loss, updates={w: w - 0.1 * eg.grad(loss, w)})
    rows = np.random.default_rng(1).normal(size=(80, 64)).astype("f")
    t = np.tanh(rows.astype("d") @ before.T)
    gradient = (2 * t * (1 - t * t)).T @ rows
    np.testing.assert_allclose(step(rows), (t * t).sum(), rtol=1e-5)
    np.testing.assert_allclose(w.value, before - 0.1 * gradient, rtol=1e-4, atol=1e-4)


def test_loops_that_cannot_change_places_read_no_panel_and_gather_in_no_sum() -> None:
    x, k = eg.input("x", (16, 64, 16, 16)), eg.input("k", (64, 64, 3, 3))
    graph = eg.relu(eg.conv2d(x, k, padding=1))
    assert panels(graph) == 0
    loop = hottest(graph, AVX512)
    assert not [line for line in loop if re.search(r"v(p?gather|scatter)", line)]


def test_rows_that_meet_in_few_places_of_the_cache_are_copied() -> None:
    assert panels(product("ik,kj->ij", i=50, j=2048, k=1024)) == 1
    # rows of 8000 bytes lie in all places
    assert panels(product("ik,kj->ij", i=50, j=2000, k=1024)) == 0
    # three tiles of rows read each element too seldom
    assert panels(product("ik,kj->ij", i=18, j=2048, k=1024)) == 0


def test_a_factor_of_a_sum_inside_another_is_not_copied() -> None:
    """Its elements depend on where the outer sum has come; a panel is filled before both."""
    x = eg.input("x", ("batch", 6, 4, 4), "float64")
    z = eg.input("z", ("batch", 8, 2, 2), "float64")
    rng = np.random.default_rng(0)
    w = eg.parameter("inner_w", (8, 6, 3, 5), rng.normal(size=(8, 6, 3, 5)), "float64")
    scale = eg.parameter("inner_scale", (6, 1, 1), 1.0, "float64")
    y = eg.conv2d(x * scale, w, 3, [(1, 1), (2, 2)])
    slope = eg.grad(eg.mean(z * y), scale)
    values = {v: rng.normal(size=(3, *v.shape[1:])) for v in (x, z)}
    (expected,) = evaluate([slope], {**values, w: w.value, scale: scale.value})
    found = eg.function([x, z], slope)(*values.values())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
