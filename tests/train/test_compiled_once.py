"""One compilation serves training, whatever a user changes while it runs."""

from __future__ import annotations

from typing import Any

import numpy as np

import exprgrad as eg
from exprgrad.runtime import compile as compiler

RNG = np.random.default_rng(3)
DATA = {
    "x": RNG.normal(size=(53, 6)).astype(np.float32),
    "t": RNG.normal(size=53).astype(np.float32),
}


def network(rate: eg.Tensor) -> tuple[eg.Tensor, list[eg.Tensor]]:
    """A loss with dropout in the middle, and its parameters."""
    x, t = eg.input("x", ("batch", 6)), eg.input("t", ("batch",))
    w = eg.parameter("w", (6, 8), init=eg.init.he_normal())
    v = eg.parameter("v", (8,), init=1.0)
    hidden = eg.nn.dropout(eg.tanh(x @ w), rate)
    return eg.nn.mse(hidden @ v, t).mean(), [w, v]


class Changes(eg.Callback):
    """Sets numbers before an epoch and notes whether the epoch moved a parameter."""

    def __init__(self, rate: eg.Tensor, weight: eg.Tensor) -> None:
        self.rate, self.weight = rate, weight
        self.moved: list[bool] = []

    def on_epoch_begin(self, trainer: Any, logs: Any) -> None:
        # In the second epoch nothing is learned, in the third all is dropped out.
        trainer.optimizer.learning_rate = {1: 0.1, 2: 0.0}.get(logs["epoch"], 0.05)
        self.rate.value = {3: 1.0}.get(logs["epoch"], 0.25)
        self.before = self.weight.value.copy()

    def on_epoch_end(self, trainer: Any, logs: Any) -> None:
        self.moved.append(bool((self.weight.value != self.before).any()))


def test_a_smaller_last_batch_other_rates_and_other_sizes() -> None:
    rate = eg.state("rate", init=0.5)
    loss, (w, _) = network(rate)
    trainer = eg.Trainer(loss, eg.optim.SGD(0.1))
    changes = Changes(rate, w)
    before = int(compiler.COMPILATIONS)
    trainer.fit(DATA, epochs=4, batch_size=8, callbacks=[changes])  # 53 = 6 * 8 + 5
    assert changes.moved == [True, False, False, True]
    for size in (1, 10, 53, None):
        trainer.fit(DATA, batch_size=size)
    half = {name: rows[:20] for name, rows in DATA.items()}
    trainer.fit(half, batch_size=7)
    trainer.fit([half, DATA])
    assert int(compiler.COMPILATIONS) - before == 1
