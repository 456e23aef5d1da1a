"""Ctrl-C while native code runs: whole steps are kept, and nothing but whole steps."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from tests.compiled import settings

ONES = {"x": np.ones((40, 50))}
FOR_EVER = 10**9


class Interrupt(eg.Callback):
    """Sends the signal of Ctrl-C from another thread, once training runs."""

    def __init__(self) -> None:
        send = lambda: os.kill(os.getpid(), signal.SIGINT)  # noqa: E731
        self.timer = threading.Timer(0.1, send)

    def on_steps_end(self, trainer: Any, logs: Any) -> None:
        if self.timer.ident is None:
            self.timer.start()


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Also where the tests run in the background, whose shell has Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("batch_size", [1, 7, None], ids=["online", "mini", "all"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_every_value_is_of_the_same_step(
    threads: str, batch_size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slopes are 1, so that step k leaves velocities k and parameters -(1 + ... + k)."""
    monkeypatch.setenv("EXPRGRAD_THREADS", threads)
    x = eg.input("x", ("batch", 50), "float64")
    w = eg.parameter("w", (50,), dtype="float64")
    b = eg.parameter("b", dtype="float64")
    ticks = eg.state("ticks", dtype="int64")
    momentum = eg.optim.Momentum(1.0, 1.0)
    machine = eg.Trainer((x @ w + b).mean(), momentum, updates={ticks: ticks + 1})
    with settings(parallel=True), pytest.raises(KeyboardInterrupt):
        machine.fit(ONES, FOR_EVER, batch_size, callbacks=[Interrupt()])
    k = int(ticks.value)
    assert k > 0
    assert momentum.count.value == k
    for slot in momentum.slots:
        np.testing.assert_array_equal(slot.value, np.full(slot.value.shape, k))
    for parameter in (w, b):
        reached = np.full(parameter.value.shape, -k * (k + 1) / 2)
        np.testing.assert_array_equal(parameter.value, reached)
    machine.fit(ONES, 1, None)
    assert ticks.value == k + 1 == momentum.count.value
