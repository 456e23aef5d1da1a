"""Rules that end training: patience, and Prechelt's criteria against a table by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError, InputError
from exprgrad.train.stopping import Stopping

DATA = {"x": np.arange(12.0, dtype=np.float32)}


class Feed(eg.Callback):
    """Puts the next of some values in the place of those that an epoch has."""

    def __init__(self, **values: list[float]) -> None:
        self.values = {name: iter(some) for name, some in values.items()}

    def on_epoch_end(self, trainer: Any, logs: Any) -> None:
        logs.update({name: next(some) for name, some in self.values.items()})


def run(rule: Stopping, **values: list[float]) -> tuple[Any, float, eg.Trainer]:
    """A fit in which w is the number of the epoch; its history, w."""
    x, w = eg.input("x", ("batch",)), eg.parameter("w", init=0.0)
    machine = eg.Trainer(w + 0 * x.mean(), eg.optim.SGD(-1.0))
    (epochs,) = {len(some) for some in values.values()}
    calls = [Feed(**values), rule]
    history = machine.fit(DATA, epochs=epochs, batch_size=12, callbacks=calls)
    return history, float(w.value), machine


def stopped(values: list[float], **options: Any) -> tuple[Any, Any, Any, Any]:
    """The same with `EarlyStopping`, which comes first."""
    stopping = eg.EarlyStopping(**options)
    return stopping, *run(stopping, val_loss=values)


def test_early_stopping_brings_the_best_epoch_back() -> None:
    stopping, history, w, machine = stopped([5, 3, 4, 3, 6, 1], patience=3)
    assert (stopping.best, stopping.best_epoch, stopping.stopped_epoch) == (3, 2, 5)
    assert w == 2.0
    assert len(history.epochs) == machine.epoch == 5
    assert (history.stop_reason, history.stop_epoch) == (stopping.reason, 5)
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


def test_the_reason_names_the_least_improvement() -> None:
    stopping, *_ = stopped([5, 4.95, 4.9, 4.85], patience=2, min_delta=0.1)
    assert "no improvement on 5 of epoch 1 by more than 0.1 for 2 epochs" in stopping.reason


def test_accuracy_is_better_when_higher() -> None:
    assert eg.EarlyStopping("val_accuracy").watched.mode == "max"
    assert eg.EarlyStopping("val_loss").watched.mode == "min"


def test_early_stopping_needs_what_it_monitors() -> None:
    x, w = eg.input("x", ("batch",)), eg.parameter("w", init=0.0)
    machine = eg.Trainer(((x - w) ** 2).mean(), eg.optim.SGD(0.1))
    with pytest.raises(GraphError, match="EarlyStopping monitors val_loss, but an epoch has: loss"):
        machine.fit(DATA, batch_size=4, callbacks=[eg.EarlyStopping()])
    assert (float(w.value), machine.epoch) == (0.0, 0)
    with pytest.raises(InputError, match="patience is 1 at least, a whole number, not 0"):
        eg.EarlyStopping(patience=0)
    with pytest.raises(InputError, match='"min", "max" or None'):
        eg.EarlyStopping(mode="best")


def test_running_statistics_of_the_best_epoch_come_back() -> None:
    x, w = eg.input("x", ("batch",)), eg.parameter("w", init=0.0)
    seen = eg.state("seen", init=0.0)
    machine = eg.Trainer(w + 0 * x.mean(), eg.optim.SGD(-1.0), updates={seen: seen + 1})
    calls = [Feed(val_loss=[3, 1, 2, 2]), eg.EarlyStopping(patience=9)]
    history = machine.fit(DATA, epochs=4, batch_size=12, callbacks=calls)
    assert (float(w.value), float(seen.value)) == (2.0, 2.0)
    assert (history.stop_reason, history.stop_epoch) == (None, None)


def test_a_rule_of_ones_own() -> None:
    class Enough(Stopping):
        def verdict(self, value: float, logs: Any) -> str | None:
            return "which is enough" if value < 0.5 else None

    history, w, _ = run(Enough(), val_loss=[1.0, 0.6, 0.4, 0.3])
    assert history.stop_reason == "val_loss was 0.4 in epoch 3, which is enough"
    assert (history.stop_epoch, w) == (3, 3.0)


# Prechelt's criteria, by hand. Strips of five epochs; E_opt is 10, 9, then 8.

TRAINING = [10, 8, 8, 8, 6, 5, 5, 4, 4, 4, 4.04, 4, 4, 4, 4]
VALIDATION = [10, 9, 8, 8.8, 10, 8, 8.4, 8.8, 9.6, 10, 10, 12, 8, 8.08, 8.4]
LOSS = [0, 0, 0, 10, 25, 0, 5, 10, 20, 25, 25, 50, 0, 1, 5]  # GL(t), percent
# mean of E_tr: 40/5, 22/5, 20.04/5; least: 6, 4, 4
PROGRESS = {5: 1000 / 3, 10: 100, 15: 2}  # P_5(t), thousandths
QUOTIENT = {5: 0.075, 10: 0.25, 15: 2.5}


def test_the_table_of_the_loss_and_the_progress() -> None:
    rule = eg.ProgressQuotient(alpha=100)
    for epoch, (error, unseen) in enumerate(zip(TRAINING, VALIDATION, strict=True), 1):
        rule._strip.append(error)
        progress, number = rule.progress, len(rule._strip)
        rule._strip.pop()
        logs = {"epoch": epoch, "loss": error, "val_loss": unseen}
        rule.watched.improves(logs)
        assert rule.loss(unseen) == pytest.approx(LOSS[epoch - 1])
        assert rule.verdict(unseen, logs) is None
        if epoch in PROGRESS:
            assert (progress, number) == (pytest.approx(PROGRESS[epoch]), 5)


@pytest.mark.parametrize(("alpha", "epoch"), [(4.9, 4), (15, 5), (30, 12), (51, None)])
def test_generalization_loss(alpha: float, epoch: int | None) -> None:
    rule = eg.GeneralizationLoss(alpha)
    history, w, _ = run(rule, val_loss=VALIDATION)
    assert history.stop_epoch == rule.stopped_epoch == epoch
    assert w == 3.0  # the first of the best epochs
    if epoch == 5:
        assert history.stop_reason == (
            "val_loss was 10 in epoch 5, 25% above 8 of epoch 3: GL > 15"
        )


@pytest.mark.parametrize(("alpha", "epoch"), [(0.07, 5), (0.08, 10), (0.26, 15), (2.6, None)])
def test_progress_quotient(alpha: float, epoch: int | None) -> None:
    history, w, _ = run(eg.ProgressQuotient(alpha), loss=TRAINING, val_loss=VALIDATION)
    assert (history.stop_epoch, w) == (epoch, 3.0)
    if epoch:
        assert f"PQ {QUOTIENT[epoch]:g} > {alpha:g}" in history.stop_reason
        assert f"a training progress of {PROGRESS[epoch]:.4g} thousandths" in history.stop_reason


# E_va at the ends of strips, and after how many rises in a row UP stops at which strip.
ENDS = [10, 11, 12, 11, 12, 13, 14, 14]


@pytest.mark.parametrize(
    ("rises", "strips"), [(1, 2), (2, 3), (3, 7), (4, None)], ids=lambda n: str(n)
)
@pytest.mark.parametrize("strip", [1, 5])
def test_successive_rises(rises: int, strips: int | None, strip: int) -> None:
    values = [v for end in ENDS for v in [*[20.0] * (strip - 1), end]]
    history, w, _ = run(eg.SuccessiveRises(rises, strip), val_loss=values)
    assert history.stop_epoch == (strips and strips * strip)
    assert w == strip  # 10, at the end of the first strip
    if strips:
        assert f"worse in {rises} successive strips of {strip} epochs" in history.stop_reason


def test_falling_accuracy_counts_as_rises() -> None:
    rule = eg.SuccessiveRises(2, strip=1, monitor="val_accuracy")
    history, w, _ = run(rule, val_accuracy=[0.5, 0.7, 0.6, 0.5, 0.9])
    assert (history.stop_epoch, w) == (4, 2.0)


@pytest.mark.parametrize(
    "rule",
    [
        eg.GeneralizationLoss(5.0),
        eg.ProgressQuotient(1.0, strip=1),
        eg.SuccessiveRises(1, strip=1),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_an_error_that_is_nan_ends_training(rule: Stopping) -> None:
    history, w, _ = run(rule, loss=[2, 1, 1], val_loss=[1.0, math.nan, 1.0])
    assert (history.stop_epoch, w) == (2, 1.0)


def test_errors_of_zero() -> None:
    rule = eg.GeneralizationLoss(5.0)
    history, _, _ = run(rule, val_loss=[1.0, 0.0, 0.0, 1e-30, 0.0])
    assert history.stop_epoch == 4
    assert "inf% above 0 of epoch 2" in history.stop_reason
    quiet = eg.ProgressQuotient(1.0, strip=2)
    assert run(quiet, loss=[0] * 4, val_loss=[0] * 4)[0].stop_epoch is None
    assert run(quiet, loss=[1] * 4, val_loss=[1, 1, 1, 2])[0].stop_epoch == 4


WRONG = [
    (lambda: eg.GeneralizationLoss(0.0), "alpha is above 0, not 0.0"),
    (lambda: eg.ProgressQuotient(strip=0), "strip is 1 at least, a whole number, not 0"),
    (lambda: eg.SuccessiveRises(1.5), "rises is 1 at least, a whole number, not 1.5"),
    (lambda: eg.GeneralizationLoss(monitor="val_accuracy"), "errors, which fall, not of val_acc"),
    (
        lambda: run(eg.GeneralizationLoss(), val_loss=[1.0, -3.0]),
        "which are 0 or above, but val_loss is -3",
    ),
    (
        lambda: run(eg.ProgressQuotient(), loss=[-1.0], val_loss=[1.0]),
        "which are 0 or above, but loss is -1",
    ),
]


@pytest.mark.parametrize(("wrong", "rule"), WRONG, ids=[rule for _, rule in WRONG])
def test_wrong_numbers(wrong: Any, rule: str) -> None:
    with pytest.raises(InputError, match=rule + r".*test_stopping.py:\d+: "):
        wrong()


def test_what_a_quotient_needs() -> None:
    with pytest.raises(GraphError, match="Quotient monitors error, but an epoch has: loss"):
        run(eg.ProgressQuotient(training="error"), val_loss=[1.0])
