"""Rules that no library has: against the papers' lines in NumPy; and rules at extremes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from tests.train.record_optimizers import START, gradient
from tests.train.walks import made, walk

RATE, MU, STEPS = 0.01, 0.8, 60
Step = Callable[[np.ndarray, dict[str, Any], int], np.ndarray]  # (θ, memory, t) -> θ


def decayed(t: int) -> float:
    return RATE * np.exp(-0.05 * (t - 1))


def two_points(w: Any, s: Any, t: int) -> Any:
    """Sutskever et al. 2013, equations 3 and 4, v with the other sign."""
    v = s.get("v", 0)
    s["v"] = MU * v + RATE * gradient(w - MU * v)
    return w - s["v"]


def two_points_rate_outside(w: Any, s: Any, t: int) -> Any:
    v = s.get("v", 0)
    s["v"] = MU * v + gradient(w - RATE * MU * v)
    return w - RATE * s["v"]


def nesterov_1983(w: Any, s: Any, t: int) -> Any:
    """Nesterov 1983, without his search for the rate; w is y."""
    x, a = w - RATE * gradient(w), s.get("a", 1.0)
    s["a"] = (1 + np.sqrt(4 * a**2 + 1)) / 2
    ahead = (a - 1) / s["a"] * (x - s.get("x", x))
    s["x"] = x
    return x + ahead


def sutskever(w: Any, s: Any, t: int) -> Any:
    """Equations 1 and 2, at a rate that falls."""
    s["v"] = MU * s.get("v", 0) - decayed(t) * gradient(w)
    return w + s["v"]


def rate_outside(w: Any, s: Any, t: int) -> Any:
    s["v"] = MU * s.get("v", 0) + gradient(w)
    return w - decayed(t) * s["v"]


def graves(w: Any, s: Any, t: int) -> Any:
    """Graves 2013, equations 38 to 41."""
    g = gradient(w)
    s["n"] = 0.95 * s.get("n", 0) + 0.05 * g**2
    s["g"] = 0.95 * s.get("g", 0) + 0.05 * g
    s["d"] = 0.9 * s.get("d", 0) - 1e-4 * g / np.sqrt(s["n"] - s["g"] ** 2 + 1e-4)
    return w + s["d"]


def fading(rate: float) -> eg.Tensor:
    return eg.schedules.exponential(rate, 0.05)


o = eg.optim
PAPERS: dict[str, tuple[Callable[[], Any], Step]] = {
    "two points": (lambda: o.Nesterov(RATE, MU, variant="sutskever"), two_points),
    "two points, rate outside": (
        lambda: o.Nesterov(RATE, MU, two_point=True),
        two_points_rate_outside,
    ),
    "nesterov 1983": (lambda: o.Nesterov(RATE, variant="paper"), nesterov_1983),
    "sutskever": (lambda: o.Momentum(fading(RATE), MU, variant="sutskever"), sutskever),
    "keras": (lambda: o.Momentum(fading(RATE), MU, variant="keras"), sutskever),
    "pytorch": (lambda: o.Momentum(fading(RATE), MU), rate_outside),
    "graves": (lambda: o.RMSprop(variant="graves"), graves),
}


@pytest.mark.parametrize("name", PAPERS)
def test_papers(name: str) -> None:
    make, step = PAPERS[name]
    w, memory, expected = START, {}, []
    for t in range(1, STEPS + 1):
        w = step(w, memory, t)
        expected.append(w)
    np.testing.assert_allclose(walk(make(), steps=STEPS), expected, rtol=0, atol=1e-12)


def test_the_two_forms_of_nesterov_are_one_walk_seen_from_two_places() -> None:
    """θ of the two-point form minus μ v is what the re-parametrised form stores."""
    w = eg.parameter("w", (3,), init=START, dtype="float64")
    rule = o.Nesterov(RATE, MU, variant="sutskever")
    value = ((w - 1) ** 4).sum()
    step = eg.function([], value, rule.updates(value))
    u = eg.parameter("u", (3,), init=START, dtype="float64")
    other = eg.function(
        [], None, o.Nesterov(RATE, MU, variant="keras").updates(((u - 1) ** 4).sum())
    )
    for _ in range(50):
        before = w.value.copy()
        assert step() == pytest.approx(
            ((before - 1) ** 4).sum(), rel=1e-13
        )  # the loss at θ
        other()
        (velocity,) = rule.slots
        np.testing.assert_allclose(
            w.value - MU * velocity.value, u.value, rtol=0, atol=1e-13
        )


def test_the_sequence_of_nesterov_keeps_his_bound() -> None:
    """f(x_k) - f* <= 2 L |x_0 - x*|² / (k + 1)², Beck and Teboulle 2009, theorem 4.4."""
    curvatures = np.geomspace(1e-4, 1, 40)
    starts = [eg.parameter("u", (40,), np.ones(40), "float64") for _ in range(2)]
    rules = o.Nesterov(1.0, variant="paper"), o.SGD(1.0)
    updates: dict[eg.Tensor, eg.Tensor] = {}
    for rule, u in zip(rules, starts, strict=True):
        updates |= rule.updates((curvatures * u * u).sum() / 2)
    step = eg.function([], None, updates)
    x = next(slot for slot in rules[0].slots if slot.name == "u.x")
    for k in range(1, 301):
        step()
        height, plain = (curvatures @ at.value**2 / 2 for at in (x, starts[1]))
        assert height <= 2 * 40 / (k + 1) ** 2
    assert height < 0.05 * plain


def test_two_points_with_random_masks_draw_them_once() -> None:
    """The gradient at the other point sees the dropout mask that the loss has seen."""
    w = eg.parameter("w", (64,), init=1.0, dtype="float64")
    kept = eg.random.bernoulli(0.5, (64,), dtype="float64")
    value = (kept * w).sum()
    step = eg.function(
        [], kept, o.Nesterov(1.0, 0.0, variant="sutskever").updates(value)
    )
    for _ in range(3):
        before = w.value.copy()
        mask = step()
        np.testing.assert_array_equal(before - w.value, mask)


def test_the_slip_of_the_sign_in_adagrad_is_no_number() -> None:
    """Notes that print √(G - ε): it fails as long as G < ε, where ours is near g/√ε."""
    w = eg.parameter("w", init=1.0, dtype="float64")
    value = 1e-6 * w
    step = eg.function(
        [], value, o.Adagrad(1.0, 1e-8, epsilon_inside=True).updates(value)
    )
    step()
    with np.errstate(invalid="ignore"):
        assert np.isnan(np.sqrt(np.float64(1e-12) - 1e-8))
    assert w.value == pytest.approx(1 - 1e-6 / np.sqrt(1e-12 + 1e-8), rel=1e-14)


def test_a_constant_gradient_in_the_form_of_graves() -> None:
    """Its variance is 0 but for rounding, so that ε decides: η g / √ε a step, no more."""
    w = eg.parameter("w", init=1.0)
    rule = o.RMSprop(1e-4, 0.99, momentum=None, variant="graves")
    step = eg.function([], None, rule.updates(0.1 * w))
    walk = []
    for _ in range(3000):
        step()
        walk.append(w.value.item())
    steps = -np.diff(walk)[1500:]
    np.testing.assert_allclose(steps, 1e-4 * 0.1 / 1e-4**0.5, rtol=0.01)


@pytest.mark.parametrize("epsilon_inside", [False, True])
def test_the_variance_of_a_constant_gradient_has_a_root(epsilon_inside: bool) -> None:
    """n - m² rounds to below 0 there; the clamp keeps the root a number."""
    w = eg.parameter("w", (4,), init=1.0, dtype="float64")
    value = (np.array([0.1, 1.0, 3.0, 1e3]) * w).sum()
    rule = o.RMSprop(1e-6, 0.9, 1e-3, centered=True, epsilon_inside=epsilon_inside)
    step = eg.function([], value, rule.updates(value))
    for _ in range(1000):
        step()
    assert np.isfinite(w.value).all()


RULES = ["Adagrad()", "Adadelta()", "RMSprop()", "RMSprop(variant='graves')", "Adam()"]
RULES += [
    "Adam(amsgrad=True)",
    "AdamW()",
    "Nadam()",
    "Adamax()",
    "Adamax(variant='keras')",
]


@pytest.mark.parametrize("slope", [0.0, 1e-30, 1e15])
def test_extreme_gradients_in_float32(slope: float) -> None:
    rules = [*RULES, "Lion()", "Momentum()", "Nesterov()"]
    parameters = {rule: eg.parameter("w", init=1.0) for rule in rules}
    updates: dict[eg.Tensor, eg.Tensor] = {}
    for rule, w in parameters.items():
        updates |= made(rule).updates(eg.constant(slope, "float32") * w)
    step = eg.function([], None, updates)
    for _ in range(3):
        step()
    for rule, w in parameters.items():
        assert np.isfinite(w.value), rule
        assert slope or rule == "AdamW()" or w.value == 1, rule
