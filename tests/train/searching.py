"""A small regression to search on, which other processes can import too."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

import exprgrad as eg

RNG = np.random.default_rng(8)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = (np.tanh(X @ [1.0, -2.0, 0.5, 0.0]) + 0.1 * RNG.normal(size=60)).astype(np.float32)
TRAIN = {"x": X[:40], "y": Y[:40]}
VALID = {"x": X[40:], "y": Y[40:]}

SPACE = {
    "rate": eg.space.log_uniform(1e-4, 1.0),
    "dropout": eg.space.uniform(0.0, 0.5),
    "hidden": eg.space.choice(4, 8),
    "batch": eg.space.integer(5, 20),
}


def network(rate, dropout, hidden):
    x, y = eg.input("x", ("batch", 4)), eg.input("y", ("batch",))
    w = eg.parameter("w", (4, hidden), init=eg.init.glorot_uniform())
    v = eg.parameter("v", (hidden,), init=eg.init.normal())
    loss = eg.nn.mse(eg.nn.dropout(eg.tanh(x @ w), dropout) @ v, y).mean()
    return eg.Trainer(loss, eg.optim.Adam(rate))


def objective(trial):
    trainer = trial.build(network)
    history = trainer.fit(
        TRAIN,
        epochs=6,
        batch_size=trial["batch"],
        validation_data=VALID,
        callbacks=trial.pruning(),
    )
    return history["val_loss"][-1]


def slow(trial):
    time.sleep(0.05)
    return trial["a"]


LINE = {"a": eg.space.uniform(0, 1)}

if __name__ == "__main__":  # a search that a test kills
    eg.search(slow, LINE, trials=40, storage=Path(sys.argv[1]), seed=4)
