"""Integer division and powers that never trap: there is an answer for every operand."""

from __future__ import annotations

from exprgrad.backend.slow import any_lane
from exprgrad.backend.value import Value, select


def _smallest(kind_bits: int) -> int:
    return -(1 << (kind_bits - 1))


def _divided(a: Value, b: Value) -> tuple[Value, Value, Value]:
    """Quotient and remainder towards zero by a divisor made safe, and that divisor.

    Division by 0 and of the smallest number by -1 are replaced by division by 1, which
    gives the second its wrapped quotient and its remainder 0.
    """
    overflows = a.same(_smallest(a.kind.bits)) & b.same(-1)
    safe = select(b.same(0) | overflows, 1, b)
    quotient = a / safe
    return quotient, a - quotient * safe, safe


def _below(remainder: Value, divisor: Value) -> Value:
    """Whether rounding down differs from rounding towards zero."""
    return remainder.differs(0) & ((remainder ^ divisor) < 0)


def floor_divide(a: Value, b: Value) -> Value:
    """The largest integer not above a / b; 0 where b is 0"""
    quotient, remainder, safe = _divided(a, b)
    floored = select(_below(remainder, safe), quotient - 1, quotient)
    return select(b.same(0), 0, floored)


def remainder(a: Value, b: Value) -> Value:
    """a - b floor_divide(a, b), which has the sign of b; 0 where b is 0"""
    _, rest, safe = _divided(a, b)
    floored = select(_below(rest, safe), rest + safe, rest)
    return select(b.same(0), 0, floored)


def power(a: Value, b: Value) -> Value:
    """a ** b modulo 2**bits by repeated squaring; towards zero where b is negative"""
    result = _squarings(a, select(b < 0, 0, b))
    odd_sign = select((b & 1).same(0), 1, a)
    inverse = select(a.same(1) | a.same(-1), odd_sign, 0)
    return select(b < 0, inverse, result)


def _squarings(base: Value, exponent: Value) -> Value:
    """A loop over the bits of the exponents until none of them has any left."""
    code, kind, before = base.code, base.kind, base.code.block
    loop, after = code.function.block(), code.function.block()
    code.jump(loop)
    code.block = loop
    names = [f"%{code.function.fresh()}" for _ in range(3)]
    result, square, left = (Value(code, kind, name) for name in names)
    factor = select((left & 1).same(0), 1, square)
    following = (result * factor, square * square, left.logical_right(1))
    starts = (result.splat(1), base, exponent)
    for name, start, then in zip(names, starts, following, strict=True):
        phi = f"[ {start.name}, %{before.label} ], [ {then.name}, %{loop.label} ]"
        loop.lines.insert(0, f"{name} = phi {kind} {phi}")
    code.branch(any_lane(following[2].differs(0)), loop, after)
    code.block = after
    return following[0]
