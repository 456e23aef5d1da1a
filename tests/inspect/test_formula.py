"""Formulas of optimizers: read from the rule, complete, and worth the rule's own value."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.node import walk
from tests.train.record_optimizers import CASES
from tests.train.walks import made

o = eg.optim
SPELLED = sorted({ours for _, ours, _ in CASES} | {"Nesterov(variant='sutskever')"})
TRANSFORMS = [
    name
    for name, part in vars(o).items()
    if inspect.isclass(part)
    and issubclass(part, o.GradientTransform | o.ParameterTransform)
    if not name.endswith("Transform")
]


@pytest.mark.parametrize("spelled", SPELLED)
def test_a_formula_reads_only_letters_and_leaves_no_trace(spelled: str) -> None:
    optimizer = made(spelled)
    shown = eg.formula(optimizer)
    assert list(shown.lines)[-1] == "theta'"
    leaves = {
        n.name
        for n in walk(shown.lines.values())
        if n.op in ("input", "parameter", "state")
    }
    primes = {name for name in leaves if name.endswith("'")}
    assert primes <= set(shown.lines)
    assert not any(n.op == "state" for n in walk(shown.lines.values()))
    assert optimizer.slots == ()
    assert all(
        letter not in str(shown) for letter in ("theta", "beta", "learning", "updates")
    )
    assert shown.latex.count("&=") >= len(shown.lines)
    assert shown._repr_latex_() == f"$\\displaystyle {shown.latex}$"


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transformation_has_a_line(name: str) -> None:
    part = made(f"{name}()")
    before = isinstance(part, o.GradientTransform)
    chain = o.Chain(part, o.SGD()) if before else o.Chain(o.SGD(), part)
    assert str(eg.formula(chain, (2, 3))) != str(eg.formula(o.SGD(), (2, 3)))
    if before:
        assert list(eg.formula(chain).lines) == ["g'", "theta'"]


def test_the_lines_have_the_value_of_a_step() -> None:
    """Adam's lines, evaluated in NumPy's meaning, are what the compiled step does."""
    w = eg.parameter("w", init=2.0, dtype="float64")
    rule = o.Adam(0.1)
    eg.function([], None, rule.updates(w**3))()
    lines = eg.formula(rule).lines
    values = {"eta": 0.1, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "t": 1.0}
    values |= {"m": 0.0, "v": 0.0, "g": 12.0}
    for name, line in lines.items():
        leaves = [n for n in walk([line]) if n.op in ("input", "parameter")]
        inputs = [n for n in leaves if n.op == "input"]
        for node in set(leaves) - set(inputs):
            node.value = 2.0
        f = eg.function(inputs, line)
        values[name] = float(f(**{n.name: values[n.name] for n in inputs}))
    assert values["theta'"] == pytest.approx(float(w.value), rel=1e-14)
    for name, slot in zip(("m'", "v'"), rule.slots, strict=True):
        assert values[name] == pytest.approx(float(slot.value), rel=1e-14)


def test_a_norm_is_over_the_shape_that_is_given() -> None:
    clipped = o.Chain(o.ClipByNorm(), o.SGD())
    assert str(eg.formula(clipped)).startswith("g' = g * c / maximum(sqrt(g * g), c)\n")
    lines = str(eg.formula(clipped, (4,))).splitlines()
    assert lines[0] == "g' = g * c / maximum(sqrt(sum(g * g)), c)"


def test_the_point_of_the_gradient() -> None:
    shown = eg.formula(o.Chain(o.ClipByNorm(), o.Nesterov(variant="sutskever")))
    first, second, *_ = str(shown).splitlines()
    assert first == "g = ∇J(θ - μ * v)"
    assert second.startswith("g' = g * c / ")
    assert (
        shown.latex.splitlines()[1] == r"g &= \nabla J\left(\theta - \mu \, v\right) \\"
    )


def test_a_schedule_is_a_letter_and_a_constant_a_number() -> None:
    falling = eg.schedules.exponential(0.1, 0.01)
    assert str(eg.formula(o.SGD(falling))) == "θ' = θ - η * g"
    assert str(eg.formula(o.SGD(eg.schedules.constant(0.5)))) == "θ' = θ - 0.5 * g"


def test_an_optimizer_of_ones_own() -> None:
    class Sign(o.Optimizer):
        """A rule with a letter that no paper has."""

        pace: eg.Hyper = 0.1

        def update(self, parameter, gradient):  # type: ignore[no-untyped-def]
            return {parameter: parameter - self.pace * eg.sign(gradient)}

    assert str(eg.formula(Sign())) == "θ' = θ - pace * sign(g)"
    assert np.isclose(Sign().exact("pace").value, 0.1)
