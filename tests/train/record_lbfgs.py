"""Writes lbfgs_trajectories.json: torch.optim.LBFGS on two losses of two parameters.

Run by hand where PyTorch is installed: python -m tests.train.record_lbfgs
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("lbfgs_trajectories.json")
STEPS, EVERY, DECAY = 50, 5, 0.01
NUMBERS = np.random.default_rng(5)
BASIS = np.linalg.qr(NUMBERS.normal(size=(10, 10)))[0]
MATRIX = BASIS @ np.diag(np.geomspace(0.1, 10, 10)) @ BASIS.T
X = NUMBERS.normal(size=(30, 4)) * [1.0, 3.0, 0.3, 1.0]
Y = np.where(X @ [1.0, -0.5, 2.0, 0.0] + NUMBERS.logistic(size=30) > 0, 1.0, -1.0)
Arrays = list[np.ndarray]


def quadratic(w: np.ndarray, u: np.ndarray) -> Arrays:
    """The gradient of ½ θᵀ A θ, where θ is w, then u."""
    slope = MATRIX @ np.concatenate([w.ravel(), u])
    return [slope[:6].reshape(2, 3), slope[6:]]


def logistic(w: np.ndarray, b: np.ndarray) -> Arrays:
    """The gradient of the mean of log(1 + exp(-y (x·w + b))) and ½ λ w·w."""
    slope = -Y / (1 + np.exp(Y * (X @ w + b))) / len(Y)
    return [slope @ X + DECAY * w, slope.sum()]


GRADIENTS = {"quadratic": quadratic, "logistic": logistic}
STARTS = {
    "quadratic": [NUMBERS.normal(size=(2, 3)), NUMBERS.normal(size=4)],
    "logistic": [np.zeros(4), np.zeros(())],
}
# A loss, the rate, the number of pairs.
CASES = [
    ("quadratic", 1.0, 4),
    ("quadratic", 0.5, 10),
    ("quadratic", 0.1, 1),
    ("logistic", 1.0, 10),
    ("logistic", 0.3, 3),
]


def torch_walk(name: str, rate: float, pairs: int) -> list[list[float]]:
    """Every fifth point, all parameters in a row, of PyTorch's walk without tolerances."""
    torch = importlib.import_module("torch")
    held = [torch.tensor(start, requires_grad=True) for start in STARTS[name]]
    never: dict[str, Any] = {"tolerance_grad": 0.0, "tolerance_change": 0.0}
    rule = torch.optim.LBFGS(held, rate, max_iter=1, history_size=pairs, **never)
    found = []
    for i in range(1, STEPS + 1):
        slopes = GRADIENTS[name](*(w.detach().numpy() for w in held))
        for w, slope in zip(held, slopes, strict=True):
            w.grad = torch.tensor(slope)
        rule.step(lambda: 0.0)
        if i % EVERY == 0:
            found.append(torch.cat([w.detach().ravel() for w in held]).tolist())
    return found


if __name__ == "__main__":
    rows = [
        f"{json.dumps(f'{n} {r} {m}')}: {json.dumps(torch_walk(n, r, m))}"
        for n, r, m in CASES
    ]
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n")
