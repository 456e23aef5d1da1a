"""Draws docs/pictures/search.svg: the least value of Branin's function found after so many trials.

Needs matplotlib and the extra `search`; takes about a minute.
"""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import exprgrad as eg

LEAST, SEEDS, TRIALS = 0.397887, 10, 30
SPACE = {"a": eg.space.uniform(-5, 10), "b": eg.space.uniform(0, 15)}


def branin(trial):
    a, b = trial["a"], trial["b"]
    bowl = b - 5.1 / (4 * np.pi**2) * a * a + 5 / np.pi * a - 6
    return bowl**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10


def regrets(method):
    """regret[seed, trial]: how far the best so far is above the least value."""
    runs = [eg.search(branin, SPACE, TRIALS, method, seed=seed) for seed in range(SEEDS)]
    return np.array([run.best_so_far() for run in runs]) - LEAST


matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "search"})
figure = Figure(figsize=(6, 3), layout="constrained")
axes = figure.subplots()
trials = np.arange(1, TRIALS + 1)
for method, colour in (("random", "C1"), ("bayesian", "C0")):
    found = regrets(method)
    low, middle, high = np.quantile(found, (0.1, 0.5, 0.9), axis=0)
    axes.fill_between(trials, low, high, color=colour, alpha=0.2, step="post")
    axes.step(trials, middle, color=colour, where="post", label=method)
    print(f"{method}: regret {found[:, -1].min():.4f} to {found[:, -1].max():.4f}")
axes.set(xlabel="trials", ylabel="best so far - least value", yscale="log")
axes.legend()
figure.savefig(Path(__file__).with_suffix(".svg"), metadata={"Date": None})
