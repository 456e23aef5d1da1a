"""Writes peers.json: what PyTorch and Keras make of the layers of tests/nn.

Run by hand where both are installed: KERAS_BACKEND=torch python -m tests.nn.record_peers
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("peers.json")
RNG = np.random.default_rng(11)
IMAGES = RNG.normal(1.0, 2.0, (3, 6, 2, 2))
GAMMA, BETA = RNG.normal(1.0, 0.3, (2, 6))
PIXELS = RNG.normal(1.0, 0.3, (2, 2, 2))  # scale and shift of the last two axes
BATCHES = [RNG.normal(3.0, 2.0, (n, 6)) for n in (5, 4, 7)]
LOGITS = RNG.normal(0.0, 2.0, (4, 3))
LABELS = RNG.integers(0, 3, 4)
SHARES = RNG.dirichlet(np.ones(3), 4)
KERNEL = RNG.normal(size=(4, 3, 2, 2))
MATRIX = RNG.normal(size=(5, 3))
STATISTICS = {"gamma": GAMMA[:4], "beta": BETA[:4], "mean": BETA[1:5], "var": GAMMA[1:5] ** 2}
Found = dict[str, Any]


def torch_of(array: Any, **named: Any) -> Any:
    import torch

    return torch.tensor(array, **named)


def with_slope(layer: Callable[[Any], Any]) -> Found:
    """The layer's value, and the gradient of the sum of its cubes, at IMAGES."""
    x = torch_of(IMAGES, requires_grad=True)
    y = layer(x)
    (y**3).sum().backward()
    return {"y": y, "slope": x.grad}


def layer_norm() -> Found:
    from torch.nn.functional import layer_norm

    return with_slope(lambda x: layer_norm(x, (2, 2), torch_of(PIXELS[0]), torch_of(PIXELS[1])))


def rms_norm() -> Found:
    from torch.nn.functional import rms_norm

    return with_slope(lambda x: rms_norm(x, (2, 2), torch_of(PIXELS[0]), eps=1e-5))


def group_norm() -> Found:
    from torch.nn.functional import group_norm

    return with_slope(lambda x: group_norm(x, 3, torch_of(GAMMA), torch_of(BETA)))


def instance_norm() -> Found:
    from torch.nn.functional import instance_norm

    return with_slope(
        lambda x: instance_norm(x, weight=torch_of(GAMMA), bias=torch_of(BETA))
    )


def batch_norm_of_images() -> Found:
    from torch.nn.functional import batch_norm

    weights = torch_of(GAMMA), torch_of(BETA)
    return with_slope(lambda x: batch_norm(x, None, None, *weights, training=True))


def running(momentum: float | None) -> Found:
    """Statistics after BATCHES, and what they make of the last at inference."""
    import torch

    layer = torch.nn.BatchNorm1d(6, momentum=momentum, dtype=torch.float64)
    for batch in BATCHES:
        layer(torch_of(batch))
    layer.eval()
    y = layer(torch_of(BATCHES[-1]))
    return {"mean": layer.running_mean, "var": layer.running_var, "y": y}


def keras() -> Found:
    """The same of Keras, which computes it in float32 whatever it is given."""
    import keras

    layer = keras.layers.BatchNormalization(dtype="float64")
    for batch in BATCHES:
        layer(batch, training=True)
    y = layer(BATCHES[-1], training=False)
    return {"mean": layer.moving_mean.numpy(), "var": layer.moving_variance.numpy(), "y": y}


def update_bn() -> Found:
    """What is taken for statistics of {0, 2, 10, 12}, seen in two batches."""
    import torch

    layer = torch.nn.BatchNorm1d(1)
    batches = [torch.tensor([[0.0], [2.0]]), torch.tensor([[10.0], [12.0]])]
    torch.optim.swa_utils.update_bn(batches, layer)
    return {"mean": layer.running_mean, "var": layer.running_var}


def smoothed(target: Any) -> Found:
    from torch.nn.functional import cross_entropy

    given = torch_of(LOGITS), torch_of(target)
    return {"y": cross_entropy(*given, label_smoothing=0.1, reduction="none")}


def max_norm() -> Found:
    import torch

    return {
        "dense": torch.renorm(torch_of(MATRIX), 2, 1, 2.0),
        "conv": torch.renorm(torch_of(KERNEL), 2, 0, 3.5),
    }


def fold() -> Found:
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    s = {name: torch_of(value) for name, value in STATISTICS.items()}
    weight, bias = fuse_conv_bn_weights(
        torch_of(KERNEL), None, s["mean"], s["var"], 1e-5, s["gamma"], s["beta"]
    )
    return {"weight": weight, "bias": bias}


CASES: dict[str, Callable[[], Found]] = {
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "batch_norm": batch_norm_of_images,
    "pytorch": lambda: running(0.1),
    "cumulative": lambda: running(None),
    "keras": keras,
    "update_bn": update_bn,
    "smoothed labels": lambda: smoothed(LABELS),
    "smoothed shares": lambda: smoothed(SHARES),
    "max_norm": max_norm,
    "fold": fold,
}


def recorded(name: str) -> dict[str, np.ndarray]:
    return {key: np.array(v) for key, v in json.loads(FILE.read_text())[name].items()}


def computed(name: str) -> dict[str, np.ndarray]:
    """The same, by the libraries themselves."""
    found = CASES[name]()
    return {
        key: np.asarray(v.detach() if hasattr(v, "detach") else v) for key, v in found.items()
    }


def main() -> None:
    """Write the file."""
    found = {
        name: {key: v.tolist() for key, v in computed(name).items()} for name in CASES
    }
    FILE.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
