"""Writes peer_schedules.json: the rates of torch.optim.lr_scheduler and of Optax.

Run by hand where both are installed: python -m tests.train.record_schedules
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import exprgrad as eg

S = eg.schedules
FILE = Path(__file__).with_name("peer_schedules.json")
STEPS, EVERY = 1000, 19  # every 19th of 1,000 updates is recorded

CYCLE = {"base_lr": 0.001, "max_lr": 0.1, "step_size_up": 40, "cycle_momentum": False}
ONE_CYCLE = {"max_lr": 0.1, "total_steps": STEPS, "cycle_momentum": False}

# Ours, and the name and arguments of PyTorch's; its first rate is 0.1.
TORCH: dict[str, tuple[eg.Tensor, str, dict[str, Any]]] = {
    "step": (S.step_decay(0.1, 0.5, 90), "StepLR", {"step_size": 90, "gamma": 0.5}),
    "exponential": (S.exponential(0.1, -log(0.999)), "ExponentialLR", {"gamma": 0.999}),
    "polynomial": (
        S.polynomial(0.1, 700, power=2.0),
        "PolynomialLR",
        {"total_iters": 700, "power": 2.0},
    ),
    "cosine": (
        S.cosine(0.1, STEPS, 0.01),
        "CosineAnnealingLR",
        {"T_max": STEPS, "eta_min": 0.01},
    ),
    "restarts": (
        S.warm_restarts(0.1, 70, end=0.001),
        "CosineAnnealingWarmRestarts",
        {"T_0": 70, "eta_min": 0.001},
    ),
    "longer restarts": (
        S.warm_restarts(0.1, 7, multiple=2),
        "CosineAnnealingWarmRestarts",
        {"T_0": 7, "T_mult": 2},
    ),
    "warm-up": (S.warmup(0.1, 50), "LinearLR", {"start_factor": 1 / 50, "total_iters": 49}),
    "triangular": (S.cyclic(0.001, 0.1, 40), "CyclicLR", CYCLE),
    "triangular2": (
        S.cyclic(0.001, 0.1, 40, "triangular2"),
        "CyclicLR",
        {**CYCLE, "mode": "triangular2"},
    ),
    "exp_range": (
        S.cyclic(0.001, 0.1, 40, "exp_range", 0.999),
        "CyclicLR",
        {**CYCLE, "mode": "exp_range", "gamma": 0.999},
    ),
    "one cycle": (S.one_cycle(0.1, STEPS - 1, rise=299 / 999), "OneCycleLR", ONE_CYCLE),
}


# Ours, and Optax's, made by a function of the library.
OPTAX: dict[str, tuple[eg.Tensor, Callable[[Any], Any]]] = {
    "polynomial": (
        S.polynomial(0.1, 400, 0.001, 2.0),
        lambda optax: optax.polynomial_schedule(0.1, 0.001, 2, 400),
    ),
    "staircase": (
        S.step_decay(0.1, 0.5, 90),
        lambda optax: optax.exponential_decay(0.1, 90, 0.5, staircase=True),
    ),
    "cosine": (
        S.cosine(0.1, 600, 0.01),
        lambda optax: optax.cosine_decay_schedule(0.1, 600, 0.1),
    ),
    "warm-up and cosine": (
        S.sequence({0: S.polynomial(0.0, 100, end=0.1), 100: S.cosine(0.1, 600)}),
        lambda optax: optax.warmup_cosine_decay_schedule(0.0, 0.1, 100, 700),
    ),
    "one cycle": (
        S.one_cycle(0.1, STEPS),
        lambda optax: optax.cosine_onecycle_schedule(STEPS, 0.1),
    ),
    "one after another": (
        S.sequence({0: 0.1, 300: S.exponential(0.05, 0.01), 700: S.cosine(0.02, 200)}),
        lambda optax: optax.join_schedules(
            [
                optax.constant_schedule(0.1),
                optax.exponential_decay(0.05, 1, 0.99004983374916811),
                optax.cosine_decay_schedule(0.02, 200),
            ],
            [300, 700],
        ),
    ),
}

# The errors that plateau rules are shown, and the arguments that PyTorch and we share.
ERRORS = [5.0, 4.0, 4.0, 4.1, 3.9999, 4.2, 3.0, 3.0, 3.1, 3.2, 3.3, 3.0, 3.4, 2.0, 2.5]
PLATEAUS: list[dict[str, Any]] = [
    {"factor": 0.5, "patience": 1},
    {"factor": 0.1, "patience": 0, "cooldown": 2},
    {"factor": 0.5, "patience": 1, "threshold": 0.5, "threshold_mode": "abs"},
    {"factor": 0.1, "patience": 0, "min_lr": 0.002},
    {"factor": 0.5, "patience": 2, "mode": "max"},
]


def optimizer() -> Any:
    """PyTorch's gradient descent on one number, with rate 0.1."""
    import torch

    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)


def torch_rates(name: str, arguments: dict[str, Any]) -> list[float]:
    import torch

    descent = optimizer()
    scheduler = getattr(torch.optim.lr_scheduler, name)(descent, **arguments)
    rates = []
    for _ in range(STEPS):
        rates.append(descent.param_groups[0]["lr"])
        descent.step()
        scheduler.step()
    return rates[::EVERY]


def optax_rates(make: Callable[[Any], Any]) -> list[float]:
    import jax
    import optax

    with jax.enable_x64(True):
        schedule = make(optax)
        return [float(schedule(t)) for t in range(0, STEPS, EVERY)]


def torch_plateau(arguments: dict[str, Any]) -> list[float]:
    """The rate after each of ERRORS."""
    import torch

    descent = optimizer()
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(descent, **arguments)
    rates = []
    for error in ERRORS:
        scheduler.step(error)
        rates.append(descent.param_groups[0]["lr"])
    return rates


def record() -> dict[str, Any]:
    return {
        "torch": {name: torch_rates(*case[1:]) for name, case in TORCH.items()},
        "optax": {name: optax_rates(make) for name, (_, make) in OPTAX.items()},
        "plateau": [torch_plateau(arguments) for arguments in PLATEAUS],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(record()) + "\n")
