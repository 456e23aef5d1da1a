"""What keeps parameters within bounds after each step."""

from __future__ import annotations

from exprgrad.graph.tensor import Tensor
from exprgrad.nn.weights import max_norm
from exprgrad.train.hyper import Amount
from exprgrad.train.rule import Updates
from exprgrad.train.transform import ParameterTransform


class MaxNorm(ParameterTransform):
    """The inputs of each unit, as a vector, are no longer than `bound`.

    `eg.nn.max_norm` of each new weight; parameters of fewer than two axes, such as
    biases, are left as they are. It stands after the optimizer. Srivastava et al. 2014,
    Dropout, section 5.1, where the bound is 3 to 4.

    >>> import exprgrad as eg
    >>> W = eg.parameter("W", (2, 1), init=[[3.0], [4.0]])
    >>> optimizer = eg.optim.Chain(eg.optim.SGD(0.0), MaxNorm(1.0))
    >>> eg.function([], None, optimizer.updates(W.sum()))()
    >>> W.value
    array([[0.6],
           [0.8]], dtype=float32)
    """

    bound: Amount = 3.0

    def after(self, parameter: Tensor, new: Tensor, rate: Tensor) -> Updates:
        """θ' min(1, bound / ‖θ'‖)"""
        return {parameter: max_norm(new, self.bound) if new.ndim > 1 else new}
