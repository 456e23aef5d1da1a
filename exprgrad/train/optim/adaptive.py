"""Steps that each element scales by the size of its own earlier gradients."""

# ruff: noqa: RUF002 - the papers' Greek letters

from __future__ import annotations

from typing import ClassVar

from exprgrad.graph.elementwise import maximum, sqrt
from exprgrad.graph.tensor import Tensor
from exprgrad.train.hyper import Amount, Fading, Hyper, Option, Variants
from exprgrad.train.optim.descent import pushed
from exprgrad.train.rule import Optimizer, Updates


class Adagrad(Optimizer):
    """The rate of each element falls with the root of the sum of its squared gradients.

    Duchi, Hazan and Singer 2011, Adaptive subgradient methods, figure 1 (diagonal): ε
    outside the root, G from 0, as in PyTorch. Keras and Optax put ε inside and begin
    with G = 0.1 (`initial`). Notes that print √(G - ε) have a slip of the sign: it is no
    number as long as G < ε. PyTorch's lr_decay is `eg.schedules.inverse_time`.

    >>> import exprgrad as eg
    >>> print(eg.formula(Adagrad()))
    G' = G + g * g
    θ' = θ - η * g / (sqrt(G') + ε)
    >>> print(str(eg.formula(Adagrad(variant="keras"))).splitlines()[-1])
    θ' = θ - η * g / sqrt(G' + ε)
    """

    learning_rate: Hyper = 0.01
    epsilon: Amount = 1e-10
    epsilon_inside: Option = False
    initial: Option = 0.0
    variants: ClassVar[Variants] = {
        "pytorch": {},
        "optax": {"epsilon": 1e-7, "epsilon_inside": True, "initial": 0.1},
        "keras": {
            "learning_rate": 1e-3,
            "epsilon": 1e-7,
            "epsilon_inside": True,
            "initial": 0.1,
        },
    }

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """G' = G + g²; θ' = θ - η g / (√G' + ε)"""
        total = self.state("total", like=parameter, init=self.initial)
        grown = total + gradient * gradient
        scaled = self.learning_rate * gradient / rooted(self, grown)
        return {total: grown, parameter: parameter - scaled}


class Adadelta(Optimizer):
    """Steps in units of the parameter: by the size of earlier steps over that of g.

    Zeiler 2012, ADADELTA, algorithm 1, which has no rate: η is 1. D is used as it was
    before its own update. Keras' rate of 0.001 makes steps a thousand times smaller than
    the paper's.

    >>> import exprgrad as eg
    >>> print(eg.formula(Adadelta()))
    r' = ρ * r + (1.0 - ρ) * g * g
    t1 = sqrt(D + ε) / sqrt(r' + ε) * g
    D' = ρ * D + (1.0 - ρ) * t1 * t1
    θ' = θ - η * t1
    """

    learning_rate: Hyper = 1.0
    rho: Fading = 0.9
    epsilon: Amount = 1e-6
    variants: ClassVar[Variants] = {
        "pytorch": {},
        "optax": {},
        "keras": {"learning_rate": 1e-3, "rho": 0.95, "epsilon": 1e-7},
        "paper": {"rho": 0.95},
    }

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """Δ = √(D + ε) / √(E' + ε) g; θ' = θ - η Δ"""
        squares = self.state("squares", like=parameter)
        deltas = self.state("deltas", like=parameter)
        new_squares = self.blended("rho", squares, gradient * gradient)
        ratio = sqrt(deltas + self.epsilon) / sqrt(new_squares + self.epsilon)
        delta = ratio * gradient
        return {
            squares: new_squares,
            deltas: self.blended("rho", deltas, delta * delta),
            parameter: parameter - self.learning_rate * delta,
        }


class RMSprop(Optimizer):
    """Adagrad that forgets: the mean of squares fades by ρ a step.

    Tieleman and Hinton 2012, lecture 6e of Neural networks for machine learning, with ρ
    = 0.9 and no ε. `centered` takes the variance in place of the mean of squares
    (Graves 2013, Generating sequences, equations 38 to 41, variant "graves"); rounding
    cannot take it below 0 here. That of a constant gradient is 0, and its step η g / ε,
    so take an ε as large as Graves'. PyTorch has ε outside the root, Keras and Optax
    inside. `momentum` None keeps no velocity.

    >>> import exprgrad as eg
    >>> print(eg.formula(RMSprop()))
    r' = ρ * r + (1.0 - ρ) * g * g
    θ' = θ - η * g / (sqrt(r') + ε)
    >>> print(eg.formula(RMSprop(variant="graves")))
    r' = ρ * r + (1.0 - ρ) * g * g
    m' = ρ * m + (1.0 - ρ) * g
    v' = μ * v + η * g / sqrt(maximum(r' - m' * m', 0.0) + ε)
    θ' = θ - v'
    """

    learning_rate: Hyper = 0.01
    rho: Fading = 0.99
    epsilon: Amount = 1e-8
    momentum: Amount = None
    centered: Option = False
    epsilon_inside: Option = False
    rate_inside: Option = False
    variants: ClassVar[Variants] = {
        "pytorch": {},
        "optax": {"rho": 0.9, "epsilon_inside": True, "rate_inside": True},
        "keras": {
            "learning_rate": 1e-3,
            "rho": 0.9,
            "epsilon": 1e-7,
            "epsilon_inside": True,
            "rate_inside": True,
        },
        "graves": {
            "learning_rate": 1e-4,
            "rho": 0.95,
            "epsilon": 1e-4,
            "momentum": 0.9,
            "centered": True,
            "epsilon_inside": True,
            "rate_inside": True,
        },
    }

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """r' = ρ r + (1 - ρ) g²; θ' = θ - η g / (√r' + ε)"""
        squares = self.state("squares", like=parameter)
        size = self.blended("rho", squares, gradient * gradient)
        found = {squares: size}
        if self.centered:
            mean = self.state("mean", like=parameter)
            found[mean] = self.blended("rho", mean, gradient)
            size = maximum(size - found[mean] * found[mean], 0.0)
        if self.momentum is None:
            step = self.learning_rate * gradient / rooted(self, size)
            return {**found, parameter: parameter - step}
        return {**found, **pushed(self, parameter, gradient / rooted(self, size))}


def rooted(rule: Adagrad | RMSprop, squares: Tensor) -> Tensor:
    """The root by which a gradient is divided, ε inside or outside as `rule` says."""
    epsilon: Tensor = rule.epsilon
    return sqrt(squares + epsilon) if rule.epsilon_inside else sqrt(squares) + epsilon
