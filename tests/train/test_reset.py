"""A trainer begins anew: the same numbers for the same seed, and nothing is compiled."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.runtime import compile as compiler
from tests.train.test_trainer import DATA, Model


def fitted(model: Model) -> np.ndarray:
    model.trainer.fit(DATA, epochs=3, batch_size=8)
    return model.numbers()


@pytest.mark.parametrize("optimizer", [eg.optim.Adam, eg.optim.Nesterov, eg.optim.Adagrad])
def test_the_same_numbers_as_a_new_trainer(optimizer):
    model = Model(rate=0.3, optimizer=optimizer(0.05))
    first, compiled = fitted(model), int(compiler.COMPILATIONS)
    assert (fitted(model) != first).any()
    model.trainer.reset()
    assert model.trainer.epoch == 0
    assert (fitted(model) == first).all()
    assert int(compiler.COMPILATIONS) == compiled


def test_a_seed_decides_first_values_order_and_draws():
    one, other = Model(rate=0.3), Model(rate=0.3)
    fitted(other)  # what was done before plays no part
    results = []
    for model, seed in ((one, 1), (other, 1), (other, 2)):
        model.trainer.reset(seed)
        results.append(np.concatenate([model.numbers(), fitted(model)]))
    assert (results[0] == results[1]).all()
    assert (results[1] != results[2]).mean() > 0.8, "all but the biases, which begin with 0"


def test_running_statistics_begin_anew_and_set_numbers_stay():
    seen = eg.state("seen", (3,))
    x, w = eg.input("x", ("batch", 3)), eg.parameter("w", (3,), init=1.0)
    optimizer = eg.optim.Momentum(0.01)
    trainer = eg.Trainer(((x @ w) ** 2).mean(), optimizer, updates={seen: seen + x.mean(0)})
    trainer.fit({"x": DATA["x"]}, batch_size=None)
    assert seen.value.any()
    optimizer.learning_rate = 0.02
    trainer.reset()
    assert not seen.value.any()
    assert int(optimizer.count.value) == 0
    assert all(not slot.value.any() for slot in optimizer.slots)
    assert (w.value == 1).all()
    assert repr(optimizer) == "Momentum(learning_rate=0.02, momentum=0.9)"
