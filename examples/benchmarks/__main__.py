"""The command line: which workloads, which libraries, how long."""

from __future__ import annotations

import argparse
import importlib.util
import sys

from . import report
from .rounds import Result, results
from .workloads import WORKLOADS

# Libraries and their forms. Which of them are here is found without loading them.
PEERS = {
    "exprgrad": ("",),
    "torch": ("eager", "compile"),
    "jax": ("jit", "scan"),
    "pytensor": ("",),
    "numpy": ("",),
}


def main() -> None:
    asked = _arguments()
    peers = _here(asked.peers.split(","))
    threads = [int(n) for n in asked.threads.split(",")]
    heading = report.heading(threads)  # measures the machine, while nothing else runs
    found: dict[str, list[Result]] = {}
    for name in asked.workloads.split(","):
        found[name] = []
        for result in results(name, peers, threads, asked.rounds, asked.seconds):
            found[name].append(result)
            print(_line(name, result), file=sys.stderr, flush=True)
    print(f"{heading}\n\n{report.table(found)}")
    for line in report.faults(found):
        print(f"\nnot compared: {line}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.benchmarks", description=__doc__)
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="by name, with commas")
    parser.add_argument("--peers", default=",".join(PEERS), help="library or library:form")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.25, help="of a peer's turn")
    return parser.parse_args()


def _here(asked: list[str]) -> list[str]:
    """The forms of the libraries that are installed; a line for each that is not."""
    peers = []
    for each in asked:
        library, _, form = each.partition(":")
        if importlib.util.find_spec(library) is None:
            print(f"{library} is not installed and is left out", file=sys.stderr)
            continue
        forms = (form,) if form else PEERS[library]
        peers += [f"{library}:{f}" if f else library for f in forms]
    return peers


def _line(name: str, result: Result) -> str:
    head = f"{name:12} {result.peer:14} {result.threads} threads"
    if not result.times:
        return f"{head}: {result.why}"
    median, least = 1e6 * result.median, 1e6 * result.best
    times = f"{median:10.2f} us a step, least {least:10.2f}"
    return f"{head} {times}; first call {result.first:.2f} s; loss error {result.error:.0e}"


if __name__ == "__main__":
    main()
