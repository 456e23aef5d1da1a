"""What holds: of a number, and of one or all of many elements."""

from __future__ import annotations

from math import inf

from exprgrad.graph import dtype as dtypes
from exprgrad.graph.elementwise import (
    abs,
    as_tensor,
    astype,
    equal,
    less,
    logical_not,
    not_equal,
)
from exprgrad.graph.reduction import Axis, sum
from exprgrad.graph.tensor import Operand, Tensor


def isnan(x: Operand) -> Tensor:
    """Whether x is NaN.

    >>> import exprgrad as eg
    >>> eg.isnan(eg.input("x", (3,)))
    x != x
    """
    return not_equal(x, x)


def isinf(x: Operand) -> Tensor:
    """Whether x is infinite, of either sign."""
    return equal(_magnitude(x), inf)


def isfinite(x: Operand) -> Tensor:
    """Whether x is neither infinite nor NaN."""
    return less(_magnitude(x), inf)


def _magnitude(x: Operand) -> Tensor:
    t = as_tensor(x)
    return abs(astype(t, dtypes.int32) if t.dtype.kind == "b" else t)


def any(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether an element over `axis` is true (nonzero); false where there is none.

    >>> import exprgrad as eg
    >>> eg.any(eg.input("x", ("batch", 3)) > 0, axis=1)
    sum(astype(0.0 < x, int64), axis=1) != 0
    """
    return not_equal(sum(astype(x, dtypes.bool_), axis, keepdims), 0)


def all(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over `axis` are true (nonzero); true where there is none.

    >>> import exprgrad as eg
    >>> x = eg.input("x", ("batch", 2))
    >>> eg.function([x], eg.all(x > 0, axis=1))([[1, 2], [3, -1]])
    array([ True, False])
    """
    return logical_not(any(logical_not(x), axis, keepdims))
