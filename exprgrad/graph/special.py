"""Expressions of which a gradient is told more than their value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exprgrad.errors import GraphError
from exprgrad.graph.elementwise import as_tensor
from exprgrad.graph.tensor import Operand, Tensor, apply

Pullback = Callable[..., Any]


def stop_gradient(x: Operand) -> Tensor:
    """`x`, which counts as a constant when a gradient is taken.

    >>> import exprgrad as eg
    >>> eg.stop_gradient(eg.input("x", (3,)))
    stop_gradient(x)
    """
    return apply("stop_gradient", (as_tensor(x),))


def checkpoint(x: Operand) -> Tensor:
    """`x`, which is kept for the gradient; what lies before it is computed again there.

    A gradient reads values of the whole expression, so these stay in memory until it
    has passed them. With marks they do not: between two marks (or an input and the
    first one) values are computed a second time, once the gradient has come to the
    later mark. Marks after every sqrt(n)-th of n layers make the memory grow with
    sqrt(n), at the price of one more forward pass. What comes after the last mark is
    not computed again. Values and gradients have the same bits with marks and without.

    `jax.checkpoint(f)(x)` is `checkpoint(f(x))` here. Raises `GraphError` for a
    function. Chen et al. 2016, Training deep nets with sublinear memory cost.

    >>> import exprgrad as eg
    >>> h = x = eg.input("x", (8,))
    >>> for n in range(4):
    ...     h = eg.checkpoint(eg.tanh(h)) if n % 2 else eg.tanh(h)
    >>> h
    checkpoint(tanh(tanh(checkpoint(tanh(tanh(x))))))
    """
    if callable(x):
        raise GraphError(
            "checkpoint takes an expression, not a function: write checkpoint(f(x)) "
            "in place of checkpoint(f)(x)"
        )
    return apply("checkpoint", (as_tensor(x),))


def custom_gradient(
    function: Callable[..., Tensor], pullback: Pullback
) -> Callable[..., Tensor]:
    """`function` with a gradient of your own.

    `pullback(cotangent, *inputs)` gives one cotangent for each input (or None for no
    dependence), of that input's shape; with one input it may give it alone.

    >>> import exprgrad as eg
    >>> clipped = eg.custom_gradient(lambda x: x, lambda g, x: eg.clip(g, -1.0, 1.0))
    >>> clipped(eg.input("x", (3,))).shape
    (3,)
    """
    if not callable(function) or not callable(pullback):
        raise GraphError(
            "custom_gradient takes two functions: the value and its pullback"
        )

    def wrapped(*inputs: Operand) -> Tensor:
        tensors = tuple(as_tensor(x) for x in inputs)
        value = function(*tensors)
        if not isinstance(value, Tensor):
            raise GraphError(
                f"a function with a gradient gives one expression, not {value!r}"
            )
        return apply("custom", (value, *tensors), (pullback,))

    return wrapped
