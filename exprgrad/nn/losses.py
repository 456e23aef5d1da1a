"""Losses and metrics, one number for each row: `.mean()` makes a loss of them.

The first axis is the batch. A loss of elements is the mean over all other axes of a
row, so that the mean over the batch is the mean over all elements.
"""

from __future__ import annotations

from exprgrad.errors import DTypeError, GraphError, ShapeError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.elementwise import (
    abs,
    as_tensor,
    astype,
    equal,
    exp,
    less_equal,
    log,
    maximum,
    minimum,
    softplus,
    where,
)
from exprgrad.graph.movement import bound, expand_dims, iota
from exprgrad.graph.reduction import argmax, max, mean, sum
from exprgrad.graph.tensor import Operand, Tensor, apply


def cross_entropy(logits: Operand, target: Operand, smoothing: Operand = 0.0) -> Tensor:
    """-log softmax(logits) of the target class, `[batch]`.

    `logits[batch, classes]` are unnormalised; `target` holds class numbers `[batch]`,
    or probabilities `[batch, classes]`. Axes between batch and classes stay. A class
    outside the logits' is an `IndexOutOfRange` error of the call.

    `smoothing` s takes that share of the target's probability and spreads it evenly
    over all classes: (1 - s) target + s / classes (Szegedy et al. 2016, Rethinking the
    Inception architecture, section 7). Raises `GraphError` for s outside 0 to 1.

    >>> import exprgrad as eg
    >>> z, y = eg.input("z", ("batch", 10)), eg.input("y", ("batch",), "int64")
    >>> cross_entropy(z, y, smoothing=0.1).shape
    (batch,)
    """
    logits, target = as_tensor(logits), as_tensor(target)
    shifted = logits - _constant_max(logits)
    total = log(sum(exp(shifted), -1))
    if target.dtype.kind == "f":
        _require_equal_shapes("cross_entropy", logits, target)
        weight, score = sum(target, -1), sum(target * shifted, -1)
        return weight * total - _smoothed(score, weight, shifted, smoothing)
    score = sum(where(_chosen(logits, target), shifted, 0.0), -1)
    return total - _smoothed(score, 1.0, shifted, smoothing)


def _smoothed(
    score: Tensor, weight: Operand, shifted: Tensor, smoothing: Operand
) -> Tensor:
    """The target's mean of `shifted`, a share of its weight spread over all classes."""
    if not isinstance(smoothing, Tensor):
        if not 0 <= smoothing <= 1:
            raise GraphError(
                f"the smoothing of cross_entropy lies from 0 to 1, not {smoothing}"
            )
        if smoothing == 0:
            return score
    even = mean(shifted, -1) * weight
    moved: Tensor = score + (even - score) * smoothing
    return moved


def _constant_max(logits: Tensor) -> Tensor:
    """The shift of a softmax cancels out, and so does its gradient."""
    return apply("stop_gradient", (max(logits, -1, keepdims=True),))


def _chosen(logits: Tensor, target: Tensor) -> Tensor:
    """Where the class is the target, `[batch, classes]`."""
    if target.dtype.kind == "b" or target.shape != logits.shape[:-1]:
        raise ShapeError(
            f"cross_entropy: class numbers have the shape of the logits without the "
            f"last axis, but the logits are {logits.type} and the target {target.type}"
        )
    classes = logits.shape[-1]
    index = astype(target, dtypes.int64)
    if not isinstance(classes, int):
        raise ShapeError(
            f"cross_entropy: the number of classes is a number, not {classes}"
        )
    checked = bound(index, classes, wraps=False)
    return equal(expand_dims(checked, index.ndim), iota(classes))


def binary_cross_entropy(probability: Operand, target: Operand) -> Tensor:
    """-(y log p + (1 - y) log(1 - p)), the mean over the other axes, `[batch]`.

    A term whose factor y or 1 - y is 0 is 0, also where its logarithm is infinite.
    Where p is the sigmoid of an expression, the compiler computes from that.

    >>> import exprgrad as eg
    >>> z, y = eg.input("z", ("batch",)), eg.input("y", ("batch",))
    >>> binary_cross_entropy(eg.sigmoid(z), y).shape
    (batch,)
    """
    p, y = _pair("binary_cross_entropy", probability, target)
    true = where(less_equal(y, 0.0), 0.0, y * log(p))
    false = where(less_equal(1.0, y), 0.0, (1 - y) * log(1 - p))
    return _row_mean(-(true + false))


