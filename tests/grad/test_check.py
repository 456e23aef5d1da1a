"""check_grad accepts right rules, names the wrong one, and leaves kinks alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError, InputError
from exprgrad.grad import check_grad
from exprgrad.grad.jvp import JVP
from exprgrad.grad.vjp import VJP
from exprgrad.graph.tensor import Tensor, apply

AT = {"x": [0.1, 0.2, 0.3]}


@pytest.fixture
def x() -> Tensor:
    return eg.input("x", (3,))


def with_rule(value: Tensor, x: Tensor, pullback: Callable[..., Any]) -> Tensor:
    return apply("custom", (value, x), (pullback,))


def test_right_rules_pass_and_directions_are_counted(x: Tensor) -> None:
    assert check_grad(eg.exp(eg.sin(x)), AT) == 4
    assert check_grad(eg.exp(eg.sin(x)), {x: AT["x"]}, order=3) == 6


def test_a_wrong_rule_is_named_with_its_line_and_both_slopes(x: Tensor) -> None:
    h = with_rule(eg.sin(x), x, lambda g, x: 1.001 * g * eg.cos(x))
    loss = eg.exp(eg.cos(h) * h).sum()
    pattern = (
        r"gradient rule of custom is wrong: .* slope is [-.\d]+ by differences and"
    )
    with pytest.raises(GraphError, match=pattern) as error:
        check_grad(loss, AT)
    assert error.value.where is h.where


def test_a_rule_wrong_in_second_order_alone_is_named(x: Tensor) -> None:
    def slope(g: Tensor, x: Tensor) -> Tensor:
        inner = with_rule(eg.cos(x), x, lambda h, x: h * eg.sin(x))
        return g * inner

    loss = with_rule(eg.sin(x), x, slope).sum()
    assert check_grad(loss, AT, order=1) == 2
    with pytest.raises(GraphError, match="rule of custom is wrong"):
        check_grad(loss, AT, order=2)


@pytest.mark.parametrize("table", [VJP, JVP], ids=["gradient", "tangent"])
def test_a_wrong_row_of_a_table_is_named(
    x: Tensor,
    table: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    right = table["cumsum"]
    wrong = (
        (lambda *a: (2.0 * right(*a)[0],)) if table is VJP else lambda *a: 2 * right(*a)
    )
    monkeypatch.setitem(table, "cumsum", wrong)
    h = eg.cumulative_sum(eg.tanh(x) * 2.0)
    what = request.node.callspec.id
    with pytest.raises(
        GraphError, match=f"the {what} rule of cumsum is wrong"
    ) as error:
        check_grad((h * x).sum(), AT)
    assert error.value.where is h.where


def test_kinks_and_jumps_are_skipped(x: Tensor) -> None:
    assert check_grad(abs(x), {"x": [0.0, 1.0, 2.0]}) == 0
    assert check_grad(eg.maximum(x, 1.0), {"x": [0.0, 1.0, 2.0]}, order=1) == 0
    assert check_grad(eg.max(x), {"x": [1.0, 1.0, 0.0]}, order=1) == 0
    assert check_grad(abs(x), {"x": [-1.0, 1.0, 2.0]}) == 4


def test_parameters_and_named_sizes_have_their_values(x: Tensor) -> None:
    n = eg.input("n", ("batch", 3))
    w = eg.parameter("w", (3, 2), init=np.arange(6.0).reshape(3, 2) / 7)
    scale = eg.state("scale", init=0.5)
    k = eg.input("k", ("batch",), "int64")
    h = eg.tanh(n @ w)[1:, :] * scale
    loss = (h * h).mean() + (eg.take(w, k) ** 3).sum()
    at = {"n": np.linspace(-1, 1, 12).reshape(4, 3), "k": [0, 2, 2, 1]}
    assert check_grad(loss, at) == 4
    assert loss.dtype == eg.float32
    assert check_grad(h, at) == 4


def test_a_missing_value_is_named(x: Tensor) -> None:
    with pytest.raises(InputError, match="no value is given for the input x"):
        check_grad(x.sum())
