"""How long each kernel of a program takes, measured inside the running program.

The program is emitted once more, with the processor's counter read around each kernel.
It runs in rounds, of which each kernel's least time counts; all states are as before in
the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from exprgrad import config
from exprgrad.errors import InputError
from exprgrad.inspect.machine import limits
from exprgrad.runtime.function import Function
from exprgrad.runtime.program import Array, Program
from exprgrad.train.data import as_table, checked_batch_size, shuffled
from exprgrad.train.trainer import Trainer

ROUNDS = 7
SECONDS = 0.02  # of one round
MOST_RUNS = 10_000  # in one round
BATCH = 32

Steps = Callable[[int], int]  # runs so many steps, or fewer, and says how many


@dataclass(frozen=True)
class Measured:
    """The seconds of each kernel in one run, those spent waiting for other threads, those
    of the whole run, and the sizes that the data gave to named dimensions.
    """

    seconds: list[float]
    waiting: float
    total: float
    dims: dict[str, int]
    threads: int


def measure(what: Function | Trainer, data: Any, batch_size: int | None = None) -> Measured:
    """Run a function, or steps of a trainer, on `data` and say what each kernel took.

    `data` maps names of inputs to arrays; a function also takes a list of arrays in the
    order of its inputs. It runs on one thread, or as many as EXPRGRAD_THREADS says.
    Raises `InputError` where the data do not fit.
    """
    if isinstance(what, Trainer):
        return _of_steps(what, data, batch_size or BATCH)
    return _of_calls(what, data)


def _of_calls(function: Function, data: Any) -> Measured:
    arrays, dims = _bound(function, data)
    call = function.program.with_clock()
    threads = _threads()
    inputs, outputs = call.read(arrays), call.outputs(dims)

    def run(count: int) -> int:
        for _ in range(count):
            call.program.run(inputs, dims, outputs, threads=threads)
        return count

    return _measured(call.program, run, dims, threads)


def _bound(function: Function, data: Any) -> tuple[list[Array], dict[str, int]]:
    if isinstance(data, Mapping):
        return function.bound(**data)
    if isinstance(data, list | tuple):
        return function.bound(*data)
    given = type(data).__name__
    raise InputError(f"data are arrays by the names of inputs, or in a list, not {given}")


def _of_steps(trainer: Trainer, data: Any, batch_size: int) -> Measured:
    program = trainer.program
    table = as_table(program.inputs, data, "the data")
    size = checked_batch_size(batch_size, len(table))
    program.require_sizes(table, len(table), size)
    epoch = program.epoch.with_clock()
    order = shuffled(table.rows, trainer.seed, 1)
    steps = epoch.over(table.arrays, order.size, size)

    def run(count: int) -> int:
        done = min(count, -(-order.size // size))
        steps.run(order, 0, done)
        return done

    return _measured(epoch.program, run, steps.dims, _threads())


def _threads() -> int:
    return config.THREADS() or 1


def _measured(program: Program, run: Steps, dims: dict[str, int], threads: int) -> Measured:
    clock = limits(1).ticks
    with _restored(program):
        run(1)
        start = time.perf_counter()
        done = run(2)
        each = (time.perf_counter() - start) / done
        count = max(1, min(MOST_RUNS, int(SECONDS / each)))
        rounds = [_round(program, run, count, threads) for _ in range(ROUNDS)]
    *kernels, waiting = np.min([ticks for ticks, _ in rounds], axis=0) / clock
    total = min(seconds for _, seconds in rounds)
    return Measured([float(s) for s in kernels], float(waiting), total, dims, threads)


def _round(program: Program, run: Steps, count: int, threads: int) -> tuple[Any, float]:
    """Ticks of one run for each kernel, of the thread that took longest; its seconds."""
    program.ticks[:] = 0
    start = time.perf_counter()
    done = run(count)
    elapsed = time.perf_counter() - start
    return program.ticks[:threads].max(axis=0) / done, elapsed / done


@contextmanager
def _restored(program: Program) -> Iterator[None]:
    """Afterwards all states that the program writes are as they were."""
    before = [(state, state.cell.array.copy()) for state in program.linked.updated]
    try:
        yield
    finally:
        for state, value in before:
            state.cell.array[...] = value
