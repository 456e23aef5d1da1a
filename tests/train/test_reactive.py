"""Rates that answer to what was seen, against PyTorch's plateaus and a driver in NumPy."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError, InputError
from tests.train.record_schedules import ERRORS, FILE, PLATEAUS, torch_plateau
from tests.train.test_stopping import Feed

RECORDED = json.loads(FILE.read_text())["plateau"]
DATA = {"x": np.zeros(4, np.float32)}


class Rates(eg.Callback):
    """The learning rate after each epoch."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_epoch_end(self, trainer: Any, logs: Any) -> None:
        self.seen.append(float(trainer.optimizer.exact("learning_rate").value))


def still(rate: Any = 0.1) -> eg.Trainer:
    """A trainer whose loss is of no interest."""
    x, w = eg.input("x", ("batch",)), eg.parameter("w")
    return eg.Trainer(w + x.mean(), eg.optim.SGD(rate))


def ours(arguments: dict[str, Any]) -> eg.ReduceOnPlateau:
    """PyTorch's arguments read as ours."""
    given = {"patience": 10, "threshold": 1e-4, "threshold_mode": "rel", **arguments}
    given["patience"] += 1  # PyTorch acts one bad epoch later
    given["min_delta"] = given.pop("threshold")
    given["relative"] = given.pop("threshold_mode") == "rel"
    given["min_rate"] = given.pop("min_lr", 0.0)
    return eg.ReduceOnPlateau(**given)


@pytest.mark.parametrize("number", range(len(PLATEAUS)), ids=lambda n: str(PLATEAUS[n]))
def test_plateaus_of_torch(number: int) -> None:
    plateau, rates = ours(PLATEAUS[number]), Rates()
    calls = [Feed(val_loss=ERRORS), plateau, rates]
    still().fit(DATA, epochs=len(ERRORS), callbacks=calls, batch_size=4)
    np.testing.assert_allclose(rates.seen, RECORDED[number], rtol=1e-12)
    assert len(set(rates.seen)) - 1 == len(plateau.changes) >= 1


def test_live_torch() -> None:
    pytest.importorskip("torch")
    for recorded, arguments in zip(RECORDED, PLATEAUS, strict=True):
        np.testing.assert_allclose(torch_plateau(arguments), recorded, rtol=1e-12)


def test_a_plateau_in_front_of_a_schedule() -> None:
    x, w = eg.input("x", ("batch",)), eg.parameter("w", dtype="float64")
    scale = eg.state("scale", init=1.0, dtype="float64")
    rate = scale * eg.schedules.inverse_time(1.0, 1.0, t=eg.epoch)
    loss = w + eg.astype(0 * x.mean(), "float64")
    trainer = eg.Trainer(loss, eg.optim.SGD(rate))
    plateau = eg.ReduceOnPlateau(factor=0.5, patience=1, rate=scale)
    calls = [Feed(val_loss=[1.0, 1.0, 0.5, 0.5]), plateau]
    trainer.fit(DATA, epochs=4, batch_size=4, callbacks=calls)
    # Rates 1, 1/2, then half of 1/3 and of 1/4: the plateau is seen after epoch 2.
    assert float(w.value) == pytest.approx(-(1 + 1 / 2 + 1 / 6 + 1 / 8))
    assert plateau.changes == [(2, 0.5), (4, 0.25)]


CURVES = np.array([1.0, 6.0])


def error(w: Any) -> Any:
    return 0.5 * (CURVES * w**2).sum()


def driven(rate: float, epochs: int) -> tuple[np.ndarray, list[float], list[int]]:
    """The oracle: gradient descent with momentum 0.5 and a bold driver, in NumPy."""
    w, v, best = np.array([1.0, 1.0]), np.zeros(2), error(np.ones(2))
    rates, undone = [], []
    for epoch in range(1, epochs + 1):
        velocity = 0.5 * v + CURVES * w
        moved = w - rate * velocity
        if error(moved) <= best:
            w, v, best, rate = moved, velocity, error(moved), rate * 1.05
        else:
            rate *= 0.5
            undone.append(epoch)
        rates.append(rate)
    return w, rates, undone


def bowl(rate: Any) -> tuple[eg.Trainer, eg.Tensor]:
    x = eg.input("x", ("batch",))
    w = eg.parameter("w", (2,), init=1.0, dtype="float64")
    loss = 0.5 * (CURVES * w**2).sum() + 0 * eg.astype(x.mean(), "float64")
    return eg.Trainer(loss, eg.optim.Momentum(rate, momentum=0.5)), w


def test_a_bold_driver_by_hand() -> None:
    trainer, w = bowl(0.1)
    driver, rates = eg.BoldDriver(DATA), Rates()
    trainer.fit(DATA, epochs=40, batch_size=4, callbacks=[driver, rates])
    expected, numbers, undone = driven(0.1, 40)
    assert driver.undone == undone
    assert len(undone) >= 2
    np.testing.assert_allclose(rates.seen, numbers, rtol=1e-12)
    np.testing.assert_allclose(w.value, expected, rtol=1e-6)
    assert int(trainer.optimizer.count.value) == 40 - len(undone)


