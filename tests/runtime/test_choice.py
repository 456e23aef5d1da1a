"""The number of threads: learned from a clock, or what EXPRGRAD_THREADS asks for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exprgrad.runtime import choice
from exprgrad.runtime.choice import MOST_THREADS, Choice

ENOUGH = 1000


class Clock:
    """A clock that stands still but when it is set forward."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(choice, "time", made)
    monkeypatch.setattr(choice, "CORES", 4)
    monkeypatch.delenv("EXPRGRAD_THREADS", raising=False)
    return made


def ran(made: Choice, clock: Clock, steps: int, cost: Callable[[int], float]) -> dict[int, int]:
    """How many steps ran on each number of threads; `cost(threads)` is seconds a step."""
    done: dict[int, int] = {}
    place = 0
    for first, end, threads in made.slices(steps):
        assert first == place < end
        place = end
        done[threads] = done.get(threads, 0) + end - first
        clock.now += (end - first) * cost(threads)
    assert place == steps
    return done


def test_threads_that_gain_are_kept(clock: Clock) -> None:
    made = Choice(ENOUGH, ENOUGH)
    ran(made, clock, 1000, lambda threads: 1e-3 / threads)
    assert made.best == 4
    done = ran(made, clock, 10_000, lambda threads: 1e-3 / threads)
    assert done[4] > 50 * done[1] > 0


@pytest.mark.parametrize("gain", [0.98, 1.0, 3.0])
def test_threads_that_do_not_gain_are_left_and_tried_ever_less(
    clock: Clock, gain: float
) -> None:
    made = Choice(ENOUGH, ENOUGH)
    trials = []
    for _ in range(3):
        done = ran(made, clock, 2000, lambda threads: 1e-3 * (gain if threads > 1 else 1))
        trials.append(done.get(4, 0))
    assert made.best == 1
    assert trials[0] > trials[2] > 0


def test_a_change_of_the_machine_is_noticed_both_ways(clock: Clock) -> None:
    made = Choice(ENOUGH, ENOUGH)
    ran(made, clock, 1000, lambda threads: 1e-3 / threads)
    assert made.best == 4
    ran(made, clock, 1000, lambda threads: 1e-3 * threads)
    assert made.best == 1
    ran(made, clock, 5000, lambda threads: 1e-3 / threads)
    assert made.best == 4


def test_calls_of_one_step_learn_too(clock: Clock) -> None:
    made = Choice(ENOUGH, ENOUGH)
    for _ in range(200):
        ran(made, clock, 1, lambda threads: 1e-3 / threads)
    assert made.best == 4


def test_little_work_runs_alone(clock: Clock) -> None:
    made = Choice(ENOUGH - 1, ENOUGH)
    assert ran(made, clock, 5000, lambda threads: 1e-3) == {1: 5000}


@pytest.mark.parametrize(("asked", "found"), [("1", 1), ("3", 3), ("9999", MOST_THREADS)])
def test_what_is_asked_for(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, asked: str, found: int
) -> None:
    monkeypatch.setenv("EXPRGRAD_THREADS", asked)
    assert list(Choice(0, ENOUGH).slices(7)) == [(0, 7, found)]
    assert list(Choice(ENOUGH, ENOUGH).slices(7)) == [(0, 7, found)]
    assert list(Choice(ENOUGH, ENOUGH).slices(0)) == [(0, 0, found)]


def disturbed(clock: Clock, every: int) -> Callable[[int], float]:
    """Two threads gain, but each of their slices in turn is slow as with a busy core."""
    calls = [0]

    def cost(threads: int) -> float:
        calls[0] += threads > 1
        return 1e-3 if threads == 1 else 3e-3 if calls[0] % every == 0 else 0.6e-3

    return cost


def test_a_core_that_is_not_free_costs_little(clock: Clock) -> None:
    """Trials that succeed by chance are paid back: the debt is bounded."""
    made = Choice(ENOUGH, ENOUGH)
    start = clock.now
    ran(made, clock, 20_000, disturbed(clock, 2))
    assert clock.now - start < 1.1 * 20_000 * 1e-3


def cold(clock: Clock, first: float) -> Callable[[int], float]:
    """Threads that gain, but for the first slice after another number of them."""
    last = [1]

    def cost(threads: int) -> float:
        fresh, last[0] = threads != last[0], threads
        return 1e-3 if threads == 1 else first * 1e-3 if fresh else 0.6e-3

    return cost


@pytest.mark.parametrize("first", [1.2, 2.9])
def test_the_first_slice_of_a_trial_wakes_threads_and_fills_caches(
    clock: Clock, first: float
) -> None:
    made = Choice(ENOUGH, ENOUGH)
    ran(made, clock, 100, cold(clock, first))
    assert made.best == 4


def test_a_hopeless_trial_ends_at_once(clock: Clock) -> None:
    made = Choice(ENOUGH, ENOUGH)
    done = ran(made, clock, 8, lambda threads: 1e-3 * (9 if threads > 1 else 1))
    assert done[4] == 2  # a slice of two steps


def test_a_slow_moment_changes_nothing(clock: Clock) -> None:
    made = Choice(ENOUGH, ENOUGH)
    ran(made, clock, 2000, lambda threads: 1e-3 / threads)
    slow = iter([4e-3])
    ran(made, clock, 1, lambda threads: next(slow))
    assert made.best == 4
    done = ran(made, clock, 2000, lambda threads: 1e-3 / threads)
    assert done[4] > 50 * done.get(1, 1)
