"""What an expression is not: a number, a truth value, a sequence, another library's."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError
from tests.errors.wrong import W, X, fails

A = eg.input("a", (3, 4))
INDEX = eg.input("i", (3,), "int64")

WRONG = [
    (lambda: bool(A > 0), "no truth value yet; choose with eg.where"),
    (lambda: list(A), "not iterated"),
    (lambda: len(A), "x.shape[0]"),
    (lambda: float(A[0, 0]), "no value yet"),
    (lambda: np.asarray(A), "no value yet"),
    (lambda: np.arctan(A), "np.arctan does not take expressions"),
    (lambda: np.linalg.svd(A), "np.linalg.svd does not take"),
    (lambda: np.exp(A, out=np.ones((3, 4))), "np.exp cannot write"),
    (lambda: np.sum(A, where=True), "np.sum of an expression"),
    (lambda: A[A > 0], "eg.where(mask, x, other)"),
    (lambda: A[True], "True and False are no indices"),
    (lambda: A[INDEX[0] :], "numbers or sizes, not expressions"),
    (lambda: A.value, "only a parameter or a state has a value"),
    (lambda: (A + 1).name, "add has none"),
    (lambda: eg.parameter("w", ("n",)), "needs sizes that are numbers"),
    (lambda: eg.input("", (3,)), "non-empty string"),
    (lambda: eg.gelu(A, "erf"), "not 'erf'"),
    (lambda: eg.nn.dropout(A, 1.5), "lies from 0 to 1, but 1.5 was given"),
    (lambda: eg.function([X], "rows"), "an output is an expression, not str"),
    (lambda: eg.function([X @ W], X), "made by eg.input, not by dot"),
    (lambda: eg.function([X], None, {X: X}), "of states and parameters, not of input"),
    (lambda: eg.function([X], None, {"w": X}), "of states and parameters, not of str"),
    (lambda: eg.function([], eg.zeros(("rows",))), "dimension rows is the size of an axis of no"),
    (lambda: eg.random.uniform((3,), key=-1), "an integer from 0 to 2**31 - 1"),
    (lambda: eg.random.uniform((3,), key=1 << 31), "not 2147483648"),
    (lambda: eg.random.uniform((3,), key=True), "not True"),
    (lambda: eg.random.normal((3,), key="first"), "not 'first'"),
    (lambda: eg.explain(X), "takes a compiled function or a trainer, not Tensor"),
]


@pytest.mark.parametrize(("wrong", "rule"), WRONG, ids=[rule for _, rule in WRONG])
def test_expressions(wrong, rule):
    with fails(GraphError, rule):
        wrong()


def test_methods_that_are_functions():
    with pytest.raises(AttributeError, match=r"no attribute 'exp'; write eg.exp\(x\)"):
        X.exp()
    with pytest.raises(AttributeError, match=r"no attribute 'numpy'$"):
        X.numpy()


def factory(scale=1.0, axis=0):
    return lambda shape, rng: np.full(shape, scale)


def test_an_initialiser_that_was_not_made():
    with fails(GraphError, "init of parameter u is called with a shape", "eg.init.he_normal()"):
        eg.parameter("u", (3,), init=eg.init.he_normal)
    v = eg.parameter("v", (3,), init=factory)
    with fails(GraphError, "init of v gave a function"):
        assert v.value
