"""What runs between the steps of training: stopping early, showing progress."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exprgrad.errors import GraphError, InputError

if TYPE_CHECKING:
    from exprgrad.train.trainer import Trainer

Logs = Mapping[str, float]


class Callback:
    """Base of callbacks: override what you need; `trainer.stop(reason)` ends training.

    `logs` has "epoch" and, at the end of one, the epoch's means: "loss", each metric,
    and the same of the validation data with "val_" before the name.

    >>> class Print(Callback):
    ...     def on_epoch_end(self, trainer, logs):
    ...         print(logs["epoch"], logs["loss"])
    """

    def on_fit_begin(self, trainer: Trainer, epochs: int) -> None:
        """Before the first epoch; there are `epochs` to come."""

    def on_epoch_begin(self, trainer: Trainer, logs: Logs) -> None:
        """Before an epoch."""

    def on_steps_end(self, trainer: Trainer, logs: Logs) -> None:
        """After some steps, several times a second: "step", "steps", "loss" so far."""

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """After an epoch and its validation."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch, also when training was stopped or failed."""


class EarlyStopping(Callback):
    """Ends training when `monitor` has not improved for `patience` epochs in a row.

    An improvement is a fall (mode "min") or a rise (mode "max") by more than
    `min_delta`; the mode is "max" for names that end in "accuracy" unless given. With
    `restore_best` the parameters and running statistics of the best epoch come back.
    Prechelt 1998, Early stopping - but when?, the criterion UP.

    Afterwards `best`, `best_epoch`, `stopped_epoch` and `reason` say what happened.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: str | None = None,
    ) -> None:
        if patience < 1:
            raise InputError(f"patience is 1 epoch at least, not {patience}")
        if mode not in (None, "min", "max"):
            raise InputError(f'mode is "min", "max" or None, not {mode!r}')
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.restore_best = restore_best
        self.sign = -1.0 if _mode(monitor, mode) == "max" else 1.0
        self._forget()

    def _forget(self) -> None:
        self.best = math.nan
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None
        self.reason: str | None = None
        self._waited = 0
        self._snapshot: Any = None

    def on_fit_begin(self, trainer: Trainer, epochs: int) -> None:
        """Forget an earlier fit."""
        self._forget()

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Compare with the best epoch so far."""
        value = monitored("EarlyStopping", self.monitor, logs)
        epoch = int(logs["epoch"])
        if self._improves(value):
            self.best, self.best_epoch, self._waited = value, epoch, 0
            self._snapshot = trainer.snapshot() if self.restore_best else None
            return
        self._waited += 1
        if self._waited >= self.patience:
            self.stopped_epoch = epoch
            self.reason = (
                f"{self.monitor} was {value:.6g} in epoch {epoch} and has not improved "
                f"on {self.best:.6g} of epoch {self.best_epoch} for {self._waited} epochs"
            )
            trainer.stop(self.reason)

    def _improves(self, value: float) -> bool:
        if math.isnan(value):
            return False
        if math.isnan(self.best):
            return True
        return self.sign * (self.best - value) > self.min_delta

    def on_fit_end(self, trainer: Trainer) -> None:
        """Bring the best epoch back."""
        if self._snapshot is not None:
            trainer.restore(self._snapshot)
            self._snapshot = None


def monitored(who: str, name: str, logs: Logs) -> float:
    """The number of an epoch that a callback looks at; `GraphError` names what there is."""
    if name not in logs:
        known = ", ".join(name for name in logs if name != "epoch")
        raise GraphError(f"{who} monitors {name}, but an epoch has: {known}")
    return float(logs[name])


def _mode(monitor: str, mode: str | None) -> str:
    return mode or ("max" if monitor.endswith("accuracy") else "min")


class ProgressBar(Callback):
    """One line of progress on the terminal, by tqdm where that is installed.

    Without a terminal it stays silent unless `show` is True.
    """

    def __init__(self, show: bool | None = None, width: int = 88) -> None:
        self.show = sys.stderr.isatty() if show is None else show
        self.width = width
        self._bar: Any = None
        self._first = 1

    def on_fit_begin(self, trainer: Trainer, epochs: int) -> None:
        """Open the bar, which counts epochs."""
        self._first = trainer.epoch + 1
        if self.show:
            self._bar = _tqdm_bar(epochs, self.width)

    def on_steps_end(self, trainer: Trainer, logs: Logs) -> None:
        """Move within the epoch."""
        if self.show:
            part = logs["step"] / max(logs["steps"], logs["step"], 1)
            self._draw(int(logs["epoch"]), part, logs)

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Show the epoch's means."""
        if self.show:
            self._draw(int(logs["epoch"]), 1.0, logs)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Leave the last line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        elif self.show:
            sys.stderr.write("\n")

    def _draw(self, epoch: int, part: float, logs: Logs) -> None:
        hidden = ("epoch", "step", "steps")
        shown = {k: f"{v:.4g}" for k, v in logs.items() if k not in hidden}
        if self._bar is not None:
            self._bar.n = round(epoch - self._first + part, 1)
            self._bar.set_postfix(shown, refresh=True)
            return
        text = "  ".join(f"{name} {value}" for name, value in shown.items())
        line = f"epoch {epoch}  {part:4.0%}  {text}"
        sys.stderr.write("\r" + line[: self.width].ljust(self.width))
        sys.stderr.flush()


def _tqdm_bar(epochs: int, width: int) -> Any:
    """A bar over the epochs; None where tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    shape = "{l_bar}{bar}| {n:g}/{total} epochs [{elapsed}<{remaining}{postfix}]"
    return tqdm(total=epochs, ncols=width, bar_format=shape, file=sys.stderr)
