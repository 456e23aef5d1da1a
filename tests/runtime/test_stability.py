"""The stability matrix as a user meets it: each spelling and its gradient, compiled."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from tests.compiled import settings
from tests.rewrite.test_stability import FUNCTIONS, mp

# Errors of a few units in the last place, and of numbers of size 1 where they cancel.
TOLERANCE = {"float32": (3e-6, 3e-7), "float64": (1e-12, 4e-16)}


def value(truth: Any, at: float) -> float:
    return float(truth(mp.mpf(at)))


@functools.cache
def slope(truth: Any, at: float) -> float:
    return float(mp.diff(truth, mp.mpf(at), h=mp.mpf(10) ** -400))


def points(name: str, dtype: str) -> np.ndarray:
    """The arguments that this type has, and whose results it has."""
    truth, _, arguments = FUNCTIONS[name]
    info = np.finfo(dtype)

    def has(x: float) -> bool:
        if x and not float(info.tiny) <= abs(x) <= float(info.max):
            return False
        at = float(info.dtype.type(x))
        return all(abs(y) < float(info.max) for y in (value(truth, at), slope(truth, at)))

    return np.array([x for x in arguments if has(x)], dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_every_spelling_and_its_gradient(dtype: str) -> None:
    inputs = {name: eg.input(f"x{n}", (f"n{n}",), dtype) for n, name in enumerate(FUNCTIONS)}
    values = {name: points(name, dtype) for name in FUNCTIONS}
    outputs: dict[tuple[str, int, str], eg.Tensor] = {}
    for name, x in inputs.items():
        for number, spelling in enumerate(FUNCTIONS[name][1]):
            y = spelling(x)
            outputs[name, number, "value"] = y
            outputs[name, number, "slope"] = eg.grad(y.sum(), x)
    with settings():
        compiled = eg.function(list(inputs.values()), list(outputs.values()))
        found = compiled(*values.values())
    rtol, atol = TOLERANCE[dtype]
    for (name, number, kind), got in zip(outputs, found, strict=True):
        at = [float(x) for x in values[name]]
        meaning = {"value": value, "slope": slope}[kind]
        wanted = [meaning(FUNCTIONS[name][0], x) for x in at]
        what = f"{kind} of {name} {number} at {at}"
        np.testing.assert_allclose(got, wanted, rtol, atol, err_msg=what)
