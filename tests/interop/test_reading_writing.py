"""From SymPy and back: the values agree with SymPy's own."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

import exprgrad as eg
from exprgrad.errors import GraphError
from exprgrad.grad.sweep import grad
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.ops import OPS
from exprgrad.graph.tensor import Tensor, apply
from exprgrad.interop.writing import WRITE

u, v = sympy.symbols("u v", real=True)


def test_a_loss_read_from_sympy() -> None:
    loss = (u - v) ** 2 / 2
    a, b = eg.input("a", ("n",), "float64"), eg.input("b", ("n",), "float64")
    read = eg.from_sympy(loss, {"u": a, v: b})
    values = {a: np.array([1.0, 2.0, -3.0]), b: np.array([0.5, 0.0, 1.0])}
    value, slope = evaluate([read, grad(read.sum(), a)], values)
    np.testing.assert_allclose(value, (values[a] - values[b]) ** 2 / 2)
    np.testing.assert_allclose(slope, values[a] - values[b])


def test_numbers_keep_their_precision() -> None:
    a = eg.input("a", (), "float64")
    (found,) = evaluate([eg.from_sympy(u * sympy.exp(2), {u: a})], {a: 1.0})
    assert found == float(sympy.exp(2).evalf(20))


def test_integers_stay_integers() -> None:
    assert eg.from_sympy(2 * u + 1, {u: eg.input("i", (3,), "int64")}).dtype == eg.int64


def test_logic_and_remainder() -> None:
    t = np.array([-3.0, -1.0, 0.5, 2.0, 5.5])
    a = eg.input("a", ("n",), "float64")
    inside = sympy.Piecewise((sympy.Mod(u, 2), (u > -2) & ~(u >= 3)), (-u, True))
    (found,) = evaluate([eg.from_sympy(inside, {u: a})], {a: t})
    np.testing.assert_allclose(found, [float(inside.subs(u, p)) for p in t])


def test_a_symbol_without_a_tensor() -> None:
    with pytest.raises(GraphError, match="the symbol v has no tensor; given: u"):
        eg.from_sympy(u + v, {u: eg.input("a")})


UNARY = """negative abs sign floor exp expm1 log log1p sqrt rsqrt tanh sigmoid softplus
    erf sin cos stop_gradient checkpoint""".split()
BINARY = """add subtract multiply divide floor_divide remainder pow maximum minimum
    equal not_equal less less_equal""".split()
LOGICAL = ["logical_and", "logical_or"]
OTHERS = {"logical_not", "where", "cast", "bfloat16", "expand", "custom", "again"}


def test_each_row_of_the_table_has_a_test() -> None:
    assert set(WRITE) == OTHERS.union(UNARY, BINARY, LOGICAL)
    elementwise = {op for op, row in OPS.items() if row.group == "elementwise"}
    assert elementwise - set(WRITE) == {"bound"}


def written_value(node: Tensor, values: dict[str, object]) -> float:
    """SymPy's value of what was written for `node`."""
    written = eg.to_sympy(node)
    known = {s: sympy.sympify(values[s.name]) for s in written.free_symbols}
    value = written.subs(known)
    return float(bool(value)) if value in (sympy.true, sympy.false) else float(value)


def agree(node: Tensor, values: dict[str, object]) -> None:
    (expected,) = evaluate([node], values)
    assert written_value(node, values) == pytest.approx(float(expected), rel=1e-13)


A, B = eg.input("a", (), "float64"), eg.input("b", (), "float64")
P, Q = eg.input("p", (), "bool"), eg.input("q", (), "bool")


@pytest.mark.parametrize("a", [0.75, 2.5])
@pytest.mark.parametrize("op", UNARY)
def test_functions_of_one_argument_are_written(op: str, a: float) -> None:
    agree(apply(op, (A,)), {"a": a})


@pytest.mark.parametrize("a", [0.75, 2.5])
@pytest.mark.parametrize("op", BINARY)
def test_functions_of_two_arguments_are_written(op: str, a: float) -> None:
    agree(apply(op, (A, B)), {"a": a, "b": 0.75})


@pytest.mark.parametrize("p", [True, False])
@pytest.mark.parametrize("op", LOGICAL)
def test_logic_is_written(op: str, p: bool) -> None:
    agree(apply(op, (P, ~Q)), {"p": p, "q": False})


def test_choices_conversions_and_scalar_functions_are_written() -> None:
    i = eg.input("i", (), "int64")
    cube = eg.scalar_function(u**3)
    node = eg.where(A < 0.5, cube(A), eg.astype(i, "float64") * B)
    agree(node, {"a": 0.25, "b": 2.0, "i": 3})
    agree(node, {"a": 0.75, "b": 2.0, "i": 3})


def test_one_element_of_an_array_is_written() -> None:
    x = eg.input("x", ("n", 3))
    assert eg.to_sympy(2 * x + 0.1) == 2 * sympy.Symbol("x", real=True) + sympy.Float("0.1")


def test_what_is_not_elementwise_is_refused_with_its_line() -> None:
    x = eg.input("x", (3,))
    with pytest.raises(GraphError, match=r"sum is not elementwise.*test_reading_writing"):
        eg.to_sympy(eg.sum(x))
    with pytest.raises(GraphError, match="cast is not elementwise"):
        eg.to_sympy(eg.astype(x, "int32"))
