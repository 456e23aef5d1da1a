"""The update rules on arrays of any library, in the form of torch.optim."""

from __future__ import annotations

import math
from typing import Any

SLOTS = {"sgd": 0, "momentum": 1, "nesterov": 1, "adam": 2, "rmsprop": 1}


def corrections(rule: str, h: Any, step: Any, xp: Any) -> tuple[Any, ...]:
    """Of Adam: the rate over 1 - b1^t, and 1 over the root of 1 - b2^t; t begins at 1."""
    if rule != "adam":
        return ()
    first, second = (-xp.expm1(step * math.log(h[name])) for name in ("b1", "b2"))
    return h["lr"] / first, 1 / xp.sqrt(second)


def updated(rule: str, h: Any, p: Any, g: Any, slots: Any, c: Any, xp: Any) -> tuple[Any, ...]:
    """The new value of a parameter, and of each of its slots."""
    return RULES[rule](h, p, g, slots, c, xp)


def sgd(h: Any, p: Any, g: Any, slots: Any, c: Any, xp: Any) -> tuple[Any, ...]:
    return (p - h["lr"] * g,)


def momentum(h: Any, p: Any, g: Any, slots: Any, c: Any, xp: Any) -> tuple[Any, ...]:
    velocity = h["mu"] * slots[0] + g
    return p - h["lr"] * velocity, velocity


def nesterov(h: Any, p: Any, g: Any, slots: Any, c: Any, xp: Any) -> tuple[Any, ...]:
    velocity = h["mu"] * slots[0] + g
    return p - h["lr"] * (g + h["mu"] * velocity), velocity


def adam(h: Any, p: Any, g: Any, slots: Any, c: Any, xp: Any) -> tuple[Any, ...]:
    first = h["b1"] * slots[0] + (1 - h["b1"]) * g
    second = h["b2"] * slots[1] + (1 - h["b2"]) * (g * g)
    return p - c[0] * first / (xp.sqrt(second) * c[1] + h["eps"]), first, second


def rmsprop(h: Any, p: Any, g: Any, slots: Any, c: Any, xp: Any) -> tuple[Any, ...]:
    squares = h["rho"] * slots[0] + (1 - h["rho"]) * (g * g)
    return p - h["lr"] * g / (xp.sqrt(squares) + h["eps"]), squares


RULES = {f.__name__: f for f in (sgd, momentum, nesterov, adam, rmsprop)}
