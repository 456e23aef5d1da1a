"""Each optimizer on the way of PyTorch's, Optax' and Keras' own, and as a part of a step."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError
from tests.train.record_optimizers import CASES, EVERY, FILE, WALKS, points
from tests.train.walks import made, walk

RECORDED = json.loads(FILE.read_text())
MODULES = {"torch": "torch", "optax": "optax", "keras": "keras"}
COMPOSED = {"Optimizer", "Chain", "Groups", "Frozen"}
RULES = [
    name
    for name, rule in vars(eg.optim).items()
    if inspect.isclass(rule)
    and issubclass(rule, eg.optim.Optimizer)
    and name not in COMPOSED
]


def name_of(case: tuple[str, str, Any]) -> str:
    return f"{case[0]}: {case[1]}"


def test_every_rule_and_every_variant_of_a_library_is_recorded() -> None:
    wanted = {
        (variant, name)
        for name in RULES
        for variant in getattr(eg.optim, name).variants
        if variant not in ("paper", "sutskever", "graves")  # test_optim_papers
    }
    known = set()
    for peer, ours, _ in CASES:
        for name in re.findall(r"(\w+)\(", ours):
            known.add(({"torch": "pytorch"}.get(peer, peer), name))
    assert wanted <= known
    assert {name for _, name in known} >= set(RULES)
    assert list(RECORDED) == [name_of(case) for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_recorded_points(case: Any) -> None:
    found = walk(made(case[1]))[EVERY - 1 :: EVERY]
    np.testing.assert_allclose(found, RECORDED[name_of(case)], rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_live_points(case: Any) -> None:
    peer, ours, theirs = case
    pytest.importorskip(MODULES[peer])
    found = walk(made(ours))[EVERY - 1 :: EVERY]
    np.testing.assert_allclose(found, points(WALKS[peer](*theirs)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_float32_is_near_float64(name: str) -> None:
    single, double = (
        walk(made(f"{name}()"), dtype, 30) for dtype in ("float32", "float64")
    )
    np.testing.assert_allclose(single, double, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "rate", "steps"),
    [
        ("SGD", 0.3, 60),
        ("Momentum", 0.05, 200),
        ("Nesterov", 0.05, 200),
        ("Adagrad", 0.9, 200),
        ("RMSprop", 0.01, 400),
        ("Adam", 0.1, 400),
        ("AdamW", 0.1, 400),
        ("Nadam", 0.05, 400),
        ("Adamax", 0.1, 400),
        ("Lion", 0.003, 1500),
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

    peer = walk(eg.optim.Momentum(0.005))
    np.testing.assert_allclose(walk(Heavy(0.005)), peer, rtol=1e-11)


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


def test_what_is_given_goes_before_the_variant_and_that_before_the_class() -> None:
    keras = eg.optim.RMSprop(rho=0.5, variant="keras")
    assert [keras.exact(n).value for n in ("learning_rate", "rho", "epsilon")] == [
        1e-3,
        0.5,
        1e-7,
    ]
    assert keras.epsilon_inside and not keras.centered
    assert (
        repr(keras)
        == "RMSprop(learning_rate=0.001, rho=0.5, epsilon=1e-07, variant='keras')"
    )
    mixed = eg.optim.RMSprop(variant="graves", centered=False)
    assert not mixed.centered
    assert repr(mixed).endswith("momentum=0.9, centered=False, variant='graves')")
    assert eval(repr(mixed), vars(eg.optim)).options == mixed.options


def test_two_optimizers_count_their_own_updates() -> None:
    w, u = eg.parameter("w", init=1.0), eg.parameter("u", init=1.0)
    first, second = eg.optim.Adam(0.1), eg.optim.Adam(0.1)
    one = eg.function([], None, first.updates(w * w))
    for _ in range(5):
        one()
    eg.function([], None, second.updates(u * u))()
    assert (first.count.value, second.count.value) == (5, 1)
    assert u.value == pytest.approx(0.9, abs=1e-6)  # Adam's first step is the rate
