"""Each topic of the models as one compiled step, and the step as NumPy computes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.mode import in_mode
from exprgrad.graph.random import numbered
from exprgrad.runtime import compile as compiler
from exprgrad.train.rule import parameters_of

Updates = dict[eg.Tensor, eg.Tensor]
Objective = tuple[eg.Tensor, Updates]

RNG = np.random.default_rng(6)
ROWS = (RNG.random((23, 6)) < 0.4).astype(np.float64)
X = eg.input("x", ("batch", 6), "float64")
RATE = 0.1


def leaves(name: str = "", visible: int = 6, hidden: int = 4) -> list[eg.Tensor]:
    shapes = {"W": (visible, hidden), "b": (visible,), "c": (hidden,)}
    first = eg.init.normal(0, 0.5)
    return [eg.parameter(k + name, s, first, "float64") for k, s in shapes.items()]


def autoencoder() -> eg.nn.Autoencoder:
    return eg.nn.Autoencoder(*leaves())


def stack() -> eg.nn.Stack:
    return eg.nn.Stack([autoencoder(), eg.nn.RBM(*leaves("2", 4, 2))])


def state(name: str, *shape: int, init: float = 0.0) -> eg.Tensor:
    return eg.state(name, shape, init, "float64")


def boltzmann(**arguments: object) -> eg.Tensor:
    return eg.nn.RBM(*leaves()).objective(X, **arguments)


def sparse_boltzmann() -> Objective:
    rbm = eg.nn.RBM(*leaves())
    average = state("average", 4, init=0.2)
    term, updates = eg.nn.running_sparsity(rbm.encode(X), 0.2, average)
    return rbm.objective(X) + term + 0.01 * (rbm.weight * rbm.weight).sum(), updates


def contractive(deep: bool) -> eg.Tensor:
    model = stack() if deep else autoencoder()
    return model.objective(X) + 0.3 * eg.nn.contraction(model.encode(X), X).mean()


def closed_contractive() -> eg.Tensor:
    layer = autoencoder()
    term = eg.nn.sigmoid_contraction(layer.encode(X), layer.weight)
    return layer.objective(X) + 0.3 * term.mean()


def sparse() -> eg.Tensor:
    layer = autoencoder()
    return layer.objective(X) + eg.nn.sparsity(layer.encode(X), 0.1)


TOPICS: dict[str, Callable[[], Objective]] = {
    "CD-1": lambda: (boltzmann(), {}),
    "CD-3, last mean": lambda: (boltzmann(k=3, last="mean"), {}),
    "Gaussian units": lambda: (eg.nn.RBM(*leaves(), "gaussian").objective(X), {}),
    "persistent": lambda: eg.nn.RBM(*leaves()).persistent_objective(X, state("chains", 9, 6), 2),
    "sparse RBM with weight decay": sparse_boltzmann,
    "tied": lambda: (autoencoder().objective(X), {}),
    "masked": lambda: (autoencoder().objective(X, eg.nn.mask_noise(X, 0.3)), {}),
    "salted": lambda: (autoencoder().objective(X, eg.nn.salt_and_pepper(X, 0.3)), {}),
    "Gaussian noise": lambda: (autoencoder().objective(X, eg.nn.gaussian_noise(X, 0.3)), {}),
    "contractive": lambda: (closed_contractive(), {}),
    "contractive by the Jacobian": lambda: (contractive(deep=False), {}),
    "deep and contractive": lambda: (contractive(deep=True), {}),
    "sparse": lambda: (sparse(), {}),
    "deep": lambda: (stack().objective(X), {}),
}


@pytest.mark.parametrize("topic", TOPICS)
def test_one_step_is_compiled_and_does_what_numpy_makes_of_it(topic: str) -> None:
    """The draws too: a draw is a function of the seed, the update and the place."""
    loss, updates = TOPICS[topic]()
    expected, moved = one_step(loss, updates)
    trainer = eg.Trainer(loss, eg.optim.SGD(RATE), updates=updates)
    before = int(compiler.COMPILATIONS)
    history = trainer.fit({"x": ROWS}, batch_size=None, shuffle=False)
    assert history["loss"][0] == pytest.approx(expected, rel=1e-9)
    for node, value in moved.items():
        np.testing.assert_allclose(node.value, value, rtol=1e-9, atol=1e-12)
    trainer.optimizer.learning_rate = 0.01
    trainer.fit({"x": ROWS}, epochs=2, batch_size=8)
    for size in (8, None):
        trainer.evaluate({"x": ROWS}, batch_size=size)
    assert int(compiler.COMPILATIONS) - before == 2  # a step, a function for inference


def one_step(loss: eg.Tensor, updates: Updates) -> tuple[float, dict[eg.Tensor, Any]]:
    """By NumPy: the loss, and what gradient descent and the updates make of it."""
    parameters = parameters_of(loss)
    image = in_mode([loss, *updates.values()], True)
    slopes = eg.grad(image[loss], parameters)
    roots = [image[loss], *slopes, *(image[new] for new in updates.values())]
    own = numbered(roots)
    value, *found = evaluate([own[root] for root in roots], {"x": ROWS, eg.step: 0})
    descent = [p.value - RATE * g for p, g in zip(parameters, found, strict=False)]
    moved = [*descent, *found[len(descent) :]]
    return float(value), dict(zip([*parameters, *updates], moved, strict=True))
