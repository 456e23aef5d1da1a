"""The bound on weights, applied inside of the compiled step."""

from __future__ import annotations

import numpy as np

import exprgrad as eg
from exprgrad.runtime import compile as compiler

RNG = np.random.default_rng(3)
DATA = {"x": RNG.normal(size=(64, 5)), "t": RNG.normal(size=(64, 3))}


def test_each_step_ends_within_the_bound() -> None:
    """Against NumPy: a step of gradient descent, then the long columns cut to length."""
    x, t = (eg.input(name, ("batch", a.shape[1]), "float64") for name, a in DATA.items())
    w = eg.parameter("w", (5, 3), RNG.normal(size=(5, 3)), "float64")
    b = eg.parameter("b", (3,), 10.0, "float64")
    bounded = eg.optim.MaxNorm(1.5)
    trainer = eg.Trainer(
        eg.nn.mse(x @ w + b, t).mean(), eg.optim.Chain(eg.optim.SGD(0.3), bounded)
    )
    expected, shift = w.value.copy(), b.value.copy()
    before = int(compiler.COMPILATIONS)
    for bound in (1.5, 1.5, 0.7):
        bounded.bound = bound  # compiles nothing
        slope = 2 * (DATA["x"] @ expected + shift - DATA["t"]) / DATA["t"].size
        expected = expected - 0.3 * DATA["x"].T @ slope
        shift = shift - 0.3 * slope.sum(0)
        lengths = np.linalg.norm(expected, axis=0)
        expected = expected * np.minimum(1, bound / lengths)
        trainer.fit(DATA, batch_size=None)
        np.testing.assert_allclose(w.value, expected, rtol=1e-12)
        np.testing.assert_allclose(b.value, shift, rtol=1e-12)  # biases are free
    np.testing.assert_allclose(np.linalg.norm(w.value, axis=0).max(), 0.7, rtol=1e-12)
    assert int(compiler.COMPILATIONS) - before == 1
