"""Spellings that overflow or cancel, and those that do not, one pair a row.

The value of the right side is that of the left where the left is finite, up to rounding,
and the mathematically right one where the left overflows, cancels or is 0 * inf. They run
before the gradient is taken, so that it is derived from the right side.

x log x is 0 at 0 and there has the gradient 0: the entropy of a probability that
underflowed then passes no NaN on (mathematics says -inf, times a slope of 0).
"""

from __future__ import annotations

from math import inf
from math import log as log_of

from exprgrad.graph.elementwise import (
    abs,
    broadcast_to,
    equal,
    exp,
    expm1,
    less,
    log,
    log1p,
    rsqrt,
    sigmoid,
    softplus,
    sqrt,
    tanh,
    where,
)
from exprgrad.graph.reduction import max, sum
from exprgrad.graph.special import stop_gradient
from exprgrad.graph.tensor import Tensor
from exprgrad.rewrite.match import ROW, Bound, Row, a, uniform, v, w, x, y


def _rows(reduced: Tensor) -> Tensor:
    """A reduced value beside each element that it was reduced from."""
    return broadcast_to(reduced, ROW)


def _peak(rows: Tensor) -> Tensor:
    """The largest of each row; 0 where it is infinite, for inf - inf is NaN."""
    peak = stop_gradient(max(rows, 0))
    return where(less(abs(peak), inf), peak, 0)


def unshifted(bound: Bound) -> bool:
    """v is not yet less its own maximum."""
    shifted: Tensor = bound[v]
    if shifted.op != "subtract" or shifted.args[1].op != "expand":
        return True
    whole, stretched = shifted.args
    peak = stretched.args[0]
    while peak.op in ("stop_gradient", "where"):
        peak = peak.args[1 if peak.op == "where" else 0]
    own = peak.op == "max" and peak.args[0] is whole
    return not (own and peak.params == (bound["axes"],) == stretched.params[1:])


def even(bound: Bound) -> bool:
    """a is an even number."""
    return (uniform(bound[a]) or 0) % 2 == 0


def not_even(bound: Bound) -> bool:
    """a is not an even number."""
    return not even(bound)


def positive(bound: Bound) -> bool:
    """a is above zero and finite."""
    return 0 < (uniform(bound[a]) or 0) < inf


_shifted = exp(v - _rows(_peak(v)))
_x_log_x = where(equal(x, 0), 0, x * log(where(equal(x, 0), 1, x)))

HYPERBOLIC = [
    Row((exp(x) - exp(-x)) / (exp(x) + exp(-x)), tanh(x)),
    Row(expm1(x) / (exp(x) + 1), tanh(x * 0.5)),
    Row(expm1(x) / (expm1(x) + 2), tanh(x * 0.5)),
    Row(sigmoid(x) * 2 - 1, tanh(x * 0.5)),
    Row(1 - sigmoid(x) * 2, -tanh(x * 0.5)),
    Row(log(1 - tanh(x) * tanh(x)), (log_of(2) - x - softplus(x * -2)) * 2),
    Row(log1p(-(tanh(x) * tanh(x))), (log_of(2) - x - softplus(x * -2)) * 2),
]

SIGMOIDS = [
    Row(exp(x) / (1 + exp(x)), sigmoid(x)),
    Row(exp(x) * y / (1 + exp(x)), sigmoid(x) * y),
    Row(exp(x) * sigmoid(-x), sigmoid(x)),
    Row(exp(-softplus(x)), sigmoid(-x)),
    Row(log(sigmoid(x) / (1 - sigmoid(x))), x),
    Row(1 / (1 + exp(x)), sigmoid(-x)),
    Row(y / (1 + exp(x)), y * sigmoid(-x)),
    Row(log(sigmoid(x)), -softplus(-x)),
    Row(log(1 - sigmoid(x)), -softplus(x)),
    Row(log1p(-sigmoid(x)), -softplus(x)),
    Row(log(1 + exp(x)), softplus(x)),
    Row(log1p(exp(x)), softplus(x)),
    Row(log(a + exp(x)), softplus(x - log(a)) + log(a), positive),
    Row(x - softplus(x), -softplus(-x)),
    Row(softplus(x) - x, softplus(-x)),
    Row(log(exp(x) + exp(y)), softplus(x - y) + y),
]

ROWS_OF_EXPONENTIALS = [
    Row(exp(v) / _rows(sum(exp(v), 0)), _shifted / _rows(sum(_shifted, 0)), unshifted),
    Row(
        exp(v) * _rows(1 / sum(exp(v), 0)),
        _shifted / _rows(sum(_shifted, 0)),
        unshifted,
    ),
    Row(
        exp(v) * w / _rows(sum(exp(v), 0)),
        _shifted * w / _rows(sum(_shifted, 0)),
        unshifted,
    ),
    Row(
        sum(exp(v) * w, 0) / sum(exp(v), 0),
        sum(_shifted * w, 0) / sum(_shifted, 0),
        unshifted,
    ),
    Row(log(sum(exp(v), 0)), log(sum(_shifted, 0)) + _peak(v), unshifted),
    Row(log(sum(exp(v) * w, 0)), log(sum(_shifted * w, 0)) + _peak(v), unshifted),
    Row(log(sum(exp(v), 0) * y), log(sum(_shifted, 0)) + _peak(v) + log(y), unshifted),
    Row(log(sum(exp(v), 0) / y), log(sum(_shifted, 0)) + _peak(v) - log(y), unshifted),
    Row(
        v - _rows(log(sum(_shifted, 0)) + _peak(v)),
        (v - _rows(_peak(v))) - _rows(log(sum(_shifted, 0))),
    ),
]

EXPONENTIALS = [
    Row(exp(x) - 1, expm1(x)),
    Row(1 - exp(x), -expm1(x)),
    Row(1 / exp(x), exp(-x)),
    Row(exp(x) / exp(y), exp(x - y)),
]

LOGARITHMS = [
    Row(log(exp(x)), x),
    Row(log(exp(x) * y), x + log(y)),
    Row(log(exp(x) / y), x - log(y)),
    Row(log(sigmoid(x) * y), log(y) - softplus(-x)),
    Row(log(1 / x), -log(x)),
    Row(log(sqrt(x)), log(x) * 0.5),
    Row(log(rsqrt(x)), log(x) * -0.5),
    Row(log((x * x) * (x * x)), log(abs(x)) * 4),
    Row(log(x * x), log(abs(x)) * 2),
    Row(log(x * x * x), log(x) * 3),
    Row(log(x**a), log(abs(x)) * a, even),
    Row(log(x**a), log(x) * a, not_even),
    Row(log(1 + x), log1p(x)),
    Row(log(1 - x), log1p(-x)),
    Row(x * log(x), _x_log_x),
    Row(x * (log(x) * a), _x_log_x * a),
    Row(x * a * log(x), _x_log_x * a),
]

ROOTS = [
    Row(sqrt(x * x), abs(x)),
    Row(1 / sqrt(x), rsqrt(x)),
]

ROWS = [
    *HYPERBOLIC,
    *ROWS_OF_EXPONENTIALS,
    *SIGMOIDS,
    *EXPONENTIALS,
    *LOGARITHMS,
    *ROOTS,
]
