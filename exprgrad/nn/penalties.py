"""Penalties on codes: few active units, and codes that stay when the rows move."""

# ruff: noqa: RUF002 - the papers' Greek letters

from __future__ import annotations

from exprgrad.errors import GraphError, ShapeError
from exprgrad.grad.batch import batched
from exprgrad.grad.public import vjp
from exprgrad.grad.reverse import stand_in
from exprgrad.graph.elementwise import as_tensor, astype, broadcast_to, equal, log
from exprgrad.graph.movement import expand_dims, iota
from exprgrad.graph.reduction import matmul, mean, sum
from exprgrad.graph.special import stop_gradient
from exprgrad.graph.tensor import Operand, Tensor


def sparsity(h: Operand, target: float) -> Tensor:
    """Σⱼ KL(ρ‖ρ̂ⱼ), ρ̂ⱼ the mean of unit j over the batch: a scalar.

    KL(ρ‖ρ̂) = ρ log(ρ/ρ̂) + (1-ρ) log((1-ρ)/(1-ρ̂)) with ρ = `target`; `h[batch,
    hidden]` are probabilities. Raises `GraphError` for a target outside (0, 1).

    Ng 2011, Sparse autoencoder (CS294A lecture notes), section 3; Hinton 2010, A
    practical guide to training restricted Boltzmann machines, section 11.

    >>> import exprgrad as eg
    >>> float(eg.function([], sparsity(eg.constant([[0.1, 0.1], [0.1, 0.1]]), 0.1))())
    0.0
    """
    return _divergence(mean(as_tensor(h), 0), target)


def running_sparsity(
    h: Operand, target: float, average: Tensor, decay: float = 0.9
) -> tuple[Tensor, dict[Tensor, Tensor]]:
    """`sparsity` of a running mean, for small batches, and the state's update.

    `average[hidden]` becomes decay average + (1 - decay) batch's mean; begin it at the
    target. The penalty is taken there, and its gradient flows into the batch's mean as
    if that were all of it (Hinton 2010, section 11).
    """
    batch = mean(as_tensor(h), 0)
    if average.op != "state" or average.shape != batch.shape:
        raise ShapeError(
            f"running_sparsity needs a state of {batch.shape} for its mean, not "
            f"{average.op} {average.type}"
        )
    moved = decay * average + (1 - decay) * batch
    value = stop_gradient(moved) + (batch - stop_gradient(batch))
    return _divergence(value, target), {average: moved}


def _divergence(mean: Tensor, target: float) -> Tensor:
    if not 0 < target < 1:
        raise GraphError(f"the target of sparsity lies between 0 and 1, not {target}")
    rest = 1 - target
    return sum(target * log(target / mean) + rest * log(rest / (1 - mean)))


def sigmoid_contraction(h: Operand, weight: Operand) -> Tensor:
    """‖∂h/∂x‖² of h = sigmoid(xW + c): Σⱼ (hⱼ(1-hⱼ))² Σᵢ Wᵢⱼ², `[batch]`.

    Rifai et al. 2011, Contractive auto-encoders, equation 5 and section 5.

    >>> import exprgrad as eg
    >>> W, x = eg.parameter("W", (64, 30)), eg.input("x", ("batch", 64))
    >>> sigmoid_contraction(eg.sigmoid(x @ W), W).shape
    (batch,)
    """
    h, weight = as_tensor(h), as_tensor(weight)
    slope = h * (1 - h)
    return matmul(slope * slope, sum(weight * weight, 0))


def contraction(h: Tensor, x: Tensor) -> Tensor:
    """‖∂h/∂x‖², squared and summed over the Jacobian of each row, `[batch]`.

    For `h[batch, hidden]` made of `x[batch, visible]` row by row, however deep; its
    cost is that of `hidden` gradients. Where rows mix, as in batch normalisation, it
    is the derivative of all rows' sum. Rifai et al. 2011, equation 1.

    >>> import exprgrad as eg
    >>> W, x = eg.parameter("W", (64, 30)), eg.input("x", ("batch", 64))
    >>> contraction(eg.tanh(x @ W), x).shape
    (batch,)
    """
    if h.ndim != 2 or x.ndim != 2 or h.shape[0] != x.shape[0]:
        raise ShapeError(
            f"contraction takes codes and rows of one batch, not {h.type} and {x.type}"
        )
    direction = stand_in(h)
    rows = batched(vjp(h, x, direction), direction, _units(h))
    return sum(rows * rows, (0, 2))


def _units(h: Tensor) -> Tensor:
    """For each hidden unit a direction that is 1 there in every row, else 0."""
    n = h.shape[1]
    one = equal(iota(n), expand_dims(iota(n), (1, 2)))
    return broadcast_to(astype(one, h.dtype), (n, *h.shape))
