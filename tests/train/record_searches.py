"""Writes searches.json: torch.optim.LBFGS with its "strong_wolfe" on three losses.

Run by hand where PyTorch is installed: python -m tests.train.record_searches
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.train.record_lbfgs import DECAY, MATRIX, X, Y

FILE = Path(__file__).with_name("searches.json")
WIDE = X * 30  # at a rate of 1 the fixed step leaves the valley
STARTS = {
    "rosenbrock": np.array([-1.2, 1.0, -0.5, 0.8]),
    "quartic": np.linspace(-3, 3, 10),
    "logistic": np.zeros(5),
}
# A loss, the first rate, the number of pairs, the number of points.
CASES = [
    ("rosenbrock", 1.0, 10, 30),
    ("rosenbrock", 0.2, 3, 30),
    ("quartic", 1.0, 5, 12),
    ("quartic", 30.0, 2, 12),
    ("logistic", 1.0, 10, 12),
    ("logistic", 0.1, 4, 12),
]
Rows = list[list[float]]


def loss(name: str, w: Any, library: Any, constant: Any) -> Any:
    """A loss of all parameters in a row, by a library and its function for arrays."""
    if name == "rosenbrock":
        return (100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum()
    matrix, rows, labels = map(constant, (MATRIX, WIDE, Y))
    if name == "quartic":
        return (w * (matrix @ w)).sum() / 2 + (w**4).sum() / 4
    margins = labels * (rows @ w[:4] + w[4])
    losses = library.log1p(library.exp(-abs(margins))) + (abs(margins) - margins) / 2
    return losses.mean() + DECAY * (w[:4] ** 2).sum() / 2


def torch_walk(name: str, rate: float, pairs: int, count: int) -> tuple[Rows, list[int]]:
    """The points that PyTorch takes, and how often it had computed the loss by then."""
    torch = importlib.import_module("torch")
    w = torch.tensor(STARTS[name], requires_grad=True)
    never: dict[str, Any] = {"tolerance_grad": 0.0, "tolerance_change": 0.0}
    rule = torch.optim.LBFGS(
        [w], rate, 1, 10**6, history_size=pairs, line_search_fn="strong_wolfe", **never
    )

    def closure() -> Any:
        rule.zero_grad()
        value = loss(name, w, torch, torch.asarray)
        value.backward()
        return value

    points, evaluations = [], []
    for i in range(count):
        rule.step(closure)  # computes the loss at its start a second time
        points.append(w.detach().tolist())
        evaluations.append(rule.state[w]["func_evals"] - i)
    return points, evaluations


if __name__ == "__main__":
    rows = [
        f"{json.dumps(' '.join(map(str, case)))}: {json.dumps(torch_walk(*case))}"
        for case in CASES
    ]
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n")
