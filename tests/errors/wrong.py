"""What every test of a wrong program asks: the rule, the values, the line, the memory."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import ExprgradError

FOLDER = Path(__file__).parent

X = eg.input("x", ("batch", 3))
T = eg.input("t", ("batch",))
W = eg.parameter("w", (3,), init=[1.0, 2.0, 3.0])
COUNT = eg.state("count", init=0.0)
LOSS = ((X @ W - T) ** 2).mean()
ROWS, TARGETS = np.ones((6, 3), np.float32), np.ones(6, np.float32)
DATA = {"x": ROWS, "t": TARGETS}
MADE = "wrong.py:"  # the file whose lines make the expressions above


@contextmanager
def fails(
    kind: type[ExprgradError], *parts: str, made_elsewhere: bool = False
) -> Iterator[None]:
    """An error of this kind whose message has all `parts` and ends in the user's line.

    That line is the one of this folder at which the error was raised, or, with
    `made_elsewhere`, the one that made the node at fault. Nothing in memory has changed.
    """
    memory = (W, COUNT, eg.step, eg.random.seed)
    before = [node.value.copy() for node in memory]
    with pytest.raises(kind) as caught:
        yield
    error = caught.value
    message = str(error)
    assert [part for part in parts if part not in message] == [], message
    where = error.where
    assert Path(where.file).parent == FOLDER, where
    assert message.endswith(f"({where})")
    assert re.match(r"\w+\.py:\d+: \S", str(where)), "file, line and its text"
    frames = traceback.extract_tb(caught.tb)
    raised = {(frame.filename, frame.lineno) for frame in frames}
    assert made_elsewhere or (where.file, where.line) in raised
    for node, value in zip(memory, before, strict=True):
        np.testing.assert_array_equal(node.value, value)


def step(**arguments: Any) -> Any:
    """A compiled step that changes W and COUNT."""
    return eg.function([X, T], LOSS, {W: W - eg.grad(LOSS, W), COUNT: COUNT + 1}, **arguments)


def trainer(loss: Any = LOSS, **arguments: Any) -> eg.Trainer:
    """A trainer that changes W and COUNT."""
    updates = {COUNT: COUNT + 1}
    return eg.Trainer(loss, eg.optim.Momentum(0.1), updates=updates, **arguments)


def untouched(machine: eg.Trainer) -> bool:
    """Whether a trainer, its counters and its velocities are as they were made."""
    slots = [slot.value.any() for slot in machine.optimizer.slots]
    return not any(slots) and machine.epoch == 0 == int(machine.optimizer.count.value)
