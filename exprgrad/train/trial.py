"""One trial of a search: its hyper-parameters, its trainer, what it reports."""

from __future__ import annotations

import inspect
import math
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from exprgrad.errors import GraphError, InputError, NonFiniteError
from exprgrad.graph.leaves import state
from exprgrad.graph.tensor import Tensor
from exprgrad.train.callbacks import Callback, Logs
from exprgrad.train.monitor import monitored
from exprgrad.train.trainer import Trainer

Build = Callable[..., Trainer]
MOST_BUILT = 16


class Pruned(Exception):
    """Ends a trial that does worse than others did at the same epoch."""


class Judge(Protocol):
    """Compares a trial with those before it: a trial of Optuna's."""

    def report(self, value: float, step: int) -> None:
        """Note the value at this step."""

    def should_prune(self) -> bool:
        """Whether the trial is to end."""


@dataclass
class Built:
    """The trainers that one process has built, each with its run-time scalars."""

    kept: OrderedDict[Any, tuple[Trainer, dict[str, Tensor]]] = field(
        default_factory=OrderedDict
    )

    def trainer(
        self, build: Build, fixed: Mapping[str, Any], scalars: Mapping[str, float]
    ) -> Trainer:
        """What `build` gives for these values; another value of a scalar is only set."""
        key = (build, tuple(fixed.items()), tuple(scalars))
        if key not in self.kept:
            states = {name: state(name, init=value) for name, value in scalars.items()}
            trainer = _checked(build, build(**fixed, **states))
            self.kept[key] = (trainer, states)
            if len(self.kept) > MOST_BUILT:
                self.kept.popitem(last=False)
        self.kept.move_to_end(key)
        trainer, states = self.kept[key]
        for name, value in scalars.items():
            states[name].value = value
        return trainer


@dataclass(frozen=True)
class Trial:
    """What an objective is given: `trial["rate"]` is the value of a hyper-parameter.

    `values` holds all that are there, `number` counts trials from 0, `seed` is this
    trial's own, by which `build` starts its trainer, and `scalars` names what is read
    when the step runs.
    """

    number: int
    values: Mapping[str, Any]
    seed: int
    scalars: frozenset[str] = frozenset()
    _built: Built = field(default_factory=Built, repr=False)
    _judge: Judge | None = field(default=None, repr=False)

    def __getitem__(self, name: str) -> Any:
        if name not in self.values:
            known = ", ".join(self.values)
            raise GraphError(f"trial {self.number} has no {name}; it has: {known}")
        return self.values[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a hyper-parameter, or `default` where it is not there."""
        return self.values.get(name, default)

    def build(self, build: Build) -> Trainer:
        """The trainer that `build` makes, as new: reset by the seed of this trial.

        `build` is called with the hyper-parameters that its arguments name. Those of
        `eg.space.uniform` and `log_uniform` come as scalar states, to be used in
        expressions and given to optimizers; integers and choices as they are. So it is
        called, and its step compiled, once for all trials that have the latter in common.
        Define it outside the objective.

        Raises `GraphError` for arguments without a value, and where no trainer is given
        back.

        >>> import exprgrad as eg
        >>> def line(rate):
        ...     x, w = eg.input("x", ("batch",)), eg.parameter("w", init=1.0)
        ...     return eg.Trainer(((w * x - 3) ** 2).mean(), eg.optim.SGD(rate))
        >>> trial = Trial(0, {"rate": 0.5}, seed=1, scalars=frozenset({"rate"}))
        >>> trial.build(line).fit({"x": [1.0]}, batch_size=1)["loss"]
        [4.0]
        """
        given = self._arguments(build)
        fixed = {name: v for name, v in given.items() if name not in self.scalars}
        scalars = {name: v for name, v in given.items() if name in self.scalars}
        trainer = self._built.trainer(build, fixed, scalars)
        trainer.reset(self.seed)
        return trainer

    def _arguments(self, build: Build) -> dict[str, Any]:
        found = {}
        for name, parameter in inspect.signature(build).parameters.items():
            if name in self.values:
                found[name] = self.values[name]
            elif parameter.default is parameter.empty:
                known = ", ".join(self.values)
                raise GraphError(
                    f"{_name(build)} takes {name}, which trial {self.number} does not "
                    f"have; it has: {known}"
                )
        return found

    def report(self, value: float, epoch: int) -> None:
        """Tell how the trial does after an epoch, from 1; ends it where it is pruned.

        Raises `NonFiniteError` for NaN and infinity, which end it too.
        """
        if not math.isfinite(value):
            raise NonFiniteError(
                f"a trial reports finite values, but {value} in epoch {epoch}"
            )
        if self._judge is not None:
            self._judge.report(float(value), epoch)
            if self._judge.should_prune():
                raise Pruned(f"{value:.6g} in epoch {epoch}")

    def pruning(self, monitor: str = "val_loss") -> Callback:
        """A callback for `fit` that reports `monitor` after each epoch."""
        return _Reports(self, monitor)


class _Reports(Callback):
    """Reports each epoch of a fit; a second fit of the trial goes on counting."""

    def __init__(self, trial: Trial, monitor: str) -> None:
        self.trial, self.monitor, self.epochs = trial, monitor, 0

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        self.epochs += 1
        self.trial.report(monitored("pruning", self.monitor, logs), self.epochs)


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: "done" with a value, "pruned" or "failed" with a reason."""

    state: str
    value: float | None
    reason: str
    seconds: float


def attempt(objective: Callable[[Trial], float], trial: Trial) -> Outcome:
    """Run the objective; whatever it raises but Ctrl-C is how the trial ended."""
    start = time.perf_counter()
    state, value, reason = "failed", None, ""
    try:
        given = objective(trial)
        value, reason = _number(given)
        state = "done" if value is not None else "failed"
    except Pruned as pruned:
        state, reason = "pruned", str(pruned)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error}"
        if not isinstance(error, GraphError | InputError | NonFiniteError):
            reason += f"   ({last.filename}:{last.lineno}: {last.line})"
    return Outcome(state, value, reason, time.perf_counter() - start)


def _number(given: Any) -> tuple[float | None, str]:
    try:
        value = float(given)
    except (TypeError, ValueError):
        return None, f"an objective gives a number, not {given!r}"
    if not math.isfinite(value):
        return None, f"the objective gave {value}"
    return value, ""


def _checked(build: Build, trainer: Any) -> Trainer:
    if not isinstance(trainer, Trainer):
        given = type(trainer).__name__
        raise GraphError(f"{_name(build)} gives back a Trainer, not {given}")
    return trainer


def _name(build: Build) -> str:
    return getattr(build, "__name__", repr(build))
