"""What happened in training: a list for each quantity, one number an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exprgrad.errors import ExprgradError


class History(dict[str, list[float]]):
    """Lists by name ("loss", "val_loss", each metric), one number for each epoch.

    `stop_reason` says why training ended before its last epoch, and `stop_epoch` after
    which, counted from 1; they are None where it did not.

    >>> history = History()
    >>> history.append({"epoch": 0, "loss": 0.5})
    >>> history["loss"]
    [0.5]
    """

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[int] = []
        self.stop_reason: str | None = None
        self.stop_epoch: int | None = None

    def __missing__(self, name: str) -> list[float]:
        raise KeyError(f"the history has no {name}; it has: {', '.join(self)}")

    def append(self, logs: Mapping[str, float]) -> None:
        """Add the numbers of one epoch."""
        self.epochs.append(int(logs["epoch"]))
        for name, value in logs.items():
            if name != "epoch":
                self.setdefault(name, []).append(float(value))

    def plot(self) -> Any:
        """A matplotlib figure with a curve for each quantity over the epochs.

        Raises `ExprgradError` where matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ExprgradError(
                "plot needs matplotlib: pip install matplotlib"
            ) from error
        names = [name for name in self if not name.startswith("val_")]
        figure = Figure(figsize=(5 * max(len(names), 1), 3.5), layout="constrained")
        for axes, name in zip(
            figure.subplots(1, max(len(names), 1), squeeze=False)[0],
            names,
            strict=False,
        ):
            for curve in (name, f"val_{name}"):
                if curve in self:
                    axes.plot(self.epochs, self[curve], label=curve)
            axes.set_xlabel("epoch")
            axes.legend()
        return figure

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.6g}" for name, values in self.items())
        return f"<history of {len(self.epochs)} epochs: {last}>"
