"""What keeps weights small: penalties for the loss, and a bound for their update."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

from exprgrad.errors import GraphError
from exprgrad.graph.elementwise import abs, as_tensor, greater, sqrt, where
from exprgrad.graph.movement import as_axes
from exprgrad.graph.reduction import Axis, sum
from exprgrad.graph.tensor import Operand, Tensor


def l1(*weights: Operand) -> Tensor:
    """Σ|w| over all elements of all weights, a scalar; its gradient at 0 is 0.

    >>> import exprgrad as eg
    >>> loss = 1e-3 * l1(eg.parameter("W", (3, 2), init=-2.0))
    >>> print(float(eg.function([], loss)()))
    0.012000000104308128
    """
    return _total("l1", [sum(abs(w)) for w in weights])


def l2(*weights: Operand) -> Tensor:
    """Σw² over all elements of all weights, a scalar; its gradient is 2w.

    Weight decay of strength λ, whose gradient is λw, is λ/2 times this; the two differ
    where the optimizer scales gradients (Loshchilov and Hutter 2019).

    >>> import exprgrad as eg
    >>> float(eg.function([], l2(eg.constant([3.0, 4.0]), eg.constant([1.0])))())
    26.0
    """
    return _total("l2", [sum(w * w) for w in map(as_tensor, weights)])


def _total(name: str, terms: Sequence[Tensor]) -> Tensor:
    if not terms:
        raise GraphError(f"{name} is the penalty of one weight or more; none was given")
    return reduce(add, terms)


def max_norm(weight: Operand, bound: Operand, axis: Axis = None) -> Tensor:
    """w min(1, bound / ‖w‖), the norm over `axis`: longer vectors end at the bound.

    Without `axis` it is the inputs of each unit: axis 0 of a dense `weight[in, out]`,
    all but the first of a convolution's `[out, in, taps...]`. After each step of
    training: `eg.optim.Chain(eg.optim.SGD(0.1), eg.optim.MaxNorm(3.0))`.

    Srebro and Shraibman 2005, Rank, trace-norm and max-norm; Srivastava et al. 2014,
    Dropout, section 5.1. Raises `GraphError` for a bound that is not above 0.

    >>> import exprgrad as eg
    >>> W = eg.constant([[3.0, 0.3], [4.0, 0.4]])
    >>> eg.function([], max_norm(W, 1.0))()
    array([[0.6, 0.3],
           [0.8, 0.4]], dtype=float32)
    """
    if not isinstance(bound, Tensor) and not bound > 0:
        raise GraphError(f"the bound of max_norm is above 0, but {bound} was given")
    w = as_tensor(weight)
    inputs = (0,) if w.ndim <= 2 else tuple(range(1, w.ndim))
    axes = inputs if axis is None else as_axes(axis, w.ndim)
    length = sqrt(sum(w * w, axes, keepdims=True))
    return w * where(greater(length, bound), bound / length, 1.0)
