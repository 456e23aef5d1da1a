"""Writes torch_trajectories.json: what torch.optim does on the problems of test_optim.

Run by hand where PyTorch is installed: python tests/train/record_torch.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("torch_trajectories.json")
STEPS = 30
START = [1.5, -0.7, 0.3]

# Our name of an optimizer, its arguments, and PyTorch's name and arguments.
CASES: list[tuple[str, dict[str, float], str, dict[str, Any]]] = [
    ("SGD", {"learning_rate": 0.02}, "SGD", {"lr": 0.02}),
    (
        "Momentum",
        {"learning_rate": 0.01, "momentum": 0.8},
        "SGD",
        {"lr": 0.01, "momentum": 0.8},
    ),
    (
        "Nesterov",
        {"learning_rate": 0.01, "momentum": 0.8},
        "SGD",
        {"lr": 0.01, "momentum": 0.8, "nesterov": True},
    ),
    ("Adagrad", {"learning_rate": 0.1}, "Adagrad", {"lr": 0.1}),
    ("Adagrad", {}, "Adagrad", {}),
    ("Adadelta", {}, "Adadelta", {}),
    (
        "Adadelta",
        {"learning_rate": 0.5, "rho": 0.95, "epsilon": 1e-4},
        "Adadelta",
        {"lr": 0.5, "rho": 0.95, "eps": 1e-4},
    ),
    ("RMSprop", {}, "RMSprop", {}),
    (
        "RMSprop",
        {"learning_rate": 0.05, "rho": 0.9},
        "RMSprop",
        {"lr": 0.05, "alpha": 0.9},
    ),
    ("Adam", {}, "Adam", {}),
    (
        "Adam",
        {"learning_rate": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3},
        "Adam",
        {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3},
    ),
]


def loss(w: Any) -> Any:
    """Rosenbrock's valley along the first two coordinates, a square on the third."""
    valley = (1 - w[0]) ** 2 + 5 * (w[1] - w[0] ** 2) ** 2
    return valley + 3 * w[2] ** 2


def trajectory(name: str, arguments: dict[str, Any]) -> list[list[float]]:
    """The points that PyTorch's optimizer visits, in float64."""
    import torch

    w = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, name)([w], **arguments)
    points = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(w).backward()
        optimizer.step()
        points.append(w.detach().tolist())
    return points


if __name__ == "__main__":
    FILE.write_text(json.dumps([trajectory(n, a) for _, _, n, a in CASES]))
