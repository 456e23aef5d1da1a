"""Draws the pictures of docs/normalisation.md and docs/regularisation.md.

Run by hand: python docs/pictures/layers.py (needs matplotlib and scikit-learn).
"""

from __future__ import annotations

import runpy
from typing import Any

from matplotlib import rcParams
from matplotlib.figure import Figure
from tiles import ROOT, save

import exprgrad as eg

rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "exprgrad", "font.size": 8})


def example(name: str) -> dict[str, Any]:
    """What an example leaves behind."""
    return runpy.run_path(str(ROOT / "examples" / f"{name}.py"))


class Whole(eg.Callback):
    """The test loss after each epoch, were its statistics those of all data."""

    def __init__(self, train: Any, test: Any) -> None:
        self.train, self.test = train, test
        self.losses: list[float] = []

    def on_epoch_end(self, trainer: eg.Trainer, logs: Any) -> None:
        """Take them, look, and put the running ones back."""
        running = trainer.snapshot()
        trainer.finalize_batch_norm(self.train)
        self.losses.append(trainer.evaluate(self.test)["loss"])
        trainer.restore(running)


def draw_normalisation() -> None:
    """Nine layers of sigmoids, plain and normalised; running statistics and whole ones."""
    names = example("batch_norm_effect")
    plain, norm = names["plain"], names["norm"]
    history = norm.history
    norm.reset()
    whole = Whole(names["train"], names["test"])
    again = norm.fit(names["train"], 10, validation_data=names["test"], callbacks=whole)
    assert again["loss"] == history["loss"]  # looking has changed nothing
    figure = Figure(figsize=(7.0, 2.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(plain.history.epochs, plain.history["loss"], label="plain")
    left.plot(history.epochs, history["loss"], label="normalised over the batch")
    left.set_title("training loss")
    right.plot(history.epochs, history["val_loss"], label="running statistics")
    right.plot(history.epochs, whole.losses, label="statistics of all data")
    right.set_title("test loss")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.set_ylim(0)
        axes.legend()
    save(figure, "normalisation.svg")


def draw_regularisation() -> None:
    """What a network learns of labels of which a fourth is wrong."""
    names = example("dropout_effect")
    figure = Figure(figsize=(7.0, 2.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for kind, drop in names["kinds"].items():
        history = names["trained"](drop).history
        left.plot(history.epochs, history["accuracy"], label=kind)
        right.plot(history.epochs, history["val_accuracy"], label=kind)
    left.set_title("right by the given labels, in training")
    right.set_title("right by the true labels, on test images")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.set_ylim(0.4, 1)
    right.legend(title="dropout", loc="lower right")
    save(figure, "regularisation.svg")


if __name__ == "__main__":
    draw_normalisation()
    draw_regularisation()
