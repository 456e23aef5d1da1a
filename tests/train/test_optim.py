"""Each optimizer against its formula in NumPy and against PyTorch's recorded points."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError
from tests.train.record_torch import CASES, FILE, START, STEPS, loss, trajectory

NAMES = ["SGD", "Momentum", "Nesterov", "Adagrad", "Adadelta", "RMSprop", "Adam"]


def ours(name: str, arguments: dict[str, float], dtype: str = "float64") -> np.ndarray:
    w = eg.parameter("w", (3,), init=np.array(START), dtype=dtype)
    optimizer = getattr(eg.optim, name)(**arguments)
    step = eg.function([], loss(w), optimizer.updates(loss(w)))
    points = []
    for _ in range(STEPS):
        step()
        points.append(w.value.copy())
    return np.array(points)


def gradient(w: np.ndarray) -> np.ndarray:
    valley = w[1] - w[0] ** 2
    return np.array([-2 * (1 - w[0]) - 20 * w[0] * valley, 10 * valley, 6 * w[2]])


# The papers' lines in NumPy: (w, g, slots, t, hyper-parameters) -> step subtracted.
Formula = Callable[[np.ndarray, dict[str, Any], int, dict[str, float]], np.ndarray]


def sgd(g: Any, s: Any, t: int, h: Any) -> Any:
    return h["learning_rate"] * g


def momentum(g: Any, s: Any, t: int, h: Any) -> Any:
    s["b"] = h["momentum"] * s.get("b", 0) + g
    return h["learning_rate"] * s["b"]


def nesterov(g: Any, s: Any, t: int, h: Any) -> Any:
    s["b"] = h["momentum"] * s.get("b", 0) + g
    return h["learning_rate"] * (g + h["momentum"] * s["b"])


def adagrad(g: Any, s: Any, t: int, h: Any) -> Any:
    s["G"] = s.get("G", 0) + g**2
    return h["learning_rate"] * g / (np.sqrt(s["G"]) + h["epsilon"])


def adadelta(g: Any, s: Any, t: int, h: Any) -> Any:
    rho, eps = h["rho"], h["epsilon"]
    s["E"] = rho * s.get("E", 0) + (1 - rho) * g**2
    delta = np.sqrt(s.get("D", 0) + eps) / np.sqrt(s["E"] + eps) * g
    s["D"] = rho * s.get("D", 0) + (1 - rho) * delta**2
    return h["learning_rate"] * delta


def rmsprop(g: Any, s: Any, t: int, h: Any) -> Any:
    s["r"] = h["rho"] * s.get("r", 0) + (1 - h["rho"]) * g**2
    return h["learning_rate"] * g / (np.sqrt(s["r"]) + h["epsilon"])


def adam(g: Any, s: Any, t: int, h: Any) -> Any:
    s["m"] = h["beta1"] * s.get("m", 0) + (1 - h["beta1"]) * g
    s["v"] = h["beta2"] * s.get("v", 0) + (1 - h["beta2"]) * g**2
    m = s["m"] / (1 - h["beta1"] ** t)
    v = s["v"] / (1 - h["beta2"] ** t)
    return h["learning_rate"] * m / (np.sqrt(v) + h["epsilon"])


FORMULAS: dict[str, Formula] = {
    "SGD": sgd,
    "Momentum": momentum,
    "Nesterov": nesterov,
    "Adagrad": adagrad,
    "Adadelta": adadelta,
    "RMSprop": rmsprop,
    "Adam": adam,
}


def by_formula(name: str, arguments: dict[str, float]) -> np.ndarray:
    optimizer = getattr(eg.optim, name)(**arguments)
    hyper = {field: optimizer.exact(field).value.item() for field in optimizer.fields}
    w, slots, points = np.array(START), {}, []
    for t in range(1, STEPS + 1):
        w = w - FORMULAS[name](gradient(w), slots, t, hyper)
        points.append(w)
    return np.array(points)


def test_every_optimizer_has_a_formula_and_a_recording() -> None:
    made = [n for n, o in vars(eg.optim).items() if n in eg.optim.__all__]
    rules = [n for n in made if n not in ("Hyper", "Optimizer")]
    assert sorted(rules) == sorted(FORMULAS) == sorted({case[0] for case in CASES})


@pytest.mark.parametrize(("name", "arguments"), [case[:2] for case in CASES])
def test_formula_in_float64(name: str, arguments: dict[str, float]) -> None:
    found = ours(name, arguments)
    np.testing.assert_allclose(found, by_formula(name, arguments), rtol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_formula_in_float32(name: str) -> None:
    found = ours(name, {}, "float32")
    np.testing.assert_allclose(found, by_formula(name, {}), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_recorded_points_of_torch(number: int) -> None:
    name, arguments, _, _ = CASES[number]
    recorded = json.loads(FILE.read_text())[number]
    np.testing.assert_allclose(ours(name, arguments), recorded, rtol=1e-10)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_live_torch(case: Any) -> None:
    pytest.importorskip("torch")
    name, arguments, peer, theirs = case
    found = ours(name, arguments)
    np.testing.assert_allclose(found, trajectory(peer, theirs), rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "rate", "steps"),
    [
        ("SGD", 0.3, 60),
        ("Momentum", 0.05, 200),
        ("Nesterov", 0.05, 200),
        ("Adagrad", 0.9, 200),
        ("RMSprop", 0.01, 400),
        ("Adam", 0.1, 400),
    ],
)
def test_descends_a_quadratic(name: str, rate: float, steps: int) -> None:
    w = eg.parameter("w", (2,), init=[1.0, -2.0])
    loss = ((w - np.array([0.5, 1.0], np.float32)) ** 2).sum()
    step = eg.function([], loss, getattr(eg.optim, name)(rate).updates(loss))
    first = step()
    for _ in range(steps):
        step()
    assert step() < 1e-3 * first


def test_own_optimizer_in_three_lines() -> None:
    class Heavy(eg.optim.Optimizer):
        learning_rate: eg.Hyper = 0.01
        momentum: eg.Hyper = 0.9

        def update(self, parameter, gradient):  # type: ignore[no-untyped-def]
            velocity = self.state("velocity", like=parameter)
            new_velocity = self.momentum * velocity + self.learning_rate * gradient
            return {velocity: new_velocity, parameter: parameter - new_velocity}

    w = eg.parameter("w", (3,), init=np.array(START), dtype="float64")
    step = eg.function([], None, Heavy(0.005).updates(loss(w)))
    for _ in range(STEPS):
        step()
    peer = ours("Momentum", {"learning_rate": 0.005})
    np.testing.assert_allclose(w.value, peer[-1], rtol=1e-11)


def test_a_slot_is_made_once_for_a_parameter_and_name() -> None:
    optimizer = eg.optim.SGD()
    a, b = eg.parameter("a", (2,)), eg.parameter("b", (3,))
    assert optimizer.state("v", like=a) is optimizer.state("v", like=a)
    assert optimizer.state("v", like=a) is not optimizer.state("v", like=b)
    assert optimizer.state("v", like=a) is not optimizer.state("u", like=a)
    assert optimizer.state("v", like=b).shape == (3,)
    assert [slot.name for slot in optimizer.slots] == ["a.v", "b.v", "a.u"]


def test_a_number_may_change_and_a_schedule_may_not() -> None:
    w = eg.parameter("w", init=1.0)
    plain = eg.optim.SGD(0.25)
    step = eg.function([], None, plain.updates(w * w))
    step()
    assert w.value == 0.5
    plain.learning_rate = 0.5
    step()
    assert w.value == 0.0
    assert repr(plain) == "SGD(learning_rate=0.5)"
    scheduled = eg.optim.SGD(eg.schedules.exponential(0.1, 0.01))
    with pytest.raises(GraphError, match="only a number can be set"):
        scheduled.learning_rate = 0.1
    with pytest.raises(GraphError, match="only a number can be set"):
        plain.learning_rate = eg.schedules.constant(0.1)


def test_a_misspelt_hyper_parameter_is_an_error() -> None:
    with pytest.raises(GraphError, match=r"no hyper-parameter rate; .*learning_rate"):
        eg.optim.SGD(0.1).rate = 0.2
    with pytest.raises(GraphError, match=r"SGD: .*'rate'; its .*: learning_rate"):
        eg.optim.SGD(rate=0.1)
    with pytest.raises(GraphError, match=r"is a number or an expression .* not 'fast'"):
        eg.optim.SGD("fast")


def test_two_optimizers_count_their_own_updates() -> None:
    w, u = eg.parameter("w", init=1.0), eg.parameter("u", init=1.0)
    first, second = eg.optim.Adam(0.1), eg.optim.Adam(0.1)
    one = eg.function([], None, first.updates(w * w))
    for _ in range(5):
        one()
    eg.function([], None, second.updates(u * u))()
    assert (first.count.value, second.count.value) == (5, 1)
    assert u.value == pytest.approx(0.9, abs=1e-6)  # Adam's first step is the rate


def test_no_parameter_and_no_scalar() -> None:
    x = eg.input("x", (3,))
    with pytest.raises(GraphError, match="depends on no parameter"):
        eg.optim.SGD().updates(x.sum())
    w = eg.parameter("w", (3,))
    with pytest.raises(GraphError, match="scalar"):
        eg.optim.SGD().updates(w * x)
