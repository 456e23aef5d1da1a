"""Many directions at once: part of an expression computed along a new leading axis.

The table says how an operation's parameters change when all its arguments get one more
axis in front: one row per op, in the order of `graph.ops.OPS`. A row of None cannot be
computed so.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

from exprgrad.errors import GraphError, lines_of
from exprgrad.graph.dims import Size
from exprgrad.graph.node import transform
from exprgrad.graph.tensor import Tensor, apply

Params = tuple[Any, ...]
Shift = Callable[[Size, Params], Params]


def _same(k: Size, params: Params) -> Params:
    return params


def _next_axes(k: Size, params: Params) -> Params:
    return (tuple(a + 1 for a in params[0]), *params[1:])


def _next_axis(k: Size, params: Params) -> Params:
    return (params[0] + 1, *params[1:])


def _pairs(k: Size, params: Params) -> Params:
    return (((0, 0), *params[0]),)


BATCHED: dict[str, Shift | None] = {
    # leaves
    "input": None,
    "parameter": None,
    "state": None,
    "constant": None,
    "size": None,
    "iota": None,
    # elementwise
    "add": _same,
    "subtract": _same,
    "multiply": _same,
    "divide": _same,
    "floor_divide": _same,
    "remainder": _same,
    "pow": _same,
    "maximum": _same,
    "minimum": _same,
    "negative": _same,
    "abs": _same,
    "sign": _same,
    "floor": _same,
    "exp": _same,
    "expm1": _same,
    "log": _same,
    "log1p": _same,
    "sqrt": _same,
    "rsqrt": _same,
    "tanh": _same,
    "sigmoid": _same,
    "softplus": _same,
    "erf": _same,
    "sin": _same,
    "cos": _same,
    "bfloat16": _same,
    "equal": _same,
    "not_equal": _same,
    "less": _same,
    "less_equal": _same,
    "logical_and": _same,
    "logical_or": _same,
    "logical_not": _same,
    "where": _same,
    "cast": _same,
    "bound": _same,
    # reductions
    "sum": _next_axes,
    "max": _next_axes,
    "min": _next_axes,
    "argmax": _next_axes,
    "cumsum": _next_axis,
    "dot": _same,
    # movement
    "reshape": lambda k, p: ((k, *p[0]),),
    "expand": lambda k, p: ((k, *p[0]), tuple(a + 1 for a in p[1])),
    "permute": lambda k, p: ((0, *(a + 1 for a in p[0])),),
    "pad": _pairs,
    "slice": lambda k, p: ((0, *p[0]), (1, *p[1]), (k, *p[2])),
    "concat": _next_axis,
    "window": _next_axis,
    "unwindow": _next_axis,
    "gather": _next_axis,
    "scatter_add": _next_axis,
    # special
    "random": None,
    "stop_gradient": _same,
    "custom": None,
    "checkpoint": _same,
    "again": _same,
}


def batched(output: Tensor, variable: Tensor, values: Tensor) -> Tensor:
    """`output` for each of `values[k, ...]` in the place of `variable`, as one tensor.

    Only what depends on `variable` is computed k times. Raises `GraphError` for a node
    that has no such form: an index that depends on `variable`, a user's own rule.
    """
    k = values.shape[0]
    lifted: dict[Tensor, Tensor] = {variable: values}

    def visit(node: Tensor, args: tuple[Tensor, ...]) -> Tensor:
        if any(a in lifted for a in node.args):
            with lines_of(node.where):
                lifted[node] = _batched_node(k, node, lifted)
        return node

    transform([output], visit)
    return _in_front(k, output, lifted)


def _in_front(k: Size, x: Tensor, lifted: dict[Tensor, Tensor]) -> Tensor:
    """The tensor along k, repeated if it is the same for all."""
    return lifted[x] if x in lifted else apply("expand", (x,), ((k, *x.shape), (0,)))


def _batched_node(k: Size, node: Tensor, lifted: dict[Tensor, Tensor]) -> Tensor:
    shift = BATCHED[node.op]
    indexed = node.op in ("gather", "scatter_add")
    if shift is None or (indexed and node.args[1] in lifted):
        raise GraphError(f"{node.op} is not computed for many directions at once")
    if node.op == "dot":
        return _batched_dot(node, lifted)
    params = shift(k, node.params)
    if indexed:
        return apply(node.op, (lifted[node.args[0]], node.args[1]), params)
    return apply(node.op, tuple(_in_front(k, a, lifted) for a in node.args), params)


def _batched_dot(node: Tensor, lifted: dict[Tensor, Tensor]) -> Tensor:
    """A label more, in the operands that have the axis: nothing is repeated."""
    used = "".join(node.params)
    label = next(c for c in string.ascii_letters if c not in used)
    a, b = (label if x in lifted else "" for x in node.args)
    la, lb, out = node.params
    operands = tuple(lifted.get(x, x) for x in node.args)
    return apply("dot", operands, (a + la, b + lb, label + out))
