"""No optimizer and nothing beside it compiles a second step, whatever is set."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.runtime import compile as compiler
from tests.train.test_compiled_once import DATA, network
from tests.train.walks import made

RULES = [
    "SGD(0.01)",
    "Momentum(0.01)",
    "Nesterov(0.01)",
    "Nesterov(0.01, variant='sutskever')",
    "Adagrad(0.01)",
    "Adadelta(0.01)",
    "RMSprop(0.01, momentum=0.9, centered=True)",
    "Adam(0.01, amsgrad=True)",
    "AdamW(0.01)",
    "Nadam(0.01)",
    "Adamax(0.01)",
    "Lion(0.01)",
    "LBFGS(0.01, epsilon=1e9, history_size=2)",  # of other batches no pair is taken
    "Chain(GradientNoise(), ClipByValue(), ClipByNorm(), L2(), SGD(0.01), WeightDecay(), EMA())",
    "Chain(SGD(0.01), PolyakAverage())",
]


@pytest.mark.parametrize("rule", RULES)
def test_no_optimizer_compiles_a_second_step(rule: str) -> None:
    loss, (w, _) = network(eg.state("rate", init=0.5))
    optimizer = made(rule)
    trainer = eg.Trainer(loss, optimizer)
    before = int(compiler.COMPILATIONS)
    trainer.fit(DATA, batch_size=8)
    moved = w.value.copy()
    for name in optimizer.parts[-1].fields if isinstance(optimizer, eg.optim.Chain) else ():
        setattr(optimizer.parts[-1], name, 0.5)
    optimizer.learning_rate = 0.0
    if hasattr(optimizer, "momentum"):
        optimizer.momentum = 0.0
    trainer.fit(DATA, batch_size=20)
    assert np.array_equal(w.value, moved), "at a rate of 0 nothing moves"
    optimizer.learning_rate = 0.01
    trainer.fit(DATA, batch_size=None)
    assert not np.array_equal(w.value, moved)
    assert int(compiler.COMPILATIONS) - before == 1


def test_groups_compile_one_step() -> None:
    loss, (w, v) = network(eg.state("rate", init=0.5))
    slow, fast = eg.optim.Adam(0.0), eg.optim.SGD(0.1)
    before = int(compiler.COMPILATIONS)
    trainer = eg.Trainer(loss, eg.optim.Groups((slow, [w]), rest=fast))
    start = w.value.copy(), v.value.copy()
    trainer.fit(DATA)
    assert (w.value == start[0]).all() and (v.value != start[1]).any()
    slow.learning_rate = 0.1
    trainer.fit(DATA, batch_size=7)
    assert (w.value != start[0]).any()
    assert int(compiler.COMPILATIONS) - before == 1
