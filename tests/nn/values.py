"""What the tests of layers share: one mode, values by the first oracle, what peers gave."""

from __future__ import annotations

from typing import Any

import numpy as np

import exprgrad as eg
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.mode import in_mode

Values = dict[str, np.ndarray]


def in_training(expression: eg.Tensor) -> eg.Tensor:
    return in_mode([expression], True)[expression]


def value(expression: eg.Tensor, **given: Any) -> np.ndarray:
    return evaluate([expression], given)[0]


def with_slope(layer: Any, x: np.ndarray) -> Values:
    """The layer's value, and the gradient of the sum of its cubes, in training."""
    node = eg.input("x", ("batch", *x.shape[1:]), "float64")
    y = in_training(layer(node))
    found = evaluate([y, eg.grad((y * y * y).sum(), node)], {"x": x})
    return dict(zip(("y", "slope"), found, strict=True))


def assert_equal(found: Values, expected: Values, rtol: float = 1e-11) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol, rtol / 10, err_msg=name)
