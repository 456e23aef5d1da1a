"""Each row of both tables against differences, to second order, in float64."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.grad import jacobian, jvp, vjp
from exprgrad.grad.batch import BATCHED
from exprgrad.grad.check import check_grad
from exprgrad.grad.jvp import JVP
from exprgrad.grad.vjp import VJP
from exprgrad.graph.evaluate import dims_of, evaluate
from exprgrad.graph.ops import OPS
from exprgrad.graph.tensor import Tensor
from tests.grad.cases import CASES, Case

ROWS = [
    pytest.param(case, id=f"{op}-{i}")
    for op, cases in CASES.items()
    for i, case in enumerate(cases)
]


def inputs_of(case: Case, seed: int = 0) -> dict[Tensor, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = case.sizes or case.shapes
    return {
        eg.input(f"x{i}", shape, "float64"): rng.uniform(case.low, case.high, size)
        for i, (shape, size) in enumerate(zip(case.shapes, sizes, strict=True))
    }


@pytest.mark.parametrize("table", [VJP, JVP, BATCHED], ids=["vjp", "jvp", "batched"])
def test_tables_have_the_rows_of_the_operations(table: dict[str, object]) -> None:
    assert list(table) == list(OPS)


def test_both_tables_pass_the_same_operations() -> None:
    assert [op for op in OPS if VJP[op] is None] == [
        op for op in OPS if JVP[op] is None
    ]


def test_each_rule_has_a_case() -> None:
    with_rule = {op for op, rule in VJP.items() if rule is not None}
    assert with_rule - {"bfloat16"} == set(CASES)  # whose steps have no differences


@pytest.mark.parametrize("case", ROWS)
def test_slopes_equal_differences_to_second_order(case: Case) -> None:
    at = inputs_of(case)
    assert check_grad(case.function(*at), at, order=2) == 4


@pytest.mark.parametrize("case", ROWS)
def test_the_tangent_is_the_transpose_of_the_gradient(case: Case) -> None:
    at = inputs_of(case)
    xs = list(at)
    y = case.function(*xs)
    rng = np.random.default_rng(1)
    size = evaluate([y], at)[0].shape
    cotangent = eg.input("cotangent", y.shape, "float64")
    tangents = [eg.input(f"tangent{i}", x.shape, "float64") for i, x in enumerate(xs)]
    dims = dims_of(at)
    at[cotangent] = rng.normal(size=size)
    at |= {t: rng.normal(size=at[x].shape) for t, x in zip(tangents, xs, strict=True)}
    moved = evaluate([jvp(y, xs, tangents)], at, dims)[0]
    pulled = evaluate(vjp(y, xs, cotangent), at, dims)
    left = np.vdot(at[cotangent], moved)
    right = sum(np.vdot(g, at[t]) for g, t in zip(pulled, tangents, strict=True))
    np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", ROWS)
def test_the_jacobian_has_the_gradients_as_its_rows(case: Case) -> None:
    at = inputs_of(case)
    x = next(iter(at))
    y = case.function(*at)
    dims = dims_of(at)
    cotangent = eg.input("cotangent", y.shape, "float64")
    pulled = vjp(y, x, cotangent)
    matrix, value = evaluate([jacobian(y, x), y], at, dims)
    assert matrix.shape == value.shape + at[x].shape
    for place in np.ndindex(value.shape):
        one = np.zeros(value.shape)
        one[place] = 1.0
        row = evaluate([pulled], {**at, cotangent: one}, dims)[0]
        np.testing.assert_allclose(matrix[place], row, rtol=1e-13, atol=1e-14)
