"""Learning rates that change: expressions of the number of updates, or of epochs.

Give one to an optimizer in place of a number: `Adam(cosine(1e-3, 1000))`. Each follows
its closed formula of `t`, so that a resumed run has the same rate at the same update.
`t` is `eg.step`, updates from 0, unless given; with `t=eg.epoch` it counts epochs from
0. Schedules are expressions: their product is `*`, a rate may itself be a schedule, and
what `sequence` is given follows one another. `values` and `plot` show them before a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log as ln
from math import pi
from typing import Any

from exprgrad.errors import GraphError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph import leaves
from exprgrad.graph.elementwise import (
    abs,
    astype,
    cos,
    exp,
    floor,
    less,
    log,
    minimum,
    pow,
    where,
)
from exprgrad.graph.elementwise import constant as fixed
from exprgrad.graph.mode import replaced
from exprgrad.graph.tensor import Tensor
from exprgrad.train.preview import plot, values

__all__ = [
    "constant",
    "inverse_time",
    "step_decay",
    "exponential",
    "polynomial",
    "cosine",
    "warm_restarts",
    "warmup",
    "cyclic",
    "one_cycle",
    "sequence",
    "values",
    "plot",
]

Number = Any  # a number, or an expression


def _count(t: Tensor) -> Tensor:
    if not isinstance(t, Tensor) or t.ndim:
        raise GraphError(
            f"t of a schedule is eg.step, eg.epoch or a scalar made of them, not {t!r}"
        )
    return astype(t, dtypes.float64)


def _exact(value: Number) -> Tensor:
    if isinstance(value, Tensor):
        return astype(value, dtypes.float64)
    return fixed(float(value), dtypes.float64)


def _positive(name: str, value: float) -> float:
    if isinstance(value, Tensor) or not value > 0:
        raise GraphError(f"{name} of a schedule is a number above 0, not {value}")
    return value


def _part(t: Tensor, steps: float) -> Tensor:
    """How much of `steps` is over, from 0 to 1."""
    return minimum(_count(t) / _positive("steps", steps), 1.0)


def _bent(start: Number, end: Number, part: Tensor) -> Tensor:
    """From `start` to `end` along half a wave of the cosine."""
    last = _exact(end)
    bent: Tensor = last + 0.5 * (_exact(start) - last) * (1 + cos(pi * part))
    return bent


def constant(rate: Number) -> Tensor:
    """`rate` at every update."""
    return _exact(rate)


def inverse_time(rate: Number, decay: float, t: Tensor = leaves.step) -> Tensor:
    """rate / (1 + decay t); Robbins and Monro 1951 need Σ rate = ∞, Σ rate² < ∞."""
    return _exact(rate) / (1 + decay * _count(t))


def step_decay(
    rate: Number, factor: float, every: int, t: Tensor = leaves.step
) -> Tensor:
    """rate * factor^floor(t / every)

    >>> import exprgrad as eg
    >>> step_decay(1.0, 0.5, every=10, t=eg.epoch)
    1.0 * 0.5 ** floor(astype(epoch, float64) / 10.0)
    >>> values(step_decay(1.0, 0.5, every=2), 5)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25])
    """
    times = floor(_count(t) / _positive("every", every))
    return _exact(rate) * pow(_exact(factor), times)


def exponential(rate: Number, decay: float, t: Tensor = leaves.step) -> Tensor:
    """rate * exp(-decay t); gamma^t has the decay -log(gamma)."""
    return _exact(rate) * exp(-decay * _count(t))


def polynomial(
    rate: Number,
    steps: int,
    end: float = 0.0,
    power: float = 1.0,
    t: Tensor = leaves.step,
) -> Tensor:
    """(rate - end) (1 - t / steps)^power + end, and `end` after `steps`.

    A straight line with `power` 1, which rises where `end` is above `rate`.
    """
    left = 1 - _part(t, steps)
    return (_exact(rate) - end) * pow(left, _exact(power)) + end


def cosine(
    rate: Number, steps: int, end: float = 0.0, t: Tensor = leaves.step
) -> Tensor:
    """end + (rate - end) (1 + cos(pi t / steps)) / 2, and `end` after `steps`.

    Loshchilov and Hutter 2017, SGDR, equation 5, without restarts.
    """
    return _bent(rate, end, _part(t, steps))


def warm_restarts(
    rate: Number,
    steps: int,
    multiple: float = 1.0,
    end: float = 0.0,
    t: Tensor = leaves.step,
) -> Tensor:
    """`cosine` again and again: over `steps`, then over `multiple` times as many, ...

    Loshchilov and Hutter 2017, SGDR, equation 5 with T_0 = `steps`, T_mult =
    `multiple`. Raises `GraphError` where `multiple` is below 1.

    >>> values(warm_restarts(1.0, 2, multiple=2), 7).round(3)
    array([1.   , 0.5  , 1.   , 0.854, 0.5  , 0.146, 1.   ])
    """
    if not multiple >= 1:
        raise GraphError(f"multiple of a schedule is 1 or above, not {multiple}")
    runs = _count(t) / _positive("steps", steps)
    if multiple == 1:
        return _bent(rate, end, runs - floor(runs))
    # Run n begins at T_0 (m^n - 1) / (m - 1), where `grown` is m^n. The slack is above
    # the rounding of a logarithm and below the distance of two updates up to t = 1e9.
    grown = 1 + runs * (multiple - 1)
    run = floor(log(grown) / ln(multiple) + 1e-10)
    part = (grown / pow(_exact(multiple), run) - 1) / (multiple - 1)
    return _bent(rate, end, part)


def warmup(
    rate: Number, steps: int, start: float = 0.0, t: Tensor = leaves.step
) -> Tensor:
    """rate * (start + (1 - start) min((t + 1) / steps, 1)): rises to `rate`.

    Update 0 has the first part of the rise, not rate 0, at which nothing is learned.
    `rate` may be another schedule, which counts from update 0; one that counts from the
    end of the rise stands behind it in a `sequence`. Goyal et al. 2017, Accurate, large
    minibatch SGD, section 2.2.

    >>> values(warmup(0.1, 4), 6)
    array([0.025, 0.05 , 0.075, 0.1  , 0.1  , 0.1  ])
    """
    risen = _part(t + 1, steps)
    return _exact(rate) * (start + (1 - start) * risen)


def _triangular(cycle: Tensor, t: Tensor, gamma: float) -> Tensor:
    return _exact(1.0)


def _triangular2(cycle: Tensor, t: Tensor, gamma: float) -> Tensor:
    return pow(_exact(0.5), cycle)


def _exp_range(cycle: Tensor, t: Tensor, gamma: float) -> Tensor:
    return pow(_exact(gamma), t)


# How high a cycle is, by its number from 0 and by t.
_HEIGHTS = {
    "triangular": _triangular,
    "triangular2": _triangular2,
    "exp_range": _exp_range,
}


def cyclic(
    low: Number,
    high: Number,
    half_cycle: int,
    mode: str = "triangular",
    gamma: float = 1.0,
    t: Tensor = leaves.step,
) -> Tensor:
    """From `low` to `high` in `half_cycle` updates, and back in as many, for ever.

    The height of a cycle stays ("triangular"), is halved with each ("triangular2") or
    is multiplied by gamma^t ("exp_range"). Smith 2017, Cyclical learning rates for
    training neural networks, section 3. Raises `GraphError` for another mode.

    >>> values(cyclic(0.0, 1.0, 2, mode="triangular2"), 7)
    array([0.  , 0.5 , 1.  , 0.5 , 0.  , 0.25, 0.5 ])
    """
    if mode not in _HEIGHTS:
        raise GraphError(
            f"mode of a cyclic schedule is one of {', '.join(_HEIGHTS)}, not {mode!r}"
        )
    count = _count(t)
    halves = count / _positive("half_cycle", half_cycle)
    cycle = floor(halves / 2)
    slope = 1 - abs(halves - 2 * cycle - 1)
    height = (_exact(high) - _exact(low)) * _HEIGHTS[mode](cycle, count, gamma)
    return _exact(low) + height * slope


def one_cycle(
    peak: Number,
    steps: int,
    rise: float = 0.3,
    div: float = 25.0,
    final_div: float = 1e4,
    t: Tensor = leaves.step,
) -> Tensor:
    """From peak / div to `peak` in rise * steps updates, then to peak / div / final_div.

    Both ways are half waves of the cosine; the last rate stays after `steps`. Smith and
    Topin 2018, Super-convergence, in the form of PyTorch and Optax (PyTorch reaches the
    peak and the end one update earlier). Raises `GraphError` unless 0 < rise < 1.
    """
    if not 0 < rise < 1:
        raise GraphError(f"rise of a one-cycle schedule is between 0 and 1, not {rise}")
    top, count = rise * _positive("steps", steps), _count(t)
    peak = _exact(peak)
    up = _bent(peak / div, peak, count / top)
    down = _bent(peak, peak / (div * final_div), _part(count - top, steps - top))
    return where(less(count, top), up, down)


def sequence(parts: Mapping[int, Number], t: Tensor = leaves.step) -> Tensor:
    """Each schedule, or number, from its key on; it counts `t` from there.

    Raises `GraphError` unless the keys are integers from 0 and one is 0.

    >>> values(sequence({0: warmup(1.0, 2), 2: inverse_time(1.0, 1.0), 4: 0.1}), 5)
    array([0.5, 1. , 1. , 0.5, 0.1])
    """
    if not isinstance(parts, Mapping):
        raise GraphError(f"a sequence is a mapping as in {{0: 0.1, 9: 0.01}}, not {parts}")
    starts = sorted(parts)
    if not starts or starts[0] != 0 or not all(isinstance(s, int) for s in starts):
        raise GraphError(
            f"the keys of a sequence are integers from 0, and one is 0, not {starts}"
        )
    count, result = _count(t), _exact(parts[0])
    for start in starts[1:]:
        part = _exact(parts[start])
        later = replaced([part], {t: t - start})[part]
        result = where(less(count, float(start)), result, later)
    return result
