"""What this machine can do at most, measured once and kept with the compiled code.

The peak is that of multiply-adds in registers, the latency that of a chain of them; the
bandwidths are those of sums of arrays that fit one level of the caches, but no smaller.
"""

from __future__ import annotations

import functools
import json
import time
from dataclasses import asdict, dataclass, replace

import llvmlite.binding as llvm
import numpy as np

from exprgrad.backend import cache
from exprgrad.backend.caches import caches
from exprgrad.backend.jit import Library, compile_module, host
from exprgrad.inspect.probes import ELEMENTS, NOW, SIDE_BY_SIDE, STEP, lanes, probes
from exprgrad.runtime.program import POOL, aligned

VERSION = 3  # of what is measured, so that an older record is not read
# Of one measurement: short ones, of which some are not disturbed by other processes.
SECONDS = 0.001
ROUNDS = 12
# Several threads are slow while one of their cores has other work, which may take longer
# than all rounds: after a while they are tried again.
TRIES = 5
PAUSE = 0.3
MOST_MEMORY = 1 << 28


@dataclass(frozen=True)
class Memory:
    """A level of memory: its size, shared by all threads or not, and bytes a second."""

    name: str
    nbytes: int
    shared: bool
    bandwidth: float


@dataclass(frozen=True)
class Limits:
    """The most that `threads` threads can do together: multiplications and additions a
    second, bytes a second from each level; and for one, seconds of a multiply-add that
    waits for another. `ticks` of the processor's counter make a second.
    """

    name: str
    threads: int
    flops: dict[str, float]
    levels: tuple[Memory, ...]
    latency: float
    ticks: float

    def __str__(self) -> str:
        peaks = ", ".join(f"{1e-9 * f:.0f} GFLOP/s in {name}" for name, f in self.flops.items())
        reads = ", ".join(f"{x.name} {1e-9 * x.bandwidth:.0f}" for x in self.levels)
        many = f"{self.threads} thread{'s'[self.threads == 1:]}"
        return f"{self.name}, {many}: at most {peaks}; reads in GB/s: {reads}"


@functools.cache
def limits(threads: int = 1) -> Limits:
    """What this machine can do at most on `threads` threads; the first time it takes
    half a second for one thread, some seconds for more.

    >>> limits().flops["float32"] > 1e9
    True
    """
    name = cache.key(f"limits {VERSION} {threads}", host(), 2, llvm.llvm_version_info)
    kept = cache.load(name)
    if kept is not None:
        fields = json.loads(kept)
        levels = tuple(Memory(**level) for level in fields.pop("levels"))
        return Limits(levels=levels, **fields)
    found = _measured(threads)
    for _ in range(TRIES - 1 if threads > 1 else 0):
        time.sleep(PAUSE)
        found = _best(found, _measured(threads))
    cache.store(name, json.dumps(asdict(found)).encode())
    return found


def _best(a: Limits, b: Limits) -> Limits:
    """The most of what was seen at two times."""
    levels = tuple(
        max(pair, key=lambda level: level.bandwidth)
        for pair in zip(a.levels, b.levels, strict=True)
    )
    flops = {name: max(a.flops[name], b.flops[name]) for name in a.flops}
    return replace(a, flops=flops, levels=levels, latency=min(a.latency, b.latency))


def _measured(threads: int) -> Limits:
    library = compile_module(probes(host()), host())
    peaks = {
        dtype: threads * 2 * lanes(dtype, host()) * SIDE_BY_SIDE
        / _seconds(library, f"peak_{dtype}", threads)
        for dtype in ELEMENTS
    }
    levels = tuple(_bandwidths(library, threads))
    latency = _seconds(library, "latency", 1)
    return Limits(host().cpu, threads, peaks, levels, latency, _ticks(library))


def _seconds(library: Library, name: str, threads: int, memory: int = 0, size: int = 0) -> float:
    """Seconds of one iteration of a program, the least of several rounds."""
    address = library.address(name)

    def run(iterations: int) -> float:
        context = np.array([iterations, memory, size], np.int64)
        start = time.perf_counter()
        POOL.run(address, context.ctypes.data, threads)
        return time.perf_counter() - start

    iterations = 1
    while (least := min(run(iterations) for _ in range(ROUNDS))) < SECONDS:
        iterations *= 4
    return least / iterations


def _bandwidths(library: Library, threads: int) -> list[Memory]:
    """Of each level by an array that fills half of it, of memory by one that fills none."""
    found = caches()
    most = min(MOST_MEMORY, 4 * found[-1][1])
    memory = aligned(most)
    memory.fill(1)  # memory that nothing was written to is not there yet
    rows = [(f"L{level}", nbytes, shared) for level, nbytes, shared in found]
    levels = []
    for name, nbytes, shared in [*rows, ("memory", most, True)]:
        used = nbytes if name == "memory" else nbytes // 2
        size = (used // threads if shared else used) // STEP * STEP
        size = min(size, most // threads // STEP * STEP)
        seconds = _seconds(library, "read", threads, memory.ctypes.data, size)
        levels.append(Memory(name, nbytes, shared, threads * size / seconds))
    return levels


def _ticks(library: Library) -> float:
    """Ticks of the processor's counter in a second."""
    now = NOW(library.address("now"))
    start, first = time.perf_counter(), now()
    time.sleep(20 * SECONDS)
    last, end = now(), time.perf_counter()
    return float(last - first) / (end - start)
