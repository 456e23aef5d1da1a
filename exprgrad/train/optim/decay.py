"""What draws parameters to zero: by the gradient (L2), or apart from it."""

from __future__ import annotations

from exprgrad.graph.tensor import Tensor
from exprgrad.train.hyper import Amount
from exprgrad.train.rule import Updates
from exprgrad.train.transform import GradientTransform, ParameterTransform


class L2(GradientTransform):
    """The gradient of the penalty λ/2 ‖θ‖², added to that of the loss.

    PyTorch's `weight_decay` of every optimizer but AdamW. It stands before the
    optimizer, which scales it as it scales the gradient.

    >>> import exprgrad as eg
    >>> print(eg.formula(eg.optim.Chain(L2(1e-4), eg.optim.SGD())))
    g' = g + λ * θ
    θ' = θ - η * g'
    """

    weight_decay: Amount = 1e-4

    def change(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        """g + λ θ"""
        penalty: Tensor = self.weight_decay * parameter
        return gradient + penalty


class WeightDecay(ParameterTransform):
    """Parameters shrink by η λ a step, apart from the gradient.

    Loshchilov and Hutter 2019, Decoupled weight decay regularization. It stands after
    the optimizer, whose rate η it takes; `Chain(Adam(), WeightDecay())` is AdamW.

    >>> import exprgrad as eg
    >>> print(eg.formula(eg.optim.Chain(eg.optim.SGD(), WeightDecay())))
    θ' = θ - η * g - η * λ * θ
    """

    weight_decay: Amount = 1e-2

    def after(self, parameter: Tensor, new: Tensor, rate: Tensor) -> Updates:
        """θ' - η λ θ"""
        return {parameter: new - rate * self.weight_decay * parameter}
