"""Expressions whose gradient is not that of their value."""

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
