"""Long reductions in parts: values at the edges of blocks, bits on any thread count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from tests.loop.stages import stages

SIZES = (0, 1, 4095, 4096, 4097, 100_000)
KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sum": (eg.sum, np.sum),
    "max": (eg.max, np.max),
    "min": (eg.min, np.min),
}
X = eg.input("x", ("n",), "float64")


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_time_size_at_the_edges_of_blocks(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, numpys = KINDS[kind]
    f = eg.function([X], ours(X))
    rng = np.random.default_rng(0)
    for n in SIZES if kind == "sum" else SIZES[1:]:
        x = rng.normal(size=n)
        monkeypatch.setenv("EXPRGRAD_THREADS", "1")
        alone = f(x)
        np.testing.assert_allclose(alone, numpys(x), rtol=1e-12, atol=1e-12)
        monkeypatch.setenv("EXPRGRAD_THREADS", "2")
        assert f(x) == alone


@pytest.mark.parametrize(
    "shape",
    [(70_000,), (3, 70_001), (70_001, 3), (100, 1003), (2, 3, 40_000), (7, 100, 200)],
    ids=str,
)
@pytest.mark.parametrize("kind", KINDS)
def test_fixed_sizes_over_several_axes(
    kind: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, numpys = KINDS[kind]
    x = eg.input("x", shape, "float64")
    f = eg.function([x], ours(x * 2))
    given = np.random.default_rng(0).normal(size=shape)
    monkeypatch.setenv("EXPRGRAD_THREADS", "1")
    alone = f(given)
    np.testing.assert_allclose(alone, numpys(given * 2), rtol=1e-12, atol=1e-10)
    monkeypatch.setenv("EXPRGRAD_THREADS", "2")
    assert f(given) == alone
    assert len(stages([ours(x * 2)]).parts) == 2


def test_few_results_of_long_sums() -> None:
    x = eg.input("x", (80_000, 5), "float64")
    f = eg.function([x], eg.sum(x * x, 0))
    given = np.random.default_rng(0).normal(size=(80_000, 5))
    np.testing.assert_allclose(f(given), (given * given).sum(0), rtol=1e-12)
    assert len(stages([eg.sum(x * x, 0)]).parts) == 2


def test_nan_and_infinity_pass_through_all_parts() -> None:
    for kind in ("max", "min"):
        ours, numpys = KINDS[kind]
        f = eg.function([X], ours(X))
        for place in (0, 5000, 99_999):
            for value in (np.nan, np.inf, -np.inf):
                x = np.zeros(100_000)
                x[place] = value
                np.testing.assert_array_equal(f(x), numpys(x))


def test_what_is_short_or_has_many_results_stays_whole() -> None:
    short, wide = eg.input("x", (60_000,)), eg.input("x", (100, 70_000))
    assert len(stages([eg.sum(short)]).parts) == 1
    assert len(stages([eg.sum(wide, 1)]).parts) == 1


@pytest.mark.parametrize("shape", [(10_000_000,), (2, 5_000_000), (2_500_000, 4)], ids=str)
def test_ten_million_terms_keep_six_digits(shape: tuple[int, ...]) -> None:
    x = eg.input("x", shape)
    given = 1 + np.random.default_rng(0).random(shape, np.float32)
    found = eg.function([x], x.sum())(given)
    assert found == pytest.approx(given.sum(dtype=np.float64), rel=1e-6)


def test_sums_of_one_kernel_share_the_loop_over_their_parts() -> None:
    x, y = eg.input("x", (200_000,)), eg.input("y", (200_000,))
    total = eg.sum(x * y) + eg.sum(x) - eg.max(y)
    parts, last = stages([total]).parts
    assert len(parts.stores) == 3
    assert len({store.axes for store in parts.stores}) == len(last.stores) == 1
    rng = np.random.default_rng(0)
    a, b = (rng.random(200_000, np.float32) for _ in range(2))
    wide = a.astype("float64")
    wanted = wide @ b + wide.sum() - b.max()
    assert eg.function([x, y], total)(a, b) == pytest.approx(wanted, rel=1e-6)


def test_a_loss_and_its_gradient_keep_six_digits_over_ten_million_terms() -> None:
    x, w = eg.input("x", (10_000_000,)), eg.parameter("w", init=0.5)
    loss = eg.mean((x - w) ** 2)
    step = eg.function([x], loss, updates={w: w - eg.grad(loss, w)})
    given = 1 + np.random.default_rng(0).random(10_000_000, np.float32)
    error = given.astype("float64") - 0.5
    assert step(given) == pytest.approx((error * error).mean(), rel=1e-6)
    assert w.value == pytest.approx(0.5 + 2 * error.mean(), rel=1e-6)


def test_what_each_term_needs_is_summed_once() -> None:
    """A variance's parts read the mean; they do not add up all numbers each."""
    x = eg.input("x", (64, 3, 32, 32), "float64")
    variance = eg.var(x, axis=(0, 2, 3))
    kernels = [kernel.name for kernel in stages([variance]).parts]
    assert kernels == [f"output0{part}" for part in (".sum.part", ".sum", ".part", "")]
    given = np.random.default_rng(0).normal(5, size=(64, 3, 32, 32))
    found = eg.function([x], variance)(given)
    np.testing.assert_allclose(found, given.var((0, 2, 3)), rtol=1e-12)
