"""SymPy derives, and SymPy is the oracle: values and derivatives at points."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from numpy.typing import NDArray

from exprgrad.errors import GraphError
from exprgrad.grad.sweep import grad, hvp
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.leaves import input
from exprgrad.interop.symbolic import scalar_function

x, y = sympy.symbols("x y", real=True)
POINTS = np.array([-2.5, -1.0, -0.3, 0.2, 0.7, 1.9])
POSITIVE = np.array([0.1, 0.4, 1.0, 1.7, 3.0])

SMOOTH = [
    (sympy.exp(-(x**2)), POINTS),
    (x**3 - 2 * x + 7, POINTS),
    (1 / (1 + x**2), POINTS),
    (sympy.sin(x) * sympy.cos(2 * x), POINTS),
    (sympy.tan(x / 2), POINTS),
    (sympy.tanh(x) - sympy.erf(x), POINTS),
    (sympy.sinh(x) / sympy.cosh(x) ** 2, POINTS),
    (sympy.erfc(x) * sympy.exp(x), POINTS),
    (sympy.log(1 + sympy.exp(x)), POINTS),
    (sympy.Abs(x) ** 3, POINTS),
    (sympy.sqrt(x) + x ** sympy.Rational(-1, 2), POSITIVE),
    (x**x, POSITIVE),
    (x ** sympy.Rational(7, 3) * sympy.log(x), POSITIVE),
    (2**x / sympy.pi - sympy.E, POINTS),
    (sympy.Max(x, x**2) + sympy.Min(0, x), POINTS),
    (sympy.Piecewise((x**2, x < 0), (sympy.sin(x), x < 1), (x**3, True)), POINTS),
    (sympy.Heaviside(x) * x**2 - sympy.sign(x) * x, POINTS),
]


def expected(expression: sympy.Expr, points: NDArray[np.float64]) -> list[float]:
    """SymPy's value; what is a spike at a jump is 0, and no point is a jump."""
    return [float(expression.subs(x, sympy.Float(p)).doit().evalf()) for p in points]


@pytest.mark.parametrize(("expression", "points"), SMOOTH, ids=lambda c: str(c)[:40])
def test_value_and_two_derivatives(
    expression: sympy.Expr, points: NDArray[np.float64]
) -> None:
    t = input("t", ("n",), "float64")
    f = scalar_function(expression, x)
    first = grad(f(t).sum(), t)
    second = grad(first.sum(), t)
    found = evaluate([f(t), first, second], {t: points})
    for order, values in enumerate(found):
        oracle = expected(sympy.diff(expression, x, order), points)
        np.testing.assert_allclose(values, oracle, rtol=1e-12, atol=1e-13)


def test_third_derivative() -> None:
    t = input("t", ("n",), "float64")
    g = scalar_function(sympy.sin(x**2), x)(t)
    for _ in range(3):
        g = grad(g.sum(), t)
    oracle = expected(sympy.diff(sympy.sin(x**2), x, 3), POINTS)
    np.testing.assert_allclose(evaluate([g], {t: POINTS})[0], oracle, rtol=1e-11)


def test_two_arguments_broadcast() -> None:
    expression = x**2 * sympy.exp(y) + y
    f = scalar_function(expression, x, y, name="f")
    a, b = input("a", (3, 1), "float64"), input("b", (4,), "float64")
    values = {a: np.array([[0.5], [-1.0], [2.0]]), b: np.array([0.0, 0.3, -0.7, 1.1])}
    da, db = evaluate(grad(f(a, b).sum(), [a, b]), values)
    np.testing.assert_allclose(
        da, (2 * values[a] * np.exp(values[b])).sum(1, keepdims=True), rtol=1e-13
    )
    np.testing.assert_allclose(
        db, (values[a] ** 2 * np.exp(values[b]) + 1).sum(0), rtol=1e-13
    )


def test_forward_over_reverse() -> None:
    t, v = input("t", ("n",), "float64"), input("v", ("n",), "float64")
    product = hvp(scalar_function(sympy.exp(x**2), x)(t).sum(), t, v)
    (found,) = evaluate([product], {t: POINTS, v: POINTS})
    slope = expected(sympy.diff(sympy.exp(x**2), x, 2), POINTS)
    np.testing.assert_allclose(found, np.array(slope) * POINTS, rtol=1e-12)


def test_constants_have_the_shape_and_type_of_the_arguments() -> None:
    t = input("t", (2, 3), "float32")
    constant = scalar_function(sympy.Integer(3), x)(t)
    assert constant.type == t.type
    assert scalar_function(3 * x, x)(input("i", (2,), "int32")).dtype.name == "float32"
    assert (evaluate([grad(constant.sum(), t)], {t: np.ones((2, 3))})[0] == 0).all()


def test_symbols_are_taken_in_alphabetical_order() -> None:
    f = scalar_function(y / x)
    assert [str(s) for s in f.symbols] == ["x", "y"]


def test_symbols_without_assumptions_are_real() -> None:
    t = input("t", (2,), "float64")
    u = sympy.Symbol("u")
    slope = grad(scalar_function(sympy.Abs(u), u)(t).sum(), t)
    assert evaluate([slope], {t: np.array([-2.0, 3.0])})[0].tolist() == [-1.0, 1.0]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (sympy.gamma(x), "gamma of SymPy has no counterpart"),
        (sympy.Function("g")(x), "g of SymPy has no counterpart"),
        (x + sympy.I, "I is not a real number"),
    ],
)
def test_what_cannot_be_read(expression: sympy.Expr, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        scalar_function(expression, x)(input("t", (2,)))


def test_wrong_symbols_and_counts() -> None:
    with pytest.raises(GraphError, match="depends on"):
        scalar_function(x * y, x)
    with pytest.raises(GraphError, match=r"f\(x, y\) was given 1 arguments"):
        scalar_function(x * y, x, y)(input("t"))
