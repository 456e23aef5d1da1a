"""Rounding to whole numbers in other ways than `floor`."""

from __future__ import annotations

from exprgrad.graph.elementwise import (
    as_tensor,
    equal,
    floor,
    less,
    logical_and,
    logical_or,
    negative,
    not_equal,
    remainder,
    where,
)
from exprgrad.graph.tensor import Operand, Tensor


def ceil(x: Operand) -> Tensor:
    """The smallest integer not below x; its gradient is 0, as that of `floor`.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> eg.function([x], eg.ceil(x))([0.2, -1.5, 2.0])
    array([ 1., -1.,  2.], dtype=float32)
    """
    return negative(floor(negative(x)))


def trunc(x: Operand) -> Tensor:
    """The integer next to x in the direction of 0."""
    x = as_tensor(x)
    return where(less(x, 0), ceil(x), floor(x))


def round(x: Operand) -> Tensor:
    """The integer next to x, the even one where two are as near, as in NumPy but
    for the sign of a zero.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (4,))
    >>> eg.function([x], eg.round(x))([0.5, 1.5, -0.7, 2.4])
    array([ 0.,  2., -1.,  2.], dtype=float32)
    """
    below = floor(x)
    rest = as_tensor(x) - below
    odd = not_equal(remainder(below, 2), 0)
    up = logical_or(less(0.5, rest), logical_and(equal(rest, 0.5), odd))
    return where(up, below + 1, below)
