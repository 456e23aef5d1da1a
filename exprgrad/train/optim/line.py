"""A search along a line: how far to go, found by looking at one place in each step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from exprgrad.graph.dtype import float64
from exprgrad.graph.elementwise import (
    abs,
    both,
    constant,
    either,
    maximum,
    minimum,
    sqrt,
    where,
)
from exprgrad.graph.tensor import Tensor

DECREASE, CURVATURE = 1e-4, 0.9  # c₁ and c₂ of the book, and of PyTorch
MOST = 25  # places of a line that are tried
EDGE = 0.1  # how much of a bracket lies near its ends


@dataclass(frozen=True)
class Place:
    """A place on the line: the rate that leads to it, the loss and its slope there."""

    rate: Tensor
    loss: Tensor
    slope: Tensor


@dataclass(frozen=True)
class Line:
    """What is known of a line: the loss and its slope where it starts, and two ends.

    `low` is the best place yet that falls enough, `high` is at infinity until one is
    found beyond which there is no need to look. `near` is 1 where the last trial was
    close to an end.
    """

    loss: Tensor
    slope: Tensor
    low: Place
    high: Place
    near: Tensor

    @property
    def scalars(self) -> list[Tensor]:
        """Everything that is known, in one row."""
        ends = (self.low, self.high)
        places = [x for end in ends for x in (end.rate, end.loss, end.slope)]
        return [self.loss, self.slope, *places, self.near]


def held(state: Callable[[str], Tensor]) -> Line:
    """The line that is kept in states, each made by its name."""
    low, high = (
        Place(*(state(f"{end}_{x}") for x in ("rate", "loss", "slope")))
        for end in ("low", "high")
    )
    return Line(state("start_loss"), state("start_slope"), low, high, state("near"))


def begun(loss: Tensor, slope: Tensor) -> Line:
    """A line of which only the start is known."""
    zero, endless = constant(0.0, float64), constant(math.inf, float64)
    low, high = Place(zero, loss, slope), Place(endless, endless, endless)
    return Line(loss, slope, low, high, zero)


def tried(line: Line, trial: Place, wolfe: bool) -> tuple[Tensor, Line, Tensor]:
    """Whether `trial` is good, what is known after it, and the rate to try next.

    Nocedal and Wright 2006, algorithms 3.5 and 3.6 in one: the former as long as `high`
    is at infinity. A trial whose loss is not below that of `low`, or has not fallen
    enough, or is no number, is the high end; else it is good where the slope is small
    enough, or at once without `wolfe`; else it is the low end, the other being on the
    side to which the loss falls.
    """
    low, high = line.low, line.high
    enough = trial.loss <= line.loss + DECREASE * trial.rate * line.slope
    better = both(enough, trial.loss < low.loss)
    flat = abs(trial.slope) <= -CURVATURE * line.slope
    good = both(better, flat) if wolfe else better
    passed = trial.slope * (high.rate - low.rate) >= 0
    new_high = _chosen(better, _chosen(passed, low, high), trial)
    new_low = _chosen(better, trial, low)
    inside, near = _between(new_low, new_high, line.near)
    least = trial.rate + 0.01 * (trial.rate - low.rate)
    beyond = _cubic(low, trial, least, 10 * trial.rate)
    bounded = new_high.rate < math.inf
    near = where(bounded, near, constant(0.0, float64))
    after = Line(line.loss, line.slope, new_low, new_high, near)
    return good, after, where(bounded, inside, beyond)


def _between(low: Place, high: Place, was_near: Tensor) -> tuple[Tensor, Tensor]:
    """A rate in a bracket, and 1 where it is near an end; PyTorch's safeguard.

    What is near an end twice in a row, or at it, is put a tenth of the bracket away.
    """
    left, right = minimum(low.rate, high.rate), maximum(low.rate, high.rate)
    rate = _cubic(low, high, left, right)
    edge = EDGE * (right - left)
    near = minimum(right - rate, rate - left) < edge
    at_end = either(rate <= left, rate >= right)
    pushed = both(near, either(was_near > 0, at_end))
    away = where(right - rate < rate - left, right - edge, left + edge)
    one, zero = constant(1.0, float64), constant(0.0, float64)
    return where(pushed, away, rate), where(both(near, ~pushed), one, zero)


def _cubic(a: Place, b: Place, least: Tensor, most: Tensor) -> Tensor:
    """Where the cubic through two places has its minimum (equation 3.59), in bounds.

    In the middle of the bounds where it has none, or a place is not finite.
    """
    bend = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.rate - b.rate)
    square = bend * bend - a.slope * b.slope
    root = where(a.rate <= b.rate, sqrt(square), -sqrt(square))
    part = (b.slope + root - bend) / (b.slope - a.slope + 2 * root)
    rate = b.rate - (b.rate - a.rate) * part
    known = both(square >= 0, abs(rate) < math.inf)
    return where(known, minimum(maximum(rate, least), most), (least + most) / 2)


def _chosen(condition: Tensor, a: Place, b: Place) -> Place:
    """Place `a` where the condition holds, else `b`."""
    return Place(
        where(condition, a.rate, b.rate),
        where(condition, a.loss, b.loss),
        where(condition, a.slope, b.slope),
    )
