"""Search for hyper-parameters: random, or by expected improvement."""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from exprgrad.errors import ExprgradError, InputError
from exprgrad.train.findings import SearchResult
from exprgrad.train.proposals import METHODS
from exprgrad.train.space import Domain
from exprgrad.train.study import DIRECTIONS, Study, open_study
from exprgrad.train.trial import Outcome
from exprgrad.train.workers import Here, Job, Objective, Processes, Workers, outcome_of

PRUNING = (None, "median", "hyperband")


def search(
    objective: Objective,
    space: Mapping[str, Domain],
    trials: int = 50,
    method: str | Any = "random",
    mode: str = "min",
    seed: int = 0,
    processes: int = 1,
    pruning: str | Any = None,
    storage: str | Path | None = None,
    seconds: float | None = None,
    progress: bool | None = None,
) -> SearchResult:
    """Look for the hyper-parameters at which `objective` is least (`mode` "max": most).

    `objective(trial)` gives a number; `space` maps names to domains of `eg.space`. With
    `method` "random" each trial is a draw (Bergstra and Bengio 2012); with "bayesian" it
    is, after the first draws, where the expected improvement of a Gaussian process is
    largest (Jones, Schonlau and Welch 1998; Snoek, Larochelle and Adams 2012); or it is a
    sampler of Optuna's. `pruning` "median" or "hyperband" (or a pruner of Optuna's) ends
    trials that report worse values than others. An exception or NaN fails one trial, not
    the search; Ctrl-C ends it and gives what was done.

    A file `storage` keeps every trial: the same call goes on where an earlier one ended
    or was killed, until it has `trials`. After `seconds` no trial begins. Random trials
    are the same for a seed with any number of processes, bayesian ones with one.

    Needs Optuna, for several processes loky, and for "bayesian" scikit-learn. Optuna's own
    `GPSampler` (log expected improvement too) would need PyTorch besides. Raises
    `ExprgradError` where one is missing, `InputError` for arguments that do not fit.

    >>> import exprgrad as eg
    >>> space = {"x": eg.space.uniform(-1, 1)}
    >>> result = search(lambda trial: trial["x"] ** 2, space, trials=20, seed=1)
    >>> len(result.trials), result.best.value < 0.01
    (20, True)
    """
    _require(trials, processes, method, mode, pruning)
    with _file(storage, processes) as file:
        study = open_study(space, method, mode, seed, pruning, file)
        todo = study.todo(trials)
        workers = _workers(objective, processes, file, pruning)
        until = float("inf") if seconds is None else time.monotonic() + seconds
        with _bar(trials, trials - len(todo), progress) as bar:
            reason = Course(study, workers, processes, until, bar).run(todo)
        records = study.records()
        kept = study.optuna if file == storage else study.in_memory()
    if reason:
        reason = f"{reason} after {len(records)} of {trials} trials"
    return SearchResult(records, study.space, mode, kept, reason)


@contextmanager
def _file(storage: str | Path | None, processes: int) -> Iterator[str | Path | None]:
    """The file of the trials; several processes need one for the time of the search."""
    if storage is not None or processes == 1:
        yield storage
        return
    with tempfile.TemporaryDirectory(prefix="exprgrad-search-") as folder:
        yield Path(folder) / "journal"


def _workers(objective: Objective, processes: int, file: Any, pruning: Any) -> Workers:
    if processes == 1:
        return Here(objective)
    return Processes(objective, processes, str(file), pruning)


@dataclass
class Course:
    """The trials of a search, `processes` at a time."""

    study: Study
    workers: Workers
    processes: int
    until: float
    bar: Any
    running: dict[Future[Outcome], tuple[Any, Job]] = field(default_factory=dict)

    def run(self, todo: list[int]) -> str | None:
        """Run the trials of these numbers; the reason where some of them were not."""
        left = list(reversed(todo))
        try:
            while left or self.running:
                while left and len(self.running) < self.processes and self._in_time():
                    self._begin(left.pop())
                if not self.running:
                    return "out of time"
                self._end(wait(self.running, return_when=FIRST_COMPLETED).done)
        except KeyboardInterrupt:
            return "stopped by Ctrl-C"
        finally:
            self.workers.close()
            self.study.drop()
        return None

    def _in_time(self) -> bool:
        return time.monotonic() < self.until

    def _begin(self, number: int) -> None:
        trial = self.study.ask(
            number, [dict(job.values) for _, job in self.running.values()]
        )
        job = Job(
            trial._trial_id,
            number,
            self.study.space.suggested(trial),
            trial.user_attrs["seed"],
            self.study.space.scalars,
        )
        self.running[self.workers.start(job, trial)] = (trial, job)

    def _end(self, done: set[Future[Outcome]]) -> None:
        for future in sorted(done, key=lambda future: self.running[future][1].number):
            trial, job = self.running.pop(future)
            outcome = outcome_of(future)
            self.study.tell(trial, outcome)
            if outcome.state == "failed":
                warnings.warn(
                    f"trial {job.number} failed: {outcome.reason}", stacklevel=4
                )
            self.bar.update()


def _bar(trials: int, done: int, progress: bool | None) -> Any:
    from tqdm import tqdm

    shown = sys.stderr.isatty() if progress is None else progress
    return tqdm(total=trials, initial=done, disable=not shown, unit="trial")


def _require(trials: int, processes: int, method: Any, mode: str, pruning: Any) -> None:
    for name, count in (("trials", trials), ("processes", processes)):
        if not isinstance(count, int) or count < 1:
            raise InputError(f"{name} is an integer from 1, not {count!r}")
    if isinstance(method, str) and method not in METHODS:
        raise InputError(
            f"method is {_or(METHODS)} or a sampler of Optuna's, not {method!r}"
        )
    if mode not in DIRECTIONS:
        raise InputError(f"mode is {_or(DIRECTIONS)}, not {mode!r}")
    if isinstance(pruning, str) and pruning not in PRUNING:
        raise InputError(f"pruning is None, {_or(PRUNING[1:])}, not {pruning!r}")
    needed = {"optuna": True, "loky": processes > 1, "sklearn": method == "bayesian"}
    missing = [
        name for name, is_needed in needed.items() if is_needed and not find_spec(name)
    ]
    if missing:
        raise ExprgradError(
            f"this search needs {', '.join(missing)}: pip install 'exprgrad[search]'"
        )


def _or(names: Any) -> str:
    return " or ".join(f'"{name}"' for name in names)
