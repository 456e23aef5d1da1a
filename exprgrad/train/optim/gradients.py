"""Changes of gradients before an optimizer sees them: clipping, noise."""

# ruff: noqa: RUF002 - the papers' Greek letters

from __future__ import annotations

from collections.abc import Sequence

from exprgrad.graph import random
from exprgrad.graph.dtype import float64
from exprgrad.graph.elementwise import astype, maximum, minimum, pow, sqrt
from exprgrad.graph.reduction import sum as total
from exprgrad.graph.tensor import Tensor
from exprgrad.train.hyper import Amount, Hyper
from exprgrad.train.transform import GradientTransform


class ClipByValue(GradientTransform):
    """Each element of each gradient into [-limit, limit].

    >>> import exprgrad as eg
    >>> eg.optim.Chain(ClipByValue(0.5), eg.optim.SGD())
    Chain(ClipByValue(limit=0.5), SGD(learning_rate=0.01))
    """

    limit: Amount = 1.0

    def change(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        """min(max(g, -limit), limit)"""
        return minimum(maximum(gradient, -self.limit), self.limit)


class ClipByNorm(GradientTransform):
    """All gradients scaled by one number, so that their common norm is `limit` at most.

    Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural
    networks, algorithm 1. The norm is that of all gradients that the chain sees as one
    vector. (PyTorch adds 1e-6 to the norm; Optax does not.)

    >>> import exprgrad as eg
    >>> eg.optim.Chain(ClipByNorm(5.0), eg.optim.Adam(1e-3)).learning_rate.value
    array(0.001)
    """

    limit: Amount = 1.0

    def gradients(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]
    ) -> list[Tensor]:
        """g limit / max(‖g‖, limit)"""
        squares = [astype(total(g * g), float64) for g in gradients]
        limit = self.exact("limit")
        scale = limit / maximum(sqrt(sum(squares[1:], start=squares[0])), limit)
        return [g * astype(scale, g.dtype) for g in gradients]


class GradientNoise(GradientTransform):
    """Normal noise on each gradient, of `variance` / (1 + t)^γ, t = 0, 1, ...

    Neelakantan et al. 2015, Adding gradient noise improves learning for very deep
    networks, equation 1, where it is 0.01, 0.3 or 1 at first. A clip that stands behind
    it sees the noise too. The numbers follow from the seed and the number of the update.

    >>> import exprgrad as eg
    >>> eg.optim.Chain(GradientNoise(variance=0.3), eg.optim.SGD(0.1))
    Chain(GradientNoise(variance=0.3, gamma=0.55), SGD(learning_rate=0.1))
    """

    variance: Amount = 0.01
    gamma: Hyper = 0.55

    def change(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        """g + N(0, variance / (1 + t)^γ)"""
        variance = self.exact("variance") / pow(self.exact("t"), self.exact("gamma"))
        deviation = self.rounded(sqrt(variance))
        drawn = random.normal(gradient.shape, dtype=gradient.dtype, step=self.count)
        return gradient + deviation * drawn
