"""Code behind a call gives the bits of the same code in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend import outline

UNARY = sorted(outline.LONG - {"pow"})
SHIFTS = [0.1 * n for n in range(outline.OFTEN + 2)]


def repeated(op: str, x: eg.Tensor) -> eg.Tensor:
    """`op` of many arguments added up, so that one kernel holds it often."""
    positive = op in ("log", "log1p", "pow")
    base = eg.abs(x) + 0.5 if positive else x
    terms = [
        base ** (x + shift) if op == "pow" else getattr(eg, op)(base + shift)
        for shift in SHIFTS
    ]
    return sum(terms[1:], terms[0])


def text(f: Any) -> str:
    return str(next(s.text() for s in f.report() if s.name == "emit"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", [*UNARY, "pow"])
def test_bits_are_equal(op: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = eg.input("x", ("n",), dtype)
    y = repeated(op, x)
    called = eg.function([x], y)
    monkeypatch.setattr(outline, "OFTEN", 1000)
    inside = eg.function([x], y)
    assert f"@{op}." in text(called) and f"@{op}." not in text(inside)
    rng = np.random.default_rng(0)
    edge = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 88.8, -750.0, 1e30])
    for n in (1, 7, 33):
        given = np.concatenate([rng.normal(0, 3, n), edge]).astype(dtype)
        np.testing.assert_array_equal(called(given), inside(given))
    assert len(text(called)) < len(text(inside))


def test_an_operation_that_is_rare_stays_inside() -> None:
    x = eg.input("x", ("n",))
    assert "@tanh." not in text(eg.function([x], eg.tanh(x) + eg.tanh(2 * x)))
