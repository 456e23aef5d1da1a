"""a ** b: in float32 by logarithm and exponential in float64, in float64 by `pow`."""

from __future__ import annotations

import math

from exprgrad.backend.formats import EXP2, FORMATS, LOG2
from exprgrad.backend.slow import each_lane
from exprgrad.backend.value import (
    Value,
    absolute,
    at_least,
    at_most,
    fma,
    polynomial,
    select,
)

# 2**BOUND overflows float32 and 2**-BOUND is nothing in it.
BOUND = 200.0


def power(a: Value, b: Value) -> Value:
    """a ** b with every special case of IEEE 754: x**0 = 1, 1**y = 1, (-0)**-1 = -inf"""
    if a.kind.element == "double":
        return each_lane("pow", a, b)
    magnitude = absolute(a)
    y = _exp2(
        _log2(magnitude.convert("fpext", "double")) * b.convert("fpext", "double")
    )
    y = y.convert("fptrunc", "float")
    y = select(magnitude.same(1.0), 1.0, y)
    return _special(a, b, y)


def _special(a: Value, b: Value, y: Value) -> Value:
    """Signs, roots of negative numbers, and the two cases in which NaN gives 1."""
    whole = b.intrinsic("floor").same(b)
    half = b * 0.5
    even = half.intrinsic("floor").same(half)
    sign = select(even, y.bits.splat(0), a.bits & -(1 << 31))
    sign = select(whole, sign, 0)
    y = (y.bits | sign).as_float
    root = select(whole, y, math.nan)
    y = select((a < 0.0) & (a > -math.inf), root, y)
    y = select((a.is_nan | b.is_nan), math.nan, y)
    return select(a.same(1.0) | b.same(0.0), 1.0, y)


def _log2(x: Value) -> Value:
    """The logarithm of a float64 that is no subnormal; -inf at 0"""
    f = FORMATS["double"]
    bits = x.bits
    k = (bits - f.sqrt_half) >> f.mantissa
    m = (bits - (k << f.mantissa)).as_float
    s = (m - 1.0) / (m + 1.0)
    whole = (k + f.magic_bits).as_float - f.magic
    y = fma(polynomial(s * s, LOG2), s, whole)
    y = select(x < math.inf, y, x)
    return select(x.same(0.0), -math.inf, y)


def _exp2(x: Value) -> Value:
    """2**x in float64, held within what float32 can tell apart"""
    f = FORMATS["double"]
    x = at_least(at_most(x, BOUND), -BOUND)
    shifted = x + f.magic
    r = x - (shifted - f.magic)
    p = polynomial(r, EXP2)
    return p * ((shifted.bits << f.mantissa) + f.one).as_float
