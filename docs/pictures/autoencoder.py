"""Draws the picture of docs/autoencoder.md: python docs/pictures/autoencoder.py"""

from __future__ import annotations

import runpy

from matplotlib.figure import Figure
from tiles import ROOT, save, show


def draw() -> None:
    """Digits of the test, and what four numbers keep of them."""
    names = runpy.run_path(str(ROOT / "examples" / "autoencoder.py"))
    rows, pca = names["test"][:20], names["pca"]
    parts = {
        "images of the test": rows,
        "restored from 4 numbers": names["trainer"].predict(names["restored"], {"x": rows}),
        "restored by PCA from 4": pca.inverse_transform(pca.transform(rows)),
    }
    figure = Figure(figsize=(7.2, 2.1), layout="constrained")
    figure.get_layout_engine().set(wspace=0.06)
    for axes, (title, part) in zip(figure.subplots(1, 3), parts.items(), strict=True):
        show(axes, title, part, 5, vmin=0, vmax=1)
    save(figure, "autoencoder.png")


if __name__ == "__main__":
    draw()
