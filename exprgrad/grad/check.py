"""Derivatives against differences, and the node whose rule is to blame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exprgrad.errors import GraphError, InputError, lines_of
from exprgrad.grad.reverse import stand_in
from exprgrad.grad.sweep import grad, jvp
from exprgrad.grad.vjp import VJP
from exprgrad.graph.dtype import float32, float64
from exprgrad.graph.elementwise import constant
from exprgrad.graph.evaluate import dims_of, evaluate
from exprgrad.graph.leaves import input
from exprgrad.graph.mode import rebuilt, replaced
from exprgrad.graph.node import transform, walk
from exprgrad.graph.reduction import sum
from exprgrad.graph.tensor import Tensor, apply

Array = NDArray[Any]
Values = dict[Tensor, Array]

STEP = 1e-4
NAMED = ("input", "parameter", "state")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A slope along one direction: by differences, and by the rules of `table`."""

    table: str
    expected: float
    got: float


def check_grad(
    output: Tensor,
    at: Mapping[Any, Any] | None = None,
    order: int = 2,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> int:
    """Compare all derivatives of `output` up to `order` with differences in float64.

    `at` gives the values of inputs, by tensor or by name; parameters and states have
    theirs. Slopes along random directions, by the gradient and by the tangent, must
    equal Richardson's central differences to `tolerance`. A direction that meets a kink
    is skipped; the number of directions that were compared is returned. Raises
    `GraphError` naming the node whose own rule is wrong, its line and both slopes.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> check_grad(eg.sin(x).sum(), {"x": [0.1, 0.2, 0.3]})
    4
    """
    values, function = _in_float64(output, at or {})
    moving = [x for x in values if x.dtype == float64]
    rng = np.random.default_rng(seed)
    function = _projected(function, values, rng)
    compared = 0
    for _ in range(order):
        directions = [stand_in(x) for x in moving]
        slope = _slope(function, moving, directions)
        for _ in range(2):
            for x, v in zip(moving, directions, strict=True):
                values[v] = rng.normal(size=values[x].shape)
            found = _compare(function, slope, moving, directions, values, tolerance)
            if isinstance(found, Mismatch):
                raise _blamed(function, moving, values, rng, tolerance, found)
            compared += found
        function = slope
    return compared


def _values(roots: list[Tensor], at: Values) -> list[Array]:
    """The values of `roots`; all of `at` tells the sizes, whether it is needed or not."""
    return evaluate(roots, at, dims_of(at))


def _slope(f: Tensor, xs: list[Tensor], vs: list[Tensor]) -> Tensor:
    """The sum of gradient times direction."""
    total = constant(0.0, float64)
    for g, v in zip(grad(f, xs), vs, strict=True):
        total = total + sum(g * v)
    return total


def _compare(
    f: Tensor,
    slope: Tensor,
    xs: list[Tensor],
    vs: list[Tensor],
    values: Values,
    tolerance: float,
) -> bool | Mismatch:
    """Whether the direction could be compared; the mismatch, if there is one."""
    expected = _difference(f, xs, vs, values, tolerance)
    if expected is None:
        return False
    tangent = jvp(f, xs, vs)
    slopes = _values([slope, tangent], values)
    for table, got in zip(("gradient", "tangent"), map(float, slopes), strict=True):
        if not abs(got - expected) <= tolerance * max(1.0, abs(expected)):
            return Mismatch(table, expected, got)
    return True


def _difference(
    f: Tensor, xs: list[Tensor], vs: list[Tensor], values: Values, tolerance: float
) -> float | None:
    """The slope of f along vs by differences; None at a kink or a jump.

    Where f is smooth, the gap between the slopes of both sides shrinks with the step;
    at a kink it stays, at a jump the slope itself grows as the step shrinks.
    """

    def at(t: float) -> float:
        moved = {x: values[x] + t * values[v] for x, v in zip(xs, vs, strict=True)}
        return float(_values([f], {**values, **moved})[0])

    middle = at(0.0)
    slopes, gaps = [], []
    for h in (STEP, STEP / 2):
        right, left = (at(h) - middle) / h, (middle - at(-h)) / h
        slopes.append((right + left) / 2)
        gaps.append(abs(right - left))
    fine = (4 * slopes[1] - slopes[0]) / 3
    scale = max(1.0, abs(slopes[0]))
    kink = gaps[1] > 0.75 * gaps[0] and gaps[1] > tolerance * scale
    jump = abs(slopes[1] - slopes[0]) > 0.1 * scale
    return None if kink or jump or not np.isfinite(fine) else fine


def _blamed(
    f: Tensor,
    moving: list[Tensor],
    values: Values,
    rng: np.random.Generator,
    tolerance: float,
    whole: Mismatch,
) -> GraphError:
    """The error that names the first node whose own slope is wrong."""
    nodes = walk([f])
    known = dict(zip(nodes, _values(nodes, values), strict=True))
    reached = _reached(nodes, moving)
    for node in nodes:
        if node in reached and node.args:
            wrong = _own_mismatch(node, reached, {**known, **values}, rng, tolerance)
            if wrong is not None:
                return _error(
                    f"the {wrong.table} rule of {node.op} is wrong", wrong, node
                )
    return _error("no single rule is wrong, but the whole is", whole, f)


def _error(what: str, slopes: Mismatch, node: Tensor) -> GraphError:
    return GraphError(
        f"{what}: along a random direction the slope is {slopes.expected:.9g} by "
        f"differences and {slopes.got:.9g} by the rule",
        node.where,
    )


def _own_mismatch(
    node: Tensor,
    reached: set[Tensor],
    values: Values,
    rng: np.random.Generator,
    tolerance: float,
) -> Mismatch | None:
    """The mismatch of `node` alone, as a function of its arguments."""
    inputs = node.args[1:] if node.op == "custom" else node.args
    fresh = {a: stand_in(a) for a in inputs if a in reached}
    image = replaced(node.args, fresh)
    alone = rebuilt(node, tuple(image[a] for a in node.args))
    here = {**values, **{x: values[a] for a, x in fresh.items()}}
    directions = [stand_in(x) for x in fresh.values()]
    for x, v in zip(fresh.values(), directions, strict=True):
        here[v] = rng.normal(size=here[x].shape)
    here[alone] = values[node]
    f = _projected(alone, here, rng)
    del here[alone]
    xs = list(fresh.values())
    found = _compare(f, _slope(f, xs, directions), xs, directions, here, tolerance)
    return found if isinstance(found, Mismatch) else None


def _reached(nodes: Iterable[Tensor], moving: list[Tensor]) -> set[Tensor]:
    reached = set(moving)
    for node in nodes:
        smooth = VJP[node.op] is not None and node.dtype.kind == "f"
        if smooth and any(a in reached for a in node.args):
            reached.add(node)
    return reached


def _projected(y: Tensor, values: Values, rng: np.random.Generator) -> Tensor:
    """A scalar: the sum of y times random weights."""
    if y.shape == ():
        return y
    shape = _values([y], values)[0].shape
    weights = stand_in(y)
    values[weights] = rng.normal(size=shape)
    return sum(y * weights)


def _in_float64(output: Tensor, at: Mapping[Any, Any]) -> tuple[Values, Tensor]:
    """The values of new leaves, and `output` spelled with them in float64 throughout."""
    values: Values = {}

    def visit(node: Tensor, args: tuple[Tensor, ...]) -> Tensor:
        if node.op in NAMED:
            # the old leaf stays known: a pullback may read it, though not through an input
            leaf = _wide(node)
            for x in (node, leaf):
                values[x] = np.array(_value(node, at), x.dtype.numpy)
            return leaf
        if node.op == "constant" and node.dtype == float32:
            return constant(node.params[0].array, float64)
        params = tuple(float64 if p is float32 else p for p in node.params)
        with lines_of(node.where):
            same = node.op == "cast" and args[0].dtype == params[0]
            return args[0] if same else apply(node.op, args, params)

    return values, transform([output], visit)[output]


def _wide(leaf: Tensor) -> Tensor:
    return (
        input(f"check.{leaf.name}", leaf.shape, float64)
        if leaf.dtype == float32
        else leaf
    )


def _value(leaf: Tensor, at: Mapping[Any, Any]) -> Any:
    by_name = {key: value for key, value in at.items() if isinstance(key, str)}
    by_node = {key: value for key, value in at.items() if isinstance(key, Tensor)}
    if leaf in by_node or leaf.name in by_name:
        return by_node[leaf] if leaf in by_node else by_name[leaf.name]
    if leaf.op == "input":
        raise InputError(f"check_grad: no value is given for the input {leaf.name}")
    return leaf.value
