"""Elementwise functions as straight vector code, the same for one lane as for sixteen.

A vector body and its scalar tail give equal bits, and so does every machine: there is
no library behind these but for huge angles and for powers in float64. Errors are below
2 units in the last place over the whole range; subnormal numbers, signed zeros,
infinities and NaN are as IEEE 754 and C99 (annex F) have them. Sources: Muller,
"Elementary Functions", 3rd ed., chapters 9 to 11; the scheme of `log` is fdlibm's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import zip_longest

from exprgrad.backend.formats import FORMATS, LOG2_E, Coefficients, Format
from exprgrad.backend.power import power
from exprgrad.backend.text import Code, Kind
from exprgrad.backend.trigonometry import cosine, sine
from exprgrad.backend.value import (
    Value,
    absolute,
    at_least,
    at_most,
    fma,
    in_pieces,
    polynomial,
    select,
)

# Element, lanes, instruction, its mask, the feature that has it: widest first
SCALE = (
    ("float", 16, "scalef.ps.512", "i16", "avx512f"),
    ("float", 8, "scalef.ps.256", "i8", "avx512vl"),
    ("double", 8, "scalef.pd.512", "i8", "avx512f"),
    ("double", 4, "scalef.pd.256", "i8", "avx512vl"),
)


def _format(x: Value) -> Format:
    return FORMATS[x.kind.element]


# Exponentials: x = n log(2) + r, |r| <= log(2)/2, exp(x) = 2**n exp(r)


def _reduce(x: Value) -> tuple[Value, Value, Value]:
    """n + magic, n, r"""
    f = _format(x)
    shifted = fma(x, LOG2_E, f.magic)
    n = shifted - f.magic
    r = fma(n, -f.ln2.low, fma(n, -f.ln2.high, x))
    return shifted, n, r


def _exp(x: Value) -> Value:
    """exp(x) for x within `exp_range`, or NaN."""
    f = _format(x)
    shifted, n, r = _reduce(x)
    p = fma(polynomial(r, f.exp), r * r, r) + 1.0
    return _scale(p, shifted, n)


def _scale(p: Value, shifted: Value, n: Value) -> Value:
    """p 2**n rounded once, also where the result is subnormal or overflows."""
    target = p.code.function.module.target
    registers = (row for row in SCALE if p.kind.element == row[0])
    for element, lanes, name, mask, feature in registers:
        if target and target.has(feature) and p.kind.lanes % lanes == 0:
            piece = Kind(element, lanes)
            return in_pieces(piece, partial(_scale_register, name, mask), p, n)
    return _scale_twice(p, shifted)


def _scale_register(name: str, mask: str, p: Value, n: Value) -> Value:
    # The intrinsics of 512 bits take a rounding mode: 4 is the processor's own.
    mode: tuple[tuple[str, str], ...] = (("i32", "4"),) if name.endswith("512") else ()
    operands = [(value.kind, value.name) for value in (p, n, p.splat(0.0))]
    return p.make_call(f"llvm.x86.avx512.mask.{name}", *operands, (mask, "-1"), *mode)


def _scale_twice(p: Value, shifted: Value) -> Value:
    f = _format(p)
    n = shifted.bits - f.magic_bits
    half = n >> 1
    for part in (half, n - half):
        p = p * ((part << f.mantissa) + f.one).as_float
    return p


def _power_of_two(shifted: Value) -> Value:
    """2**n where that is a normal number: the magic's own bits are shifted out."""
    f = _format(shifted)
    return ((shifted.bits << f.mantissa) + f.one).as_float


def exp(x: Value) -> Value:
    """e**x"""
    low, high = _format(x).exp_range
    return _exp(at_least(at_most(x, high), low))


def _expm1_parts(x: Value, less: float = 0.0) -> tuple[Value, Value]:
    """s = 2**(n - less) and q = exp(r) - 1: exp(x) - 1 is s q + (s - 1) if less = 0."""
    shifted, _, r = _reduce(x)
    q = fma(polynomial(r, _format(x).expm1), r * r, r)
    return _power_of_two(shifted - less if less else shifted), q


def expm1(x: Value) -> Value:
    """e**x - 1"""
    f = _format(x)
    bounded = at_least(at_most(x, f.exp_range[1]), -f.saturated)
    # One power of two is kept back, so that 2**n does not overflow before the result.
    half, q = _expm1_parts(bounded, 1.0)
    y = fma(half, q, half - 0.5) * 2.0
    return select(absolute(x) < f.epsilon, x, y)


def tanh(x: Value) -> Value:
    """h - h t: with e = exp(2x) - 1 either h = e/2, t = e/(e + 2), or h = 1, t = 2/(e + 2)

    The quotient is a correction only, which hides its rounding errors.
    """
    magnitude = absolute(x)
    s, q = _expm1_parts(at_most(magnitude + magnitude, _format(x).saturated))
    divisor = fma(s, q, s + 1.0)
    h = select(divisor > 4.0, 1.0, fma(s, q, s - 1.0) * 0.5)
    y = fma(-h, (h + h) / divisor, h)
    return y.intrinsic("copysign", x)


