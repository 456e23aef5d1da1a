"""Batch normalisation: its two modes, its running statistics, and its folding away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exprgrad.errors import GraphError, ShapeError
from exprgrad.graph.dims import Size, count
from exprgrad.graph.elementwise import (
    as_tensor,
    astype,
    greater,
    maximum,
    rsqrt,
    size_value,
    where,
)
from exprgrad.graph.leaves import step
from exprgrad.graph.mode import training
from exprgrad.graph.movement import as_axes, reshape
from exprgrad.graph.reduction import mean
from exprgrad.graph.tensor import Operand, Tensor
from exprgrad.nn.norms import scaled


@dataclass(frozen=True)
class Variant:
    """How the running statistics follow those of the batches."""

    momentum: float | None  # the share of the new batch; None: all batches weigh alike
    epsilon: float
    unbiased: bool  # whether the running variance has m / (m - 1) times the batch's


VARIANTS = {
    "pytorch": Variant(0.1, 1e-5, unbiased=True),
    # What Keras calls momentum is the share that stays, 0.99.
    "keras": Variant(0.01, 1e-3, unbiased=False),
    # Algorithm 2 of the paper, PyTorch's momentum=None: the mean since step 0.
    "cumulative": Variant(None, 1e-5, unbiased=True),
}


def batch_norm(
    x: Operand,
    gamma: Operand,
    beta: Operand,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: Operand | None = None,
    epsilon: float | None = None,
    axis: int | Sequence[int] = 0,
    variant: str = "pytorch",
) -> tuple[Tensor, dict[Tensor, Tensor]]:
    """y = gamma (x - mean) / sqrt(var + epsilon) + beta, and the states' updates.

    In training mean and var are the batch's over `axis` (0 for `x[batch, features]`,
    (0, 2, 3) for images `[batch, channel, height, width]`), var with 1/m, and the
    gradient flows through both. At inference they are the running ones, each
    (1 - momentum) running + momentum batch; `variant` gives momentum, epsilon and the
    variance where libraries differ (`VARIANTS`). Parameters and states have the shape
    of the axes that are left. Give the updates to the trainer (`updates=updates`);
    after training `trainer.finalize_batch_norm(data)` takes the moments of all data.

    Ioffe and Szegedy 2015, Batch normalization, algorithms 1 and 2. Raises `ShapeError`
    for states of another shape, `GraphError` for an unknown variant.

    >>> import exprgrad as eg
    >>> x = eg.input("x", ("batch", 4))
    >>> mean, var = eg.state("mean", (4,)), eg.state("var", (4,), init=1.0)
    >>> y, updates = batch_norm(x, 1.0, 0.0, mean, var)
    >>> y.shape, list(updates) == [mean, var]
    ((batch, 4), True)
    """
    kind = _variant(variant)
    x = as_tensor(x)
    axes = as_axes(axis, x.ndim)
    left = tuple(a for a in range(x.ndim) if a not in axes)
    _require_statistics(x, axes, left, running_mean, running_var)
    kept = tuple(n if a in left else 1 for a, n in enumerate(x.shape))
    centre = mean(x, axes)
    deviation = x - reshape(centre, kept)
    spread = mean(deviation * deviation, axes)
    epsilon = kind.epsilon if epsilon is None else epsilon
    used_mean = reshape(where(training, centre, running_mean), kept)
    used_var = reshape(where(training, spread, running_var), kept)
    normal = (x - used_mean) * rsqrt(used_var + epsilon)
    share = _share(kind, x) if momentum is None else momentum
    unbiased = _unbiased(spread, count(tuple(x.shape[a] for a in axes)), running_var)
    new = {running_mean: centre, running_var: unbiased if kind.unbiased else spread}
    updates = {s: s + share * (value - s) for s, value in new.items()}
    return scaled(normal, gamma, beta, left), updates


def _variant(name: str) -> Variant:
    if name not in VARIANTS:
        known = ", ".join(VARIANTS)
        raise GraphError(f"the variant of batch_norm is one of {known}, not {name!r}")
    return VARIANTS[name]


def _share(kind: Variant, x: Tensor) -> Operand:
    """The weight of the new batch in the running mean."""
    return 1 / astype(step + 1, x.dtype) if kind.momentum is None else kind.momentum


def _unbiased(spread: Tensor, points: Size, running: Tensor) -> Tensor:
    """m / (m - 1) times the variance of m points; of one, which has none, the running."""
    m = astype(size_value(points), spread.dtype)
    return where(greater(m, 1.0), spread * (m / maximum(m - 1, 1.0)), running)


def _require_statistics(
    x: Tensor, axes: tuple[int, ...], left: tuple[int, ...], *states: Tensor
) -> None:
    shape = tuple(x.shape[a] for a in left)
    for state in states:
        if state.shape != shape:
            raise ShapeError(
                f"batch_norm over {axes} of {x.type} needs statistics of {shape}, but "
                f"{state.name} is {state.type}"
            )


def fold_batch_norm(
    weight: Operand,
    bias: Operand | None,
    gamma: Operand,
    beta: Operand,
    running_mean: Operand,
    running_var: Operand,
    epsilon: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one layer that a layer and the batch norm after it are.

    W' = s W and b' = s (b - mean) + beta with s = gamma / sqrt(var + epsilon), for each
    output. `weight[in, out]` is a dense layer's, `weight[out, in, taps...]` that of a
    convolution; the others are `[out]`, or numbers. It is for inference, which it
    leaves equal but for rounding. Jacob et al. 2018, Quantization and training of
    neural networks, equation 14.

    >>> import exprgrad as eg
    >>> W, b = fold_batch_norm([[2.0]], None, 3.0, 1.0, [5.0], [4.0], epsilon=0.0)
    >>> eg.function([], [W, b])()
    [array([[3.]], dtype=float32), array([-6.5], dtype=float32)]
    """
    weight = as_tensor(weight)
    out = (1,) if weight.ndim == 2 else (0,)
    scale = gamma * rsqrt(as_tensor(running_var, weight) + epsilon)
    shift = beta - running_mean * scale
    return scaled(weight, scale, None, out), shift if bias is None else shift + bias * scale
