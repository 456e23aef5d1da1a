"""Schedules against closed formulas, PyTorch's and Optax's, for 1,000 updates."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import ExprgradError, GraphError, InputError
from exprgrad.graph.evaluate import evaluate
from tests.train.record_schedules import (
    EVERY,
    FILE,
    OPTAX,
    STEPS,
    TORCH,
    optax_rates,
    torch_rates,
)

S = eg.schedules
RECORDED = json.loads(FILE.read_text())


def wave(part: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * part))


def restarted(t: int, steps: int, multiple: int) -> float:
    """SGDR as the paper tells it: run after run."""
    while t >= steps:
        t, steps = t - steps, steps * multiple
    return wave(t / steps)


def triangle(t: int, half: int) -> float:
    """Smith 2017, section 3.2, the listing."""
    cycle = math.floor(1 + t / (2 * half))
    return max(0.0, 1 - abs(t / half - 2 * cycle + 1))


# A schedule and the rate that it has at update t, counted from 0.
CASES: dict[str, tuple[eg.Tensor, Callable[[int], float]]] = {
    "constant": (S.constant(0.1), lambda t: 0.1),
    "inverse_time": (S.inverse_time(0.1, 0.5), lambda t: 0.1 / (1 + 0.5 * t)),
    "step_decay": (S.step_decay(0.1, 0.5, 30), lambda t: 0.1 * 0.5 ** (t // 30)),
    "exponential": (S.exponential(0.1, 0.02), lambda t: 0.1 * math.exp(-0.02 * t)),
    "polynomial": (
        S.polynomial(0.1, 500, 0.01, 2.0),
        lambda t: 0.09 * (1 - min(t / 500, 1)) ** 2 + 0.01,
    ),
    "cosine": (
        S.cosine(0.1, 600, 0.01),
        lambda t: 0.01 + 0.09 * wave(min(t / 600, 1)),
    ),
    "warm_restarts": (
        S.warm_restarts(0.1, 30, end=0.01),
        lambda t: 0.01 + 0.09 * restarted(t, 30, 1),
    ),
    "warm_restarts doubled": (
        S.warm_restarts(0.1, 1, multiple=2),
        lambda t: 0.1 * restarted(t, 1, 2),
    ),
    "warm_restarts tripled": (
        S.warm_restarts(0.1, 10, multiple=3),
        lambda t: 0.1 * restarted(t, 10, 3),
    ),
    "warmup": (S.warmup(0.1, 40), lambda t: 0.1 * min((t + 1) / 40, 1)),
    "warmup from a tenth": (
        S.warmup(0.1, 40, 0.1),
        lambda t: 0.1 * (0.1 + 0.9 * min((t + 1) / 40, 1)),
    ),
    "warmup of cosine": (
        S.warmup(S.cosine(0.1, 800), 40),
        lambda t: min((t + 1) / 40, 1) * 0.1 * wave(min(t / 800, 1)),
    ),
    "cyclic": (
        S.cyclic(0.01, 0.1, 40),
        lambda t: 0.01 + 0.09 * triangle(t, 40),
    ),
    "cyclic triangular2": (
        S.cyclic(0.01, 0.1, 40, "triangular2"),
        lambda t: 0.01 + 0.09 * triangle(t, 40) / 2 ** (t // 80),
    ),
    "cyclic exp_range": (
        S.cyclic(0.01, 0.1, 40, "exp_range", gamma=0.99),
        lambda t: 0.01 + 0.09 * triangle(t, 40) * 0.99**t,
    ),
    "one_cycle": (
        S.one_cycle(0.1, 900, rise=0.2, div=10, final_div=100),
        lambda t: 0.1 + (0.01 - 0.1) * wave(t / 180)
        if t < 180
        else 0.0001 + (0.1 - 0.0001) * wave(min((t - 180) / 720, 1)),
    ),
    "sequence": (
        S.sequence({0: 0.1, 400: 0.05, 700: 0.01}),
        lambda t: 0.1 if t < 400 else 0.05 if t < 700 else 0.01,
    ),
    "sequence of schedules": (
        S.sequence({0: S.warmup(0.1, 50), 50: S.inverse_time(0.1, 0.1)}),
        lambda t: 0.1 * (t + 1) / 50 if t < 50 else 0.1 / (1 + 0.1 * (t - 50)),
    ),
    "product": (
        S.step_decay(0.1, 0.5, 100) * S.cosine(1.0, 900),
        lambda t: 0.1 * 0.5 ** (t // 100) * wave(min(t / 900, 1)),
    ),
}
HELPERS = {"values", "plot"}


def test_every_schedule_has_a_formula() -> None:
    tested = {name.split()[0] for name in CASES}
    assert tested >= set(S.__all__) - HELPERS


@pytest.mark.parametrize("name", CASES)
def test_formula(name: str) -> None:
    schedule, formula = CASES[name]
    expected = [formula(t) for t in range(STEPS)]
    np.testing.assert_allclose(S.values(schedule, STEPS), expected, rtol=1e-12, atol=1e-15)
    for t in (0, 1, 30, 999):
        found = float(evaluate([schedule], {eg.step: t})[0])
        assert found == pytest.approx(expected[t], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", TORCH)
def test_recorded_rates_of_torch(name: str) -> None:
    found = S.values(TORCH[name][0], STEPS)[::EVERY]
    np.testing.assert_allclose(found, RECORDED["torch"][name], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", OPTAX)
def test_recorded_rates_of_optax(name: str) -> None:
    found = S.values(OPTAX[name][0], STEPS)[::EVERY]
    np.testing.assert_allclose(found, RECORDED["optax"][name], rtol=1e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_live_torch() -> None:
    pytest.importorskip("torch")
    for name, (_, scheduler, arguments) in TORCH.items():
        live = torch_rates(scheduler, arguments)
        np.testing.assert_allclose(live, RECORDED["torch"][name], rtol=1e-12)


def test_live_optax() -> None:
    pytest.importorskip("optax")
    for name, (_, make) in OPTAX.items():
        np.testing.assert_allclose(optax_rates(make), RECORDED["optax"][name], rtol=1e-6)


def test_restarts_fall_on_their_update_for_long() -> None:
    """The first update of a run has the full rate, the one before it almost none."""
    schedule = S.warm_restarts(1.0, 3, multiple=2)
    begins = [3 * (2**n - 1) for n in range(1, 28)]
    for t in begins:  # the last is update 402,653,181
        before, first = (float(evaluate([schedule], {eg.step: t + d})[0]) for d in (-1, 0))
        assert first == pytest.approx(1.0, abs=1e-12)
        assert before < 0.26


def test_schedules_by_epoch() -> None:
    schedule = S.step_decay(0.1, 0.5, 2, t=eg.epoch)
    found = S.values(schedule, 12, steps_per_epoch=3)
    np.testing.assert_allclose(found, 0.1 * 0.5 ** (np.arange(12) // 6))
    both = S.warmup(schedule, 4)
    np.testing.assert_allclose(
        S.values(both, 12, 3), found * np.minimum((np.arange(12) + 1) / 4, 1)
    )
    later = S.sequence({0: 1.0, 2: S.inverse_time(1.0, 1.0, t=eg.epoch)}, t=eg.epoch)
    np.testing.assert_allclose(S.values(later, 5), [1, 1, 1, 1 / 2, 1 / 3])


def test_an_optimizer_reads_it_at_its_own_count() -> None:
    w = eg.parameter("w", init=0.0, dtype="float64")
    optimizer = eg.optim.SGD(S.inverse_time(1.0, 1.0))
    step = eg.function([], None, optimizer.updates(w * 1.0))
    for _ in range(4):
        step()
    assert float(w.value) == pytest.approx(-(1 + 1 / 2 + 1 / 3 + 1 / 4))


def descent(rate: eg.Tensor) -> tuple[eg.Trainer, eg.Tensor]:
    """A trainer that takes the rate off w at every update."""
    x, w = eg.input("x", ("batch",)), eg.parameter("w", init=0.0, dtype="float64")
    return eg.Trainer(w + 0 * eg.astype(x.mean(), "float64"), eg.optim.SGD(rate)), w


def test_a_trainer_counts_its_own_epochs() -> None:
    first, w = descent(S.step_decay(1.0, 0.5, 1, t=eg.epoch))
    second, v = descent(S.step_decay(1.0, 0.5, 1, t=eg.epoch))
    data = {"x": np.zeros(6)}
    first.fit(data, epochs=3, batch_size=2)
    assert float(w.value) == -3 * (1 + 1 / 2 + 1 / 4)
    first.fit(data, epochs=1, batch_size=3)
    assert float(w.value) == -3 * (1 + 1 / 2 + 1 / 4) - 2 / 8
    second.fit(data, epochs=1, batch_size=6)
    assert float(v.value) == -1.0
    assert (first.epoch, second.epoch, int(eg.epoch.value)) == (4, 1, 0)


def test_momentum_may_be_a_schedule_too() -> None:
    w = eg.parameter("w", init=0.0, dtype="float64")
    momentum = S.cyclic(0.0, 0.5, 1)
    optimizer = eg.optim.Momentum(1.0, momentum=momentum)
    step = eg.function([], None, optimizer.updates(w * 1.0))
    for _ in range(3):
        step()
    assert float(w.value) == -(1.0 + 1.5 + 1.0)


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: S.cosine(0.1, 0), "steps of a schedule is a number above 0, not 0"),
    (lambda: S.cyclic(0.1, 0.2, -4), "half_cycle of a schedule is a number above 0, not -4"),
    (lambda: S.cyclic(0.1, 0.2, 4, "sine"), "triangular, triangular2, exp_range, not 'sine'"),
    (lambda: S.one_cycle(0.1, 9, rise=1.0), "rise of a one-cycle schedule is between 0 and 1"),
    (lambda: S.warm_restarts(0.1, 9, multiple=0.5), "multiple of a schedule is 1 or above"),
    (lambda: S.step_decay(0.1, 0.5, eg.epoch), "every of a schedule is a number above 0"),
    (lambda: S.sequence([0.1, 0.01]), "a sequence is a mapping as in {0: 0.1, 9: 0.01}"),
    (lambda: S.sequence({3: 0.1}), "one is 0, not \\[3\\]"),
    (lambda: S.sequence({}), "one is 0, not \\[\\]"),
    (lambda: S.cosine(0.1, 9, t=3), "t of a schedule is eg.step, eg.epoch or"),
]


@pytest.mark.parametrize(("wrong", "rule"), WRONG, ids=[rule for _, rule in WRONG])
def test_wrong_numbers(wrong: Callable[[], Any], rule: str) -> None:
    with pytest.raises(GraphError, match=rule + r".*test_schedules.py:\d+: "):
        wrong()


@pytest.mark.parametrize("n", [0, 2.5, "all"])
def test_as_many_values_as_whole_updates(n: Any) -> None:
    with pytest.raises(InputError, match=f"steps is an integer from 1, not {n!r}"):
        S.values(S.constant(0.1), n)
    with pytest.raises(InputError, match="steps_per_epoch is an integer from 1"):
        S.values(S.constant(0.1), 5, n)


def test_a_plot_has_a_curve_for_each_schedule() -> None:
    pytest.importorskip("matplotlib")
    cosine, step = S.cosine(0.1, 50), S.step_decay(0.1, 0.5, 10)
    (axes,) = S.plot({"cosine": cosine, "step": step}, 50).axes
    assert [line.get_label() for line in axes.lines] == ["cosine", "step"]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), S.values(step, 50))
    assert len(S.plot(cosine, 50).axes[0].lines) == 1


def test_a_plot_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ExprgradError, match="pip install matplotlib"):
        S.plot(S.constant(0.1), 5)
