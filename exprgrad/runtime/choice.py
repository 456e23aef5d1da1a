"""How many threads a program runs on, chosen while it runs.

The bits do not depend on it, so the number may change from slice to slice of an epoch.
One thread is the default. More are tried for a moment now and then, and kept while they
are seen to gain; when a slice takes much longer than the one before, because another
process has come, the trial is made at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from exprgrad import config

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

MOST_THREADS = 256  # whatever is asked for

# Seconds: a trial, the longest slice, the first and the longest wait between trials.
TRIAL = 0.002
SLICE = 0.05
FIRST_WAIT = 0.02
LONGEST_WAIT = 1.0
# Other threads are taken when a step takes less than this share of the time, and tried
# at once when a step takes more than this multiple of what it took.
GAIN = 0.95
DISTURBED = 1.3


class Choice:
    """Divides steps into slices and gives each a number of threads.

    Where `work`, in additions of a step, is not `enough`, that is one thread.
    """

    def __init__(self, work: int, enough: int) -> None:
        self.many = CORES if work >= enough else 1
        self.best = 1
        self._seconds: dict[int, float] = {}
        self._wait = FIRST_WAIT
        self._ran = 0.0

    def slices(self, steps: int) -> Iterator[tuple[int, int, int]]:
        """(first, end, threads) of each slice; the time between is measured."""
        asked = config.THREADS()
        if asked or self.many == 1:
            yield 0, steps, min(asked or 1, MOST_THREADS)
            return
        first = 0
        while first < steps:
            threads = self._next()
            end = min(steps, first + self._length(threads))
            start = time.perf_counter()
            yield first, end, threads
            self._learn(threads, end - first, time.perf_counter() - start)
            first = end

    def _next(self) -> int:
        due = self.best in self._seconds and self._ran >= self._wait
        return self._other if due else self.best

    @property
    def _other(self) -> int:
        return 1 if self.best == self.many else self.many

    def _length(self, threads: int) -> int:
        """How many steps a slice has: enough to be timed, few enough to change soon."""
        known = self._seconds.get(threads) or self._seconds.get(self.best)
        if known is None:
            return 1
        seconds = SLICE if threads == self.best else TRIAL
        return max(1, int(seconds / max(known, 1e-9)))

    def _learn(self, threads: int, steps: int, seconds: float) -> None:
        before = self._seconds.get(threads)
        self._seconds[threads] = seconds / steps
        if threads == self.best:
            disturbed = before is not None and seconds / steps > DISTURBED * before
            self._ran = self._wait if disturbed else self._ran + seconds
            return
        self._ran = 0.0
        if seconds / steps < GAIN * self._seconds[self.best]:
            self.best, self._wait = threads, FIRST_WAIT
        else:
            self._wait = min(2 * self._wait, LONGEST_WAIT)
