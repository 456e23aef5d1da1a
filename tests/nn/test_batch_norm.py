"""Batch normalisation: modes, gradient, running statistics of each library, folding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError, ShapeError
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.mode import replaced
from tests.nn.record_peers import (
    BATCHES,
    BETA,
    GAMMA,
    IMAGES,
    KERNEL,
    STATISTICS,
    recorded,
)
from tests.nn.values import assert_equal, in_training, value, with_slope

RNG = np.random.default_rng(5)


def statistics(features: int = 6) -> tuple[eg.Tensor, eg.Tensor]:
    mean = eg.state("mean", (features,), dtype="float64")
    return mean, eg.state("var", (features,), init=1.0, dtype="float64")


def test_of_images_is_pytorchs_with_the_gradient_through_the_statistics() -> None:
    def layer(x: eg.Tensor) -> eg.Tensor:
        return eg.nn.batch_norm(x, GAMMA, BETA, *statistics(), axis=(0, 2, 3))[0]

    found = with_slope(layer, IMAGES)
    assert_equal(found, recorded("batch_norm"))
    # a shift of all rows changes nothing
    np.testing.assert_allclose(found["slope"].sum((0, 2, 3)), 0.0, atol=1e-9)


@pytest.mark.parametrize("variant", ["pytorch", "keras", "cumulative"])
def test_running_statistics_are_those_of_the_library(variant: str) -> None:
    x = eg.input("x", ("batch", 6), "float64")
    mean, var = statistics()
    y, updates = eg.nn.batch_norm(x, 1.0, 0.0, mean, var, variant=variant)
    count = eg.state("count", dtype="int64")  # as a trainer has one of its own
    updates = {s: replaced([new], {eg.step: count})[new] for s, new in updates.items()}
    step = eg.function([x], None, {**updates, count: count + 1})
    for batch in BATCHES:
        step(batch)
    found = {"mean": mean.value, "var": var.value, "y": eg.function([x], y)(BATCHES[-1])}
    assert_equal(found, recorded(variant), 1e-6 if variant == "keras" else 1e-11)


def test_momentum_and_epsilon_of_ones_own() -> None:
    x = eg.input("x", ("batch", 6), "float64")
    mean, var = statistics()
    share = eg.state("share", init=0.25, dtype="float64")
    y, updates = eg.nn.batch_norm(x, GAMMA, BETA, mean, var, share, 0.5)
    data = BATCHES[0]
    found = evaluate([in_training(y), updates[mean], updates[var]], {"x": data})
    normal = (data - data.mean(0)) / np.sqrt(data.var(0) + 0.5)
    np.testing.assert_allclose(found[0], GAMMA * normal + BETA)
    np.testing.assert_allclose(found[1], 0.25 * data.mean(0))
    np.testing.assert_allclose(found[2], 0.75 + 0.25 * data.var(0, ddof=1))


@pytest.mark.parametrize(("variant", "expected"), [("pytorch", 1.0), ("keras", 0.99)])
def test_a_batch_of_one_row_has_no_variance_and_makes_no_nan(variant: str, expected: Any) -> None:
    x = eg.input("x", ("batch", 6), "float64")
    mean, var = statistics()
    y, updates = eg.nn.batch_norm(x, 1.0, 0.5, mean, var, variant=variant)
    row = BATCHES[0][:1]
    np.testing.assert_array_equal(value(in_training(y), x=row), np.full((1, 6), 0.5))
    np.testing.assert_allclose(value(updates[var], x=row), np.full(6, expected))


def dense(x: Any, weight: Any, bias: Any) -> eg.Tensor:
    return eg.nn.dense(x, weight, bias)


def conv(x: Any, weight: Any, bias: Any) -> eg.Tensor:
    y = eg.conv2d(x, weight, padding=1)
    return y if bias is None else y + eg.reshape(bias, (-1, 1, 1))


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(
    ("layer", "weight", "shape", "axis"),
    [(dense, RNG.normal(size=(5, 4)), (3, 5), 0), (conv, KERNEL, (2, 3, 4, 4), (0, 2, 3))],
    ids=["dense", "conv"],
)
def test_folded_layers_are_equal(
    layer: Any, weight: Any, shape: Any, axis: Any, biased: bool
) -> None:
    data, bias = RNG.normal(size=shape), RNG.normal(size=4) if biased else None
    s = {name: eg.state(name, (4,), v, "float64") for name, v in STATISTICS.items()}
    x = eg.input("x", ("batch", *shape[1:]), "float64")
    y, _ = eg.nn.batch_norm(
        layer(x, weight, bias), s["gamma"], s["beta"], s["mean"], s["var"], axis=axis
    )
    folded = eg.nn.fold_batch_norm(weight, bias, **statistics_of(STATISTICS))
    expected = value(eg.nn.inference(y), x=data)
    np.testing.assert_allclose(value(layer(x, *folded), x=data), expected, rtol=1e-10)


def statistics_of(values: dict[str, Any]) -> dict[str, Any]:
    names = {"mean": "running_mean", "var": "running_var"}
    return {names.get(name, name): array for name, array in values.items()}


def test_folded_weights_are_pytorchs() -> None:
    folded = eg.nn.fold_batch_norm(KERNEL, None, **statistics_of(STATISTICS))
    found = evaluate(list(folded))
    assert_equal(dict(zip(("weight", "bias"), found, strict=True)), recorded("fold"))


def test_what_does_not_fit() -> None:
    x = eg.input("x", ("batch", 4))
    good, bad = eg.state("good", (4,)), eg.state("bad", (3,))
    with pytest.raises(ShapeError, match=r"bad is f32\[3\]"):
        eg.nn.batch_norm(x, 1.0, 0.0, good, bad)
    with pytest.raises(GraphError, match="pytorch, keras, cumulative, not 'torch'"):
        eg.nn.batch_norm(x, 1.0, 0.0, good, good, variant="torch")
