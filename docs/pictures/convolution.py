"""Draws the picture of docs/convolution.md.

Run by hand: python docs/pictures/convolution.py (needs matplotlib and scikit-learn).
"""

from __future__ import annotations

import runpy
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure
from tiles import ROOT, save, tiled

import exprgrad as eg

EPOCHS = 15
rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "exprgrad", "font.size": 8})


def trained(names: dict[str, Any], network: Any) -> tuple[eg.Trainer, Any]:
    """A network of the example, its accuracy on the test images after each epoch kept."""
    net = eg.nn.Layers(0)
    logits = network(net)
    loss = eg.nn.cross_entropy(logits, names["y"]).mean()
    right = {"accuracy": eg.nn.accuracy(logits, names["y"])}
    adam = eg.optim.Adam(eg.schedules.cosine(3e-3, steps=45 * EPOCHS))
    trainer = eg.Trainer(loss, adam, right, updates=net.updates)
    trainer.fit(names["train"], EPOCHS, validation_data=names["test"])
    return trainer, net


def draw() -> None:
    """Accuracy by epoch; images, and what the first layer of LeNet makes of them."""
    names = runpy.run_path(str(ROOT / "examples" / "lenet.py"))
    figure = Figure(figsize=(7.0, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in ("deeper", "lenet"):
        trainer, _ = trained(names, names[name])
        history = trainer.history
        left.plot(history.epochs, history["val_accuracy"], label=name)
    left.set_title("test accuracy")
    left.set_xlabel("epoch")
    left.legend(loc="lower right")
    kernel, bias = trainer.parameters[:2]
    maps = eg.relu(eg.conv2d(names["x"], kernel, padding="same") + bias[:, None, None])
    images = names["test"]["x"][:5]
    found = trainer.predict(maps, {"x": images})
    rows = np.concatenate([images, found], axis=1) / found.max()
    rows[:, 0] = images[:, 0]
    right.imshow(tiled(rows.reshape(-1, 64), 7), cmap="Greys", interpolation="nearest")
    right.set_title("images, and the channels of LeNet's first layer")
    right.axis("off")
    save(figure, "convolution.svg")


if __name__ == "__main__":
    draw()
