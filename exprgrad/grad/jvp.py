"""How each operation moves when its arguments move: one row per op, order of `OPS`.

A row is `rule(tangents, node, *args)`: from the tangents of the arguments (None where
an argument rests, not all of them) the tangent of the node. Most operations are linear,
and move as they act; an elementwise one moves by its own slopes, which the VJP table
has already. A row of None rests.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from exprgrad.errors import GraphError
from exprgrad.grad.reverse import check_cotangents, reverse, stand_in
from exprgrad.grad.vjp import VJP, as_factor, first_extreme, total
from exprgrad.graph.elementwise import add, like, where
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor, apply

Tangents = list[Tensor | None]
Rule = Callable[..., Tensor]


def _or_zeros(t: Tensor | None, x: Tensor) -> Tensor:
    return like(x, 0.0) if t is None else t


def slopes(ts: Tangents, y: Tensor, *args: Tensor) -> Tensor:
    """dy = sum of (dy/dx) dx: elementwise, a Jacobian is diagonal, its own transpose."""
    rule = VJP[y.op]
    assert rule is not None
    moved = [rule(t, y, *args)[i] for i, t in enumerate(ts) if t is not None]
    parts = [t for t in moved if t is not None]
    return reduce(add, parts) if parts else like(y, 0.0)


def linear(ts: Tangents, y: Tensor, *args: Tensor) -> Tensor:
    """f(x) moves by f(dx)."""
    full = tuple(_or_zeros(t, x) for t, x in zip(ts, args, strict=True))
    return apply(y.op, full, y.params)


def linear_in_first(ts: Tangents, y: Tensor, x: Tensor, *rest: Tensor) -> Tensor:
    """f(x, index) moves by f(dx, index)."""
    return apply(y.op, (_or_zeros(ts[0], x), *rest), y.params)


def subtract(ts: Tangents, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """d(a - b) = da - db"""
    da, db = ts
    if da is None or db is None:
        return slopes(ts, y, a, b)
    return da - db


def choose(ts: Tangents, y: Tensor, c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The tangent of the branch that is taken."""
    return where(c, _or_zeros(ts[1], a), _or_zeros(ts[2], b))


def largest(ts: Tangents, y: Tensor, x: Tensor) -> Tensor:
    """The tangent of the first largest element."""
    return _picked(ts, y, first_extreme(x, y.params[0]))


def smallest(ts: Tangents, y: Tensor, x: Tensor) -> Tensor:
    """The tangent of the first smallest element."""
    return _picked(ts, y, first_extreme(-x, y.params[0]))


def _picked(ts: Tangents, y: Tensor, mask: Tensor) -> Tensor:
    return total(where(mask, ts[0], 0.0), y.params[0])


def dot(ts: Tangents, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """d(a . b) = da . b + a . db, da and db rounded where a and b are"""
    da, db = (t if t is None else as_factor(t, a, b) for t in ts)
    left = () if da is None else (apply("dot", (da, b), y.params),)
    right = () if db is None else (apply("dot", (a, db), y.params),)
    return reduce(add, left + right)


def custom(ts: Tangents, y: Tensor, value: Tensor, *inputs: Tensor) -> Tensor:
    """The transpose of the user's pullback, which is linear in its cotangent c.

    The sum of pullback(c) * dx has the derivative dy by c.
    """
    c = stand_in(y)
    rule = VJP["custom"]
    assert rule is not None
    parts = rule(c, y, value, *inputs)
    check_cotangents(y, parts)
    pairs = zip(parts, ts, strict=True)
    terms = [g * t for g, t in pairs if g is not None and t is not None]
    seeds = [(term, like(term, 1.0)) for term in terms]
    moved = reverse(seeds, [c]).get(c, like(y, 0.0))
    if any(node is c for node in walk([moved])):
        raise GraphError(
            "the pullback is not linear in its cotangent, so nothing tells its tangent"
        )
    return moved


JVP: dict[str, Rule | None] = {
    # leaves
    "input": None,
    "parameter": None,
    "state": None,
    "constant": None,
    "size": None,
    "iota": None,
    # elementwise
    "add": slopes,
    "subtract": subtract,
    "multiply": slopes,
    "divide": slopes,
    "floor_divide": None,
    "remainder": slopes,
    "pow": slopes,
    "maximum": slopes,
    "minimum": slopes,
    "negative": slopes,
    "abs": slopes,
    "sign": None,
    "floor": None,
    "exp": slopes,
    "expm1": slopes,
    "log": slopes,
    "log1p": slopes,
    "sqrt": slopes,
    "rsqrt": slopes,
    "tanh": slopes,
    "sigmoid": slopes,
    "softplus": slopes,
    "erf": slopes,
    "sin": slopes,
    "cos": slopes,
    "bfloat16": slopes,
    "equal": None,
    "not_equal": None,
    "less": None,
    "less_equal": None,
    "logical_and": None,
    "logical_or": None,
    "logical_not": None,
    "where": choose,
    "cast": linear,
    "bound": None,
    # reductions
    "sum": linear,
    "max": largest,
    "min": smallest,
    "argmax": None,
    "cumsum": linear,
    "dot": dot,
    # movement
    "reshape": linear,
    "expand": linear,
    "permute": linear,
    "pad": linear,
    "slice": linear,
    "concat": linear,
    "window": linear,
    "unwindow": linear,
    "gather": linear_in_first,
    "scatter_add": linear_in_first,
    # special
    "random": None,
    "stop_gradient": None,
    "custom": custom,
    "checkpoint": linear,
    "again": linear_in_first,
}
