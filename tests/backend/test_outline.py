"""Code behind a call gives the bits of the same code in place."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend import outline

UNARY = sorted(outline.LENGTHS.keys() - {"pow", "random"})
SHIFTS = [0.1 * n for n in range(3)]


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
    monkeypatch.setattr(outline, "MOST", 0)
    called = eg.function([x], y)
    monkeypatch.setattr(outline, "MOST", 10**6)
    inside = eg.function([x], y)
    assert f"@{op}." in text(called) and f"@{op}." not in text(inside)
    rng = np.random.default_rng(0)
    edge = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 88.8, -750.0, 1e30])
    for n in (1, 7, 33):
        given = np.concatenate([rng.normal(0, 3, n), edge]).astype(dtype)
        np.testing.assert_array_equal(called(given), inside(given))
    assert len(text(called)) < len(text(inside))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_draws_of_one_function_are_those_of_their_own_code(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several draws share a function: which one it is, is an argument."""
    draws = [eg.random.uniform((5, 33), dtype=dtype) for _ in range(2)]
    monkeypatch.setattr(outline, "MOST", 0)
    called = eg.function([], draws)
    monkeypatch.setattr(outline, "MOST", 10**6)
    inside = eg.function([], draws)
    assert len(re.findall("^define .*@random.v", text(called), re.MULTILINE)) == 1
    assert "@random." not in text(inside)
    results = called()
    for ours, others in zip(results, inside(), strict=True):
        np.testing.assert_array_equal(ours, others)
    assert len({array.tobytes() for array in results}) == len(draws)


SHAPES = {"a": (64, 30), "b": (30, 100)}


def test_what_a_tile_writes_out_often_is_called() -> None:
    """The draw beside a contraction stands at each of the tile's points."""
    a, b = (eg.input(name, shape, "float64") for name, shape in SHAPES.items())
    draw = eg.random.uniform((64, 100), dtype="float64")
    f = eg.function([a, b], draw < eg.sigmoid(a @ b))
    assert len(re.findall("call <.*@random.v", text(f))) >= 16
    assert len(re.findall("^define .*@random.v", text(f), re.MULTILINE)) == 1


def test_an_operation_that_is_rare_stays_inside() -> None:
    x = eg.input("x", ("n",))
    assert "@tanh." not in text(eg.function([x], eg.tanh(x) + eg.tanh(2 * x)))


def test_what_stands_outside_of_all_loops_is_written_once_for_all_kernels() -> None:
    a, t = eg.input("a", (), "float64"), eg.input("t", (), "float64")
    x, y = eg.input("x", (40,), "float64"), eg.input("y", (7, 9), "float64")
    f = eg.function([a, t, x, y], [x * a**t, y * a ** (t + 1)])
    assert text(f).count("define internal double @pow.f64(") == 1
    assert text(f).count("call double @pow.f64(") == 2
    given = np.arange(40.0), np.ones((7, 9))
    first, second = f(0.9, 3.0, *given)
    np.testing.assert_allclose(first, given[0] * 0.9**3, rtol=1e-15)
    np.testing.assert_allclose(second, given[1] * 0.9**4, rtol=1e-15)
