"""Sine and cosine: x = k pi/2 + r, |r| <= pi/4, and one of two polynomials in r.

pi/2 is held in 159 bits (Cody and Waite 1980). With a fused multiply-add the first
step x - k HALF_PI.high is exact, so that nothing is lost however close x is to a
multiple of pi/2. Float32 is reduced in float64. Beyond FAR the C library is called.
"""

from __future__ import annotations

from exprgrad.backend.formats import FORMATS, HALF_PI, TWO_OVER_PI
from exprgrad.backend.slow import each_lane, rarely
from exprgrad.backend.value import Value, absolute, fma, polynomial, select

FAR = 2.0**40


def sine(x: Value) -> Value:
    """sin(x), x in radians"""
    y, quadrant = _turn(absolute(x), 0)
    sign = _flipped(quadrant, y)
    signed = (y.bits ^ (x.bits & _sign_bit(x)) ^ sign).as_float
    return _far(x, signed, "sin")


def cosine(x: Value) -> Value:
    """cos(x), x in radians"""
    y, quadrant = _turn(absolute(x), 1)
    return _far(x, (y.bits ^ _flipped(quadrant, y)).as_float, "cos")


def _far(x: Value, near: Value, function: str) -> Value:
    beyond = absolute(x) > FAR
    return rarely(beyond, near, lambda: select(beyond, each_lane(function, x), near))


def _sign_bit(x: Value) -> int:
    return -(1 << (x.kind.bits - 1))


def _flipped(quadrant: Value, y: Value) -> Value:
    """The sign bit where the second bit of the quadrant is set."""
    return (quadrant << (y.kind.bits - 2)) & _sign_bit(y)


def _turn(x: Value, shift: int) -> tuple[Value, Value]:
    """The sine of x + shift pi/2 without its sign, and the quadrant, for x >= 0."""
    reduce = _reduce if x.kind.element == "double" else _reduce_wide
    r, tail, quadrant = reduce(x)
    if shift:
        quadrant = quadrant + shift
    odd = (quadrant & 1).same(1)
    return select(odd, _cos(r, tail), _sin(r, tail)), quadrant


def _quarter_turns(x: Value) -> tuple[Value, Value]:
    """k as a float, and an integer whose lowest bits are those of k."""
    magic = FORMATS["double"].magic
    shifted = fma(x, TWO_OVER_PI, magic)
    return shifted - magic, shifted.bits


def _reduce(x: Value) -> tuple[Value, Value | None, Value]:
    """r in two pieces"""
    k, quadrant = _quarter_turns(x)
    first = fma(k, -HALF_PI.high, x)
    low = k * HALF_PI.low
    lost = fma(k, HALF_PI.low, -low)
    high = first - low
    back = high - first
    error = (first - (high - back)) - (low + back)
    tail = fma(k, -HALF_PI.lowest, error - lost)
    r = high + tail
    return r, tail - (r - high), quadrant


def _reduce_wide(x: Value) -> tuple[Value, Value | None, Value]:
    """r of float32 by way of float64; one piece is enough"""
    wide = x.convert("fpext", "double")
    k, quadrant = _quarter_turns(wide)
    r = fma(k, -HALF_PI.low, fma(k, -HALF_PI.high, wide))
    return r.convert("fptrunc", "float"), None, quadrant.convert("trunc", "i32")


def _sin(r: Value, tail: Value | None) -> Value:
    z = r * r
    p = polynomial(z, FORMATS[r.kind.element].sin)
    if tail is None:
        return fma(p, z * r, r)
    carried = fma(tail, z * -0.5, tail)
    return fma(p, z * r, carried) + r


def _cos(r: Value, tail: Value | None) -> Value:
    z = r * r
    half = z * 0.5
    w = 1.0 - half
    lost = (1.0 - w) - half
    if tail is not None:
        lost = fma(r, -tail, lost)
    return fma(polynomial(z, FORMATS[r.kind.element].cos), z * z, lost) + w
