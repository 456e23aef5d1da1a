"""Draws the pictures of docs/schedules.md: python docs/pictures/schedules.py"""

from __future__ import annotations

import runpy

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure
from tiles import ROOT, save

import exprgrad as eg

S = eg.schedules
STEPS = 120
rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "exprgrad", "font.size": 8})

# What is drawn, as it is written.
SCHEDULES = """
step_decay(1, 0.5, every=25)
inverse_time(1, 0.05)
exponential(1, 0.03)
polynomial(1, 100, power=2)
cosine(1, 100, end=0.1)
warm_restarts(1, 16, multiple=2)
cyclic(0.1, 1, 15)
cyclic(0.1, 1, 15, "triangular2")
one_cycle(1, 100)
warmup(cosine(1, 100), 20)
sequence({0: warmup(1, 20), 20: 0.8, 50: cosine(0.8, 60)})
cosine(1, 120) * step_decay(1, 0.5, every=25)
"""


def draw_schedules() -> None:
    """A small picture of each."""
    figure = Figure(figsize=(8.4, 4.8), layout="constrained")
    written = SCHEDULES.split("\n")[1:-1]
    grid = figure.subplots(4, 3, sharex=True, sharey=True)
    for axes, text in zip(grid.flat, written, strict=True):
        axes.plot(S.values(eval(text, vars(S)), STEPS), linewidth=1.2)
        axes.set_title(text, fontsize=6)
        axes.set_ylim(0, 1.05)
        axes.set_xticks([0, 60, 120])
        axes.set_yticks([0, 1])
    save(figure, "schedules.svg")


def draw_orders() -> None:
    """Of 24 rows in two strata: what each place of four epochs holds."""
    difficulty, strata = np.arange(24), np.arange(24) >= 18
    orders = {
        "True": True,
        "Curriculum(d, pacing(0.25, 3))": eg.order.Curriculum(
            difficulty, eg.order.pacing(0.25, 3)
        ),
        "Curriculum(d, pacing(0.25, steps=18))": eg.order.Curriculum(
            difficulty, eg.order.pacing(0.25, steps=18)
        ),
        "Stratified(d >= 18)": eg.order.Stratified(strata),
        "Weighted(d)": eg.order.Weighted(difficulty),
    }
    figure = Figure(figsize=(8.8, 2.1), layout="constrained")
    for axes, (name, order) in zip(figure.subplots(1, 5, sharey=True), orders.items(), strict=True):
        start = 0
        for epoch in range(4):
            rows = taken(order, epoch)
            places = start + np.arange(len(rows))
            axes.plot(places, rows, ".", markersize=2.5)
            start += len(rows)
        axes.set_title(name, fontsize=5.5)
        axes.set_xlabel("place, four epochs")
    figure.axes[0].set_ylabel("row, and d")
    save(figure, "order.svg")


def taken(order: bool | eg.order.Order, epoch: int) -> np.ndarray:
    """The rows of an epoch of 24 rows in batches of 4."""
    chosen = eg.train.order.as_order(order)
    return chosen.rows(np.arange(24), epoch, 4, np.random.default_rng(epoch))


def draw_stopping() -> None:
    """Errors of the example's run of all epochs, and where each rule ended its own."""
    names = runpy.run_path(str(ROOT / "examples" / "early_stopping.py"))
    trainer, order = names["trainer"], eg.order.Stratified(names["given"])
    trainer.reset(names["SEED"])
    history = trainer.fit(names["train"], 200, 30, names["held_out"], shuffle=order)
    figure = Figure(figsize=(6.0, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(history.epochs, history["loss"], label="training loss")
    axes.plot(history.epochs, history["val_loss"], label="validation loss")
    ended: dict[int, list[str]] = {}
    for name, rule in names["rules"].items():
        if rule:
            ended.setdefault(rule.stopped_epoch, []).append(name)
    for epoch, rules in ended.items():
        axes.axvline(epoch, color="grey", linewidth=0.7)
        axes.text(epoch + 1, 2.3 - 0.25 * len(axes.texts), ", ".join(rules), fontsize=7)
    axes.set_xlabel("epoch")
    axes.legend(loc="upper right")
    save(figure, "stopping.svg")


if __name__ == "__main__":
    draw_schedules()
    draw_orders()
    draw_stopping()
