"""Learning rates that change: expressions of the number of updates, from 0.

Give one to an optimizer in place of a number: `Adam(cosine(1e-3, 1000))`. Each follows
its closed formula, so that a resumed run has the same rate at the same update.
"""

from __future__ import annotations

from math import pi
from typing import Any

from exprgrad.errors import GraphError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph import leaves
from exprgrad.graph.elementwise import (
    astype,
    cos,
    exp,
    floor,
    less,
    maximum,
    minimum,
    pow,
    where,
)
from exprgrad.graph.elementwise import constant as fixed
from exprgrad.graph.tensor import Tensor

Number = Any  # a number, or an expression


def _t() -> Tensor:
    return astype(leaves.step, dtypes.float64)


def _exact(value: Number) -> Tensor:
    if isinstance(value, Tensor):
        return astype(value, dtypes.float64)
    return fixed(float(value), dtypes.float64)


def _positive(name: str, value: float) -> float:
    if not value > 0:
        raise GraphError(f"{name} of a schedule is above 0, not {value}")
    return value


def constant(rate: Number) -> Tensor:
    """`rate` at every update."""
    return _exact(rate)


def inverse_time(rate: Number, decay: float) -> Tensor:
    """rate / (1 + decay t); Robbins and Monro 1951 need Σ rate = ∞, Σ rate² < ∞."""
    return _exact(rate) / (1 + decay * _t())


def step_decay(rate: Number, factor: float, every: int) -> Tensor:
    """rate * factor^floor(t / every)

    >>> import exprgrad as eg
    >>> eg.step.value = 10
    >>> float(eg.function([], step_decay(1.0, 0.5, 10))())
    0.5
    >>> eg.step.value = 0
    """
    times = floor(_t() / _positive("every", every))
    return _exact(rate) * pow(_exact(factor), times)


def exponential(rate: Number, decay: float) -> Tensor:
    """rate * exp(-decay t)"""
    return _exact(rate) * exp(-decay * _t())


def polynomial(
    rate: Number, steps: int, end: float = 0.0, power: float = 1.0
) -> Tensor:
    """(rate - end) (1 - t / steps)^power + end, and `end` after `steps`."""
    left = 1 - minimum(_t() / _positive("steps", steps), 1.0)
    return (_exact(rate) - end) * pow(left, _exact(power)) + end


def cosine(rate: Number, steps: int, end: float = 0.0) -> Tensor:
    """end + (rate - end) (1 + cos(pi t / steps)) / 2, and `end` after `steps`.

    Loshchilov and Hutter 2017, SGDR, equation 5, without restarts.
    """
    part = minimum(_t() / _positive("steps", steps), 1.0)
    return end + 0.5 * (_exact(rate) - end) * (1 + cos(pi * part))


def warmup(rate: Number, steps: int) -> Tensor:
    """rate * min((t + 1) / steps, 1): rises over `steps` updates to `rate`.

    `rate` may be another schedule, which counts from the first update.
    """
    return _exact(rate) * minimum((_t() + 1) / _positive("steps", steps), 1.0)


def piecewise(rates: dict[int, float]) -> Tensor:
    """The rate of the largest key that is not above t; one key is 0.

    >>> piecewise({0: 0.1, 1000: 0.01}).dtype
    float64
    """
    if 0 not in rates:
        raise GraphError("the rates of a piecewise schedule need one for update 0")
    result = _exact(rates[0])
    for start in sorted(rates)[1:]:
        result = where(less(_t(), float(start)), result, _exact(rates[start]))
    return maximum(result, 0.0)
