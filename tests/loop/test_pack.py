"""Large factors of contractions are copied into panels, and only these."""

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.loop import pack
from exprgrad.runtime.function import Function


@pytest.fixture(autouse=True)
def small_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "CACHE", 1)


def buffers(function: Function) -> set[str]:
    kernels = eg.explain(function)["kernels as loops"]
    return {line.split()[1] for line in kernels.splitlines() if line.startswith("kernel")}


@pytest.mark.parametrize("spec", ["ik,kj->ij", "ik,jk->ij", "ki,kj->ij", "ki,jk->ij"])
@pytest.mark.parametrize("rows", [64, 97])
def test_values(spec: str, rows: int) -> None:
    size = {"i": rows, "j": 64, "k": 19}
    first, second = (tuple(size[c] for c in part) for part in spec[:5].split(","))
    a, b = eg.input("pack_a", first), eg.input("pack_b", second)
    f = eg.function([a, b], eg.tanh(eg.einsum(spec, a, b)) + 1)
    assert any("panels" in name for name in buffers(f))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=first).astype("f"), rng.normal(size=second).astype("f")
    expected = np.tanh(np.einsum(spec, x.astype("d"), y.astype("d"))) + 1
    np.testing.assert_allclose(f(x, y), expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("shape", [(64, 19, 33), (3, 19, 64)])
def test_columns_that_fill_no_panel_and_few_rows_are_left_in_place(
    shape: tuple[int, int, int],
) -> None:
    m, k, n = shape
    a, b = eg.input("pack_c", (m, k)), eg.input("pack_d", (k, n))
    assert not any("panels" in name for name in buffers(eg.function([a, b], a @ b)))


def test_an_update_fused_into_a_gradient_is_made_in_place() -> None:
    x = eg.input("pack_x", ("batch", 64))
    w = eg.parameter("pack_w", (64, 64), init=eg.init.normal())
    loss = (eg.tanh(x @ w) ** 2).sum()
    before = w.value.copy()
    step = eg.function([x], loss, updates={w: w - 0.1 * eg.grad(loss, w)})
    rows = np.random.default_rng(1).normal(size=(80, 64)).astype("f")
    t = np.tanh(rows.astype("d") @ before)
    gradient = rows.T @ (2 * t * (1 - t * t))
    np.testing.assert_allclose(step(rows), (t * t).sum(), rtol=1e-5)
    np.testing.assert_allclose(w.value, before - 0.1 * gradient, rtol=1e-4, atol=1e-4)
