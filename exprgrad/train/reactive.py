"""Rates that answer to what was seen: numbers set at the end of an epoch, no recompile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeGuard

from exprgrad.errors import GraphError, InputError
from exprgrad.graph.tensor import Tensor
from exprgrad.train.callbacks import Callback, Logs
from exprgrad.train.monitor import Monitor

if TYPE_CHECKING:
    from exprgrad.train.trainer import Trainer


class Reactive(Callback):
    """Base of callbacks that scale a rate: a hyper-parameter's name, or a state.

    A state of one's own reacts in front of a schedule: with `scale = eg.state("scale",
    init=1.0)`, `Adam(scale * cosine(1e-3, 1000))` and `rate=scale`. `changes` has the
    number of each epoch that changed the rate, and the rate from then on.
    """

    def __init__(self, rate: str | Tensor) -> None:
        if not isinstance(rate, str) and not _is_number(rate):
            raise GraphError(
                f"rate is a hyper-parameter's name or a scalar eg.state, not {rate!r}"
            )
        self.rate = rate
        self.changes: list[tuple[int, float]] = []

    def on_fit_begin(self, trainer: Trainer, epochs: int) -> None:
        """Forget an earlier fit, but not its rate."""
        self._number(trainer)
        self.changes = []

    def scale(self, trainer: Trainer, by: float, least: float, epoch: int) -> None:
        """Multiply the rate, which stays at `least` or where it is, if lower."""
        number = self._number(trainer)
        before = float(number.value)
        after = min(before, max(before * by, least)) if by < 1 else before * by
        if after != before:
            number.value = after
            self.changes.append((epoch, after))

    def _number(self, trainer: Trainer) -> Tensor:
        if isinstance(self.rate, Tensor):
            return self.rate
        optimizer = trainer.optimizer
        number = getattr(optimizer, self.rate, None)
        if not _is_number(number):
            name = type(optimizer).__name__
            wrong = (
                f"{name} has no hyper-parameter {self.rate}"
                if number is None
                else f"{self.rate} of {name} is a schedule, compiled into the step"
            )
            raise GraphError(
                f"{wrong}; multiply each rate that is to react by a state, and give "
                f'that: scale = eg.state("scale", init=1.0), rate=scale'
            )
        return number


class ReduceOnPlateau(Reactive):
    """Multiplies the rate by `factor` when `monitor` has not improved for long.

    That is, for `patience` epochs in a row (in PyTorch, for one more), after `cooldown`
    epochs that do not count, and down to `min_rate`. An improvement is by more than
    `min_delta`, a part of the best value unless `relative` is False; a mode is as in
    `EarlyStopping`. Raises `InputError` for a factor outside (0, 1).

    >>> import exprgrad as eg
    >>> x, w = eg.input("x", ("batch",)), eg.parameter("w")
    >>> trainer = eg.Trainer(eg.abs(w - x).mean(), eg.optim.SGD(1.0))
    >>> plateau = ReduceOnPlateau("loss", factor=0.5, patience=2)
    >>> history = trainer.fit({"x": [0.6]}, epochs=8, batch_size=1, callbacks=plateau)
    >>> plateau.changes
    [(4, 0.5), (8, 0.25)]
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        relative: bool = True,
        cooldown: int = 0,
        min_rate: float = 0.0,
        mode: str | None = None,
        rate: str | Tensor = "learning_rate",
    ) -> None:
        super().__init__(rate)
        if not 0 < factor < 1:
            raise InputError(f"factor of a plateau is between 0 and 1, not {factor}")
        if patience < 1 or cooldown < 0:
            raise InputError(
                f"patience is 1 epoch at least and cooldown 0, not {patience} and "
                f"{cooldown}"
            )
        self.watched = Monitor("ReduceOnPlateau", monitor, mode, min_delta, relative)
        self.factor, self.patience = factor, patience
        self.cooldown, self.min_rate = cooldown, min_rate
        self._cooling = 0

    def on_fit_begin(self, trainer: Trainer, epochs: int) -> None:
        """Forget an earlier fit, but not its rate."""
        super().on_fit_begin(trainer, epochs)
        self.watched.forget()
        self._cooling = 0

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Count epochs without improvement."""
        self.watched.improves(logs)
        if self._cooling:
            self._cooling -= 1
            self.watched.waited = 0
        if self.watched.waited >= self.patience:
            self.scale(trainer, self.factor, self.min_rate, int(logs["epoch"]))
            self._cooling, self.watched.waited = self.cooldown, 0


class BoldDriver(Reactive):
    """Raises the rate while the error falls; undoes an epoch that made it rise.

    After each epoch the error on `data` is taken in inference mode. Where it is finite
    and has not risen the rate is multiplied by `growth`; else by `shrink`, and all that
    steps change (parameters, slots, `eg.step`) goes back to what it was.
    A rise by the part `tolerance` is allowed; `undone` lists the epochs taken back.
    Made for batches of all rows. Vogl et al. 1988, Accelerating the convergence of the
    back-propagation method; Battiti 1989. Raises `InputError` unless shrink < 1 <
    growth.

    >>> import exprgrad as eg
    >>> x, w = eg.input("x", ("batch",)), eg.parameter("w", init=1.0)
    >>> trainer = eg.Trainer((w * w + 0 * x).mean(), eg.optim.SGD(1.5))
    >>> driver = BoldDriver({"x": [0.0]})
    >>> history = trainer.fit({"x": [0.0]}, epochs=3, batch_size=1, callbacks=driver)
    >>> driver.undone, [(epoch, round(rate, 3)) for epoch, rate in driver.changes]
    ([1], [(1, 0.75), (2, 0.788), (3, 0.827)])
    """

    def __init__(
        self,
        data: Any,
        growth: float = 1.05,
        shrink: float = 0.5,
        tolerance: float = 0.0,
        monitor: str = "loss",
        rate: str | Tensor = "learning_rate",
    ) -> None:
        super().__init__(rate)
        if not 0 < shrink < 1 < growth:
            raise InputError(
                f"shrink is between 0 and 1 and growth above 1, not {shrink} and {growth}"
            )
        self.data, self.growth, self.shrink = data, growth, shrink
        self.tolerance = tolerance
        self.watched = Monitor("BoldDriver", monitor)
        self.undone: list[int] = []

    def on_fit_begin(self, trainer: Trainer, epochs: int) -> None:
        """Take the error before the first epoch."""
        super().on_fit_begin(trainer, epochs)
        self.undone = []
        self._keep(trainer, self._error(trainer))

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Go on faster, or back and on more slowly."""
        error, epoch = self._error(trainer), int(logs["epoch"])
        limit = self.error + self.tolerance * abs(self.error)
        if math.isfinite(error) and error <= limit:
            self._keep(trainer, error)
            self.scale(trainer, self.growth, 0.0, epoch)
        else:
            trainer.restore(self._before)
            self.undone.append(epoch)
            self.scale(trainer, self.shrink, 0.0, epoch)

    def _error(self, trainer: Trainer) -> float:
        return self.watched.read(trainer.evaluate(self.data))

    def _keep(self, trainer: Trainer, error: float) -> None:
        changed = trainer.program.updates
        self.error, self._before = error, {s: s.value.copy() for s in changed}


def _is_number(rate: Any) -> TypeGuard[Tensor]:
    is_state = isinstance(rate, Tensor) and rate.op == "state"
    return is_state and not rate.ndim and rate.dtype.kind == "f"
