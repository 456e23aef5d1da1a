"""How many threads a program runs on, chosen while it runs.

The bits do not depend on it, so a program may change the number from call to call. One
thread is the default; more are tried now and then, and kept while they are seen to gain.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from exprgrad import config

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
TRY_EVERY = 16
GAIN = 0.95
FORGET = 0.7


class Choice:
    """Times calls by their number of threads; one thread where `work` is not `enough`."""

    def __init__(self, work: int, enough: int) -> None:
        self.many = CORES if work >= enough else 1
        self._seconds: dict[int, float] = {}
        self._calls = 0

    def threads(self) -> int:
        """The number for the next call."""
        asked = config.THREADS()
        if asked or self.many == 1:
            return asked or 1
        missing = [n for n in (1, self.many) if n not in self._seconds]
        if missing:
            return missing[0]
        gains = self._seconds[self.many] < GAIN * self._seconds[1]
        best, other = (self.many, 1) if gains else (1, self.many)
        return other if self._calls % TRY_EVERY == TRY_EVERY - 1 else best

    def timed(self, steps: int, run: Callable[[int], None]) -> None:
        """Call `run(threads)` for `steps` steps and learn from it."""
        threads = self.threads()
        start = time.perf_counter()
        run(threads)
        seconds = (time.perf_counter() - start) / max(1, steps)
        before = self._seconds.get(threads, seconds)
        self._seconds[threads] = min(seconds, FORGET * before + (1 - FORGET) * seconds)
        self._calls += 1
