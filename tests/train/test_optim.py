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
from tests.train.record_optimizers import CASES, EVERY, FILE, START, WALKS, loss, points
from tests.train.walks import made, walk, walks

RECORDED = json.loads(FILE.read_text())
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


@pytest.fixture(scope="module")
def ours() -> dict[str, np.ndarray]:
    """Every tenth point of each of our walks."""
    found = walks([made(spelled) for _, spelled, _ in CASES])
    return {
        name_of(c): w[EVERY - 1 :: EVERY] for c, w in zip(CASES, found, strict=True)
    }


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_points(name: str, ours: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(ours[name], RECORDED[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_live_points(case: Any, ours: dict[str, np.ndarray]) -> None:
    peer, _, theirs = case
    pytest.importorskip(peer)
    live = points(WALKS[peer](*theirs))
    np.testing.assert_allclose(ours[name_of(case)], live, rtol=0, atol=1e-12)


def test_float32_is_near_float64() -> None:
    single, double = (
        walks([made(f"{name}()") for name in RULES], dtype, 30)
        for dtype in ("float32", "float64")
    )
    np.testing.assert_allclose(single, double, rtol=2e-5, atol=2e-6)


RATES = {
    "SGD": 0.02,
    "Momentum": 0.01,
    "Nesterov": 0.01,
    "Adagrad": 0.9,
    "Adadelta": 1.0,
}
RATES |= {
    "RMSprop": 0.01,
    "Adam": 0.1,
    "AdamW": 0.1,
    "Nadam": 0.05,
    "Adamax": 0.1,
    "Lion": 0.01,
    "LBFGS": 0.5,
}


def test_each_descends_the_valley() -> None:
    found = walks([made(f"{name}({RATES[name]})") for name in RULES], "float32", 600)
    for name, way in zip(RULES, found, strict=True):
        assert loss(way[-1]) < 1e-2 * loss(START), name


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


def test_a_schedule_is_shown_in_one_line() -> None:
    rate = eg.schedules.cosine(0.1, 100)
    shared = eg.exp(rate) * eg.exp(rate) + rate
    assert repr(eg.optim.SGD(rate)) == (
        "SGD(learning_rate=0.0 + 0.5 * (0.1 - 0.0) * (1.0 + cos(3.141592653589793 * "
        "minimum(astype(step, float64) / 100.0, 1.0))))"
    )
    assert repr(eg.optim.SGD(shared)).startswith("SGD(learning_rate=t1 = 0.0 + 0.5 * ")
    assert "\n" not in repr(eg.optim.SGD(shared))


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


@pytest.mark.parametrize(
    "optimizer", [eg.optim.Adam(0.01), eg.optim.SGD(eg.schedules.cosine(0.1, 100))]
)
def test_one_that_counts_does_not_go_on_with_other_parameters(
    optimizer: eg.optim.Optimizer,
) -> None:
    x = eg.input("x", ("batch",))
    first, second = (eg.parameter(name, init=3.0) for name in ("first", "second"))
    losses = [((w * x - 2) ** 2).mean() for w in (first, second)]
    data = {"x": np.ones(8)}
    eg.Trainer(losses[0], optimizer).fit(data, epochs=2, batch_size=4)
    for _ in range(2):
        with pytest.raises(GraphError, match=r"4 updates of others, first; .* for second"):
            eg.Trainer(losses[1], optimizer).fit(data, batch_size=4)
    assert float(second.value) == 3.0
    # the same parameters, alone or with others, are trained on
    eg.Trainer(losses[0], optimizer).fit(data, batch_size=4)
    eg.Trainer(losses[0] + losses[1], optimizer).fit(data, batch_size=4)


def test_one_that_does_not_count_trains_any_parameters() -> None:
    x, optimizer = eg.input("x", ("batch",)), eg.optim.Momentum(0.1)
    for name in ("first", "second"):
        loss = ((eg.parameter(name, init=3.0) * x - 2) ** 2).mean()
        eg.Trainer(loss, optimizer).fit({"x": np.ones(8)}, batch_size=4)
