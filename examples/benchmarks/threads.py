"""The choice of threads while running beside each fixed number of them, on a quiet machine
and beside a foreign busy process.

    python examples/benchmarks/threads.py                          all cases
    python examples/benchmarks/threads.py "tiny step" --rounds 3   one of them, shorter

Rounds are interleaved; printed are medians of seconds for a round, beside one thread's.
The choice should take at most 1.05 times the best fixed number on a quiet machine and
at most 1.15 times one thread with a hog.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np

import exprgrad as eg
from exprgrad.runtime.step import Epoch

HOG = "while True: pass"
THREADS = {"one": "1", "two": "2", "chosen": "0"}


def network(sizes: tuple[int, ...], batch: int, rows: int) -> Callable[[int], None]:
    """`run(steps)` trains a classifier by Adam on random rows."""
    x, y = eg.input("x", ("batch", sizes[0])), eg.input("y", ("batch",), "int64")
    h, parameters = x, []
    for n, (a, b) in enumerate(pairwise(sizes)):
        parameters += [eg.parameter(f"w{n}", (a, b)), eg.parameter(f"b{n}", (b,))]
        h = (eg.relu(h) if n else h) @ parameters[-2] + parameters[-1]
    loss = eg.nn.cross_entropy(h, y).mean()
    updates = eg.optim.Adam(1e-3).updates(loss, parameters)
    epoch = Epoch([x, y], {"loss": loss}, updates)
    rng = np.random.default_rng(0)
    data = {
        "x": rng.normal(size=(rows, sizes[0])).astype(np.float32),
        "y": rng.integers(sizes[-1], size=rows),
    }
    order = np.arange(rows)
    step, most = epoch.over(data, rows, batch), rows // batch

    def run(steps: int) -> None:
        while steps > 0:
            step.run(order, 0, min(steps, most))
            steps -= most

    return run


def call(n: int) -> Callable[[int], None]:
    """`run(times)` calls a large elementwise function."""
    x = eg.input("x", ("n",))
    f = eg.function([x], eg.sum(eg.tanh(x) * eg.exp(-x * x)))
    given = np.random.default_rng(0).normal(size=n).astype(np.float32)

    def run(times: int) -> None:
        for _ in range(times):
            f(given)

    return run


CASES = {
    "MLP step": (lambda: network((784, 256, 128, 10), 64, 6400), 200),
    "tiny step": (lambda: network((30, 2), 32, 576), 20_000),
    "large call": (lambda: call(2_000_000), 100),
    "small call": (lambda: call(300_000), 600),
}


@contextmanager
def hog(wanted: bool) -> Iterator[None]:
    """A foreign process that takes as much of a core as it is given."""
    process = subprocess.Popen([sys.executable, "-c", HOG]) if wanted else None
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


def measured(
    make: Callable[[], Callable[[int], None]], times: int, rounds: int
) -> dict[str, float]:
    """The median seconds of a round under each number of threads."""
    runs = {name: make() for name in THREADS}
    seconds: dict[str, list[float]] = {name: [] for name in THREADS}
    for _ in range(rounds):
        for name, threads in THREADS.items():
            os.environ["EXPRGRAD_THREADS"] = threads
            start = time.perf_counter()
            runs[name](times)
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in seconds.items()}


def main() -> None:
    """Print a line for each case, quiet and beside a hog."""
    parser = argparse.ArgumentParser(description="The choice of threads while running.")
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all without any")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    for beside in (False, True):
        with hog(beside):
            for name in asked.cases or CASES:
                found = measured(*CASES[name], asked.rounds)
                best = min(found["one"], found["two"])
                print(
                    f"{name:11s} {'hog' if beside else 'quiet':6s}"
                    + "".join(f" {k} {v * 1e3:8.1f} ms" for k, v in found.items())
                    + f"   chosen/one {found['chosen'] / found['one']:.2f}"
                    + f"   chosen/best {found['chosen'] / best:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
