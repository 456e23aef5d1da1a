"""The way that one of our optimizers takes on the loss of the recordings."""

from __future__ import annotations

from typing import Any

import numpy as np

import exprgrad as eg
from tests.train.record_optimizers import START, STEPS, loss


def made(spelled: str) -> Any:
    """An optimizer from its constructor as one writes it after `eg.optim`."""
    return eval(spelled, vars(eg.optim))


def walk(optimizer: Any, dtype: str = "float64", steps: int = STEPS) -> np.ndarray:
    """The value of the parameters after each of `steps` updates."""
    w = eg.parameter("w", (3,), init=START, dtype=dtype)
    step = eg.function([], loss(w), optimizer.updates(loss(w)))
    found = []
    for _ in range(steps):
        step()
        found.append(w.value.copy())
    return np.array(found)
