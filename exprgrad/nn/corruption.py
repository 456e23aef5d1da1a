"""Noise on the rows that a denoising autoencoder sees: in training, not at inference.

Vincent et al. 2010, Stacked denoising autoencoders, section 3.3. Each function draws
anew at each update; a rate or scale may be a state, which changes without compiling.
"""

from __future__ import annotations

from exprgrad.errors import DTypeError, GraphError
from exprgrad.graph import random
from exprgrad.graph.elementwise import as_tensor, less, where
from exprgrad.graph.mode import training
from exprgrad.graph.tensor import Operand, Tensor


def mask_noise(x: Operand, rate: Operand) -> Tensor:
    """Each element is 0 with probability `rate`, else x: dropout without its scale.

    Raises `GraphError` for a rate outside 0 to 1.

    >>> import exprgrad as eg
    >>> seen = mask_noise(eg.input("x", ("batch", 64)), 0.3)
    """
    x = _checked("mask_noise", x, rate)
    return where(training, where(less(_even(x), rate), 0.0, x), x)


def salt_and_pepper(x: Operand, rate: Operand) -> Tensor:
    """With probability `rate` each element becomes 0 or 1, which are equally likely.

    Raises `GraphError` for a rate outside 0 to 1.
    """
    x = _checked("salt_and_pepper", x, rate)
    coin = random.bernoulli(0.5, x.shape, x.dtype)
    return where(training, where(less(_even(x), rate), coin, x), x)


def gaussian_noise(x: Operand, scale: Operand) -> Tensor:
    """x plus normal numbers of standard deviation `scale`."""
    x = _checked("gaussian_noise", x)
    return where(training, x + scale * random.normal(x.shape, dtype=x.dtype), x)


def _even(x: Tensor) -> Tensor:
    return random.uniform(x.shape, dtype=x.dtype)


def _checked(name: str, x: Operand, rate: Operand = 0) -> Tensor:
    tensor = as_tensor(x)
    if tensor.dtype.kind != "f":
        raise DTypeError(f"{name} takes a floating-point tensor, not {tensor.type}")
    if not isinstance(rate, Tensor) and not 0 <= rate <= 1:
        raise GraphError(f"{name}: the rate lies from 0 to 1, but {rate} was given")
    return tensor
