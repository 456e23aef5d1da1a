"""Subnormal numbers are zeros in the steps of an epoch, and only there."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.runtime.step import Epoch
from tests.compiled import settings

TYPES = ("float32", "float64")


@pytest.fixture(autouse=True)
def _fresh():
    with settings(parallel=True):
        yield


def shrunk(dtype: str, threads: int, patch: pytest.MonkeyPatch) -> np.ndarray:
    """Numbers from the smallest up, after a step that takes a tenth of each away."""
    patch.setenv("EXPRGRAD_THREADS", str(threads))
    info = np.finfo(dtype)
    first = info.smallest_normal * np.array([4, 1, 0.5, 2**-20, -0.5, 0] * 40, dtype)
    x = eg.input("x", ("batch",), dtype)
    v = eg.state("v", (240,), init=first, dtype=dtype)
    epoch = Epoch([x], {"loss": x.sum()}, {v: v * 0.9}, "batch")
    epoch.over({"x": np.ones(4, dtype)}, 4, 4).run(np.arange(4), 0, 1)
    return v.value.copy()


@pytest.mark.parametrize("dtype", TYPES)
def test_a_step_takes_them_for_zeros(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shrunk(dtype, 1, monkeypatch).reshape(40, 6)
    normal = np.finfo(dtype).smallest_normal
    np.testing.assert_allclose(found[:, 0], 3.6 * normal, rtol=1e-6)
    np.testing.assert_array_equal(found[:, 1:], 0)
    np.testing.assert_array_equal(shrunk(dtype, 2, monkeypatch).reshape(40, 6), found)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_caller_keeps_them(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shrunk("float32", threads, monkeypatch)
    small = np.full(64, np.finfo(np.float32).smallest_normal, np.float32)
    assert (small * np.float32(0.5) > 0).all()


@pytest.mark.parametrize("dtype", TYPES)
def test_a_function_keeps_them(dtype: str) -> None:
    x = eg.input("x", ("n",), dtype)
    small = np.full(64, np.finfo(dtype).smallest_normal, dtype)
    half = eg.function([x], x * 0.5)
    np.testing.assert_array_equal(half(small), small / 2)
    assert (half(small) > 0).all()
