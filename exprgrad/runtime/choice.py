"""How many threads a program runs on, chosen while it runs.

The bits do not depend on it, so the number may change from slice to slice of an epoch.
One thread is the default. All cores are tried for a moment now and then, the less often
the more often they failed, and kept while they are seen to gain: what they lose beside
one thread is added up, what they gain pays for it, and one thread is taken again when
the debt exceeds a few milliseconds. A trial goes on for some slices that gain nothing, each
longer than the last: threads have to be woken, which takes half a millisecond on some
machines, may begin on one core, and bring into their caches what another had.
Another process on one of the cores, for which all threads wait at every barrier, thus
costs little, and a slow moment changes nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator

from exprgrad import config

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

Slice = tuple[int, int, int]  # first step, end, threads

MOST_THREADS = 256  # whatever is asked for

# Seconds: the first slice of a trial and the first one after it; how long a trial may gain
# nothing before that counts; the longest slices on one thread and on many; the first and
# the longest wait between trials; the debt that is suffered.
TRIAL = 0.002
WARM = 0.006
SLICE = 0.05
SLICE_OF_MANY = 0.02
FIRST_WAIT = 0.005
LONGEST_WAIT = 1.0
DEBT = 0.004
# All threads are taken when a step takes less than this share of the time, and left at once
# when it takes so many times as long.
GAIN = 0.95
HOPELESS = 3.0


class Choice:
    """Divides steps into slices and gives each a number of threads.

    Where `work`, in additions of a step, is not `enough`, that is one thread.
    """

    def __init__(self, work: int, enough: int) -> None:
        self.many = CORES if work >= enough else 1
        self.best = 1
        self._seconds: dict[int, float] = {}  # of a step
        self._wait = FIRST_WAIT  # before many threads are tried
        self._ran = 0.0  # since the last trial
        self._slice = TRIAL
        self._debt = 0.0
        self._warmed = 0.0  # by a trial that has gained nothing yet

    def slices(self, steps: int) -> Iterable[Slice]:
        """(first, end, threads) of each slice; the time between is measured."""
        asked = config.THREADS()
        if asked or self.many == 1:
            return ((0, steps, min(asked or 1, MOST_THREADS)),)
        return self._measured(steps)

    def _measured(self, steps: int) -> Iterator[Slice]:
        first = 0
        while first < steps:
            threads = self._next()
            end = min(steps, first + self._length(threads))
            start = time.perf_counter()
            yield first, end, threads
            self._learn(threads, end - first, time.perf_counter() - start)
            first = end

    def _next(self) -> int:
        due = self.best in self._seconds and self._left() <= 0
        return self._other if due else self.best

    @property
    def _other(self) -> int:
        return 1 if self.best == self.many else self.many

    def _left(self) -> float:
        """The time until the next trial."""
        return (self._wait if self.best == 1 else LONGEST_WAIT) - self._ran

    def _length(self, threads: int) -> int:
        """How many steps a slice has: enough to be timed, few enough to change soon."""
        known = self._seconds.get(threads) or self._seconds.get(self.best)
        if known is None:
            return 1
        longest = SLICE if threads == 1 else self._slice
        seconds = TRIAL + self._warmed
        if threads == self.best:
            seconds = min(longest, max(TRIAL, self._left()))
        return max(1, int(seconds / max(known, 1e-9)))

    def _learn(self, threads: int, steps: int, seconds: float) -> None:
        now = seconds / steps
        self._ran += seconds
        if self._warms_up(threads, now, seconds):
            return
        before = self._seconds.get(threads, now)
        # What was slow once, as the first step is, was perhaps only disturbed.
        self._seconds[threads] = min(now, (before + now) / 2)
        if threads != self.best:
            self._tried(now)
        elif threads > 1:
            self._slice = min(2 * self._slice, SLICE_OF_MANY)
            self._debt = max(-DEBT, self._debt + seconds - steps * self._seconds[1])
            if self._debt > DEBT:
                self._failed()

    def _warms_up(self, threads: int, now: float, seconds: float) -> bool:
        """Whether a slice of many threads, `now` being the time of a step, does not count."""
        if threads == 1 or threads == self.best:
            return False
        ratio = now / self._seconds[self.best]
        counts = self._warmed >= WARM or not GAIN <= ratio < HOPELESS
        self._warmed = 0.0 if counts else self._warmed + seconds
        return not counts

    def _tried(self, seconds: float) -> None:
        """Take the number of threads that was just tried, or keep the best."""
        self._ran = 0.0
        many = seconds if self.best == 1 else self._seconds[self.many]
        if many >= GAIN * self._seconds[1]:
            self._failed()
        elif self.best == 1:
            self.best, self._slice, self._debt = self.many, TRIAL, 0.0
        else:
            self._wait = FIRST_WAIT

    def _failed(self) -> None:
        """Take one thread, and wait twice as long before more are tried again."""
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        self.best, self._ran = 1, 0.0
