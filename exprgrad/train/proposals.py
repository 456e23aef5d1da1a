"""Where a search looks next: at random, or where a Gaussian process expects most.

A proposal depends on the seed, on the number of the trial and on the trials before it,
and on nothing else: a search that is resumed goes on as if it had not been interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exprgrad.train.conditions import Space, Values
from exprgrad.train.improvement import (
    believing,
    gaussian_process,
    log_expected_improvement,
)

Array = NDArray[np.float64]
CANDIDATES = 1024
CLOUDS = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005)  # widths, in unit cubes
CLOUD = 256


@dataclass(frozen=True)
class Seen:
    """What is known when a trial begins: losses of trials that ended, least is best (None
    where a trial failed), and the values of those that are running.
    """

    ended: Sequence[tuple[Values, float | None]]
    running: Sequence[Values]


Method = Callable[[Space, Seen, np.random.Generator], Values]


def random(space: Space, seen: Seen, rng: np.random.Generator) -> Values:
    """A draw from the space. Bergstra and Bengio 2012."""
    return space.at(
        dict(zip(space.domains, rng.random(len(space.domains)), strict=True))
    )


def bayesian(space: Space, seen: Seen, rng: np.random.Generator) -> Values:
    """Where expected improvement is largest, after the first draws at random.

    Jones, Schonlau and Welch 1998, Efficient global optimization, section 4. The maximum
    is looked for among draws, then in ever narrower clouds around the best found.
    """
    if len(seen.ended) < first_draws(space):
        return random(space, seen, rng)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):  # small matrices, which threads only slow down
        return _most_promising(space, seen, rng)


def _most_promising(space: Space, seen: Seen, rng: np.random.Generator) -> Values:
    gain = _expected_gain(space, seen, int(rng.integers(1 << 31)))
    best = _best(space, rng.random((CANDIDATES, len(space.domains))), gain)
    for width in CLOUDS:
        around = rng.normal(best, width, (CLOUD, best.size))
        best = _best(space, np.vstack([best, np.clip(around, 0.0, 1.0)]), gain)
    return _values(space, best)


def first_draws(space: Space) -> int:
    """How many trials come before the first that a Gaussian process proposes."""
    return 2 * len(space.domains) + 2


def _expected_gain(space: Space, seen: Seen, seed: int) -> Callable[[Array], Array]:
    points = _columns(space, [values for values, _ in seen.ended])
    losses = tamed([loss for _, loss in seen.ended])
    process = gaussian_process(points, losses, seed)
    if seen.running:
        process = believing(process, points, _columns(space, seen.running))

    def gain(candidates: Array) -> Array:
        mean, deviation = process.predict(candidates, return_std=True)
        return log_expected_improvement(
            mean, np.maximum(deviation, 1e-12), losses.min()
        )

    return gain


def tamed(losses: Sequence[float | None]) -> Array:
    """Losses that a Gaussian process can follow: no more above their median than the best
    is below it, and that much for trials that failed.

    >>> tamed([1.0, 2.0, 1e9, None, 1.5])
    array([1. , 2. , 2.5, 2.5, 1.5])
    """
    found = np.array([np.inf if loss is None else loss for loss in losses])
    finite = found[np.isfinite(found)]
    if not finite.size:
        return np.zeros_like(found)
    tame: Array = np.minimum(found, 2 * np.median(finite) - finite.min())
    return tame


def _best(space: Space, parts: Array, gain: Callable[[Array], Array]) -> Array:
    columns = _columns(space, [_values(space, row) for row in parts])
    best: Array = parts[np.argmax(gain(columns))]
    return best


def _values(space: Space, parts: Array) -> Values:
    return space.at(dict(zip(space.domains, map(float, parts), strict=True)))


def _columns(space: Space, values: Iterable[Any]) -> Array:
    return np.array([space.columns(each) for each in values])


METHODS: dict[str, Method] = {"random": random, "bayesian": bayesian}
