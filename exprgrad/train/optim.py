"""Optimizers: each is its paper's update, written in the user's own language."""

# ruff: noqa: RUF002 - the papers' Greek letters

from __future__ import annotations

from exprgrad.graph.elementwise import expm1, log, sqrt
from exprgrad.graph.tensor import Tensor
from exprgrad.train.rule import Hyper, Optimizer, Updates

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "Hyper",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSprop",
]


class SGD(Optimizer):
    """Gradient descent: θ ← θ - η g.

    Stochastic on mini-batches or single rows: Robbins and Monro 1951.

    >>> SGD(0.1).learning_rate.value
    array(0.1)
    """

    learning_rate: Hyper = 0.01

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """θ - η g"""
        return {parameter: parameter - self.learning_rate * gradient}


class Momentum(Optimizer):
    """b ← μ b + g; θ ← θ - η b.

    Polyak 1964, Some methods of speeding up the convergence, in the form of PyTorch:
    the rate stands outside the velocity, so that a change of rate acts at once.
    """

    learning_rate: Hyper = 0.01
    momentum: Hyper = 0.9

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """b ← μ b + g; θ ← θ - η b"""
        velocity = self.state("velocity", like=parameter)
        moved = self.momentum * velocity + gradient
        return {velocity: moved, parameter: parameter - self.learning_rate * moved}


class Nesterov(Optimizer):
    """b ← μ b + g; θ ← θ - η (g + μ b).

    Nesterov 1983 as Sutskever et al. 2013 read it, with θ the look-ahead point (Bengio
    et al. 2013, Advances in optimizing recurrent networks, equation 7), the rate
    outside the velocity as in PyTorch.
    """

    learning_rate: Hyper = 0.01
    momentum: Hyper = 0.9

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """b ← μ b + g; θ ← θ - η (g + μ b)"""
        velocity = self.state("velocity", like=parameter)
        moved = self.momentum * velocity + gradient
        ahead = gradient + self.momentum * moved
        return {velocity: moved, parameter: parameter - self.learning_rate * ahead}


class Adagrad(Optimizer):
    """G ← G + g²; θ ← θ - η g / (√G + ε).

    Duchi, Hazan and Singer 2011, Adaptive subgradient methods, figure 1 (diagonal). G
    starts at `initial`: 0, as in the paper and PyTorch.
    """

    learning_rate: Hyper = 0.01
    epsilon: Hyper = 1e-10

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """G ← G + g²; θ ← θ - η g / (√G + ε)"""
        total = self.state("total", like=parameter)
        grown = total + gradient * gradient
        scaled = gradient / (sqrt(grown) + self.epsilon)
        return {total: grown, parameter: parameter - self.learning_rate * scaled}


class Adadelta(Optimizer):
    """E ← ρE + (1-ρ)g²; Δ = -√(D+ε)/√(E+ε) g; D ← ρD + (1-ρ)Δ²; θ ← θ + ηΔ.

    Zeiler 2012, ADADELTA, algorithm 1, which has no rate: η is 1. Δ uses D from before
    its update. PyTorch's ρ = 0.9 (the paper tries 0.95) and ε = 1e-6.
    """

    learning_rate: Hyper = 1.0
    rho: Hyper = 0.9
    epsilon: Hyper = 1e-6

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """Δ = -√(D+ε)/√(E+ε) g"""
        squares = self.state("squares", like=parameter)
        deltas = self.state("deltas", like=parameter)
        rest = self.rounded(1 - self.exact("rho"))
        new_squares = self.rho * squares + rest * gradient * gradient
        ratio = sqrt(deltas + self.epsilon) / sqrt(new_squares + self.epsilon)
        delta = -ratio * gradient
        return {
            squares: new_squares,
            deltas: self.rho * deltas + rest * delta * delta,
            parameter: parameter + self.learning_rate * delta,
        }


class RMSprop(Optimizer):
    """r ← ρr + (1-ρ)g²; θ ← θ - η g / (√r + ε).

    Tieleman and Hinton 2012, lecture 6e of Neural networks for machine learning, which
    gives no ε; it stands outside the root and ρ is 0.99, as in PyTorch.
    """

    learning_rate: Hyper = 0.01
    rho: Hyper = 0.99
    epsilon: Hyper = 1e-8

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """r ← ρr + (1-ρ)g²; θ ← θ - η g / (√r + ε)"""
        squares = self.state("squares", like=parameter)
        rest = self.rounded(1 - self.exact("rho"))
        new = self.rho * squares + rest * gradient * gradient
        scaled = gradient / (sqrt(new) + self.epsilon)
        return {squares: new, parameter: parameter - self.learning_rate * scaled}


class Adam(Optimizer):
    """m ← β₁m + (1-β₁)g; v ← β₂v + (1-β₂)g²; θ ← θ - η m̂ / (√v̂ + ε).

    m̂ = m / (1-β₁ᵗ), v̂ = v / (1-β₂ᵗ), t = 1, 2, ... counts updates. Kingma and Ba 2015,
    Adam, algorithm 1; ε outside the root of the corrected v, as in PyTorch.

    >>> import exprgrad as eg
    >>> w = eg.parameter("w", (3,))
    >>> [s.name for s in Adam().updates((w * w).sum())]
    ['w.first', 'w.second', 'w', 'updates']
    """

    learning_rate: Hyper = 1e-3
    beta1: Hyper = 0.9
    beta2: Hyper = 0.999
    epsilon: Hyper = 1e-8

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """θ ← θ - η m̂ / (√v̂ + ε)"""
        first = self.state("first", like=parameter)
        second = self.state("second", like=parameter)
        rest1 = self.rounded(1 - self.exact("beta1"))
        rest2 = self.rounded(1 - self.exact("beta2"))
        new_first = self.beta1 * first + rest1 * gradient
        new_second = self.beta2 * second + rest2 * gradient * gradient
        rate = self.exact("learning_rate") / self._correction("beta1")
        root = self.rounded(1 / sqrt(self._correction("beta2")))
        moved = (
            self.rounded(rate) * new_first / (sqrt(new_second) * root + self.epsilon)
        )
        return {first: new_first, second: new_second, parameter: parameter - moved}

    def _correction(self, name: str) -> Tensor:
        """1 - βᵗ without cancellation where β is near 1."""
        return -expm1(self.exact("t") * log(self.exact(name)))
