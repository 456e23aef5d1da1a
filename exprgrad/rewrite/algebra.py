"""Identities of arithmetic and logic, one a row.

They hold for every IEEE number, NaN and infinities included, up to rounding. So x * 0,
x - x and x / x stay as they are for floats: they are NaN where x is infinite or NaN.
Exceptions: the sign of a zero may change (x + 0 is x, though -0 + 0 is +0), and powers
spelled as products and roots differ from pow at -0 and -inf, where pow forgets a sign.
"""

from __future__ import annotations

from math import frexp, isfinite

from exprgrad.graph.dtype import float64
from exprgrad.graph.elementwise import (
    abs,
    constant,
    cos,
    erf,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    negative,
    rsqrt,
    sign,
    sin,
    sqrt,
    tanh,
    where,
)
from exprgrad.graph.reduction import sum
from exprgrad.graph.tensor import Tensor
from exprgrad.rewrite.match import Bound, Row, a, b, p, q, uniform, v, x, y, z

ZERO, ONE = constant(0, float64), constant(1, float64)
TRUE, FALSE = constant(True), constant(False)
TINY, HUGE = 1e-30, 1e30  # inside every float type's normal numbers


def _number(bound: Bound, name: Tensor) -> float:
    return float(uniform(bound[name]) or 0)


def _fits(value: float) -> bool:
    return TINY < (value if value > 0 else -value) < HUGE


def integers(bound: Bound) -> bool:
    """x is of integer type."""
    return bool(bound[x].dtype.kind == "i")


def floats(bound: Bound) -> bool:
    """x is of floating-point type."""
    return bool(bound[x].dtype.kind == "f")


def products_fit(bound: Bound) -> bool:
    """a, b and a * b are far from overflow and underflow."""
    first, second = _number(bound, a), _number(bound, b)
    return floats(bound) and all(map(_fits, (first, second, first * second)))


def quotients_fit(bound: Bound) -> bool:
    """a, b and a / b are far from overflow and underflow."""
    first, second = _number(bound, a), _number(bound, b)
    return floats(bound) and _fits(first) and _fits(second) and _fits(first / second)


def fits(bound: Bound) -> bool:
    """a is far from overflow and underflow."""
    return _fits(_number(bound, a))


def negative_number(bound: Bound) -> bool:
    """a is below zero."""
    return _number(bound, a) < 0


def power_of_two(bound: Bound) -> bool:
    """a is a power of two, whose inverse is exact."""
    value = _number(bound, a)
    return _fits(value) and frexp(value)[0] in (0.5, -0.5)


def nonzero(bound: Bound) -> bool:
    """a is finite and not zero."""
    return isfinite(_number(bound, a)) and _number(bound, a) != 0


SUMS = [
    Row(x + 0, x),
    Row(x - 0, x),
    Row(0 - x, -x),
    Row(x - x, ZERO, integers),
    Row(x + -y, x - y),
    Row(x - -y, x + y),
    Row(x - a, x + -a, negative_number),
    Row(x + a, x - -a, negative_number),
    Row((x + a) + b, x + (a + b), integers),
    Row((x - a) + b, x + (b - a), integers),
    Row((x + a) - b, x + (a - b), integers),
    Row((x - a) - b, x - (a + b), integers),
]

PRODUCTS = [
    Row(x * 1, x),
    Row(x * 0, ZERO, integers),
    Row(x * -1, -x),
    Row(-x * a, x * -a),
    Row(-x * y, -(x * y)),
    Row((x * a) * b, x * (a * b), products_fit),
    Row((x * a) * b, x * (a * b), integers),
    Row((x / a) * b, x * (b / a), quotients_fit),
    Row((x * a) / b, x * (a / b), quotients_fit),
    Row((x * a) / (y * a), x / y, nonzero),
    Row((x / a) / (y / a), x / y, nonzero),
    Row(x * (1 / y), x / y),
    Row(x / 1, x),
    Row(x / -1, -x),
    Row(x / a, x * (1 / a), power_of_two),
    Row(-x / a, x / -a),
    Row(-x / y, -(x / y)),
    Row(a / -y, -a / y),
    Row(x / -y, -(x / y)),
]

SIGNS = [
    Row(negative(-x), x),
    Row(-(x - y), y - x),
    Row(-(x * a), x * -a),
    Row(-(x / a), x / -a),
    Row(-(a / x), -a / x),
    Row(abs(-x), abs(x)),
    Row(abs(abs(x)), abs(x)),
    Row(sign(-x), -sign(x)),
    Row(cos(-x), cos(x)),
    Row(sin(-x), -sin(x)),
    Row(tanh(-x), -tanh(x)),
    Row(erf(-x), -erf(x)),
]

POWERS = [
    Row(x**0, ONE),
    Row(x**1, x),
    Row(x**2, x * x),
    Row(x**3, x * x * x),
    Row(x**4, (x * x) * (x * x)),
    Row(x**5, (x * x) * (x * x) * x),
    Row(x**6, (x * x) * (x * x) * (x * x)),
    Row(x**8, ((x * x) * (x * x)) * ((x * x) * (x * x))),
    Row(x**-1, 1 / x, floats),
    Row(x**-2, 1 / (x * x), floats),
    Row(x**-3, 1 / (x * x * x), floats),
    Row(x**-4, 1 / ((x * x) * (x * x)), floats),
    Row(x**0.5, sqrt(x)),
    Row(x**1.5, x * sqrt(x)),
    Row(x**-0.5, rsqrt(x)),
    Row(1 / sqrt(x), rsqrt(x)),
]

CHOICES = [
    Row(maximum(x, x), x),
    Row(minimum(x, x), x),
    Row(where(p, x, x), x),
    Row(where(True, x, y), x),
    Row(where(False, x, y), y),
    Row(where(logical_not(p), x, y), where(p, y, x)),
    Row(where(p, where(p, x, y), z), where(p, x, z)),
    Row(where(p, x, where(p, y, z)), where(p, x, z)),
    Row(logical_not(logical_not(p)), p),
    Row(logical_and(p, p), p),
    Row(logical_or(p, p), p),
    Row(logical_and(p, True), p),
    Row(logical_and(p, False), FALSE),
    Row(logical_or(p, True), TRUE),
    Row(logical_or(p, False), p),
    Row(logical_or(p, logical_and(p, q)), p),
    Row(logical_and(p, logical_or(p, q)), p),
]

REDUCED = [
    Row(sum(-v), -sum(v)),
    Row(sum(v * a), sum(v) * a, fits),
    Row(sum(v / a), sum(v) / a, fits),
]

ROWS = [*SUMS, *PRODUCTS, *SIGNS, *POWERS, *CHOICES, *REDUCED]
