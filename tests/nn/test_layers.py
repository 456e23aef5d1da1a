"""Layers: dropout's moments, normalisation against NumPy, both modes."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError, ShapeError
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.mode import in_mode

RNG = np.random.default_rng(5)
X = RNG.normal(2.0, 3.0, size=(33, 4))


def in_training(expression: eg.Tensor) -> eg.Tensor:
    return in_mode([expression], True)[expression]


def test_dense() -> None:
    x, w, b = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2)), RNG.normal(size=2)
    found = evaluate([eg.nn.dense(*(eg.constant(a) for a in (x, w, b)))])[0]
    np.testing.assert_allclose(found, x @ w + b)


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
def test_dropout_keeps_the_mean(rate: float) -> None:
    x = eg.input("x", ("batch",))
    dropped = in_training(eg.nn.dropout(x, rate))
    found = evaluate([dropped], {"x": np.ones(40000, np.float32)})[0]
    kept = np.float32(1) / (np.float32(1) - np.float32(rate))
    assert set(np.unique(found)) <= {np.float32(0), kept}
    assert (found == 0).mean() == pytest.approx(rate, abs=0.01)
    assert found.mean() == pytest.approx(1.0, abs=0.06)


def test_dropout_of_everything_has_no_nan() -> None:
    x = eg.input("x", (5,))
    y = in_training(eg.nn.dropout(x, 1.0))
    found = evaluate([y, eg.grad(y.sum(), x)], {"x": np.ones(5)})
    np.testing.assert_array_equal(found, np.zeros((2, 5)))


def test_the_gradient_has_the_mask_of_the_value() -> None:
    x = eg.input("x", (200,))
    y = in_training(eg.nn.dropout(x, 0.4))
    found, slope = evaluate([y, eg.grad(y.sum(), x)], {"x": np.ones(200)})
    np.testing.assert_array_equal(found, slope)


def test_the_mask_changes_with_the_update_and_the_draw() -> None:
    x = eg.input("x", (200,))
    one, two = (in_training(eg.nn.dropout(x, 0.5)) for _ in range(2))
    given = {"x": np.ones(200)}
    first = evaluate([one, two], {**given, eg.step: 0})
    later = evaluate([one, two], {**given, eg.step: 1})
    assert (first[0] != first[1]).any() and (first[0] != later[0]).any()
    np.testing.assert_array_equal(first, evaluate([one, two], {**given, eg.step: 0}))


def test_inference_is_the_identity() -> None:
    x = eg.input("x", ("batch", 3))
    assert eg.nn.inference(eg.nn.dropout(x, 0.5)) is x
    function = eg.function([x], eg.nn.dropout(x, 0.5))
    given = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(function(given), given)


def test_a_rate_outside_zero_to_one() -> None:
    with pytest.raises(GraphError, match=r"from 0 to 1, but 1\.5"):
        eg.nn.dropout(eg.input("x", (3,)), 1.5)
    with pytest.raises(GraphError, match=r"i64\[3\]"):
        eg.nn.dropout(eg.input("x", (3,), "int64"), 0.5)


def normalised(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    centre, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - centre) / np.sqrt(var + 1e-5)


def batch_norm_of(x: eg.Tensor, axis: object, features: int) -> tuple:
    names = ("gamma", "beta", "mean", "var")
    values = RNG.normal(size=(4, features))
    values[3] = np.abs(values[3])
    make = (eg.parameter, eg.parameter, eg.state, eg.state)
    leaves = [
        f(n, (features,), init=v, dtype="float64")
        for f, n, v in zip(make, names, values, strict=True)
    ]
    y, updates = eg.nn.batch_norm(x, *leaves, axis=axis)
    return y, updates, leaves, values


@pytest.mark.parametrize(("shape", "axis"), [((9, 4), 0), ((5, 4, 3, 2), (0, 2, 3))])
def test_batch_norm(shape: tuple[int, ...], axis: object) -> None:
    x = eg.input("x", ("batch", *shape[1:]), "float64")
    y, updates, leaves, values = batch_norm_of(x, axis, 4)
    data = RNG.normal(2.0, 3.0, size=shape)
    axes = axis if isinstance(axis, tuple) else (axis,)
    placed = [v.reshape(4, *(1,) * (len(shape) - 2)) for v in values]
    trained = evaluate([in_training(y)], {"x": data})[0]
    expected = placed[0] * normalised(data, axes) + placed[1]
    np.testing.assert_allclose(trained, expected, rtol=1e-10)
    used = evaluate([eg.nn.inference(y)], {"x": data})[0]
    fixed = (data - placed[2]) / np.sqrt(placed[3] + 1e-5)
    np.testing.assert_allclose(used, placed[0] * fixed + placed[1], rtol=1e-10)
    new = evaluate([updates[leaves[2]], updates[leaves[3]]], {"x": data})
    np.testing.assert_allclose(new[0], 0.9 * values[2] + 0.1 * data.mean(axes))
    np.testing.assert_allclose(new[1], 0.9 * values[3] + 0.1 * data.var(axes, ddof=1))


def test_the_gradient_flows_through_the_batch_statistics() -> None:
    x = eg.input("x", ("batch", 4), "float64")
    y, _, _, _ = batch_norm_of(x, 0, 4)
    loss = in_training((y * y * y).sum())
    slope = evaluate([eg.grad(loss, x)], {"x": X})[0]
    direction, h = RNG.normal(size=X.shape), 1e-6
    ends = [float(evaluate([loss], {"x": X + t * direction})[0]) for t in (h, -h)]
    expected = (ends[0] - ends[1]) / (2 * h)
    assert (slope * direction).sum() == pytest.approx(expected, rel=1e-6)
    # a shift of all rows changes nothing
    np.testing.assert_allclose(slope.sum(0), 0.0, atol=1e-9)


@pytest.mark.parametrize("axis", [-1, (1, 2), 1])
def test_layer_norm(axis: object) -> None:
    data = RNG.normal(2.0, 3.0, size=(5, 3, 4))
    axes = axis if isinstance(axis, tuple) else (axis % 3,)
    inner = tuple(data.shape[a] for a in axes)
    gamma, beta = RNG.normal(size=(2, *inner))
    x = eg.input("x", ("batch", 3, 4), "float64")
    y = eg.nn.layer_norm(x, eg.constant(gamma), eg.constant(beta), axis)
    placed = tuple(n if a in axes else 1 for a, n in enumerate(data.shape))
    expected = normalised(data, axes) * gamma.reshape(placed) + beta.reshape(placed)
    np.testing.assert_allclose(evaluate([y], {"x": data})[0], expected, rtol=1e-10)


def test_statistics_of_another_shape() -> None:
    x = eg.input("x", ("batch", 4))
    good, bad = eg.state("good", (4,)), eg.state("bad", (3,))
    with pytest.raises(ShapeError, match=r"bad is f32\[3\]"):
        eg.nn.batch_norm(x, 1.0, 0.0, good, bad)
    with pytest.raises(ShapeError, match=r"f32\[3\] is the scale or the shift"):
        eg.nn.layer_norm(x, eg.parameter("g", (3,)))
