"""One peer at one workload in a process of its own: it answers each line of JSON from its
input with one, until the input ends.

    {"do": "reference"}                the first losses, in float64, kept for the others
    {"do": "prepare"}                  make it, check its losses, time its first epoch
    {"do": "turn", "seconds": 0.25}    seconds of each epoch that fits
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from . import data
from .workloads import WORKLOADS

CHECKED = 10  # steps whose losses are compared


class Worker:
    """`peer` is `library:variant`."""

    def __init__(self, peer: str, workload: str, threads: int, reference: str) -> None:
        self.library, _, self.variant = peer.partition(":")
        self.w, self.threads, self.reference = WORKLOADS[workload], threads, reference
        self.orders = data.orders(self.w) if self.w.rows else None
        self.peer: Any = None
        self.epoch_seconds = 0.0

    def make(self, given_noise: bool) -> Any:
        module = importlib.import_module(f"{__package__}.peers.{self.library}")
        inputs, parameters = data.arrays(self.w)
        noise = data.noise(self.w) if given_noise else None
        return module.Peer(self.w, inputs, parameters, self.variant, self.threads, noise)

    def epoch(self) -> tuple[Any, float]:
        """The losses of the next epoch, and its seconds."""
        start = time.perf_counter()
        losses = self.peer.epoch(next(self.orders) if self.orders else None)
        self.epoch_seconds = time.perf_counter() - start
        return np.asarray(losses, np.float64), self.epoch_seconds

    def do_reference(self) -> dict[str, Any]:
        peer = self.make(bool(self.w.noise))
        rows = next(self.orders) if self.orders else [None] * self.w.steps
        found = [peer.step(n, each) for n, each in enumerate(rows[:CHECKED])]
        losses = [float(loss) for loss in found if loss is not None]
        np.savez(self.reference, losses=losses, **(peer.p if not losses else {}))
        return {"losses": losses}

    def do_prepare(self) -> dict[str, Any]:
        start = time.perf_counter()
        self.peer = self.make(False)
        losses, _ = self.epoch()
        first = time.perf_counter() - start
        if self.w.noise:  # losses are comparable when all draw the same numbers
            checked = self.make(True)
            losses = np.asarray(checked.epoch(next(data.orders(self.w))), np.float64)
        _, again = self.epoch()
        return {"error": self.error(losses), "first": max(0.0, first - again), **self.least()}

    def error(self, losses: Any) -> float:
        """The largest relative error of the first losses. NaN where they are missing."""
        wanted = np.load(self.reference)["losses"]
        if not wanted.size:
            return 0.0
        found = losses[: wanted.size]
        return float(np.max(np.abs(found - wanted) / np.abs(wanted)))

    def least(self) -> dict[str, float]:
        if not hasattr(self.peer, "least"):
            return {}
        return {"least": self.peer.least()}

    def do_turn(self, seconds: float) -> dict[str, Any]:
        if self.epoch_seconds < 0.1:
            self.epoch()  # caches and clocks are the last one's
        times: list[float] = []
        end = time.perf_counter() + seconds
        while not times or time.perf_counter() < end:
            times.append(self.epoch()[1] / self.w.steps)
        return {"times": times}


def answer(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return work()
    except (NotImplementedError, ImportError) as error:
        return {"missing": str(error)}
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"[:200]}


def main() -> None:
    peer, workload, threads, reference = sys.argv[1:]
    # What a library prints goes to the errors; the answers alone go out.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if threads == "1" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    worker = Worker(peer, workload, int(threads), reference)
    for line in sys.stdin:
        asked = json.loads(line)
        work = getattr(worker, f"do_{asked.pop('do')}")
        print(json.dumps(answer(lambda: work(**asked))), file=out, flush=True)  # noqa: B023


if __name__ == "__main__":
    main()
