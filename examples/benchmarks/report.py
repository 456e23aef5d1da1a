"""What was measured, as tables in Markdown."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version

from exprgrad.inspect.machine import limits

from .rounds import Result
from .workloads import WORKLOADS

OURS = "exprgrad"
NEAR = 1e-4  # how far a loss may be from the reference's, relatively
LIBRARIES = ("torch", "jax", "pytensor", "numpy")


def heading(threads: Sequence[int]) -> str:
    """Day, machine and versions."""
    machines = "; ".join(str(limits(n)) for n in threads)
    known = [f"{name} {found}" for name in LIBRARIES if (found := _version(name))]
    system = f"{platform.system()} {platform.machine()}"
    return f"{date.today():%d %b %Y}, {system}: {machines}; {', '.join(known)}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def table(found: Mapping[str, Sequence[Result]]) -> str:
    """Microseconds a step, median (least), on the better number of threads; how much
    faster exprgrad is than the best peer, also where all have one thread; and exprgrad's
    share of the machine's limit.
    """
    peers = list(dict.fromkeys(r.peer for rows in found.values() for r in rows if r.times))
    peers = [OURS, *(peer for peer in peers if peer != OURS)]
    counts = {r.threads for rows in found.values() for r in rows}
    ahead = {"ahead": None} | ({"ahead, 1 thread": 1} if len(counts) > 1 else {})
    head = ["workload", *peers, *ahead, "share of limit"]
    lines = [_row(head), _row(["---"] * len(head))]
    for name, rows in found.items():
        best = {peer: _best(rows, peer) for peer in peers}
        cells = [_time(best[peer]) for peer in peers]
        title = f"{name}: {WORKLOADS[name].title}"
        cells += [_ahead(rows, threads) for threads in ahead.values()]
        lines.append(_row([title, *cells, _share(best[OURS])]))
    return "\n".join(lines)


def faults(found: Mapping[str, Sequence[Result]]) -> list[str]:
    """A line for everything that was left out, or is wrong."""
    lines: dict[str, list[str]] = {}
    for name, rows in found.items():
        for r in rows:
            if r.why:
                lines.setdefault(f"{r.peer}: {r.why}", []).append(name)
            elif not r.error <= NEAR:
                told = f"{r.peer}: its losses are {r.error:.0e} from the reference"
                lines.setdefault(told, []).append(name)
    return [f"{line} ({', '.join(dict.fromkeys(names))})" for line, names in lines.items()]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _best(rows: Sequence[Result], peer: str) -> Result | None:
    timed = [r for r in rows if r.peer == peer and r.times]
    return min(timed, key=lambda r: r.median, default=None)


def _time(result: Result | None) -> str:
    if result is None:
        return "-"
    median, least = 1e6 * result.median, 1e6 * result.best
    digits = 2 if median < 10 else 1 if median < 100 else 0
    return f"{median:,.{digits}f} ({least:,.{digits}f})"


def _ahead(rows: Sequence[Result], threads: int | None = None) -> str:
    """The best peer's median over ours, and the same of the least times."""
    timed = [r for r in rows if r.times and threads in (None, r.threads)]
    ours = [r for r in timed if r.peer == OURS]
    others = [r for r in timed if r.peer != OURS]
    if not ours or not others:
        return "-"
    median, least = (
        min(getattr(r, kind) for r in others) / min(getattr(r, kind) for r in ours)
        for kind in ("median", "best")
    )
    return f"{median:.2f} ({least:.2f})"


def _share(result: Result | None) -> str:
    return f"{result.least / result.best:.0%}" if result and result.least else "-"
