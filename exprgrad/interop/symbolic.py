"""A scalar function given as a SymPy expression, whose derivatives SymPy derives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sympy

from exprgrad.errors import GraphError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.elementwise import astype, broadcast_to, operands
from exprgrad.graph.tensor import Operand, Tensor, apply
from exprgrad.interop.reading import from_sympy


@dataclass(frozen=True, slots=True)
class ScalarFunction:
    """A function of real numbers that is applied to each element of tensors."""

    name: str
    expression: sympy.Expr
    symbols: tuple[sympy.Symbol, ...]

    def __call__(self, *arguments: Operand) -> Tensor:
        """The value at `arguments`, which broadcast; integers become float32."""
        if len(arguments) != len(self.symbols):
            names = ", ".join(map(str, self.symbols))
            raise GraphError(f"{self.name}({names}) was given {len(arguments)} arguments")
        inputs = operands(*arguments)
        if inputs[0].dtype.kind != "f":
            inputs = tuple(astype(x, dtypes.float32) for x in inputs)
        shape, dtype = inputs[0].type.shape, inputs[0].dtype
        value = from_sympy(self.expression, dict(zip(self.symbols, inputs, strict=True)))
        exact = broadcast_to(astype(value, dtype), shape)
        return apply("custom", (exact, *inputs), (Pullback(self),))

    def derivative(self, symbol: sympy.Symbol) -> ScalarFunction:
        """The partial derivative by `symbol`, again a function of all the symbols."""
        slope = _derivative(self.expression, symbol)
        return ScalarFunction(f"d{self.name}/d{symbol}", slope, self.symbols)

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.symbols))}) = {self.expression}"


@dataclass(frozen=True, slots=True)
class Pullback:
    """The gradient of a scalar function: the cotangent times each partial derivative."""

    function: ScalarFunction

    def __call__(self, cotangent: Tensor, *inputs: Tensor) -> tuple[Tensor | None, ...]:
        """A cotangent for each input, None where the function does not depend on it."""
        partial = [self.function.derivative(s) for s in self.function.symbols]
        return tuple(cotangent * d(*inputs) if d.expression != 0 else None for d in partial)

    def __repr__(self) -> str:
        return self.function.name


def scalar_function(
    expression: sympy.Expr, *symbols: sympy.Symbol, name: str | None = None
) -> ScalarFunction:
    """A function of tensors, elementwise, whose gradient of any order SymPy derives.

    The symbols stand for real numbers; without any, they are the expression's own in
    alphabetical order. A jump of sign, Heaviside or Piecewise has slope 0, Max and Min
    share a tie half and half. Raises `GraphError` when the expression has other symbols
    than `symbols`, a gradient of it where SymPy finds none, as of floor.

    >>> import exprgrad as eg
    >>> t = sympy.Symbol("t")
    >>> bump = scalar_function(sympy.exp(-t**2), t, name="bump")
    >>> bump.derivative(*bump.symbols)
    dbump/dt(t) = -2*t*exp(-t**2)
    >>> bump(eg.input("x", ("batch", 3))).shape
    (batch, 3)
    """
    expression = sympy.sympify(expression)
    free = sorted(expression.free_symbols, key=str)
    symbols = symbols or tuple(free)
    if not symbols or not set(free) <= set(symbols):
        raise GraphError(f"{expression} depends on {free}, and the arguments are {symbols}")
    real = {s: sympy.Symbol(s.name, real=True) for s in symbols}
    return ScalarFunction(name or "f", expression.xreplace(real), tuple(real.values()))


@lru_cache(maxsize=1024)
def _derivative(expression: sympy.Expr, symbol: sympy.Symbol) -> sympy.Expr:
    slope = sympy.diff(expression, symbol)
    if slope.has(sympy.Derivative):
        raise GraphError(f"SymPy finds no derivative of {expression} by {symbol}")
    return slope
