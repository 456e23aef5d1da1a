"""An example or more of each operation that has a gradient, away from its kinks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import exprgrad as eg
from exprgrad.graph.reduction import cumulative_sum
from exprgrad.graph.tensor import Tensor, apply

Shape = tuple[Any, ...]


@dataclass(frozen=True)
class Case:
    """A function of float64 inputs of these shapes, drawn evenly from low to high."""

    function: Callable[..., Tensor]
    shapes: tuple[Shape, ...]
    low: float = -2.0
    high: float = 2.0
    sizes: tuple[Shape, ...] | None = None


def one(function: Callable[..., Tensor], low: float = -2.0, high: float = 2.0) -> Case:
    return Case(function, ((2, 3),), low, high)


def two(function: Callable[..., Tensor], low: float = -2.0, high: float = 2.0) -> Case:
    return Case(function, ((2, 3), (2, 3)), low, high)


def rows(*index: int) -> Tensor:
    return eg.constant(index, "int64")


def window(*params: int) -> Callable[[Tensor], Tensor]:
    return lambda x: apply("window", (x,), params)


def unwindow(*params: int) -> Callable[[Tensor], Tensor]:
    return lambda x: apply("unwindow", (x,), params)


def contraction(a: str, b: str, out: str, *shapes: Shape) -> Case:
    return Case(lambda x, y: apply("dot", (x, y), (a, b, out)), shapes)


def cube(x: Tensor) -> Tensor:
    """x**3 with a rule of its own."""
    return apply("custom", (x * x * x, x), (lambda g, x: 3.0 * g * x * x,))


CASES: dict[str, list[Case]] = {
    "add": [two(eg.add)],
    "subtract": [two(eg.subtract), one(lambda x: x - x * x)],
    "multiply": [two(eg.multiply), one(lambda x: x * x)],
    "divide": [two(eg.divide, 0.5)],
    "remainder": [
        one(lambda x: eg.remainder(x, 0.7), 0.1, 0.6),
        two(eg.remainder, 0.7, 1.2),
    ],
    "pow": [
        two(eg.pow, 0.5),
        one(lambda x: x**3.0),
        one(lambda x: x**2),
        one(lambda x: x**1),
        one(lambda x: x**0 + x),
        one(lambda x: x**-1.5, 0.5),
        one(lambda x: 2.0**x),
    ],
    "maximum": [two(eg.maximum)],
    "minimum": [two(eg.minimum)],
    "negative": [one(eg.negative)],
    "abs": [one(eg.abs)],
    "exp": [one(eg.exp)],
    "expm1": [one(eg.expm1)],
    "log": [one(eg.log, 0.5)],
    "log1p": [one(eg.log1p, -0.5)],
    "sqrt": [one(eg.sqrt, 0.5)],
    "rsqrt": [one(eg.rsqrt, 0.5)],
    "tanh": [one(eg.tanh)],
    "sigmoid": [one(eg.sigmoid)],
    "softplus": [one(eg.softplus)],
    "erf": [one(eg.erf)],
    "sin": [one(eg.sin)],
    "cos": [one(eg.cos)],
    "where": [two(lambda x, y: eg.where(x < y, x * y, y))],
    "cast": [one(lambda x: eg.astype(eg.astype(x, "float64") * x, "float64"))],
    "sum": [
        one(lambda x: eg.sum(x, 1)),
        Case(lambda x: eg.sum(x * x, (0, 2)), ((2, 3, 4),)),
        Case(lambda x: eg.sum(x * x), (("n", 3),), sizes=((5, 3),)),
    ],
    "max": [
        one(lambda x: eg.max(x * x, 1)),
        Case(lambda x: eg.max(x, (0, 2)), ((2, 3, 4),)),
        Case(lambda x: eg.max(x, 0), (("n", 3),), sizes=((5, 3),)),
    ],
    "min": [
        one(lambda x: eg.min(x * x, 0)),
        Case(lambda x: eg.min(x, (0, 1)), ((2, 3, 4),)),
    ],
    "cumsum": [
        one(lambda x: cumulative_sum(x * x, 0)),
        one(lambda x: cumulative_sum(x, 1)),
    ],
    "dot": [
        contraction("ik", "kj", "ij", (2, 3), (3, 4)),
        contraction("ik", "jk", "ji", (2, 3), (4, 3)),
        contraction("bik", "bkj", "bij", (2, 3, 4), (2, 4, 5)),
        contraction("i", "i", "", (3,), (3,)),
        contraction("i", "j", "ij", (3,), (2,)),
        contraction("ijk", "j", "i", (2, 3, 4), (3,)),
        contraction("ij", "kl", "li", (2, 3), (3, 2)),
        contraction("i", "ij", "ij", (2,), (2, 3)),
    ],
    "reshape": [one(lambda x: eg.reshape(x * x, (3, 2)))],
    "expand": [one(lambda x: apply("expand", (x,), ((4, 2, 5, 3), (0, 2))))],
    "permute": [Case(lambda x: eg.permute_dims(x, (2, 0, 1)), ((2, 3, 4),))],
    "pad": [one(lambda x: eg.pad(x * x, ((1, 2), (0, 1))))],
    "slice": [
        Case(lambda x: x[1:5:2, ::-1], ((7, 3),)),
        Case(lambda x: x[5:0:-2], ((7, 3),)),
        Case(lambda x: x[::-3, 1], ((7, 3),)),
        Case(lambda x: x[2, 1:], ((7, 3),)),
        Case(lambda x: x[1:], (("n", 2),), sizes=((5, 2),)),
        Case(lambda x: x[::-1], (("n", 2),), sizes=((5, 2),)),
        Case(lambda x: x[3:3] + x[:0], ((7, 3),)),
    ],
    "concat": [
        two(lambda x, y: eg.concat([x * y, y, x], 1)),
        Case(
            lambda x, y: eg.concat([x, y]), (("n", 3), (2, 3)), sizes=((4, 3), (2, 3))
        ),
    ],
    "window": [
        Case(window(0, 3, 2, 1), ((8, 2),)),
        Case(window(1, 2, 1, 3), ((2, 6),)),
        Case(window(0, 2, 3, 2), ((9,),)),
    ],
    "unwindow": [
        Case(unwindow(0, 8, 2, 1), ((3, 2, 3),)),
        Case(unwindow(0, 9, 2, 1), ((3, 3),)),
        Case(unwindow(1, 6, 1, 3), ((2, 3, 2),)),
        Case(unwindow(0, 12, 2, 1), ((3, 2),)),
    ],
    "gather": [
        one(lambda x: eg.take(x, rows(2, 0, 2, 1), 1)),
        one(lambda x: eg.take(x * x, eg.reshape(rows(1, 1, 0, 1), (2, 2)), 0)),
    ],
    "scatter_add": [
        one(lambda x: eg.scatter_add(x, rows(3, 3), 5)),
        one(lambda x: eg.scatter_add(x * x, rows(0, 2, 0), 4, axis=1)),
        one(lambda x: eg.scatter_add(x, eg.reshape(rows(0, 1, 2, 2, 1, 3), (2, 3)), 4)),
    ],
    "custom": [one(cube)],
    "checkpoint": [
        one(lambda x: eg.checkpoint(eg.sin(x)) * x),
        one(lambda x: eg.checkpoint(x * eg.checkpoint(eg.tanh(x * x)))),
    ],
    "again": [one(lambda x: x * apply("again", (eg.sin(x), x * x)))],
}
