"""Gradients that do not exist: of no scalar, by no variable, by an integer."""

from __future__ import annotations

import pytest

import exprgrad as eg
from exprgrad.errors import GraphError
from tests.errors.wrong import LOSS, T, W, X, fails

SGD = eg.optim.SGD(0.1)
INDEX = eg.input("i", (3,), "int64")

WRONG = [
    (lambda: eg.grad(X @ W, W), "not f32[batch]; make it one with .sum() or .mean()"),
    (lambda: eg.grad(INDEX.sum(), W), "takes a floating-point scalar as its loss, not i64"),
    (lambda: eg.value_and_grad(X, W), "not f32[batch, 3]"),
    (lambda: eg.hessian(X @ W, W), "not f32[batch]"),
    (lambda: eg.grad(LOSS, INDEX), "a floating-point tensor is required, not i64[3]"),
    (lambda: eg.grad(LOSS, "w"), "an expression is required, not 'w'"),
    (lambda: eg.Trainer((X @ W - T) ** 2, SGD), "such as losses.mean(), not f32[batch]"),
    (lambda: eg.Trainer(X.mean(), SGD), "depends on no parameter"),
]


@pytest.mark.parametrize(("wrong", "rule"), WRONG, ids=[rule for _, rule in WRONG])
def test_gradients(wrong, rule):
    with fails(GraphError, rule):
        wrong()
