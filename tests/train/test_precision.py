"""A whole training step in bfloat16 products."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError
from tests.cases import np_bfloat16

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((40, 6)).astype(np.float32)
TARGETS = (ROWS @ RNG.standard_normal((6, 2))).astype(np.float32)
DATA = {"x": ROWS, "y": TARGETS}
FIRST = RNG.standard_normal((6, 2)).astype(np.float32)


def trainer(precision: str) -> tuple[eg.Trainer, eg.Tensor, eg.Tensor]:
    x, y = eg.input("x", ("batch", 6)), eg.input("y", ("batch", 2))
    w = eg.parameter("w", (6, 2), init=FIRST)
    predicted = x @ w
    loss = ((predicted - y) ** 2).sum()
    made = eg.Trainer(loss, eg.optim.SGD(0.001), {"error": loss}, precision=precision)
    return made, w, predicted


def test_a_step_is_that_of_numpy() -> None:
    made, w, predicted = trainer("bfloat16")
    x, weights = np_bfloat16(ROWS), np_bfloat16(FIRST)
    before = x @ weights
    np.testing.assert_allclose(made.predict(predicted, DATA), before, 1e-5, 1e-5)
    loss = made.evaluate(DATA)["error"]
    np.testing.assert_allclose(loss, ((before - TARGETS) ** 2).sum(), 1e-5)
    history = made.fit(DATA, batch_size=None)
    slope = x.T @ np_bfloat16(2 * (before - TARGETS))
    np.testing.assert_allclose(w.value, FIRST - 0.001 * slope, 1e-5, 1e-5)
    np.testing.assert_allclose(history["loss"], [loss], 1e-5)


def test_parameters_are_updated_in_float32() -> None:
    made, w, _ = trainer("bfloat16")
    made.fit(DATA, epochs=3)
    assert (w.value != np_bfloat16(w.value)).any()


def test_training_comes_as_far_as_in_float32() -> None:
    rounded, exact = (
        trainer(p)[0].fit(DATA, epochs=60, batch_size=8)
        for p in ("bfloat16", "float32")
    )
    first = exact["loss"][0]
    assert rounded["loss"][0] != first
    assert rounded["loss"][-1] < 1e-3 * first


def test_the_gradient_that_is_shown_is_rounded() -> None:
    made, _, _ = trainer("bfloat16")
    assert "bfloat16" in eg.explain(made)["gradient"]


def test_an_unknown_precision_is_named() -> None:
    x = eg.input("x", (3, 3))
    known = "one of float32, bfloat16, not 'half'"
    with pytest.raises(GraphError, match=known):
        eg.matmul(x, x, "half")
    with pytest.raises(GraphError, match=known):
        eg.function([x], x @ x, precision="half")
    with pytest.raises(GraphError, match=known):
        trainer("half")
