"""The command line: which cases, against which forms of PyTorch, how long."""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping

from .blocks import BLOCKS
from .case import Case, Run, ours, theirs
from .operations import OPERATIONS

TURN = 0.02  # seconds


def main() -> None:
    asked = _arguments()
    cases = asked_for(asked.names)
    for switch in ("EXPRGRAD_THREADS", "OMP_NUM_THREADS"):
        os.environ[switch] = str(asked.threads)
    forms = _forms(asked.compile)
    print(_line("microseconds, medians", "", "exprgrad", *forms, "ahead"))
    slower = []
    for case in cases:
        for what, times in measured(case, forms, asked.rounds).items():
            own, *others = times.values()
            ahead = min(others) / own if others else 0.0
            cells = (f"{1e6 * seconds:.1f}" for seconds in times.values())
            print(_line(case.name, what, *cells, f"{ahead:.2f}" if others else "-"), flush=True)
            if others and ahead < 1:
                slower.append(f"{case.name}, {what} ({ahead:.2f})")
    print("slower than PyTorch: " + ("; ".join(slower) or "none"))


def asked_for(names: list[str]) -> list[Case]:
    """The cases whose names have one of these parts, whatever their capitals."""
    found = [
        case
        for case in (*OPERATIONS, *BLOCKS)
        if not names or any(name.lower() in case.name.lower() for name in names)
    ]
    if not found:
        known = "; ".join(case.name for case in (*OPERATIONS, *BLOCKS))
        sys.exit(f"no case is called {' or '.join(names)}; there are: {known}")
    return found


def _forms(compiled: bool) -> list[str]:
    if importlib.util.find_spec("torch") is None:
        print("torch is not installed and is left out", file=sys.stderr)
        return []
    return ["eager", "compile"] if compiled else ["eager"]


def _line(name: str, what: str, *cells: str) -> str:
    return f"{name:28}{what:10}" + "".join(f"{cell:>12}" for cell in cells)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.benchmarks.layers", description=__doc__
    )
    parser.add_argument("names", nargs="*", help="parts of names; all cases if none is given")
    parser.add_argument("--compile", action="store_true", help="torch.compile, too")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args()


def measured(case: Case, forms: list[str], rounds: int) -> Mapping[str, Mapping[str, float]]:
    """Seconds of a call, of the value and of the gradient, by library; all take turns."""
    made = {"exprgrad": ours(case)} | {f: theirs(case, f == "compile") for f in forms}
    found = {}
    for n, what in enumerate(("value", "gradient")):
        runs = {name: _call(functions[n], case) for name, functions in made.items()}
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds + 1):
            for name, run in runs.items():
                times[name].append(_turn(run))
        found[what] = {name: statistics.median(each[1:]) for name, each in times.items()}
    return found


def _call(function: Run, case: Case) -> Callable[[], object]:
    arrays = case.arrays()
    return lambda: function(*arrays)


def _turn(run: Callable[[], object]) -> float:
    """Seconds of a call, for as many as a turn holds."""
    run()
    start = now = time.perf_counter()
    calls = 0
    while now < start + TURN:
        run()
        calls, now = calls + 1, time.perf_counter()
    return (now - start) / calls


if __name__ == "__main__":
    main()
