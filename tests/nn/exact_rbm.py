"""Small restricted Boltzmann machines computed in full: every state is counted."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logsumexp

import exprgrad as eg

Array = Any


def states(n: int) -> Array:
    """All 2^n binary rows."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


@dataclass(frozen=True)
class Exact:
    """Weight, visible and hidden biases as arrays; at most 12 hidden units."""

    W: Array
    b: Array
    c: Array
    visible: str = "binary"

    @property
    def hidden(self) -> Array:
        return states(len(self.c))

    def energy(self, v: Array) -> Array:
        """E(v, h) of the rows of v and of all h, [rows, 2^hidden]."""
        gaussian = self.visible == "gaussian"
        own = 0.5 * ((v - self.b) ** 2).sum(1) if gaussian else -v @ self.b
        return own[:, None] - self.hidden @ self.c - v @ self.W @ self.hidden.T

    def log_z(self) -> float:
        """Over h, the visible units summed or integrated out."""
        inner = self.hidden @ self.W.T
        if self.visible == "gaussian":
            own = inner @ self.b + 0.5 * (inner**2).sum(1) + 0.5 * len(self.b) * np.log(2 * np.pi)
        else:
            own = np.logaddexp(0, self.b + inner).sum(1)
        return float(logsumexp(self.hidden @ self.c + own))

    def log_p(self, v: Array) -> Array:
        return logsumexp(-self.energy(v), axis=1) - self.log_z()

    def p_hidden(self, v: Array) -> Array:
        return expit(self.c + v @ self.W)

    def transition(self) -> Array:
        """The chance to come from each visible row to each other in one Gibbs step."""
        v, h = states(len(self.b)), self.hidden
        up, down = self.p_hidden(v)[:, None], expit(self.b + h @ self.W.T)[:, None]
        p_h = np.where(h[None] == 1, up, 1 - up).prod(2)
        p_v = np.where(v[None] == 1, down, 1 - down).prod(2)
        return p_h @ p_v

    def statistics(self, weights: Array, v: Array) -> tuple[Array, Array, Array]:
        """⟨v h⟩, ⟨v⟩ and ⟨h⟩ where the rows of v have these weights."""
        h = self.p_hidden(v)
        return (v * weights[:, None]).T @ h, weights @ v, weights @ h


def made(exact: Exact) -> eg.nn.RBM:
    """Our machine of the same numbers, in float64."""
    named = {"W": exact.W, "b": exact.b, "c": exact.c}
    leaves = [eg.parameter(n, x.shape, x, "float64") for n, x in named.items()]
    return eg.nn.RBM(*leaves, visible=exact.visible)


def read(rbm: eg.nn.RBM) -> Exact:
    """The machine of the present values."""
    leaves = (rbm.weight, rbm.visible_bias, rbm.hidden_bias)
    return Exact(*(leaf.value.astype(np.float64) for leaf in leaves), rbm.visible)


def drawn(visible: int, hidden: int, kind: str = "binary", scale: float = 1.0) -> Exact:
    """A machine of random numbers."""
    rng = np.random.default_rng(visible + 10 * hidden)
    shapes = ((visible, hidden), (visible,), (hidden,))
    return Exact(*(scale * rng.normal(size=shape) for shape in shapes), kind)


def fresh(visible: int, hidden: int, kind: str = "binary") -> eg.nn.RBM:
    """A float32 machine that is to be trained."""
    weight = eg.parameter("W", (visible, hidden), eg.init.normal(0, 0.1))
    biases = eg.parameter("b", visible), eg.parameter("c", hidden)
    return eg.nn.RBM(weight, *biases, kind)
