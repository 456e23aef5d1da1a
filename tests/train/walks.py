"""The ways that our optimizers take on the loss of the recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import exprgrad as eg
from tests.train.record_optimizers import START, STEPS, loss


def made(spelled: str) -> Any:
    """An optimizer from its constructor as one writes it after `eg.optim`."""
    return eval(spelled, vars(eg.optim))


def walk(optimizer: Any, dtype: str = "float64", steps: int = STEPS) -> np.ndarray:
    """The value of the parameters after each of `steps` updates."""
    return walks([optimizer], dtype, steps)[0]


def walks(
    optimizers: Sequence[Any], dtype: str = "float64", steps: int = STEPS
) -> list[np.ndarray]:
    """The walk of each, all in one compiled step."""
    parameters = [
        eg.parameter(f"w{i}", (3,), START, dtype) for i in range(len(optimizers))
    ]
    updates: dict[eg.Tensor, eg.Tensor] = {}
    for w, optimizer in zip(parameters, optimizers, strict=True):
        updates |= optimizer.updates(loss(w))
    step = eg.function([], None, updates)
    found = []
    for _ in range(steps):
        step()
        found.append([w.value.copy() for w in parameters])
    return list(np.array(found).swapaxes(0, 1))
