"""What keeps weights small: values, gradients, PyTorch's renorm."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError
from exprgrad.graph.evaluate import evaluate
from tests.nn.record_peers import KERNEL, MATRIX, recorded
from tests.nn.values import value


def test_penalties_and_their_gradients() -> None:
    values = np.array([[1.0, -2.0], [0.0, 3.0]]), np.array([-1.0, 0.5])
    weights = [eg.parameter(n, v.shape, v, "float64") for n, v in zip("ab", values, strict=True)]
    one, two = eg.nn.l1(*weights), eg.nn.l2(*weights)
    assert (value(one), value(two)) == (7.5, 15.25)
    slopes = evaluate([*eg.grad(one, weights), *eg.grad(two, weights)])
    wanted = [*map(np.sign, values), *(2 * v for v in values)]
    for slope, expected in zip(slopes, wanted, strict=True):
        np.testing.assert_array_equal(slope, expected)


def test_max_norm_is_pytorchs_renorm() -> None:
    found = {
        "dense": value(eg.nn.max_norm(eg.constant(MATRIX), 2.0)),
        "conv": value(eg.nn.max_norm(eg.constant(KERNEL), 3.5)),
    }
    for name, whole in (("dense", MATRIX), ("conv", KERNEL)):  # some are long, some not
        assert 0 < (found[name] != whole).mean() < 1
    # renorm divides by the norm + 1e-7
    expected = recorded("max_norm")
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-7)


def test_what_is_within_the_bound_keeps_its_bits() -> None:
    weight = np.random.default_rng(0).normal(size=(50, 40)).astype(np.float32)
    weight[:, 0] = 0.0
    bound = np.linalg.norm(weight, axis=0).max() * np.float32(1.01)
    f = eg.function([], eg.nn.max_norm(eg.constant(weight), float(bound)))
    np.testing.assert_array_equal(f(), weight)


def test_along_other_axes() -> None:
    found = value(eg.nn.max_norm(eg.constant(MATRIX), 0.5, axis=1))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 0.5)
    np.testing.assert_allclose(found / MATRIX, (found / MATRIX)[:, :1] * np.ones(3))


def test_what_is_refused() -> None:
    with pytest.raises(GraphError, match="above 0, but 0 was given"):
        eg.nn.max_norm(eg.parameter("w", (3, 3)), 0)
    with pytest.raises(GraphError, match="l2 is the penalty of one weight or more"):
        eg.nn.l2()
