"""What a hyper-parameter may be: which values, how likely, and when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from exprgrad.errors import InputError


@dataclass(frozen=True)
class Domain:
    """What one hyper-parameter may be. `at` is its quantile function: numbers drawn
    uniformly from 0 to 1 become values of the domain; `part` is its inverse.
    """

    condition: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def when(self, **condition: Any) -> Self:
        """The same, only there where earlier hyper-parameters have these values.

        >>> uniform(0, 0.99).when(optimizer="momentum")
        uniform(0.0, 0.99).when(optimizer='momentum')
        """
        return replace(self, condition={**self.condition, **condition})

    def at(self, part: float) -> Any:
        """The value below which lies this part of all draws."""
        raise NotImplementedError

    def part(self, value: Any) -> float:
        """The middle of the numbers from 0 to 1 at which the value lies."""
        raise NotImplementedError

    def columns(self, value: Any) -> list[float]:
        """The value as numbers from 0 to 1, near where values are alike."""
        return [self.part(value)]

    def ticks(self) -> Sequence[Any]:
        """Values that mark an axis."""
        return [self.at(part) for part in (0.0, 0.5, 1.0)]

    def holds(self, value: Any) -> bool:
        """Whether the value lies in the domain."""
        raise NotImplementedError

    def exact(self, value: Any) -> Any:
        """The value as it is used."""
        return value

    def suggested(self, trial: Any, name: str) -> Any:
        """A value for a trial of Optuna's."""
        raise NotImplementedError

    def _spelled(self, kind: str, *arguments: Any) -> str:
        inside = ", ".join(map(str, arguments))
        when = ", ".join(f"{name}={value!r}" for name, value in self.condition.items())
        return f"{kind}({inside})" + (f".when({when})" if when else "")


@dataclass(frozen=True, repr=False)
class Float(Domain):
    """Numbers from `low` to `high`, each of which float32 holds exactly."""

    low: float
    high: float
    log: bool

    def at(self, part: float) -> float:
        """low + (high - low) u; with `log` low (high / low)^u"""
        if self.log:
            return self.exact(self.low * (self.high / self.low) ** part)
        return self.exact(self.low + (self.high - self.low) * part)

    def part(self, value: float) -> float:
        """(x - low) / (high - low); with `log` log(x / low) / log(high / low)"""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def holds(self, value: Any) -> bool:
        """low <= x <= high"""
        return isinstance(value, float | int) and self.low <= value <= self.high

    def exact(self, value: float) -> float:
        """The nearest number of float32 within the bounds: a run-time scalar of either
        type, a schedule and a table then show one and the same number.
        """
        near = np.float32(value)
        if float(near) > self.high:
            near = np.nextafter(near, np.float32(-np.inf))
        if float(near) < self.low:
            near = np.nextafter(near, np.float32(np.inf))
        return float(near)

    def suggested(self, trial: Any, name: str) -> float:
        """`suggest_float`"""
        return self.exact(trial.suggest_float(name, self.low, self.high, log=self.log))

    def __repr__(self) -> str:
        kind = "log_uniform" if self.log else "uniform"
        return self._spelled(kind, self.low, self.high)


@dataclass(frozen=True, repr=False)
class Integer(Domain):
    """Whole numbers from `low` to `high`, both among them."""

    low: int
    high: int
    log: bool

    @property
    def _cells(self) -> Float:
        """Each number is the middle of a cell of length 1."""
        return Float(self.low - 0.5, self.high + 0.5, self.log)

    def at(self, part: float) -> int:
        """The number whose cell holds the quantile."""
        return min(max(round(self._cells.at(part)), self.low), self.high)

    def part(self, value: int) -> float:
        """Where the number lies in its cells."""
        return self._cells.part(value)

    def holds(self, value: Any) -> bool:
        """low <= x <= high, a whole number"""
        return isinstance(value, int) and self.low <= value <= self.high

    def suggested(self, trial: Any, name: str) -> int:
        """`suggest_int`"""
        return int(trial.suggest_int(name, self.low, self.high, log=self.log))

    def __repr__(self) -> str:
        return self._spelled("integer", self.low, self.high, *(["log=True"] * self.log))


