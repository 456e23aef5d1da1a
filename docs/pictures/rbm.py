"""Draws the pictures of docs/rbm.md: python docs/pictures/rbm.py (needs matplotlib)."""

from __future__ import annotations

import runpy
import sys
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tiles import ROOT, save, show

import exprgrad as eg

sys.path.insert(0, str(ROOT))
from tests.nn.exact_rbm import fresh, read
from tests.nn.test_rbm import bars


def draw_digits() -> None:
    """The weights of the machine of the example, and what it dreams."""
    names = runpy.run_path(str(ROOT / "examples" / "rbm_digits.py"))
    rbm, rows = names["rbm"], names["test"][:20]
    chains = eg.state("dreams", rows.shape, init=rows)
    sample, mean = rbm.gibbs(chains, k=20)
    dream = eg.function([], mean, {chains: sample})
    dreams = [dream() for _ in range(50)][-1]
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(10, 5, 5))
    most = float(np.abs(names["W"].value).max())
    weights = {"cmap": "PuOr", "vmin": -most, "vmax": most}
    show(left, "weights of the 100 hidden units", names["W"].value.T, 10, **weights)
    show(middle, "images", rows, 4)
    show(right, "after 1000 Gibbs steps", dreams, 4)
    save(figure, "rbm_digits.png")


def likelihoods(objective: Any) -> list[float]:
    """The exact mean log-likelihood of all bars after each 20 epochs."""
    rbm, data = fresh(9, 8), np.repeat(bars(), 10, axis=0)
    loss, updates = objective(rbm, eg.input("v", ("batch", 9)))
    trainer = eg.Trainer(loss, eg.optim.Momentum(0.05, 0.5), updates=updates)
    found = [read(rbm).log_p(bars()).mean()]
    for _ in range(30):
        trainer.fit({"v": data}, epochs=20, batch_size=20)
        found.append(read(rbm).log_p(bars()).mean())
    return found


def draw_likelihoods() -> None:
    """CD-1, CD-10 and persistent chains on the 14 pictures of bars, 3 by 3 pixels."""
    figure = Figure(figsize=(5.6, 2.8), layout="constrained")
    axes = figure.subplots()
    kinds = {
        "CD-1": lambda rbm, v: (rbm.objective(v), {}),
        "CD-10": lambda rbm, v: (rbm.objective(v, k=10), {}),
        "persistent": lambda rbm, v: rbm.persistent_objective(
            v, eg.state("chains", (100, 9))
        ),
    }
    for name, objective in kinds.items():
        found = likelihoods(objective)
        print(name, np.round(found[-1], 2))
        axes.plot(20 * np.arange(len(found)), found, label=name)
    axes.axhline(-np.log(14), color="grey", lw=0.8, ls="--", label="-log 14, the best")
    axes.set_xlabel("epoch")
    axes.set_ylabel("exact mean log p(v)")
    axes.legend(fontsize=8)
    save(figure, "rbm_likelihood.png")


if __name__ == "__main__":
    draw_likelihoods()
    draw_digits()
