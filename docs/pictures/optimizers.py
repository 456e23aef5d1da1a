"""Draws the picture of docs/optimizers.md: python docs/pictures/optimizers.py"""

from __future__ import annotations

import runpy

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from tiles import ROOT, save


def draw() -> None:
    """The valley of the example, and the way of each optimizer down to (1, 1)."""
    names = runpy.run_path(str(ROOT / "examples" / "optimizers_compared.py"))
    x, y = np.meshgrid(np.linspace(-2, 2, 200), np.linspace(-1, 3, 200))
    height = names["valley"](x, y)
    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    panels = figure.subplots(3, 4, sharex=True, sharey=True).flat
    for axes, (name, path) in zip(panels, names["paths"].items(), strict=True):
        levels, norm = np.logspace(-1, 2.5, 8), LogNorm(0.1, 300)
        axes.contour(x, y, height, levels, norm=norm, cmap="Greys_r", linewidths=0.6)
        way = np.array(path[: names["arrived"][name] + 1])
        axes.plot(*way.T, ".-", color="tab:red", markersize=2, linewidth=0.7)
        axes.plot(1, 1, "+", color="black")
        axes.set(xlim=(-2, 2), ylim=(-1, 3), xticks=[], yticks=[])
        axes.set_title(f"{name}: {names['arrived'][name]}", fontsize=8)
    save(figure, "optimizers.png")


if __name__ == "__main__":
    draw()
