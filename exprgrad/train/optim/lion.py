"""Lion: steps of equal length by the sign of a mean gradient."""

from __future__ import annotations

from typing import ClassVar

from exprgrad.graph.elementwise import sign
from exprgrad.graph.tensor import Tensor
from exprgrad.train.hyper import Amount, Fading, Hyper, Variants
from exprgrad.train.rule import Optimizer, Updates


class Lion(Optimizer):
    """Steps by the sign of a mean gradient; one state, all elements move alike.

    Chen et al. 2023, Symbolic discovery of optimization algorithms, algorithm 2, whose λ
    is `weight_decay` (None: no decay; Optax: 0.001). Rates are 3 to 10 times smaller
    than Adam's (section 5).

    >>> import exprgrad as eg
    >>> print(eg.formula(Lion(weight_decay=0.1)))
    m' = β₂ * m + (1.0 - β₂) * g
    θ' = θ - η * (sign(β₁ * m + (1.0 - β₁) * g) + λ * θ)
    """

    learning_rate: Hyper = 1e-4
    beta1: Fading = 0.9
    beta2: Fading = 0.99
    weight_decay: Amount = None
    variants: ClassVar[Variants] = {
        "paper": {},
        "optax": {"weight_decay": 1e-3},
        "keras": {"learning_rate": 1e-3},
    }

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """m' = β2 m + (1 - β2) g; θ' = θ - η sign(β1 m + (1 - β1) g)"""
        mean = self.state("mean", like=parameter)
        direction = sign(self.blended("beta1", mean, gradient))
        if self.weight_decay is not None:
            direction = direction + self.weight_decay * parameter
        return {
            mean: self.blended("beta2", mean, gradient),
            parameter: parameter - self.learning_rate * direction,
        }