@dataclass(frozen=True, repr=False)
class Choice(Domain):
    """One of several values, none nearer to another than to the rest."""

    options: tuple[Any, ...]

    def at(self, part: float) -> Any:
        """All options are equally likely."""
        return self.options[min(int(part * len(self.options)), len(self.options) - 1)]

    def part(self, value: Any) -> float:
        """The middle of the option's share."""
        return (self.options.index(value) + 0.5) / len(self.options)

    def columns(self, value: Any) -> list[float]:
        """One for each option: 1 for this one, else 0."""
        return [float(option == value) for option in self.options]

    def ticks(self) -> Sequence[Any]:
        """All options."""
        return self.options

    def holds(self, value: Any) -> bool:
        """Whether it is one of the options."""
        return value in self.options

    def suggested(self, trial: Any, name: str) -> Any:
        """`suggest_categorical`"""
        return trial.suggest_categorical(name, self.options)

    def __repr__(self) -> str:
        return self._spelled("choice", *map(repr, self.options))


def uniform(low: float, high: float) -> Domain:
    """Numbers from `low` to `high`, all equally likely.

    Raises `InputError` unless both are finite and `low` is the smaller.

    >>> uniform(0, 0.5)
    uniform(0.0, 0.5)
    """
    _require_range("uniform", low, high)
    return Float(float(low), float(high), False)


def log_uniform(low: float, high: float) -> Domain:
    """Numbers from `low` to `high` whose logarithms are equally likely: as many between
    0.001 and 0.01 as between 0.01 and 0.1. For rates and penalties; Bergstra and Bengio
    2012, Random search for hyper-parameter optimization, section 3.

    Raises `InputError` unless 0 < low < high.

    >>> log_uniform(1e-4, 1e-1)
    log_uniform(0.0001, 0.1)
    """
    _require_range("log_uniform", low, high)
    if low <= 0:
        raise InputError(f"log_uniform needs a low end above 0, not {low}")
    return Float(float(low), float(high), True)


def integer(low: int, high: int, log: bool = False) -> Domain:
    """Whole numbers from `low` to `high`, both among them; with `log` as `log_uniform`.

    Raises `InputError` unless low < high, and 1 <= low with `log`.

    >>> integer(16, 256, log=True)
    integer(16, 256, log=True)
    """
    for end in (low, high):
        if not isinstance(end, int | np.integer) or isinstance(end, bool):
            raise InputError(f"the ends of integer are whole numbers, not {end!r}")
    _require_range("integer", low, high)
    if log and low < 1:
        raise InputError(f"integer needs a low end from 1 with log, not {low}")
    return Integer(int(low), int(high), log)


def choice(*options: Any) -> Domain:
    """One of `options`, each a string, a number, a bool or None; all equally likely.

    Raises `InputError` for other kinds, which a file could not hold, and where two are
    equal.

    >>> choice("adam", "momentum")
    choice('adam', 'momentum')
    """
    if len(options) < 2:
        raise InputError(f"choice needs two options or more, not {len(options)}")
    for option in options:
        if not isinstance(option, str | int | float | None):
            given = type(option).__name__
            raise InputError(
                f"an option of choice is a string, a number, a bool or None, not "
                f"{given}; name it, and look the name up in a dict"
            )
        if options.count(option) > 1:
            raise InputError(
                f"the options of choice differ, but {option!r} is there twice"
            )
    return Choice(options)


def _require_range(kind: str, low: float, high: float) -> None:
    try:
        fits = math.isfinite(low) and math.isfinite(high) and low < high
    except TypeError:
        fits = False
    if not fits:
        raise InputError(
            f"{kind} goes from a low to a high number, not {low!r} to {high!r}"
        )
