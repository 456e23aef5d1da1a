"""Steps along the gradient, and along a velocity that remembers earlier ones."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from exprgrad.errors import GraphError
from exprgrad.graph.dtype import float64
from exprgrad.graph.elementwise import equal, sqrt, where
from exprgrad.graph.tensor import Tensor
from exprgrad.train.hyper import Amount, Hyper, Option, Variants
from exprgrad.train.rule import Optimizer, Updates


class SGD(Optimizer):
    """Gradient descent: on the whole data, on mini-batches or on single rows.

    Robbins and Monro 1951, A stochastic approximation method.

    >>> import exprgrad as eg
    >>> print(eg.formula(SGD()))
    θ' = θ - η * g
    >>> SGD(0.1).learning_rate.value
    array(0.1)
    """

    learning_rate: Hyper = 0.01

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """θ - η g"""
        return {parameter: parameter - self.learning_rate * gradient}


class Momentum(Optimizer):
    """Descent along a velocity, the sum of earlier gradients that fade by μ a step.

    Polyak 1964, Some methods of speeding up the convergence. In PyTorch and Optax the
    rate stands outside the velocity, so that a change of rate acts at once on all of it;
    in Sutskever et al. 2013 (equations 1 and 2) and Keras inside, so that each gradient
    keeps the rate of its time. At a constant rate both walk the same way. PyTorch's
    `dampening` τ takes this part away from each gradient but the first.

    >>> import exprgrad as eg
    >>> print(eg.formula(Momentum()))
    v' = μ * v + g
    θ' = θ - η * v'
    >>> print(eg.formula(Momentum(dampening=0.1)))
    v' = μ * v + where(t == 1.0, 1.0, 1.0 - τ) * g
    θ' = θ - η * v'
    >>> print(eg.formula(Momentum(variant="sutskever")))
    v' = μ * v + η * g
    θ' = θ - v'
    """

    learning_rate: Hyper = 0.01
    momentum: Amount = 0.9
    dampening: Hyper = None
    rate_inside: Option = False
    variants: ClassVar[Variants] = {
        "pytorch": {},
        "optax": {},
        "keras": {"rate_inside": True},
        "sutskever": {"rate_inside": True},
    }

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """v' = μ v + (1 - τ) g; θ' = θ - η v'"""
        return pushed(self, parameter, self._damped(gradient))

    def _damped(self, gradient: Tensor) -> Tensor:
        """(1 - τ) g, and g at the first step."""
        if self.dampening is None:
            return gradient
        first = equal(self.exact("t"), 1.0)
        return self.rounded(where(first, 1.0, 1 - self.exact("dampening"))) * gradient


class Nesterov(Optimizer):
    """Momentum whose gradient is taken where the velocity is about to lead.

    Nesterov 1983 as Sutskever et al. 2013 (equations 3 and 4) read it, with two points:
    the gradient at θ - μ v, the parameters at θ. The loss that is reported is that at θ,
    at the price of a second forward pass. The libraries store the look-ahead point in
    place of θ (Bengio et al. 2013, Advances in optimizing recurrent networks, equation
    7), and need one; at a constant rate and μ both are the same walk, seen elsewhere.

    Without a number for μ (variant "paper") it follows from the update, as in Nesterov
    1983, A method of solving a convex programming problem with convergence rate O(1/k²):
    x is a step down from θ, which looks ahead of it. For a convex J whose gradient has
    the Lipschitz constant 1/η at most, J(x) is within 2 |x₀ - x*|² / (η (k + 1)²) of the
    minimum after k steps. Raises `GraphError` for two points without a number.

    >>> import exprgrad as eg
    >>> print(eg.formula(Nesterov(variant="sutskever")))
    g = ∇J(θ - μ * v)
    v' = μ * v + η * g
    θ' = θ - v'
    >>> print(eg.formula(Nesterov()))
    v' = μ * v + g
    θ' = θ - η * (g + μ * v')
    >>> print(eg.formula(Nesterov(variant="paper")))
    x' = θ - η * g
    a' = (1.0 + sqrt(1.0 + 4.0 * a * a)) / 2.0
    θ' = x' + (a - 1.0) / a' * (x' - x)
    """

    learning_rate: Hyper = 0.01
    momentum: Amount = 0.9
    rate_inside: Option = False
    two_point: Option = False
    variants: ClassVar[Variants] = {
        "pytorch": {},
        "optax": {},
        "keras": {"rate_inside": True},
        "sutskever": {"rate_inside": True, "two_point": True},
        "paper": {"momentum": None},
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.two_point and self.momentum is None:
            raise GraphError(
                "Nesterov of two points looks ahead by a momentum that is a number, not "
                "None; the sequence of 1983 takes its gradient at the parameter"
            )

    def point(self, parameter: Tensor) -> Tensor:
        """θ - μ v, where the gradient of the two-point form is taken."""
        if not self.two_point:
            return parameter
        ahead: Tensor = self.momentum * self.state("velocity", like=parameter)
        return parameter - (ahead if self.rate_inside else self.learning_rate * ahead)

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """v' = μ v + g; θ' = θ - η (g + μ v')"""
        if self.momentum is None:
            return self._extrapolated(parameter, gradient)
        if self.two_point:
            return pushed(self, parameter, gradient)
        velocity = self.state("velocity", like=parameter)
        rate, momentum = self.learning_rate, self.momentum
        if self.rate_inside:
            moved = momentum * velocity + rate * gradient
            step = rate * gradient + momentum * moved
        else:
            moved = momentum * velocity + gradient
            step = rate * (gradient + momentum * moved)
        return {velocity: moved, parameter: parameter - step}

    def _extrapolated(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """x' = θ - η g; a' = (1 + √(4 a² + 1)) / 2; θ' = x' + (a - 1) / a' (x' - x)"""
        x = self.state("x", like=parameter)
        a = self.state("a", init=1.0, dtype=float64)
        moved = parameter - self.learning_rate * gradient
        coming = (1 + sqrt(1 + 4 * a * a)) / 2
        ahead = self.rounded((a - 1) / coming) * (moved - x)
        return {x: moved, a: coming, parameter: moved + ahead}


class _Pushed(Protocol):
    """The fields by which a velocity moves parameters."""

    learning_rate: Any
    momentum: Any
    rate_inside: Any

    def state(self, name: str, like: Tensor) -> Tensor:
        """A state of the shape of `like`."""


def pushed(rule: _Pushed, parameter: Tensor, direction: Tensor) -> Updates:
    """A step along the velocity that `direction` pushes."""
    velocity = rule.state("velocity", parameter)
    rate = rule.learning_rate
    push = rate * direction if rule.rate_inside else direction
    moved = rule.momentum * velocity + push
    step = moved if rule.rate_inside else rate * moved
    return {velocity: moved, parameter: parameter - step}
