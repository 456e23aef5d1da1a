"""Callbacks: when they run, early stopping, the bar, Ctrl-C."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError, InputError
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


class Feed(eg.Callback):
    """Puts the next of a list of values in the place of the validation loss."""

    def __init__(self, values: list[float]) -> None:
        self.values = iter(values)

    def on_epoch_end(self, trainer: Any, logs: Any) -> None:
        logs["val_loss"] = next(self.values)


def stopped(values: list[float], **options: Any) -> tuple[Any, Any, Any, Any]:
    """A fit in which w is the number of the epoch; stopping, history, w."""
    x, w = eg.input("x", ("batch",)), eg.parameter("w", init=0.0)
    machine = eg.Trainer(w + 0 * x.mean(), eg.optim.SGD(-1.0))
    stopping = eg.EarlyStopping(**options)
    calls = [Feed(values), stopping]
    history = machine.fit(DATA, epochs=len(values), batch_size=12, callbacks=calls)
    return stopping, history, float(w.value), machine


def test_early_stopping_brings_the_best_epoch_back() -> None:
    stopping, history, w, machine = stopped([5, 3, 4, 3, 6, 1], patience=3)
    assert (stopping.best, stopping.best_epoch, stopping.stopped_epoch) == (3, 2, 5)
    assert w == 2.0
    assert len(history.epochs) == machine.epoch == 5
    assert history.stop_reason == stopping.reason
    assert "val_loss was 6 in epoch 5" in stopping.reason
    assert "3 of epoch 2 for 3 epochs" in stopping.reason


@pytest.mark.parametrize(
    ("values", "options", "epochs", "w"),
    [
        ([5, 4, 3, 2], {"patience": 1}, 4, 4.0),
        ([5, 6, 3, 2], {"patience": 1}, 2, 1.0),
        ([5, 6, 7, 8], {"patience": 2, "restore_best": False}, 3, 3.0),
        ([5, 4.95, 4.9, 4.85], {"patience": 2, "min_delta": 0.1}, 3, 1.0),
        ([5, 6, 7, 6], {"patience": 1, "mode": "max"}, 4, 3.0),
        ([np.nan, np.nan, 2, 3], {"patience": 3}, 4, 3.0),
        ([5, np.nan, np.nan, 4], {"patience": 2}, 3, 1.0),
    ],
)
def test_early_stopping(values: Any, options: Any, epochs: int, w: float) -> None:
    _, history, found, _ = stopped(values, **options)
    assert (len(history.epochs), found) == (epochs, w)


def test_accuracy_is_better_when_higher() -> None:
    assert eg.EarlyStopping("val_accuracy").sign == -1.0
    assert eg.EarlyStopping("val_loss").sign == 1.0


def test_early_stopping_needs_what_it_monitors() -> None:
    machine, w = trainer()
    with pytest.raises(GraphError, match="monitors val_loss, but an epoch has: loss"):
        machine.fit(DATA, batch_size=4, callbacks=[eg.EarlyStopping()])
    assert (float(w.value), machine.epoch) == (0.0, 0)
    with pytest.raises(InputError, match="patience is 1 epoch at least, not 0"):
        eg.EarlyStopping(patience=0)
    with pytest.raises(InputError, match='"min", "max" or None'):
        eg.EarlyStopping(mode="best")


def test_a_callback_stops_and_says_why() -> None:
    class Enough(eg.Callback):
        def on_epoch_end(self, trainer: Any, logs: Any) -> None:
            if logs["epoch"] == 3:
                trainer.stop("enough")

    history = trainer()[0].fit(DATA, epochs=9, batch_size=4, callbacks=[Enough()])
    assert (history.epochs, history.stop_reason) == ([1, 2, 3], "enough")


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
            if logs["epoch"] == 3:
                raise RuntimeError("broken")

    machine, w = trainer()
    machine.fit(DATA, epochs=1, batch_size=4)
    before, count = float(w.value), int(machine.optimizer.count.value)
    with pytest.raises(RuntimeError, match="broken"):
        machine.fit(DATA, epochs=4, batch_size=4, callbacks=[Broken()])
    assert float(w.value) == before
    assert (machine.epoch, int(machine.optimizer.count.value)) == (1, count)


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
