"""Chains, groups, frozen parameters and averages against loops in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from tests.train.record_optimizers import START, gradient
from tests.train.walks import walk

o = eg.optim
RNG = np.random.default_rng(7)
DATA = {"x": RNG.normal(size=(40, 3)), "y": RNG.normal(size=40)}


def sgd_walk(
    change: Any = lambda g, t: g, steps: int = 100, rate: float = 0.02
) -> np.ndarray:
    w, found = START, []
    for t in range(1, steps + 1):
        w = w - rate * change(gradient(w), t)
        found.append(w)
    return np.array(found)


def line() -> tuple[eg.Tensor, eg.Tensor, eg.Tensor]:
    """A linear regression in float64: the loss, its weights, its bias."""
    x, y = (eg.input(n, ("batch", *s), "float64") for n, s in (("x", (3,)), ("y", ())))
    w = eg.parameter("w", (3,), dtype="float64", init=[0.5, -0.5, 2.0])
    b = eg.parameter("b", dtype="float64", init=1.0)
    return ((x @ w + b - y) ** 2).mean(), w, b


def slopes(w: np.ndarray, b: float) -> tuple[np.ndarray, float]:
    residual = DATA["x"] @ w + b - DATA["y"]
    return 2 * residual @ DATA["x"] / 40, 2 * residual.mean()


def step_of(loss: eg.Tensor, optimizer: Any) -> eg.runtime.function.Function:
    inputs = [
        eg.input("x", ("batch", 3), "float64"),
        eg.input("y", ("batch",), "float64"),
    ]
    return eg.function(inputs, loss, optimizer.updates(loss))


def test_clips_and_decay_in_the_order_of_the_chain() -> None:
    clipped = o.Chain(o.ClipByValue(0.8), o.L2(0.5), o.SGD(0.02))
    expected, w = [], START
    for _ in range(100):
        w = w - 0.02 * (np.clip(gradient(w), -0.8, 0.8) + 0.5 * w)
        expected.append(w)
    np.testing.assert_allclose(walk(clipped), expected, rtol=0, atol=1e-12)
    other = walk(o.Chain(o.L2(0.5), o.ClipByValue(0.8), o.SGD(0.02)))
    assert np.abs(other - expected).max() > 0.01


def test_the_norm_is_that_of_all_gradients() -> None:
    loss, w, b = line()
    step = step_of(loss, o.Chain(o.ClipByNorm(0.7), o.SGD(0.1)))
    u, c = w.value.copy(), float(b.value)
    scales = []
    for _ in range(30):
        step(**DATA)
        g, h = slopes(u, c)
        scales.append(min(1.0, 0.7 / np.sqrt(g @ g + h * h)))
        u, c = u - 0.1 * scales[-1] * g, c - 0.1 * scales[-1] * h
        np.testing.assert_allclose([*w.value, b.value], [*u, c], rtol=0, atol=1e-12)
    assert scales[0] < 1 == scales[-1]


def test_a_norm_of_zero_and_of_parameters_of_two_types() -> None:
    w, u = eg.parameter("w", init=0.0), eg.parameter("u", init=3.0, dtype="float64")
    loss = eg.astype(w * w, "float64") + 2 * u
    eg.function([], None, o.Chain(o.ClipByNorm(1.0), o.SGD(0.5)).updates(loss))()
    assert (w.value, u.value) == (0.0, 2.5)
    flat = w * 0.0
    eg.function([], None, o.Chain(o.ClipByNorm(1.0), o.SGD(0.5)).updates(flat))()
    assert w.value == 0


def test_decoupled_decay_follows_the_rate_of_its_group_and_time() -> None:
    loss, w, b = line()
    fast = o.SGD(eg.schedules.inverse_time(0.1, 0.5))
    chain = o.Chain(o.Groups((fast, [w]), (o.SGD(0.01), [b])), o.WeightDecay(0.3))
    step = step_of(loss, chain)
    u, c = w.value.copy(), float(b.value)
    for t in range(30):
        step(**DATA)
        (g, h), rate = slopes(u, c), 0.1 / (1 + 0.5 * t)
        u, c = u - rate * g - rate * 0.3 * u, c - 0.01 * h - 0.01 * 0.3 * c
        np.testing.assert_allclose([*w.value, b.value], [*u, c], rtol=0, atol=1e-12)
    assert [s.name for s in chain.updates(loss)].count(
        "updates"
    ) == 4  # groups, two, decay


def test_noise_has_the_variance_of_the_paper_at_every_update() -> None:
    n = 20_000
    w = eg.parameter("w", (n,), dtype="float64")
    rule = o.Chain(o.GradientNoise(0.3, 0.55), o.SGD(1.0))
    step = eg.function([], None, rule.updates((0 * w).sum()))
    draws = []
    for t in range(4):
        before = w.value.copy()
        step()
        draws.append(before - w.value)
        variance = 0.3 / (1 + t) ** 0.55
        assert draws[-1].mean() == pytest.approx(0, abs=5 * np.sqrt(variance / n))
        assert draws[-1].var() == pytest.approx(variance, rel=0.06)
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 0.05


def test_noise_follows_the_seed_of_the_trainer() -> None:
    def trained(seed: int) -> np.ndarray:
        loss, w, _ = line()
        noise = o.Chain(o.GradientNoise(), o.ClipByNorm(0.5), o.SGD(0.1))
        trainer = eg.Trainer(loss, noise, seed=seed)
        trainer.fit(DATA, epochs=2, batch_size=None)
        first = w.value.copy()
        trainer.reset(seed)
        trainer.fit(DATA, epochs=2, batch_size=None)
        np.testing.assert_array_equal(w.value, first)
        return first

    assert (trained(1) != trained(2)).all()


def means(kind: str, start: int = 0) -> np.ndarray:
    found, points = [], sgd_walk()
    for t, w in enumerate(points, 1):
        if kind == "polyak":
            found.append(points[start:t].mean(axis=0) if t > start else w)
        else:
            found.append(w if t == 1 else 0.9 * found[-1] + 0.1 * w)
    return np.array(found)


@pytest.mark.parametrize(
    ("average", "expected"),
    [
        (o.PolyakAverage(), means("polyak")),
        (o.PolyakAverage(start=40), means("polyak", 40)),
        (o.EMA(0.9), means("ema")),
    ],
    ids=repr,
)
def test_averages_beside_the_walk(average: Any, expected: np.ndarray) -> None:
    points = walk(o.Chain(o.SGD(0.02), average))
    np.testing.assert_allclose(points, sgd_walk(), rtol=0, atol=1e-12)
    (mean,) = average.slots
    np.testing.assert_allclose(mean.value, expected[-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["polyak", "ema"])
def test_averages_of_torch(kind: str) -> None:
    torch = pytest.importorskip("torch")
    swa = torch.optim.swa_utils
    holder = torch.nn.Module()
    holder.w = torch.nn.Parameter(torch.tensor(START))
    rule = swa.get_ema_multi_avg_fn(0.9) if kind == "ema" else None
    mean = swa.AveragedModel(holder, multi_avg_fn=rule)
    for point, expected in zip(sgd_walk(), means(kind), strict=True):
        holder.w.data = torch.tensor(point)
        mean.update_parameters(holder)
        found = mean.module.w.detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_evaluate_and_predict_under_the_means() -> None:
    loss, w, b = line()
    average = o.EMA(0.5)
    trainer = eg.Trainer(loss, o.Chain(o.SGD(0.1), average))
    trainer.fit(DATA, epochs=3, batch_size=8)
    last = w.value.copy(), b.value.copy()
    mean = average.of(w).value.copy(), average.of(b).value.copy()
    residual = DATA["x"] @ mean[0] + mean[1] - DATA["y"]
    with average.applied():
        assert trainer.evaluate(DATA)["loss"] == pytest.approx(
            (residual**2).mean(), rel=1e-12
        )
        np.testing.assert_array_equal(trainer.predict(w, {}), mean[0])
    np.testing.assert_array_equal(w.value, last[0])
    with pytest.raises(ZeroDivisionError), average.applied():
        raise ZeroDivisionError
    np.testing.assert_array_equal(b.value, last[1])
    assert trainer.evaluate(DATA)["loss"] != pytest.approx(
        (residual**2).mean(), rel=1e-6
    )


def test_frozen_parameters_stay_and_count_in_no_norm() -> None:
    loss, w, b = line()
    groups = o.Groups((o.Frozen(), [w]), rest=o.SGD(0.1))
    rule = o.Chain(o.ClipByNorm(0.2), groups, o.WeightDecay(0.1), o.EMA())
    step = step_of(loss, rule)
    u, c = w.value.copy(), float(b.value)
    for _ in range(10):
        step(**DATA)
        _, h = slopes(u, c)
        c = c - 0.1 * h * min(1.0, 0.2 / abs(h)) - 0.1 * 0.1 * c
        assert b.value == pytest.approx(c, rel=1e-12)
    np.testing.assert_array_equal(w.value, u)
    assert [s.name for s in rule.slots] == ["b.average"]


def test_groups_of_two_point_rules_and_others() -> None:
    """The gradient of all is taken where those that ask for another point ask for it."""
    loss, w, b = line()
    ahead = o.Nesterov(0.05, 0.9, variant="sutskever")
    step = step_of(loss, o.Groups((ahead, [w]), rest=o.SGD(0.1)))
    u, c, v = w.value.copy(), float(b.value), np.zeros(3)
    for _ in range(30):
        step(**DATA)
        g, h = slopes(u - 0.9 * v, c)
        v = 0.9 * v + 0.05 * g
        u, c = u - v, c - 0.1 * h
        np.testing.assert_allclose([*w.value, b.value], [*u, c], rtol=0, atol=1e-12)


def test_a_chain_has_the_numbers_of_its_optimizer() -> None:
    chain = o.Chain(o.ClipByNorm(1.0), o.Groups(rest=o.SGD(0.1)))
    assert (
        repr(chain)
        == "Chain(ClipByNorm(limit=1.0), Groups(rest=SGD(learning_rate=0.1)))"
    )
    chain = o.Chain(o.ClipByNorm(2.0), o.RMSprop(0.1, variant="keras"), o.EMA(0.9))
    chain.rho = 0.5
    assert chain.parts[1].exact("rho").value == chain.rho.value == 0.5
    assert not hasattr(chain, "limit") and not hasattr(chain, "beta1")


@pytest.mark.parametrize("size", [None, 1, 16])
def test_batch_online_and_mini_batch_descent(size: int | None) -> None:
    """One trainer; each batch's mean by its own rows, the last one being smaller."""
    loss, w, b = line()
    trainer = eg.Trainer(loss, o.SGD(0.05))
    history = trainer.fit(DATA, epochs=2, batch_size=size, shuffle=False)
    u, c = np.array([0.5, -0.5, 2.0]), 1.0
    for epoch in range(2):
        total = 0.0
        for first in range(0, 40, size or 40):
            x, y = (DATA[n][first : first + (size or 40)] for n in "xy")
            residual = x @ u + c - y
            total += (residual**2).sum()
            u, c = u - 0.1 * residual @ x / len(y), c - 0.1 * residual.mean()
        assert history["loss"][epoch] == pytest.approx(total / 40, rel=1e-12)
    np.testing.assert_allclose([*w.value, b.value], [*u, c], rtol=1e-12)
