"""Normalisation of rows: against PyTorch, against NumPy, and what it does not see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import ShapeError
from tests.nn.record_peers import BETA, GAMMA, IMAGES, PIXELS, recorded
from tests.nn.values import assert_equal, value, with_slope

LAYERS = {
    "layer_norm": lambda x: eg.nn.layer_norm(x, PIXELS[0], PIXELS[1], (2, 3)),
    "rms_norm": lambda x: eg.nn.rms_norm(x, PIXELS[0], (2, 3)),
    "group_norm": lambda x: eg.nn.group_norm(x, 3, GAMMA, BETA),
    "instance_norm": lambda x: eg.nn.instance_norm(x, GAMMA, BETA),
}


@pytest.mark.parametrize("name", LAYERS)
def test_value_and_gradient_are_pytorchs(name: str) -> None:
    assert_equal(with_slope(LAYERS[name], IMAGES), recorded(name))


@pytest.mark.parametrize("name", LAYERS)
def test_each_row_is_by_itself_and_its_scale_is_not_seen(name: str) -> None:
    x = eg.input("x", ("batch", 6, 2, 2), "float64")
    y = LAYERS[name](x)
    one_by_one = [value(y, x=IMAGES[i : i + 1])[0] for i in range(len(IMAGES))]
    np.testing.assert_allclose(value(y, x=IMAGES), one_by_one, rtol=1e-12)
    np.testing.assert_allclose(value(y, x=1e6 * IMAGES), one_by_one, rtol=1e-4, atol=1e-4)
    assert eg.nn.inference(y) is y


@pytest.mark.parametrize("axis", [-1, (1, 2), 1])
def test_layer_norm_over_any_axes(axis: Any) -> None:
    data = np.random.default_rng(0).normal(2.0, 3.0, size=(5, 3, 4))
    axes = axis if isinstance(axis, tuple) else (axis % 3,)
    centre, var = data.mean(axes, keepdims=True), data.var(axes, keepdims=True)
    x = eg.input("x", ("batch", 3, 4), "float64")
    found = value(eg.nn.layer_norm(x, 2.0, 1.0, axis), x=data)
    np.testing.assert_allclose(found, 2 * (data - centre) / np.sqrt(var + 1e-5) + 1)


def test_one_group_is_layer_norm_and_one_for_each_channel_instance_norm() -> None:
    x = eg.input("x", ("batch", 6, 2, 2), "float64")
    whole, each = eg.nn.group_norm(x, 1), eg.nn.group_norm(x, 6)
    layer, instance = eg.nn.layer_norm(x, axis=(1, 2, 3)), eg.nn.instance_norm(x)
    np.testing.assert_allclose(value(whole, x=IMAGES), value(layer, x=IMAGES), rtol=1e-12)
    np.testing.assert_allclose(value(each, x=IMAGES), value(instance, x=IMAGES), rtol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_constant_and_large_rows_stay_finite(name: str) -> None:
    """In float32, where a mean of squares less a squared mean would cancel."""
    x = eg.input("x", ("batch", 6, 2, 2))
    for data in (np.zeros(IMAGES.shape), np.full(IMAGES.shape, 1e6), 1e4 + IMAGES):
        given = data.astype(np.float32)
        found = value(LAYERS[name](x), x=given)
        exact = value(LAYERS[name](eg.input("x", x.shape, "float64")), x=given.astype(float))
        np.testing.assert_allclose(found, exact, rtol=1e-3, atol=1e-3)


def test_shapes_that_do_not_fit() -> None:
    x = eg.input("x", ("batch", 4))
    with pytest.raises(ShapeError, match=r"f32\[3\] is the scale or the shift"):
        eg.nn.layer_norm(x, eg.parameter("g", (3,)))
    with pytest.raises(ShapeError, match=r"3 groups of equal size .* f32\[batch, 4\]"):
        eg.nn.group_norm(x, 3)
    with pytest.raises(ShapeError, match=r"x\[batch, channel, ...\], not f32\[batch, 4\]"):
        eg.nn.instance_norm(x)
