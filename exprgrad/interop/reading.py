"""SymPy's expressions read as ours: one row for each of SymPy's classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from math import nan
from typing import Any

import sympy

from exprgrad.errors import GraphError
from exprgrad.graph import elementwise as e
from exprgrad.graph.tensor import Operand, Tensor

Image = Any  # a Tensor, a Python number, a truth value, or a (value, condition) pair
Rule = Callable[..., Image]


def from_sympy(expression: sympy.Basic, mapping: Mapping[Any, Operand]) -> Tensor:
    """A SymPy expression as a tensor; `mapping` gives a tensor for each symbol or name.

    Operands broadcast. Raises `GraphError` for a symbol without a tensor, a function
    that has no counterpart here, and a number that is not real.

    >>> import exprgrad as eg
    >>> u, v = sympy.symbols("u v")
    >>> a, b = eg.input("a", ("batch",)), eg.input("b", ("batch",))
    >>> from_sympy((u - v) ** 2, {u: a, v: b}).shape
    (batch,)
    """
    named = {str(symbol): value for symbol, value in mapping.items()}
    image: dict[sympy.Basic, Image] = {}
    for part in sympy.postorder_traversal(sympy.sympify(expression)):
        if part not in image:
            image[part] = _read(part, named, image)
    return e.as_tensor(image[sympy.sympify(expression)])


def _read(
    part: sympy.Basic, named: Mapping[str, Operand], image: dict[sympy.Basic, Image]
) -> Image:
    if isinstance(part, sympy.Symbol):
        return _symbol(part, named)
    if part.is_number:
        return _number(part)
    rule = READ.get(type(part).__name__)
    if rule is None:
        known = ", ".join(READ)
        raise GraphError(f"{type(part).__name__} of SymPy has no counterpart; known: {known}")
    return rule(part, *(image[argument] for argument in part.args))


def _symbol(symbol: sympy.Symbol, named: Mapping[str, Operand]) -> Image:
    if symbol.name not in named:
        given = ", ".join(named) or "none"
        raise GraphError(f"the symbol {symbol} has no tensor; given: {given}")
    value = named[symbol.name]
    return value if isinstance(value, bool | int | float) else e.as_tensor(value)


def _number(part: sympy.Basic) -> int | float:
    if part.is_Integer:
        return int(part)
    try:
        return float(part)
    except TypeError:
        raise GraphError(f"{part} is not a real number") from None


def _multiply(part: sympy.Basic, *factors: Image) -> Image:
    """Factors with exponent -1 are divided by; a leading -1 is a sign."""
    above: list[Image] = []
    below: list[Image] = []
    for argument, factor in zip(part.args, factors, strict=True):
        if argument.is_Pow and argument.exp == -1 and isinstance(factor, Tensor):
            below.append(factor.args[1])
        elif argument != -1:
            above.append(factor)
    top = reduce(e.multiply, _tensors_first(above)) if above else 1
    value = e.divide(top, reduce(e.multiply, below)) if below else top
    return e.negative(value) if -1 in part.args else value


def _power(part: sympy.Basic, base: Image, exponent: Image) -> Image:
    rule = POWERS.get(part.args[1])
    return rule(base) if rule else e.pow(base, exponent)


def _piecewise(part: sympy.Basic, *pairs: Image) -> Image:
    result: Image = nan
    for value, condition in reversed(pairs):
        result = value if condition is True else e.where(condition, value, result)
    return result


def _heaviside(part: sympy.Basic, x: Image, at_zero: Image = 0.5) -> Image:
    return e.where(e.less(x, 0), 0.0, e.where(e.less(0, x), 1.0, at_zero))


def _fold(function: Callable[[Image, Image], Image]) -> Rule:
    return lambda part, *arguments: reduce(function, _tensors_first(arguments))


def _tensors_first(images: Iterable[Image]) -> list[Image]:
    """In this order a number meets a tensor, whose type it takes, before a number."""
    return sorted(images, key=lambda image: not isinstance(image, Tensor))


def _call(function: Callable[..., Image]) -> Rule:
    return lambda part, *arguments: function(*arguments)


POWERS: dict[sympy.Basic, Callable[[Image], Image]] = {
    sympy.Integer(-1): lambda x: e.divide(1.0, x),
    sympy.Integer(2): lambda x: e.multiply(x, x),
    sympy.Rational(1, 2): e.sqrt,
    sympy.Rational(-1, 2): e.rsqrt,
}

READ: dict[str, Rule] = {
    "Add": _fold(e.add),
    "Mul": _multiply,
    "Pow": _power,
    "Mod": _call(e.remainder),
    "Abs": _call(e.abs),
    "sign": _call(e.sign),
    "floor": _call(e.floor),
    "ceiling": _call(lambda x: -e.floor(-x)),
    "exp": _call(e.exp),
    "log": _call(e.log),
    "sin": _call(e.sin),
    "cos": _call(e.cos),
    "tan": _call(lambda x: e.sin(x) / e.cos(x)),
    "sinh": _call(lambda x: 0.5 * (e.expm1(x) - e.expm1(-x))),
    "cosh": _call(lambda x: 0.5 * (e.exp(x) + e.exp(-x))),
    "tanh": _call(e.tanh),
    "erf": _call(e.erf),
    "erfc": _call(lambda x: 1.0 - e.erf(x)),
    "Max": _fold(e.maximum),
    "Min": _fold(e.minimum),
    "Heaviside": _heaviside,
    "DiracDelta": lambda part, x, *order: 0.0 * x,  # zero almost everywhere
    "Piecewise": _piecewise,
    "ExprCondPair": lambda part, value, condition: (value, condition),
    "BooleanTrue": lambda part: True,
    "BooleanFalse": lambda part: False,
    "Equality": _call(e.equal),
    "Unequality": _call(e.not_equal),
    "StrictLessThan": _call(e.less),
    "LessThan": _call(e.less_equal),
    "StrictGreaterThan": _call(e.greater),
    "GreaterThan": _call(e.greater_equal),
    "And": _fold(e.logical_and),
    "Or": _fold(e.logical_or),
    "Not": _call(e.logical_not),
}
