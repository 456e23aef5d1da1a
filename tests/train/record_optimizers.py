"""Writes optimizer_trajectories.json: what torch.optim, Optax and Keras do on one loss.

Run by hand where all three are installed: python -m tests.train.record_optimizers
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")  # read when Keras is imported
FILE = Path(__file__).with_name("optimizer_trajectories.json")
STEPS, EVERY = 100, 10
START = np.array([1.5, -0.7, 0.3])


def loss(w: Any) -> Any:
    """Rosenbrock's valley along the first two coordinates, a square on the third."""
    valley = (1 - w[0]) ** 2 + 5 * (w[1] - w[0] ** 2) ** 2
    return valley + 3 * w[2] ** 2


def gradient(w: Any) -> np.ndarray:
    """Its gradient, by hand."""
    valley = w[1] - w[0] ** 2
    return np.array([-2 * (1 - w[0]) - 20 * w[0] * valley, 10 * valley, 6 * w[2]])


# One step a call, and none left out for being small.
ENDLESS = {
    "max_iter": 1,
    "history_size": 10,
    "tolerance_grad": 0.0,
    "tolerance_change": 0.0,
}

# A row: our optimizer as one would write it after `eg.optim`, and the peer's.
TORCH = [
    ("SGD(0.02)", "SGD", {"lr": 0.02}),
    ("Momentum(0.01, 0.8)", "SGD", {"lr": 0.01, "momentum": 0.8}),
    (
        "Momentum(0.02, 0.8, 0.3)",
        "SGD",
        {"lr": 0.02, "momentum": 0.8, "dampening": 0.3},
    ),
    (
        "Chain(L2(0.1), Momentum(0.02, dampening=0.9))",
        "SGD",
        {"lr": 0.02, "momentum": 0.9, "dampening": 0.9, "weight_decay": 0.1},
    ),
    ("Nesterov(0.01, 0.8)", "SGD", {"lr": 0.01, "momentum": 0.8, "nesterov": True}),
    ("Adagrad(0.1)", "Adagrad", {"lr": 0.1}),
    ("Adagrad()", "Adagrad", {}),
    (
        "Adagrad(0.1, initial=0.2)",
        "Adagrad",
        {"lr": 0.1, "initial_accumulator_value": 0.2},
    ),
    ("Adadelta()", "Adadelta", {}),
    ("Adadelta(variant='paper')", "Adadelta", {"rho": 0.95}),
    ("Adadelta(0.5, 0.95, 1e-4)", "Adadelta", {"lr": 0.5, "rho": 0.95, "eps": 1e-4}),
    ("RMSprop()", "RMSprop", {}),
    ("RMSprop(0.05, 0.9)", "RMSprop", {"lr": 0.05, "alpha": 0.9}),
    ("RMSprop(momentum=0.7)", "RMSprop", {"momentum": 0.7}),
    ("RMSprop(centered=True)", "RMSprop", {"centered": True}),
    (
        "RMSprop(0.002, momentum=0.9, centered=True)",
        "RMSprop",
        {"lr": 0.002, "momentum": 0.9, "centered": True},
    ),
    ("Adam()", "Adam", {}),
    (
        "Adam(0.05, 0.8, 0.95, 1e-3)",
        "Adam",
        {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3},
    ),
    ("Adam(0.1, amsgrad=True)", "Adam", {"lr": 0.1, "amsgrad": True}),
    ("AdamW()", "AdamW", {}),
    ("AdamW(0.05, weight_decay=0.3)", "AdamW", {"lr": 0.05, "weight_decay": 0.3}),
    ("Chain(Adam(0.05), WeightDecay(0.3))", "AdamW", {"lr": 0.05, "weight_decay": 0.3}),
    ("Chain(L2(0.3), Adam(0.05))", "Adam", {"lr": 0.05, "weight_decay": 0.3}),
    ("Chain(L2(0.1), SGD(0.02))", "SGD", {"lr": 0.02, "weight_decay": 0.1}),
    ("Nadam()", "NAdam", {}),
    ("Nadam(0.05, 0.8)", "NAdam", {"lr": 0.05, "betas": (0.8, 0.999)}),
    ("Adamax()", "Adamax", {}),
    ("Adamax(0.1, epsilon=1e-3)", "Adamax", {"lr": 0.1, "eps": 1e-3}),
    ("LBFGS()", "LBFGS", ENDLESS),
    ("LBFGS(0.5, history_size=5)", "LBFGS", {"lr": 0.5, **ENDLESS, "history_size": 5}),
    ("LBFGS(0.2, history_size=2)", "LBFGS", {"lr": 0.2, **ENDLESS, "history_size": 2}),
]
OPTAX = [
    ("SGD(0.02)", "sgd(0.02)"),
    ("Momentum(0.01, 0.8, variant='optax')", "sgd(0.01, 0.8)"),
    ("Nesterov(0.01, 0.8, variant='optax')", "sgd(0.01, 0.8, nesterov=True)"),
    ("Adagrad(0.1, variant='optax')", "adagrad(0.1)"),
    ("Adadelta(variant='optax')", "adadelta(1.0)"),
    ("RMSprop(variant='optax')", "rmsprop(0.01)"),
    ("RMSprop(0.02, epsilon=1e-3, variant='optax')", "rmsprop(0.02, eps=1e-3)"),
    ("RMSprop(rho=0.9)", "rmsprop(0.01, eps_in_sqrt=False)"),
    ("RMSprop(momentum=0.7, variant='optax')", "rmsprop(0.01, momentum=0.7)"),
    ("RMSprop(centered=True, variant='optax')", "rmsprop(0.01, centered=True)"),
    ("Adam(0.05, variant='optax')", "adam(0.05)"),
    ("Adam(0.1, amsgrad=True, variant='optax')", "amsgrad(0.1)"),
    ("AdamW(0.05, variant='optax')", "adamw(0.05)"),
    ("Nadam(0.05, variant='optax')", "nadam(0.05)"),
    ("Adamax(0.1, variant='optax')", "adamax(0.1)"),
    ("Lion(0.01)", "lion(0.01, weight_decay=0.0)"),
    ("Lion(0.01, variant='optax')", "lion(0.01)"),
    (
        "Chain(ClipByNorm(0.5), SGD(0.1))",
        "chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1))",
    ),
    ("Chain(ClipByValue(0.5), Adam(0.1))", "chain(optax.clip(0.5), optax.adam(0.1))"),
    (
        "Chain(ClipByNorm(2.0), L2(0.1), Momentum(0.02))",
        "chain(optax.clip_by_global_norm(2.0), optax.add_decayed_weights(0.1), "
        "optax.sgd(0.02, 0.9))",
    ),
]
KERAS = [
    ("Momentum(0.01, 0.8, variant='keras')", "SGD(0.01, 0.8)"),
    ("Nesterov(0.01, 0.8, variant='keras')", "SGD(0.01, 0.8, nesterov=True)"),
    ("Adagrad(variant='keras')", "Adagrad()"),
    ("Adadelta(variant='keras')", "Adadelta()"),
    ("RMSprop(variant='keras')", "RMSprop()"),
    ("RMSprop(0.01, momentum=0.7, variant='keras')", "RMSprop(0.01, momentum=0.7)"),
    ("RMSprop(0.01, centered=True, variant='keras')", "RMSprop(0.01, centered=True)"),
    ("Adam(variant='keras')", "Adam()"),
    ("Adam(0.1, epsilon=1e-2, variant='keras')", "Adam(0.1, epsilon=1e-2)"),
    ("Adam(0.1, amsgrad=True, variant='keras')", "Adam(0.1, amsgrad=True)"),
    ("AdamW(0.05, variant='keras')", "AdamW(0.05)"),
    ("Nadam(variant='keras')", "Nadam()"),
    ("Adamax(0.1, epsilon=1e-3, variant='keras')", "Adamax(0.1, epsilon=1e-3)"),
    ("Lion(variant='keras')", "Lion()"),
]
Walk = Callable[[np.ndarray], np.ndarray]


