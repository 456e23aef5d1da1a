"""The peers of a workload take turns, each in a process of its own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REFERENCE = "numpy:reference"
LIMITED = ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR")
ROOT = Path(__file__).parent.parent.parent
PATIENCE = 8.0  # seconds of one peer after which few turns will do
ENOUGH = 3


@dataclass
class Result:
    """What was seen of a peer on a number of threads; `why` where it could not be timed."""

    peer: str
    threads: int
    times: list[float] = field(default_factory=list)
    error: float = 0.0
    first: float = 0.0
    least: float | None = None
    why: str = ""

    @property
    def median(self) -> float:
        """Seconds of a step."""
        return statistics.median(self.times)

    @property
    def best(self) -> float:
        """The least seconds of a step."""
        return min(self.times)


class Process:
    """A worker, asked and answering by lines of JSON."""

    def __init__(self, peer: str, workload: str, threads: int, folder: str) -> None:
        self.result = Result(peer, threads)
        environment = dict(os.environ) | {f"{k}_NUM_THREADS": str(threads) for k in LIMITED}
        environment["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp(dir=folder)
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        reference = os.path.join(folder, "reference.npz")
        command = [sys.executable, "-m", f"{__package__}.worker", peer, workload]
        self.log = open(os.path.join(tempfile.mkdtemp(dir=folder), "log"), "w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [*command, str(threads), reference], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment,
        )  # fmt: skip

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps({"do": do, **more}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line:
            return dict(json.loads(line))
        self.log.seek(0)
        return {"failed": f"the process ended: {self.log.read()[-300:]}"}

    def prepare(self) -> None:
        found = self.ask("prepare")
        self.result.why = found.get("missing") or found.get("failed") or ""
        for name in ("error", "first", "least"):
            setattr(self.result, name, found.get(name, getattr(self.result, name)))

    def turn(self, seconds: float) -> None:
        found = self.ask("turn", seconds=seconds)
        self.result.times += found.get("times", [])
        self.result.why = self.result.why or found.get("failed", "")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


def results(
    workload: str, peers: Sequence[str], threads: Sequence[int], rounds: int, seconds: float
) -> Iterator[Result]:
    """Each peer's result, its losses held to the reference, all timed in turns."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_ones:
        reference = Process(REFERENCE, workload, max(threads), folder)
        found = reference.ask("reference")
        reference.close()
        if "losses" not in found:
            raise RuntimeError(f"{workload}: the reference failed: {found}")
        processes = []
        for peer in peers:
            for count in threads:
                process = Process(peer, workload, count, folder)
                open_ones.callback(process.close)
                process.prepare()
                processes.append(process)
        for _ in range(rounds):
            for process in processes:
                taken = process.result.times
                slow = len(taken) >= ENOUGH and len(taken) * seconds > PATIENCE
                if not process.result.why and not slow:
                    process.turn(seconds)
        yield from (process.result for process in processes)
