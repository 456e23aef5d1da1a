"""Dropout: moments of each kind, the masks, both modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError
from exprgrad.graph.evaluate import evaluate
from tests.nn.values import in_training, value

ROWS = 40000
KINDS = {
    "inverted": lambda x, rate: eg.nn.dropout(x, rate),
    "original": lambda x, rate: eg.nn.dropout(x, rate, "original"),
    "spatial": eg.nn.spatial_dropout,
    "gaussian": eg.nn.gaussian_dropout,
}


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_in_training_is_the_value_at_inference(kind: str, rate: float) -> None:
    x = eg.input("x", ("batch",))
    y = KINDS[kind](x, rate)
    ones = np.ones(ROWS, np.float32)
    found, settled = value(in_training(y), x=ones), value(eg.nn.inference(y), x=ones)
    np.testing.assert_allclose(settled, 1 - rate if kind == "original" else 1.0, rtol=1e-6)
    odds = rate / (1 - rate)  # the variance of inverted and Gaussian dropout
    spread = rate * (1 - rate) if kind == "original" else odds
    assert found.mean() == pytest.approx(settled[0], abs=5 * np.sqrt(spread / ROWS) + 1e-6)
    assert found.var() == pytest.approx(spread, rel=0.05, abs=1e-6)
    if kind != "gaussian":
        assert (found == 0).mean() == pytest.approx(rate, abs=0.01)
        kept = 1 if kind == "original" else np.float32(1) / (np.float32(1) - np.float32(rate))
        assert set(np.unique(found)) <= {np.float32(0), np.float32(kept)}


def test_scaled_inference_is_that_of_scaled_weights() -> None:
    """Srivastava et al. 2014, figure 2: the weights out of a unit are multiplied by p."""
    rng = np.random.default_rng(0)
    data, weight = rng.normal(size=(5, 4)), rng.normal(size=(4, 3))
    x = eg.input("x", ("batch", 4), "float64")
    y = eg.nn.inference(eg.nn.dropout(x, 0.2, "original") @ weight)
    np.testing.assert_allclose(value(y, x=data), data @ (0.8 * weight), rtol=1e-12)


def test_gaussian_noise_is_normal() -> None:
    x = eg.input("x", ("batch",))
    found = value(in_training(eg.nn.gaussian_dropout(x, 0.5)), x=np.ones(ROWS))
    assert ((found - 1) ** 4).mean() == pytest.approx(3.0, abs=0.2)  # a normal's kurtosis


def test_a_channel_is_dropped_as_a_whole() -> None:
    x = eg.input("x", ("batch", 16, 3, 5))
    found = value(in_training(eg.nn.spatial_dropout(x, 0.5)), x=np.ones((8, 16, 3, 5)))
    np.testing.assert_array_equal(found, np.broadcast_to(found[..., :1, :1], found.shape))
    assert 0.3 < (found[..., 0, 0] == 0).mean() < 0.7


def test_a_mask_shared_over_time() -> None:
    x = eg.input("x", ("batch", 7, 50))
    y = in_training(eg.nn.dropout(x, 0.5, shared=1))
    found = value(y, x=np.ones((4, 7, 50)))
    np.testing.assert_array_equal(found, np.broadcast_to(found[:, :1], found.shape))
    assert (found[0, 0] != found[1, 0]).any()


def test_dropout_of_everything_has_no_nan() -> None:
    x = eg.input("x", (5,))
    y = in_training(eg.nn.dropout(x, 1.0))
    found = evaluate([y, eg.grad(y.sum(), x)], {"x": np.ones(5)})
    np.testing.assert_array_equal(found, np.zeros((2, 5)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_has_the_mask_of_the_value(kind: str) -> None:
    x = eg.input("x", (20, 10))
    y = in_training(KINDS[kind](x, 0.4))
    found, slope = evaluate([y, eg.grad(y.sum(), x)], {"x": np.ones((20, 10))})
    np.testing.assert_array_equal(found, slope)


def test_the_mask_changes_with_the_update_and_the_draw() -> None:
    x = eg.input("x", (200,))
    one, two = (in_training(eg.nn.dropout(x, 0.5)) for _ in range(2))
    given: Any = {"x": np.ones(200)}
    first = evaluate([one, two], {**given, eg.step: 0})
    later = evaluate([one, two], {**given, eg.step: 1})
    assert (first[0] != first[1]).any() and (first[0] != later[0]).any()
    np.testing.assert_array_equal(first, evaluate([one, two], {**given, eg.step: 0}))


@pytest.mark.parametrize("kind", ["inverted", "spatial", "gaussian"])
def test_inference_is_the_identity(kind: str) -> None:
    x = eg.input("x", ("batch", 3))
    assert eg.nn.inference(KINDS[kind](x, 0.5)) is x
    given = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(eg.function([x], KINDS[kind](x, 0.5))(given), given)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_outside_zero_to_one(kind: str) -> None:
    with pytest.raises(GraphError, match=r"from 0 to 1, but 1\.5"):
        KINDS[kind](eg.input("x", (3,)), 1.5)
    with pytest.raises(GraphError, match=r"i64\[3\]"):
        KINDS[kind](eg.input("x", (3,), "int64"), 0.5)


def test_kinds_that_are_not() -> None:
    x = eg.input("x", (3,))
    with pytest.raises(GraphError, match="inverted, original, not 'torch'"):
        eg.nn.dropout(x, 0.5, "torch")
    with pytest.raises(GraphError, match="infinite variance"):
        eg.nn.gaussian_dropout(x, 1)


def test_the_same_network_built_twice_drops_the_same() -> None:
    """Whatever was drawn between, and for predictions, too; other keys stay other draws."""
    losses, noisy = [], []
    for _ in range(2):
        x = eg.input("x", ("batch", 16))
        w = eg.parameter("w", (16, 8), eg.init.he_normal())
        h = eg.nn.dropout(eg.relu(eg.nn.dropout(x, 0.3) @ w), 0.5)
        loss = (h * h).mean() + eg.random.uniform(key=7)
        trainer = eg.Trainer(loss, eg.optim.SGD(0.1))
        losses.append(trainer.fit({"x": np.ones((64, 16))}, epochs=3)["loss"])
        drawn = eg.stack([eg.random.normal(), eg.random.uniform(), eg.random.uniform(key=0)])
        noisy.append(trainer.predict(drawn, {}).tolist())
        eg.random.normal((3,))
    assert losses[0] == losses[1]
    assert noisy[0] == noisy[1]
    assert len(set(noisy[0])) == 3