def sigmoid(x: Value) -> Value:
    """2**n / (2**n + exp(-r)) where x = n log(2) + r

    The rounding errors of the divisor are known and taken out of the quotient.
    """
    f = _format(x)
    bounded = at_least(at_most(x, f.saturated), f.exp_range[0])
    shifted = fma(bounded, LOG2_E, f.magic)
    n = shifted - f.magic
    r = fma(n, f.ln2.low, fma(n, f.ln2.high, -bounded))
    q = fma(polynomial(r, f.expm1), r * r, r)
    power_of_two = _power_of_two(at_least(shifted, f.magic - f.largest_exponent))
    whole = power_of_two + 1.0
    divisor = whole + q
    lost = (q - (divisor - whole)) + (power_of_two - (whole - 1.0))
    quotient = 1.0 / divisor
    return _scale(fma(quotient * lost, -quotient, quotient), shifted, n)


def softplus(x: Value) -> Value:
    """max(x, 0) + log(1 + e**-|x|)"""
    e = _exp(at_least(-absolute(x), _format(x).exp_range[0]))
    u = e + 1.0
    return at_least(x, 0.0) + _log_of_sum(u, e - (u - 1.0))


# Logarithms: x = 2**k (1 + f), 1 + f within sqrt(2) of 1


def _decompose(x: Value) -> tuple[Value, Value]:
    """k, and 2**k as far as it has to be divided away: m = x / 2**k"""
    f = _format(x)
    bits = x.bits
    k = (bits - f.sqrt_half) >> f.mantissa
    return k, (bits - (k << f.mantissa)).as_float


def _log(k: Value, f: Value) -> Value:
    """k log(2) + log(1 + f)"""
    form = _format(f)
    whole = (k + form.magic_bits).as_float - form.magic
    s = f / (f + 2.0)
    z = s * s
    half_square = (f * f) * 0.5
    rest = fma(s, fma(polynomial(z, form.log), z, half_square), whole * form.ln2.low)
    return fma(whole, form.ln2.high, f - (half_square - rest))


def _log_of_sum(u: Value, c: Value) -> Value:
    """log(u + c) for u > 0 and c below its last place"""
    form = _format(u)
    k, m = _decompose(u)
    # Far up, where 2**-k would not be a normal number, c is lost in any case.
    limit = form.largest_exponent - 2
    shift = select(k < limit, k, limit)
    inverse = (form.one - (shift << form.mantissa)).as_float
    return _log(k, fma(c, inverse, m - 1.0))


def _log_domain(x: Value, y: Value) -> Value:
    """y, but -inf at 0, NaN below, and x itself at infinity and NaN"""
    y = select(x < math.inf, y, x)
    y = select(x.same(0.0), -math.inf, y)
    return select(x < 0.0, math.nan, y)


def log(x: Value) -> Value:
    """The natural logarithm"""
    f = _format(x)
    subnormal = x < f.smallest_normal
    k, m = _decompose(select(subnormal, x * 2.0 ** (f.mantissa + 2), x))
    k = k - select(subnormal, k.splat(f.mantissa + 2), 0)
    return _log_domain(x, _log(k, m - 1.0))


def log1p(x: Value) -> Value:
    """log(1 + x): the rounding error of 1 + x is put into the logarithm's argument"""
    u = x + 1.0
    part = u - 1.0
    c = (1.0 - (u - part)) + (x - part)
    y = _log_domain(u, _log_of_sum(u, c))
    return select(absolute(x) < _format(x).epsilon, x, y)


def rsqrt(x: Value) -> Value:
    """1 / sqrt(x), by the exact instructions"""
    return 1.0 / x.intrinsic("sqrt")


def erf(x: Value) -> Value:
    """x + x P(x**2 - c) near 0, else 1 - Q(|x| - d)**n, n a power of two

    c and d lie within the ranges of P and Q, which keeps the rounding errors small.
    (A power of a polynomial: Abramowitz and Stegun, 7.1.27, has the reciprocal of one.)
    """
    f = _format(x)
    a = absolute(x)
    is_near = a < f.erf_seam
    square = fma(x, x, -f.erf_middle)
    distance = at_most(a, f.erf_end) - f.erfc_middle
    p, q = _either(is_near, square, f.erf, distance, f.erfc)
    for _ in range(f.erfc_squarings - 1):
        q = q * q
    far = fma(-q, q, 1.0).intrinsic("copysign", x)
    return select(is_near, fma(p, x, x), far)


def _either(
    first: Value, x: Value, p: Coefficients, y: Value, q: Coefficients
) -> tuple[Value, Value]:
    """P(x), which counts where `first` holds, and Q(y), which counts elsewhere

    One polynomial of chosen coefficients, unless a blend costs more than a step: AVX2's.
    """
    target = x.code.function.module.target
    if target and target.has("avx2") and not target.has("avx512f"):
        return polynomial(x, p), polynomial(y, q)
    pairs = zip_longest(p, q, fillvalue=0.0)
    chosen = [select(first, x.splat(c), d) for c, d in pairs]
    value = polynomial(select(first, x, y), chosen)
    return value, value


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "pow": power,
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "rsqrt": rsqrt,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "erf": erf,
    "sin": sine,
    "cos": cosine,
}


def _named(function: Callable[..., Value]) -> Callable[..., str]:
    def write(code: Code, kind: Kind, *names: str) -> str:
        return function(*(Value(code, kind, name) for name in names)).name

    write.__doc__ = function.__doc__
    return write


VECMATH: dict[str, Callable[..., str]] = {
    name: _named(function) for name, function in FUNCTIONS.items()
}
