"""Dropout: noise on units in training, their expected value at inference.

The rate is everywhere the probability to drop; Srivastava et al. 2014 write p for the
probability to keep. It is a number, or a state whose value may change without compiling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exprgrad.errors import GraphError
from exprgrad.graph import random
from exprgrad.graph.elementwise import (
    as_tensor,
    astype,
    less_equal,
    maximum,
    sqrt,
    where,
)
from exprgrad.graph.mode import training
from exprgrad.graph.movement import as_axes
from exprgrad.graph.tensor import Operand, Tensor

SMALLEST_KEEP = 2.0**-24  # below this, 1 - rate is 0 in float32


@dataclass(frozen=True)
class Variant:
    """What is made of a kept x in training, and of every x at inference, by 1 - rate."""

    kept: Callable[[Tensor, Tensor], Tensor]
    inference: Callable[[Tensor, Tensor], Tensor]


def _unchanged(x: Tensor, keep: Tensor) -> Tensor:
    return x


VARIANTS = {
    "inverted": Variant(lambda x, keep: x * (1 / maximum(keep, SMALLEST_KEEP)), _unchanged),
    "original": Variant(_unchanged, lambda x, keep: x * keep),
}


def dropout(
    x: Operand,
    rate: Operand,
    variant: str = "inverted",
    shared: int | Sequence[int] = (),
) -> Tensor:
    """In training each element is 0 with probability `rate`, else x / (1 - rate).

    At inference it is x. With `variant` "original" it is x in training and
    (1 - rate) x at inference, which is the paper's weights times p. All elements along
    the axes `shared` are dropped together. Of a weight it is DropConnect, one mask for
    the whole batch.

    Srivastava et al. 2014, Dropout, section 4 (original) and section 10 (inverted).
    Raises `GraphError` for a rate outside 0 to 1 and for an unknown variant.

    >>> import exprgrad as eg
    >>> rate = eg.state("rate", init=0.5)
    >>> dropout(eg.input("x", ("batch", 8)), rate).shape
    (batch, 8)
    """
    if variant not in VARIANTS:
        known = ", ".join(VARIANTS)
        raise GraphError(f"the variant of dropout is one of {known}, not {variant!r}")
    x, rate = _checked("dropout", x, rate)
    axes = as_axes(shared, x.ndim)
    shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    kept = less_equal(rate, random.uniform(shape, dtype=x.dtype))
    value = VARIANTS[variant].kept(x, 1 - rate)
    return where(
        training, where(kept, value, 0.0), VARIANTS[variant].inference(x, 1 - rate)
    )


def spatial_dropout(x: Operand, rate: Operand) -> Tensor:
    """Dropout of whole channels of `x[batch, channel, ...]`: neighbours are alike.

    Tompson et al. 2015, Efficient object localization using convolutional networks,
    section 3.2. Raises `GraphError` for a rate outside 0 to 1.

    >>> import exprgrad as eg
    >>> spatial_dropout(eg.input("x", ("batch", 6, 8, 8)), 0.2).shape
    (batch, 6, 8, 8)
    """
    x = as_tensor(x)
    return dropout(x, rate, shared=tuple(range(2, x.ndim)))


def gaussian_dropout(x: Operand, rate: Operand) -> Tensor:
    """In training x times a normal number of mean 1 and variance rate / (1 - rate).

    That is the variance of inverted dropout's factor. At inference it is x. Srivastava
    et al. 2014, section 10. Raises `GraphError` for a rate outside 0 to 1, or of 1.

    >>> import exprgrad as eg
    >>> eg.nn.inference(gaussian_dropout(eg.input("x", ("batch", 8)), 0.5))
    x: f32[batch, 8]
    """
    if not isinstance(rate, Tensor) and rate == 1:
        raise GraphError("gaussian_dropout of rate 1 has infinite variance")
    x, rate = _checked("gaussian_dropout", x, rate)
    scale = sqrt(rate / (1 - rate))
    return where(training, x * random.normal(x.shape, 1.0, scale, x.dtype), x)


def _checked(name: str, x: Operand, rate: Operand) -> tuple[Tensor, Tensor]:
    x = as_tensor(x)
    if not isinstance(rate, Tensor) and not 0 <= rate <= 1:
        raise GraphError(f"the rate of {name} lies from 0 to 1, but {rate} was given")
    if x.dtype.kind != "f":
        raise GraphError(f"{name} takes a floating-point tensor, not {x.type}")
    return x, astype(as_tensor(rate, x), x.dtype)
