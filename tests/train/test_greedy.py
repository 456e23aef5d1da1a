"""Greedy pre-training: what each layer sees, what it compiles, what it is good for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.evaluate import evaluate
from exprgrad.runtime import compile as compiler

RNG = np.random.default_rng(8)
FACTORS = RNG.normal(size=(400, 2))
ROWS = 1 / (1 + np.exp(-FACTORS @ RNG.normal(size=(2, 12)) * 2))
SIZES = (12, 6, 2)
X = eg.input("x", ("batch", SIZES[0]))


def stack(kind: type) -> eg.nn.Stack:
    def layer(n: int, visible: int, hidden: int) -> eg.nn.Autoencoder | eg.nn.RBM:
        weight = eg.parameter(f"W{n}", (visible, hidden), eg.init.glorot_uniform())
        biases = eg.parameter(f"b{n}", visible), eg.parameter(f"c{n}", hidden)
        return kind(weight, *biases)

    return eg.nn.Stack([layer(n, *pair) for n, pair in enumerate(pairwise(SIZES))])


def error(deep: eg.nn.Stack) -> float:
    return float(evaluate([deep.objective(X)], {"x": ROWS.astype(np.float32)})[0])


@pytest.mark.parametrize("kind", [eg.nn.Autoencoder, eg.nn.RBM])
def test_each_layer_is_compiled_once_and_learns(kind: type) -> None:
    deep = stack(kind)
    before, compiled = error(deep), int(compiler.COMPILATIONS)
    found = eg.train.pretrain(
        deep.layers, ROWS, lambda: eg.optim.Adam(0.01), epochs=30, batch_size=20
    )
    assert int(compiler.COMPILATIONS) - compiled <= 2 * len(deep.layers)
    assert [len(history["loss"]) for history in found] == [30, 30]
    assert error(deep) < before - 0.1


def test_a_layer_sees_the_codes_of_those_below() -> None:
    """The last layer, trained alone on codes that NumPy computes, comes out the same."""
    deep = stack(eg.nn.Autoencoder)
    arguments = {"epochs": 2, "batch_size": 16}
    eg.train.pretrain(deep.layers, ROWS, eg.optim.Adam, **arguments)
    codes = ROWS
    for layer in deep.layers[:-1]:
        z = codes @ layer.weight.value.astype(np.float64) + layer.hidden_bias.value
        codes = 1 / (1 + np.exp(-z))
    again = stack(eg.nn.Autoencoder).layers[-1]
    eg.train.pretrain([again], codes, eg.optim.Adam, **arguments)
    np.testing.assert_allclose(again.weight.value, deep.layers[-1].weight.value, rtol=1e-3)


def test_fine_tuning_begins_lower_after_pretraining_and_ends_lower_still() -> None:
    plain, trained = stack(eg.nn.Autoencoder), stack(eg.nn.Autoencoder)
    eg.train.pretrain(
        trained.layers, ROWS, lambda: eg.optim.Adam(0.01), epochs=40, batch_size=20
    )
    begun = error(trained)
    for deep in (plain, trained):
        trainer = eg.Trainer(deep.objective(X), eg.optim.Adam(0.01))
        trainer.fit({"x": ROWS}, epochs=20, batch_size=20)
    assert begun < error(stack(eg.nn.Autoencoder))
    assert error(trained) < begun and error(trained) < error(plain)