def torch_walk(name: str, arguments: dict[str, Any]) -> Walk:
    torch = importlib.import_module("torch")
    w = torch.tensor(START, requires_grad=True)
    optimizer = getattr(torch.optim, name)([w], **arguments)

    def step(slope: np.ndarray) -> np.ndarray:
        w.grad = torch.tensor(slope)
        torch.set_default_dtype(
            torch.float64
        )  # or NAdam's product of momenta is float32
        optimizer.step(lambda: 0.0)  # L-BFGS asks for a loss, of which it makes no use
        torch.set_default_dtype(torch.float32)
        return w.detach().numpy().copy()

    return step


def optax_walk(spelled: str) -> Walk:
    exact = importlib.import_module("jax").enable_x64
    optax = importlib.import_module("optax")
    optimizer = eval(f"optax.{spelled}", {"optax": optax})
    with exact():
        held = [START.copy(), optimizer.init(START)]

    def step(slope: np.ndarray) -> np.ndarray:
        with exact():
            change, held[1] = optimizer.update(slope, held[1], held[0])
            held[0] = np.asarray(optax.apply_updates(held[0], change))
        return held[0]

    return step


def keras_walk(spelled: str) -> Walk:
    keras = importlib.import_module("keras")
    keras.config.set_floatx("float64")
    optimizer = eval(f"keras.optimizers.{spelled}", {"keras": keras})
    w = keras.Variable(START, dtype="float64")

    def step(slope: np.ndarray) -> np.ndarray:
        optimizer.apply([keras.ops.convert_to_tensor(slope)], [w])
        return keras.ops.convert_to_numpy(w).copy()

    return step


WALKS = {"torch": torch_walk, "optax": optax_walk, "keras": keras_walk}
CASES: list[tuple[str, str, tuple[Any, ...]]] = [
    (peer, ours, tuple(theirs))
    for peer, rows in (("torch", TORCH), ("optax", OPTAX), ("keras", KERAS))
    for ours, *theirs in rows
]


def points(step: Walk) -> list[list[float]]:
    """Every tenth point of the walk that `step` makes of gradients."""
    w, found = START, []
    for i in range(1, STEPS + 1):
        w = step(gradient(w))
        if i % EVERY == 0:
            found.append(w.tolist())
    return found


if __name__ == "__main__":
    walks = {f"{p}: {ours}": points(WALKS[p](*theirs)) for p, ours, theirs in CASES}
    rows = [f"{json.dumps(name)}: {json.dumps(walk)}" for name, walk in walks.items()]
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n")