def test_a_bold_driver_saves_what_a_fixed_rate_loses() -> None:
    lost, v = bowl(1.0)
    lost.fit(DATA, epochs=40, batch_size=4)
    trainer, w = bowl(1.0)
    driver = eg.BoldDriver(DATA)
    trainer.fit(DATA, epochs=40, batch_size=4, callbacks=driver)
    assert error(v.value) > 1e6 > 1e-2 > error(w.value)
    assert driver.undone[0] == 1


def test_a_rise_within_the_tolerance_is_kept() -> None:
    strict, tolerant = eg.BoldDriver(DATA), eg.BoldDriver(DATA, tolerance=100.0)
    for driver, undone in ((strict, [1]), (tolerant, [])):
        trainer, _ = bowl(0.5)
        trainer.fit(DATA, epochs=1, batch_size=4, callbacks=driver)
        assert driver.undone == undone


def test_an_error_that_is_nan_is_undone() -> None:
    x, w = eg.input("x", ("batch",)), eg.parameter("w", init=1.0)
    loss = eg.log(w) + 0 * x.mean()
    trainer = eg.Trainer(loss, eg.optim.SGD(4.0))
    driver = eg.BoldDriver(DATA)
    trainer.fit(DATA, epochs=3, batch_size=4, callbacks=driver)
    assert driver.undone == [1, 2, 3]  # 1 - 4, 1 - 2 and 1 - 1 have no logarithm
    assert float(w.value) == 1.0
    assert driver.changes == [(1, 2.0), (2, 1.0), (3, 0.5)]


def test_the_least_rate() -> None:
    rates = Rates()
    plateau = eg.ReduceOnPlateau(factor=0.1, patience=1, min_rate=0.02)
    calls = [Feed(val_loss=[1.0] * 5), plateau, rates]
    still(0.1).fit(DATA, epochs=5, batch_size=4, callbacks=calls)
    assert rates.seen == [0.1, 0.02, 0.02, 0.02, 0.02]
    still(0.01).fit(DATA, epochs=5, batch_size=4, callbacks=[Feed(val_loss=[1.0] * 5), plateau])
    assert plateau.changes == []  # a rate below the least stays


def test_the_rate_of_a_chain_and_of_groups() -> None:
    scale, o = eg.state("scale", init=1.0), eg.optim
    x, w, v = eg.input("x", ("batch",)), eg.parameter("w"), eg.parameter("v")
    groups = o.Groups((o.SGD(0.1 * scale), [w]), (o.SGD(scale), [v]))
    cases = [(o.Chain(o.ClipByNorm(1.0), o.SGD(0.5)), "learning_rate"), (groups, scale)]
    for optimizer, rate in cases:
        trainer = eg.Trainer(w + v + x.mean(), optimizer)
        plateau = eg.ReduceOnPlateau(factor=0.5, patience=1, rate=rate)
        trainer.fit(DATA, 3, callbacks=[Feed(val_loss=[1.0] * 3), plateau], batch_size=4)
        assert [epoch for epoch, _ in plateau.changes] == [2, 3]
    assert float(cases[0][0].learning_rate.value) == 0.125
    assert float(scale.value) == 0.25
    with pytest.raises(GraphError, match="Groups has no hyper-parameter learning_rate"):
        trainer.fit(DATA, callbacks=eg.ReduceOnPlateau(), batch_size=4)


WRONG = [
    (lambda: eg.ReduceOnPlateau(factor=1.0), InputError, "between 0 and 1, not 1.0"),
    (lambda: eg.ReduceOnPlateau(patience=0), InputError, "patience is 1 epoch at least"),
    (lambda: eg.BoldDriver(DATA, growth=0.9), InputError, "growth above 1, not 0.5 and 0.9"),
    (lambda: eg.BoldDriver(DATA, rate=0.1), GraphError, "name or a scalar eg.state, not 0.1"),
    (
        lambda: still().fit(DATA, callbacks=eg.ReduceOnPlateau(rate="momentum"), batch_size=4),
        GraphError,
        "SGD has no hyper-parameter momentum; multiply each rate",
    ),
    (
        lambda: still(eg.schedules.cosine(0.1, 9)).fit(
            DATA, callbacks=eg.ReduceOnPlateau(), batch_size=4
        ),
        GraphError,
        "learning_rate of SGD is a schedule, compiled into the step",
    ),
    (
        lambda: still().fit(DATA, callbacks=eg.ReduceOnPlateau(), batch_size=4),
        GraphError,
        "ReduceOnPlateau monitors val_loss, but an epoch has: loss",
    ),
]


@pytest.mark.parametrize(("wrong", "kind", "rule"), WRONG, ids=[rule for *_, rule in WRONG])
def test_wrong_arguments(wrong: Any, kind: Any, rule: str) -> None:
    with pytest.raises(kind, match=rule + r".*test_reactive.py:\d+: "):
        wrong()
