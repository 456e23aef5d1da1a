"""Callbacks: when they run, early stopping, the bar, Ctrl-C."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.train.callbacks import ProgressBar

DATA = {"x": np.arange(12.0, dtype=np.float32)}


def trainer(rate: float = 0.01) -> tuple[eg.Trainer, eg.Tensor]:
    x, w = eg.input("x", ("batch",)), eg.parameter("w", init=0.0)
    return eg.Trainer(((x - w) ** 2).mean(), eg.optim.SGD(rate)), w


class Recorder(eg.Callback):
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.steps: list[tuple[int, int]] = []

    def on_fit_begin(self, trainer: Any, epochs: int) -> None:
        self.calls.append(f"fit {epochs}")

    def on_epoch_begin(self, trainer: Any, logs: Any) -> None:
        self.calls.append(f"begin {logs['epoch']}")

    def on_steps_end(self, trainer: Any, logs: Any) -> None:
        self.steps.append((logs["step"], logs["steps"]))

    def on_epoch_end(self, trainer: Any, logs: Any) -> None:
        self.calls.append(f"end {logs['epoch']} {sorted(logs)}")

    def on_fit_end(self, trainer: Any) -> None:
        self.calls.append("done")


def test_the_order_of_calls() -> None:
    recorder = Recorder()
    trainer()[0].fit(DATA, epochs=2, batch_size=4, callbacks=[recorder])
    names = "['epoch', 'loss']"
    expected = [
        "fit 2",
        "begin 1",
        f"end 1 {names}",
        "begin 2",
        f"end 2 {names}",
        "done",
    ]
    assert recorder.calls == expected
    assert recorder.steps.count((3, 3)) == 2
    assert all(0 < done <= steps == 3 for done, steps in recorder.steps)


def test_a_callback_stops_and_says_why() -> None:
    class Enough(eg.Callback):
        def on_epoch_end(self, trainer: Any, logs: Any) -> None:
            if logs["epoch"] == 3:
                trainer.stop("enough")

    history = trainer()[0].fit(DATA, epochs=9, batch_size=4, callbacks=[Enough()])
    assert (history.epochs, history.stop_reason) == ([1, 2, 3], "enough")
    assert history.stop_epoch == 3


def test_of_two_that_stop_both_reasons_are_kept() -> None:
    class Enough(eg.Callback):
        def __init__(self, reason: str) -> None:
            self.reason = reason

        def on_epoch_end(self, trainer: Any, logs: Any) -> None:
            trainer.stop(self.reason)

    machine = trainer()[0]
    history = machine.fit(DATA, 9, callbacks=[Enough("late"), Enough("tired")], batch_size=4)
    assert (history.stop_epoch, history.stop_reason) == (1, "late; tired")
    history = machine.fit(DATA, 2, batch_size=4)
    assert (history.epochs, history.stop_epoch, history.stop_reason) == ([2, 3], None, None)


def test_ctrl_c_keeps_what_was_learned() -> None:
    class Interrupt(eg.Callback):
        def on_epoch_begin(self, trainer: Any, logs: Any) -> None:
            if logs["epoch"] == 3:
                raise KeyboardInterrupt

    machine, w = trainer()
    peer, v = trainer()
    with pytest.raises(KeyboardInterrupt):
        machine.fit(DATA, epochs=9, batch_size=4, callbacks=[Interrupt()])
    peer.fit(DATA, epochs=2, batch_size=4)
    assert machine.history.epochs == [1, 2]
    assert w.value == v.value != 0
    machine.fit(DATA, epochs=1, batch_size=4)
    peer.fit(DATA, epochs=1, batch_size=4)
    assert w.value == v.value


def test_an_error_of_a_callback_leaves_everything_as_it_was() -> None:
    class Broken(eg.Callback):
        def on_epoch_end(self, trainer: Any, logs: Any) -> None:
            trainer.optimizer.learning_rate = 0.5
            if logs["epoch"] == 3:
                raise RuntimeError("broken")

    machine, w = trainer()
    machine.fit(DATA, epochs=1, batch_size=4)
    before, count = float(w.value), int(machine.optimizer.count.value)
    with pytest.raises(RuntimeError, match="broken"):
        machine.fit(DATA, epochs=4, batch_size=4, callbacks=[Broken()])
    assert float(w.value) == before
    assert (machine.epoch, int(machine.optimizer.count.value)) == (1, count)
    assert repr(machine.optimizer) == "SGD(learning_rate=0.01)"


@pytest.mark.parametrize("library", [True, False], ids=["tqdm", "plain"])
def test_the_bar(library: bool, capsys: Any, monkeypatch: Any) -> None:
    if not library:
        monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    machine, _ = trainer()
    machine.fit(DATA, epochs=2, batch_size=4, progress=True)
    error = capsys.readouterr().err
    assert "loss" in error and "100%" in error
    assert max(map(len, error.replace("\r", "\n").split("\n"))) <= 90


def test_no_bar_without_a_terminal(capsys: Any) -> None:
    machine, _ = trainer()
    machine.fit(DATA, epochs=1, batch_size=4)
    machine.fit(DATA, epochs=1, batch_size=4, progress=False)
    assert capsys.readouterr().err == ""
    assert ProgressBar(True).show is True


def test_slices_grow_to_their_time(monkeypatch: Any) -> None:
    from exprgrad.train import program

    clock = itertools.count()  # each look at the clock is one second later
    monkeypatch.setattr(program.time, "perf_counter", lambda: next(clock) * 1e-4)
    pace = program.Pace()
    slices = list(pace.slices(2000))
    sizes = [end - first for first, end in slices]
    assert [first for first, _ in slices[1:]] == [end for _, end in slices[:-1]]
    assert (slices[0][0], slices[-1][1]) == (0, 2000)
    assert sizes[:4] == [1, 8, 64, 512]  # 500 slices' time in a slice, 8-fold at most


def test_history_plots(monkeypatch: Any) -> None:
    history = trainer()[0].fit(DATA, epochs=3, batch_size=4)
    assert repr(history).startswith("<history of 3 epochs: loss=")
    pytest.importorskip("matplotlib")
    assert len(history.plot().axes) == 1
