"""Where the trials of a search run: in this process, or in several beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from exprgrad import config
from exprgrad.errors import InputError
from exprgrad.train.study import joined
from exprgrad.train.trial import Built, Outcome, Trial, attempt

Objective = Callable[[Trial], float]


@dataclass(frozen=True)
class Job:
    """A trial as it is sent: Optuna's number of it, and what the objective is given."""

    id: int
    number: int
    values: Mapping[str, Any]
    seed: int
    scalars: frozenset[str]

    def trial(self, built: Built, judge: Any) -> Trial:
        """What the objective is given."""
        return Trial(self.number, self.values, self.seed, self.scalars, built, judge)


class Workers(Protocol):
    """Runs jobs, some of them at the same time."""

    def start(self, job: Job, judge: Any) -> Future[Outcome]:
        """Run the job of a trial of Optuna's, now or beside this process."""

    def close(self) -> None:
        """End what is running."""


class Here:
    """One job at a time, in this process."""

    def __init__(self, objective: Objective) -> None:
        self._objective, self._built = objective, Built()

    def start(self, job: Job, judge: Any) -> Future[Outcome]:
        """The outcome, which is known when this returns."""
        future: Future[Outcome] = Future()
        future.set_result(attempt(self._objective, job.trial(self._built, judge)))
        return future

    def close(self) -> None:
        """Nothing is left running."""


class Processes:
    """As many jobs at a time as there are processes, each with its share of the cores.

    The objective is sent once to each, by value, so that it may be a closure and a script
    needs no guard; what it builds stays in the process and serves later trials. A process
    that dies takes down the trials that run, no more.
    """

    def __init__(
        self, objective: Objective, count: int, storage: str, pruning: Any
    ) -> None:
        self._count = count
        self._adopted = (_sent(objective), storage, pruning)
        self._pool: Any = None

    def start(self, job: Job, judge: Any) -> Future[Outcome]:
        """The outcome, when a process has found it."""
        from loky.process_executor import BrokenProcessPool

        for _ in range(2):
            self._pool = self._pool or self._processes()
            try:
                started: Future[Outcome] = self._pool.submit(_run, job)
                return started
            except BrokenProcessPool:
                self.close()
        raise InputError("the processes of a search end before they begin a trial")

    def close(self) -> None:
        """End the processes, whatever they do."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None

    def _processes(self) -> Any:
        from loky import ProcessPoolExecutor

        return ProcessPoolExecutor(
            self._count,
            initializer=_adopt,
            initargs=self._adopted,
            env={"EXPRGRAD_THREADS": str(_threads(self._count))},
        )


def outcome_of(future: Future[Outcome]) -> Outcome:
    """How a job ended; where its process died, as "failed"."""
    error = future.exception()
    if isinstance(error, Exception):
        first = str(error).split("\n")[0]
        return Outcome("failed", None, f"its process ended: {first}", 0.0)
    return future.result()


def _threads(processes: int) -> int:
    """The threads of each process: as configured, else its share of the cores."""
    return config.THREADS() or max(1, (os.cpu_count() or 1) // processes)


def _sent(objective: Objective) -> bytes:
    import cloudpickle

    try:
        text: bytes = cloudpickle.dumps(objective)
    except Exception as error:
        raise InputError(
            f"with several processes the objective is sent to each, but it holds what "
            f"cannot be: {error}. Make trainers in a function for trial.build"
        ) from error
    return text


# What this process runs, where it is one of several: set once, when it begins.
_job: Callable[[Job], Outcome] | None = None


def _adopt(sent: bytes, storage: str, pruning: Any) -> None:
    import cloudpickle

    global _job
    study = joined(storage, pruning)
    _job = partial(_attempt, cloudpickle.loads(sent), Built(), study)


def _attempt(objective: Objective, built: Built, study: Any, job: Job) -> Outcome:
    import optuna

    return attempt(objective, job.trial(built, optuna.Trial(study, job.id)))


def _run(job: Job) -> Outcome:
    assert _job is not None
    return _job(job)
