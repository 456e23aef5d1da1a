"""Layers that make their leaves: names, shapes, first values, updates."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import ShapeError
from tests.nn.values import value

RNG = np.random.default_rng(5)


def test_dense_and_flatten() -> None:
    x, w, b = RNG.normal(size=(3, 2, 2)), RNG.normal(size=(4, 2)), RNG.normal(size=2)
    flat = eg.nn.flatten(eg.constant(x))
    found = value(eg.nn.dense(flat, eg.constant(w), eg.constant(b)))
    np.testing.assert_allclose(found, x.reshape(3, 4) @ w + b)


def network(seed: int = 0) -> tuple[eg.nn.Layers, eg.Tensor]:
    net = eg.nn.Layers(seed, "float64")
    x = eg.input("x", ("batch", 2, 8, 8), "float64")
    h = eg.relu(net.batch_norm(net.conv2d(x, 6, 3, padding=1, bias=False)))
    h = eg.relu(net.group_norm(net.conv2d(h, 6, (3, 1), stride=2, groups=3), 2))
    h = net.layer_norm(net.dense(eg.nn.flatten(h), 5))
    return net, net.dense(h, 3, init=eg.init.glorot_uniform(), bias=False)


def test_leaves_by_name() -> None:
    net, y = network()
    assert {name: leaf.shape for name, leaf in net.leaves.items()} == {
        "conv1.weight": (6, 2, 3, 3),
        "batch_norm1.gamma": (6,),
        "batch_norm1.beta": (6,),
        "batch_norm1.mean": (6,),
        "batch_norm1.var": (6,),
        "conv2.weight": (6, 2, 3, 1),
        "conv2.bias": (6,),
        "group_norm1.gamma": (6,),
        "group_norm1.beta": (6,),
        "dense1.weight": (72, 5),
        "dense1.bias": (5,),
        "layer_norm1.gamma": (5,),
        "layer_norm1.beta": (5,),
        "dense2.weight": (5, 3),
    }
    assert list(net.updates) == [net["batch_norm1.mean"], net["batch_norm1.var"]]
    assert all(leaf.dtype == eg.float64 for leaf in net.leaves.values())
    assert y.type.shape[1:] == (3,)


def test_the_network_is_the_formulas_it_spells() -> None:
    net, y = network()
    x = eg.input("x", ("batch", 2, 8, 8), "float64")
    p = {name: eg.constant(leaf.value) for name, leaf in net.leaves.items()}
    h = eg.conv2d(x, p["conv1.weight"], padding=1)
    h = eg.relu((h - 0.0) / eg.sqrt(eg.constant(1.0 + 1e-5)))
    h = eg.conv2d(h, p["conv2.weight"], stride=2, groups=3)
    h = eg.relu(eg.nn.group_norm(h, 2))
    h = eg.nn.layer_norm(eg.reshape(h, ("batch", 72)) @ p["dense1.weight"])
    data = RNG.normal(size=(4, 2, 8, 8))
    expected = value(h @ p["dense2.weight"], x=data)
    np.testing.assert_allclose(value(eg.nn.inference(y), x=data), expected, rtol=1e-6)


def test_instances_and_root_mean_squares() -> None:
    net, x = eg.nn.Layers(0, "float64"), eg.input("x", ("batch", 2, 4, 3), "float64")
    y = net.rms_norm(net.instance_norm(x))
    shapes = {name: leaf.shape for name, leaf in net.leaves.items()}
    assert list(shapes.values()) == [(2,), (2,), (3,)]
    net["instance_norm1.gamma"].value = [2.0, 3.0]
    net["instance_norm1.beta"].value = [1.0, -1.0]
    net["rms_norm1.gamma"].value = [1.0, 0.5, 0.25]
    data = RNG.normal(size=(5, 2, 4, 3))
    mean, var = data.mean((2, 3), keepdims=True), data.var((2, 3), keepdims=True)
    scale, shift = np.array([2.0, 3.0])[:, None, None], np.array([1.0, -1.0])[:, None, None]
    h = scale * (data - mean) / np.sqrt(var + 1e-5) + shift
    h = h / np.sqrt((h * h).mean(-1, keepdims=True) + 1e-5) * [1.0, 0.5, 0.25]
    np.testing.assert_allclose(value(y, x=data), h, rtol=1e-6)


def test_first_values_depend_on_seed_and_name() -> None:
    (one, _), (same, _), (other, _) = network(), network(), network(seed=1)
    for name in ("conv1.weight", "dense1.weight"):
        np.testing.assert_array_equal(one[name].value, same[name].value)
        assert (one[name].value != other[name].value).all()
    assert one["conv1.weight"].value.std() == pytest.approx(np.sqrt(2 / 18), rel=0.3)
    assert np.abs(one["dense2.weight"].value).max() <= np.sqrt(6 / 8)


def test_what_does_not_fit() -> None:
    net, x = eg.nn.Layers(), eg.input("x", ("batch",))
    with pytest.raises(ShapeError, match=r"x\[batch, in\], not f32\[batch\]"):
        net.dense(x, 3)
    with pytest.raises(ShapeError, match=r"\[batch, channel, h, w\], not f32\[batch\]"):
        net.conv2d(x, 3, 3)
    with pytest.raises(ShapeError, match=r"batch_norm takes x\[batch, features"):
        net.batch_norm(x)
    with pytest.raises(ShapeError, match=r"instance_norm takes x\[batch, features"):
        net.instance_norm(x)
    with pytest.raises(KeyError, match=r"no leaf is called dense1.w; there are: "):
        net["dense1.w"]
