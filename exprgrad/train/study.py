"""The record of a search: a study of Optuna's, in memory or in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from exprgrad.errors import InputError
from exprgrad.train.conditions import Space, Values, checked_space
from exprgrad.train.proposals import METHODS, Seen
from exprgrad.train.trial import Outcome

NAME = "search"
DIRECTIONS: dict[str, Literal["minimize", "maximize"]] = {
    "min": "minimize",
    "max": "maximize",
}


@dataclass(frozen=True)
class Record:
    """A trial that has ended: its hyper-parameters, and "done", "pruned" or "failed".

    `value` is what the objective gave, or the last value reported of a pruned trial.
    """

    number: int
    state: str
    value: float | None
    values: Mapping[str, Any]
    seed: int
    seconds: float
    reason: str
    curve: Mapping[int, float]


@dataclass(frozen=True)
class Study:
    """What was found in a space so far, and what is to be tried next.

    Each trial has a number from 0, which with `seed` decides what is drawn for it; the
    number of a trial that was cut short is tried again.
    """

    optuna: Any
    space: Space
    method: str | Any
    mode: str
    seed: int

    def records(self) -> list[Record]:
        """The trials that have ended, by their numbers."""
        found = [self._record(trial) for trial in self._trials() if _ended(trial)]
        return sorted(found, key=lambda record: record.number)

    def todo(self, trials: int) -> list[int]:
        """The numbers below `trials` that no trial that has ended bears."""
        return sorted(set(range(trials)) - {record.number for record in self.records()})

    def in_memory(self) -> Any:
        """Optuna's study without its file."""
        import optuna

        memory, known = optuna.storages.InMemoryStorage(), self.optuna
        with _quiet():
            optuna.copy_study(
                from_study_name=NAME, from_storage=known._storage, to_storage=memory
            )
            return optuna.load_study(study_name=NAME, storage=memory)

    def ask(self, number: int, running: list[Values]) -> Any:
        """Begin a trial: Optuna's, with values chosen by the method."""
        if isinstance(self.method, str):
            rng = np.random.default_rng([self.seed, number])
            values = METHODS[self.method](self.space, self._seen(running), rng)
            self.optuna.enqueue_trial(values)
        trial = self.optuna.ask()
        trial.set_user_attr("number", number)
        trial.set_user_attr("seed", _trial_seed(self.seed, number))
        return trial

    def tell(self, trial: Any, outcome: Outcome) -> None:
        """Note how a trial ended."""
        from optuna.trial import TrialState

        states = {"pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        trial.set_user_attr("outcome", outcome.state)
        trial.set_user_attr("seconds", outcome.seconds)
        trial.set_user_attr("reason", outcome.reason)
        value = outcome.value if outcome.state == "done" else None
        self.optuna.tell(trial.number, value, states.get(outcome.state))

    def drop(self) -> None:
        """Forget the trials that were cut short."""
        from optuna.trial import TrialState

        while any(trial.state == TrialState.WAITING for trial in self._trials()):
            self.optuna.ask()
        for trial in self._trials():
            if not trial.state.is_finished():
                self.optuna.tell(trial.number, state=TrialState.FAIL)

    def _trials(self) -> list[Any]:
        return list(self.optuna.get_trials(deepcopy=False))

    def _record(self, trial: Any) -> Record:
        about = trial.user_attrs
        return Record(
            about["number"],
            about["outcome"],
            trial.value,
            self.space.exact(trial.params),
            about["seed"],
            about["seconds"],
            about["reason"],
            dict(trial.intermediate_values),
        )

    def _seen(self, running: list[Values]) -> Seen:
        sign = 1.0 if self.mode == "min" else -1.0
        ended = [
            (dict(r.values), None if r.value is None else sign * r.value)
            for r in self.records()
        ]
        return Seen(ended, running)


def open_study(
    space: Mapping[str, Any],
    method: str | Any,
    mode: str,
    seed: int,
    pruning: str | Any,
    storage: str | Path | None,
) -> Study:
    """The study in the file `storage`, gone on with where there is one, else a new one.

    Raises `InputError` for a file of another search.
    """
    import optuna

    checked = checked_space(space)
    sampler = optuna.samplers.RandomSampler() if isinstance(method, str) else method
    with _quiet():
        opened = optuna.create_study(
            study_name=NAME,
            storage=None if storage is None else journal(storage, mend=True),
            sampler=sampler,
            pruner=pruner(pruning),
            direction=DIRECTIONS[mode],
            load_if_exists=True,
        )
    _require_same(opened, {"space": str(checked), "mode": mode}, storage)
    study = Study(opened, checked, method, mode, seed)
    study.drop()
    return study


def joined(storage: str, pruning: str | Any) -> Any:
    """Optuna's study as another process of the same search sees it."""
    import optuna

    sampler = optuna.samplers.RandomSampler()
    with _quiet():
        return optuna.load_study(
            study_name=NAME,
            storage=journal(storage),
            sampler=sampler,
            pruner=pruner(pruning),
        )


def journal(path: str | Path, mend: bool = False) -> Any:
    """Optuna's storage in a file to which lines are added. To `mend` one that a killed
    process has left, its lock is taken away and a last line that is not whole cut off.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    file = Path(path)
    if mend and file.exists():
        Path(f"{file}.lock").unlink(missing_ok=True)
        text = file.read_bytes()
        with file.open("r+b") as opened:
            opened.truncate(text.rfind(b"\n") + 1)
    return JournalStorage(JournalFileBackend(str(file)))


def pruner(pruning: str | Any) -> Any:
    """Optuna's pruner of that name, or the one that was given."""
    from optuna import pruners

    named = {
        None: pruners.NopPruner,
        "median": pruners.MedianPruner,
        "hyperband": pruners.HyperbandPruner,
    }
    return named[pruning]() if pruning in named else pruning


def _ended(trial: Any) -> bool:
    """Whether Optuna knows the outcome that was noted; of a trial cut short it does not."""
    noted = {"done": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
    return noted.get(trial.user_attrs.get("outcome", "")) == str(trial.state.name)


def _trial_seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _require_same(study: Any, about: Mapping[str, str], storage: Any) -> None:
    known = study.user_attrs
    for name, value in about.items():
        if known.get(name, value) != value:
            raise InputError(
                f"{storage} holds a search with {name} {known[name]}, this one has "
                f"{value}: give it another file"
            )
        study.set_user_attr(name, value)


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna tells of each study that is made; a search says so itself."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