def binary_cross_entropy_with_logits(logits: Operand, target: Operand) -> Tensor:
    """Binary cross-entropy of sigmoid(z): softplus(z) - y z, `[batch]`.

    Equal to `binary_cross_entropy(sigmoid(z), y)`, finite for every finite z.
    """
    z, y = _pair("binary_cross_entropy_with_logits", logits, target)
    return _row_mean(softplus(z) - y * z)


def mse(prediction: Operand, target: Operand) -> Tensor:
    """(prediction - target)², the mean over the other axes, `[batch]`.

    >>> import exprgrad as eg
    >>> p, t = eg.input("p", ("batch", 3)), eg.input("t", ("batch", 3))
    >>> mse(p, t).shape
    (batch,)
    """
    p, t = _pair("mse", prediction, target)
    error = p - t
    return _row_mean(error * error)


def mae(prediction: Operand, target: Operand) -> Tensor:
    """|prediction - target|, the mean over the other axes, `[batch]`."""
    p, t = _pair("mae", prediction, target)
    return _row_mean(abs(p - t))


def huber(prediction: Operand, target: Operand, delta: float = 1.0) -> Tensor:
    """e²/2 where |e| <= delta, else delta (|e| - delta/2), mean over the other axes.

    Huber 1964, Robust estimation of a location parameter. Continuous with its slope.
    """
    p, t = _pair("huber", prediction, target)
    size = abs(p - t)
    inner = minimum(size, delta)
    return _row_mean(inner * (size - 0.5 * inner))


def hinge(score: Operand, target: Operand) -> Tensor:
    """max(0, 1 - y score) with y = -1 or 1, the mean over the other axes, `[batch]`."""
    s, y = _pair("hinge", score, target)
    return _row_mean(maximum(1 - y * s, 0.0))


def kl(target: Operand, prediction: Operand) -> Tensor:
    """Kullback-Leibler divergence Σ p log(p / q) over the last axis, `[batch]`.

    `target` p and `prediction` q are probabilities; a term with p = 0 is 0.
    """
    p, q = _pair("kl", target, prediction)
    none = less_equal(p, 0.0)
    safe = where(none, 1.0, p)
    return sum(where(none, 0.0, p * (log(safe) - log(q))), -1)


def accuracy(logits: Operand, labels: Operand) -> Tensor:
    """1 where the largest of `logits[batch, classes]` is at the label, else 0, `[batch]`.

    >>> import exprgrad as eg
    >>> z, y = eg.input("z", ("batch", 10)), eg.input("y", ("batch",), "int64")
    >>> accuracy(z, y).dtype
    float32
    """
    logits, labels = as_tensor(logits), as_tensor(labels)
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(
            f"accuracy: labels have the shape of the logits without the last axis, but "
            f"the logits are {logits.type} and the labels {labels.type}"
        )
    return astype(equal(argmax(logits, -1), labels), dtypes.float32)


def _pair(name: str, a: Operand, b: Operand) -> tuple[Tensor, Tensor]:
    """Both as tensors of one floating-point dtype and one shape.

    (batch,) and (batch, 1) would broadcast to (batch, batch), which is never meant.
    """
    a = as_tensor(a)
    b = as_tensor(b, a)
    _require_equal_shapes(name, a, b)
    meeting = dtypes.promote(a.dtype, b.dtype)
    if meeting.kind != "f":
        raise DTypeError(
            f"{name} takes floating-point operands, not {a.type} and {b.type}"
        )
    return astype(a, meeting), astype(b, meeting)


def _require_equal_shapes(name: str, a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ShapeError(
            f"{name}: both operands have one shape, not {a.type}, {b.type}"
        )


def _row_mean(x: Tensor) -> Tensor:
    return mean(x, tuple(range(1, x.ndim))) if x.ndim > 1 else x
