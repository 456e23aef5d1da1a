"""What runs between the steps of training, and the one that shows progress."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
