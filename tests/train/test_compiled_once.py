"""One compilation serves training, whatever a user changes while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.runtime import compile as compiler

Layer = Callable[[eg.nn.Layers, eg.Tensor], eg.Tensor]

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


def image(h: eg.Tensor) -> eg.Tensor:
    return eg.reshape(h, ("batch", 1, 2, 3))


def normalised_rows(net: eg.nn.Layers, h: eg.Tensor) -> eg.Tensor:
    return eg.nn.rms_norm(net.layer_norm(net.group_norm(h, 3)) + flat_norm(h))


def flat_norm(h: eg.Tensor) -> eg.Tensor:
    return eg.nn.flatten(eg.nn.instance_norm(image(h)))


def dropped(net: eg.nn.Layers, h: eg.Tensor) -> eg.Tensor:
    h = net.dense(eg.nn.dropout(h, 0.2), 6)
    h = net.dense(eg.nn.dropout(h, 0.2, "original"), 6)
    return eg.nn.gaussian_dropout(eg.nn.flatten(eg.nn.spatial_dropout(image(h), 0.2)), 0.2)


# Each topic as what it makes of hidden units [batch, 6].
TOPICS: dict[str, Layer] = {
    "batch_norm": lambda net, h: net.batch_norm(net.dense(net.batch_norm(h, "cumulative"), 4)),
    "batch_norm of images": lambda net, h: net.batch_norm(net.conv2d(image(h), 2, 2)),
    "norms of rows": normalised_rows,
    "dropout": dropped,
    "pooling": lambda net, h: eg.max_pool2d(eg.avg_pool2d(image(h), (1, 2)), (2, 1)),
}


@pytest.mark.parametrize("topic", TOPICS)
def test_one_step_and_one_function_for_inference(topic: str) -> None:
    """Regularised by all that there is: weights, labels, a bound."""
    net, x, y = eg.nn.Layers(), eg.input("x", ("batch", 6)), eg.input("y", ("batch",), "int64")
    z = net.dense(eg.nn.flatten(TOPICS[topic](net, x)), 3)
    weight = net[list(net.leaves)[-2]]
    loss = eg.nn.cross_entropy(z, y, smoothing=0.1).mean() + 1e-3 * eg.nn.l2(weight)
    optimizer = eg.optim.Chain(eg.optim.SGD(0.1), eg.optim.MaxNorm(3.0))
    trainer = eg.Trainer(loss, optimizer, updates=net.updates)
    data = {"x": DATA["x"], "y": RNG.integers(0, 3, 53)}
    before = int(compiler.COMPILATIONS)
    for size in (8, 1, None):
        trainer.fit(data, epochs=2, batch_size=size)
        trainer.evaluate(data, batch_size=size)
    assert int(compiler.COMPILATIONS) - before == 2
    if net.updates:  # the statistics of all data are a pass of their own
        for _ in range(2):
            trainer.finalize_batch_norm(data)
            trainer.evaluate(data)
        assert int(compiler.COMPILATIONS) - before == 3


# What plateaus and bold drivers change, in front of a schedule or of none.
SCALE = eg.state("scale", init=1.0)
SCHEDULES = {
    "number": lambda: 0.1,
    "cosine": lambda: eg.schedules.cosine(0.1, 40),
    "restarts": lambda: eg.schedules.warm_restarts(0.1, 5, multiple=2),
    "cyclic": lambda: eg.schedules.cyclic(0.01, 0.1, 9, "triangular2"),
    "one cycle": lambda: eg.schedules.one_cycle(0.1, 40),
    "by epochs": lambda: SCALE * eg.schedules.step_decay(0.1, 0.5, 2, t=eg.epoch),
    "sequence": lambda: eg.schedules.sequence(
        {0: eg.schedules.warmup(0.1, 5), 5: eg.schedules.inverse_time(0.1, 0.1)}
    ),
}
ORDERS = {
    "shuffled": True,
    "as they stand": False,
    "curriculum": eg.order.Curriculum(np.arange(53), eg.order.pacing(0.2, 4)),
    "curriculum by step": eg.order.Curriculum(np.arange(53), eg.order.pacing(0.2, steps=9)),
    "strata": eg.order.Stratified(np.arange(53) % 3),
    "weights": eg.order.Weighted(np.arange(53), draws=30),
    "blocks": eg.order.Blocks(10),
}
RULES = {
    "patience": lambda: eg.EarlyStopping(patience=2),
    "GL": lambda: eg.GeneralizationLoss(50.0),
    "PQ": lambda: eg.ProgressQuotient(50.0, strip=2),
    "UP": lambda: eg.SuccessiveRises(3, strip=1),
    "plateau": lambda: eg.ReduceOnPlateau(patience=1, rate=SCALE),
    "bold driver": lambda: eg.BoldDriver(DATA, rate=SCALE),
}


@pytest.mark.parametrize("scheme", SCHEDULES)
def test_one_step_and_one_inference_whatever_the_scheme_the_order_and_the_rule(
    scheme: str,
) -> None:
    SCALE.value = 1.0
    loss, (w, _) = network(eg.state("rate", init=0.1))
    before = int(compiler.COMPILATIONS)
    trainer = eg.Trainer(loss, eg.optim.Momentum(SCHEDULES[scheme]()))
    first = w.value.copy()
    for order in ORDERS.values():
        for rule in RULES.values():
            trainer.fit(
                DATA,
                epochs=2,
                batch_size=8,
                validation_data=DATA,
                shuffle=order,
                callbacks=rule(),
            )
    assert int(compiler.COMPILATIONS) - before == 2
    assert (w.value != first).any()
