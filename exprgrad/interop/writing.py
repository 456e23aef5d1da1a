"""Our scalar expressions written as SymPy's: one row per elementwise operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from exprgrad.errors import GraphError
from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS
from exprgrad.graph.tensor import Tensor

Rule = Callable[..., sympy.Basic]


def to_sympy(tensor: Tensor) -> sympy.Basic:
    """An elementwise expression as SymPy has it; symbols bear the names of the leaves.

    A leaf that is an array stands for any one of its elements. Raises `GraphError` for
    operations that are not elementwise and for constants that are arrays.

    >>> import exprgrad as eg
    >>> x = eg.input("x")
    >>> sympy.simplify(to_sympy(eg.sin(x) * eg.sin(x) + eg.cos(x) * eg.cos(x)))
    1
    """
    image: dict[Tensor, sympy.Basic] = {}
    for node in walk([tensor]):
        image[node] = _write(node, [image[a] for a in node.args])
    return image[tensor]


def _write(node: Tensor, arguments: list[sympy.Basic]) -> sympy.Basic:
    if "name" in OPS[node.op].params:
        return sympy.Symbol(node.name, **_ASSUMPTIONS[node.dtype.kind])
    if node.op == "constant" and node.ndim == 0:
        return number(node.params[0].array[()])
    if node.op not in WRITE or not _keeps_elements(node):
        raise GraphError(f"{node.op} is not elementwise, SymPy cannot have it", node.where)
    return WRITE[node.op](*arguments)


def _keeps_elements(node: Tensor) -> bool:
    """Whether an expansion repeats one number, and a conversion loses nothing."""
    if node.op == "expand":
        return node.args[0].ndim == 0
    if node.op == "cast":
        return node.args[0].dtype.kind + node.dtype.kind in ("ii", "if", "ff")
    return True


def number(value: Any) -> sympy.Basic:
    """A NumPy scalar as the SymPy number that its shortest decimal form denotes."""
    if value.dtype.kind == "b":
        return sympy.true if value else sympy.false
    if value.dtype.kind == "i" or float(value).is_integer():
        return sympy.Integer(int(value))
    return sympy.Float(str(value))


def _sigmoid(x: sympy.Basic) -> sympy.Basic:
    return 1 / (1 + sympy.exp(-x))


_ASSUMPTIONS: dict[str, dict[str, bool]] = {
    "f": {"real": True},
    "i": {"integer": True},
    "b": {},
}

WRITE: dict[str, Rule] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "floor_divide": lambda a, b: sympy.floor(a / b),
    "remainder": sympy.Mod,
    "pow": sympy.Pow,
    "maximum": sympy.Max,
    "minimum": sympy.Min,
    "negative": lambda x: -x,
    "abs": sympy.Abs,
    "sign": sympy.sign,
    "floor": sympy.floor,
    "exp": sympy.exp,
    "expm1": lambda x: sympy.exp(x) - 1,
    "log": sympy.log,
    "log1p": lambda x: sympy.log(1 + x),
    "sqrt": sympy.sqrt,
    "rsqrt": lambda x: 1 / sympy.sqrt(x),
    "tanh": sympy.tanh,
    "sigmoid": _sigmoid,
    "softplus": lambda x: sympy.log(1 + sympy.exp(x)),
    "erf": sympy.erf,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "bfloat16": lambda x: x,
    "equal": sympy.Eq,
    "not_equal": sympy.Ne,
    "less": sympy.Lt,
    "less_equal": sympy.Le,
    "logical_and": sympy.And,
    "logical_or": sympy.Or,
    "logical_not": sympy.Not,
    "where": lambda condition, a, b: sympy.Piecewise((a, condition), (b, True)),
    "cast": lambda x: x,
    "expand": lambda x: x,
    "stop_gradient": lambda x: x,
    "custom": lambda value, *inputs: value,
    "checkpoint": lambda x: x,
    "again": lambda x, after: x,
}
