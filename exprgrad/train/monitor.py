"""A number of each epoch that is watched: its best value, and since when."""

from __future__ import annotations

import math

from exprgrad.errors import GraphError, InputError
from exprgrad.train.callbacks import Logs


def monitored(who: str, name: str, logs: Logs) -> float:
    """The number of an epoch that a callback looks at; `GraphError` names what there is."""
    if name not in logs:
        known = ", ".join(name for name in logs if name != "epoch")
        raise GraphError(f"{who} monitors {name}, but an epoch has: {known}")
    return float(logs[name])


class Monitor:
    """Watches `name` in the logs of epochs, for a callback called `who`.

    An improvement is a fall (mode "min") or a rise (mode "max") by more than
    `min_delta`, or, with `relative`, by more than that part of the best value; the mode
    is "max" for names that end in "accuracy" unless given. NaN is never an improvement.
    Raises `InputError` for another mode.

    >>> watched = Monitor("EarlyStopping", "val_loss", min_delta=0.1)
    >>> [watched.improves({"epoch": e, "val_loss": v}) for e, v in enumerate([3, 2.95, 2])]
    [True, False, True]
    >>> watched.best, watched.best_epoch, watched.waited
    (2.0, 2, 0)
    """

    def __init__(
        self,
        who: str,
        name: str,
        mode: str | None = None,
        min_delta: float = 0.0,
        relative: bool = False,
    ) -> None:
        if mode not in (None, "min", "max"):
            raise InputError(f'mode is "min", "max" or None, not {mode!r}')
        self.who, self.name = who, name
        self.mode = mode or ("max" if name.endswith("accuracy") else "min")
        self.min_delta = min_delta
        self.relative = relative
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.best, self.best_epoch = math.nan, 0
        self.waited = 0  # epochs since the best one

    def read(self, logs: Logs, name: str | None = None) -> float:
        """What is watched, or `name`."""
        return monitored(self.who, name or self.name, logs)

    def improves(self, logs: Logs) -> bool:
        """Whether this epoch is better than the best before, which it then becomes."""
        value = self.read(logs)
        if not self._better(value):
            self.waited += 1
            return False
        self.best, self.best_epoch, self.waited = value, int(logs["epoch"]), 0
        return True

    def _better(self, value: float) -> bool:
        if math.isnan(value) or math.isnan(self.best):
            return not math.isnan(value)
        delta = self.min_delta * abs(self.best) if self.relative else self.min_delta
        fall = self.best - value if self.mode == "min" else value - self.best
        return fall > delta
