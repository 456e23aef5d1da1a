"""The table of tensor operations: for each its arguments, its parameters, its typing.

The order of this table is the order of every other table (NumPy meaning, gradient,
spelling). All other functions of the language are spelled with these.

    SUM and EXPAND are transposes of one another, as are PAD and SLICE, WINDOW and
    UNWINDOW, GATHER and SCATTER_ADD, and DOT and DOT with its labels exchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exprgrad.errors import DTypeError, ShapeError
from exprgrad.graph.dims import Shape, Size, count, show
from exprgrad.graph.dtype import bool_, float32, int64
from exprgrad.graph.node import Type

Params = tuple[Any, ...]
Typing = Callable[[str, tuple[Type, ...], Params], Type]


@dataclass(frozen=True, slots=True)
class Op:
    """A row of the table. `kinds` lists the dtype kinds that the arguments may have."""

    params: tuple[str, ...]
    typing: Typing
    kinds: str = "bif"
    group: str = "elementwise"


def _leaf(op: str, args: tuple[Type, ...], params: Params) -> Type:
    return Type(params[0], params[1])


def _constant(op: str, args: tuple[Type, ...], params: Params) -> Type:
    return Type(params[0].array.shape, params[0].dtype)


def _size_value(op: str, args: tuple[Type, ...], params: Params) -> Type:
    return Type((), int64)


def _iota(op: str, args: tuple[Type, ...], params: Params) -> Type:
    return Type((params[0],), int64)


def _same(op: str, args: tuple[Type, ...], params: Params) -> Type:
    first = args[0]
    for other in args[1:]:
        _require(other.shape == first.shape, op, args, "shapes are equal")
        _require(other.dtype == first.dtype, op, args, "dtypes are equal", DTypeError)
    return first


def _rounded(op: str, args: tuple[Type, ...], params: Params) -> Type:
    _require(args[0].dtype == float32, op, args, "the argument is float32", DTypeError)
    return args[0]


def _compare(op: str, args: tuple[Type, ...], params: Params) -> Type:
    return Type(_same(op, args, params).shape, bool_)


def _where(op: str, args: tuple[Type, ...], params: Params) -> Type:
    condition, *branches = args
    _require(condition.dtype == bool_, op, args, "the condition is bool", DTypeError)
    _require(condition.shape == branches[0].shape, op, args, "shapes are equal")
    return _same(op, tuple(branches), params)


def _cast(op: str, args: tuple[Type, ...], params: Params) -> Type:
    return Type(args[0].shape, params[0])


def _first(op: str, args: tuple[Type, ...], params: Params) -> Type:
    return args[0]


def _without(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def _reduce(op: str, args: tuple[Type, ...], params: Params) -> Type:
    return Type(_without(args[0].shape, params[0]), args[0].dtype)


def _argmax(op: str, args: tuple[Type, ...], params: Params) -> Type:
    return Type(_without(args[0].shape, params[0]), int64)


def _dot(op: str, args: tuple[Type, ...], params: Params) -> Type:
    sizes: dict[str, Size] = {}
    _require(args[0].dtype == args[1].dtype, op, args, "dtypes are equal", DTypeError)
    spec = f'"{params[0]},{params[1]}->{params[2]}"'
    for labels, arg in zip(params[:2], args, strict=True):
        _require(
            len(labels) == len(arg.shape), f"dot {spec}", args, "a label each axis"
        )
        for label, size in zip(labels, arg.shape, strict=True):
            known = sizes.setdefault(label, size)
            if known != size:
                raise ShapeError(
                    f"dot {spec}: axis {label} is {known} in a: {args[0]} "
                    f"but {size} in b: {args[1]}"
                )
    return Type(tuple(sizes[label] for label in params[2]), args[0].dtype)


def _reshape(op: str, args: tuple[Type, ...], params: Params) -> Type:
    same = count(args[0].shape) == count(params[0])
    _require(same, op, args, f"{show(params[0])} holds as many elements")
    return Type(params[0], args[0].dtype)


def _expand(op: str, args: tuple[Type, ...], params: Params) -> Type:
    shape, axes = params
    _require(_without(shape, axes) == args[0].shape, op, args, f"fits {show(shape)}")
    return Type(shape, args[0].dtype)


def _permute(op: str, args: tuple[Type, ...], params: Params) -> Type:
    shape = args[0].shape
    _require(sorted(params[0]) == list(range(len(shape))), op, args, "axes, each once")
    return Type(tuple(shape[axis] for axis in params[0]), args[0].dtype)


def _pad(op: str, args: tuple[Type, ...], params: Params) -> Type:
    sizes = zip(args[0].shape, params[0], strict=True)
    return Type(tuple(n + low + high for n, (low, high) in sizes), args[0].dtype)


def _slice(op: str, args: tuple[Type, ...], params: Params) -> Type:
    return Type(params[2], args[0].dtype)


def _concat(op: str, args: tuple[Type, ...], params: Params) -> Type:
    (axis,) = params
    total: Size = 0
    for arg in args:
        equal = _without(arg.shape, (axis,)) == _without(args[0].shape, (axis,))
        _require(equal, op, args, f"all axes but {axis} are equal")
        _require(arg.dtype == args[0].dtype, op, args, "dtypes are equal", DTypeError)
        total = total + arg.shape[axis]
    shape = args[0].shape
    return Type((*shape[:axis], total, *shape[axis + 1 :]), args[0].dtype)


def window_count(n: Size, size: int, stride: int, dilation: int) -> Size:
    """How many windows of `size` taps fit an axis of `n` elements."""
    return (n - (size - 1) * dilation - 1) // stride + 1


def _window(op: str, args: tuple[Type, ...], params: Params) -> Type:
    axis, size, stride, dilation = params
    shape = args[0].shape
    n = window_count(shape[axis], size, stride, dilation)
    fits = not isinstance(shape[axis], int) or (isinstance(n, int) and n > 0)
    _require(fits, op, args, f"{size} taps at dilation {dilation} fit axis {axis}")
    return Type((*shape[:axis], n, *shape[axis + 1 :], size), args[0].dtype)


def _unwindow(op: str, args: tuple[Type, ...], params: Params) -> Type:
    axis, n = params[:2]
    shape = args[0].shape
    return Type((*shape[:axis], n, *shape[axis + 1 : -1]), args[0].dtype)


def _gather(op: str, args: tuple[Type, ...], params: Params) -> Type:
    (axis,) = params
    x, index = args
    _require(index.dtype == int64, op, args, "the index is int64", DTypeError)
    return Type((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), x.dtype)


def _scatter_add(op: str, args: tuple[Type, ...], params: Params) -> Type:
    axis, n = params
    updates, index = args
    rank = len(index.shape)
    fits = updates.shape[axis : axis + rank] == index.shape
    _require(fits, op, args, f"the index fits the updates' axes from {axis}")
    shape = updates.shape
    return Type((*shape[:axis], n, *shape[axis + rank :]), updates.dtype)


def _random(op: str, args: tuple[Type, ...], params: Params) -> Type:
    counters = all(a == Type((), int64) for a in args) and len(args) == 2
    _require(counters, op, args, "step and seed, int64 scalars,", DTypeError)
    return Type(params[1], params[2])


def _require(
    holds: bool,
    op: str,
    args: tuple[Type, ...],
    rule: str,
    error: type[ShapeError] | type[DTypeError] = ShapeError,
) -> None:
    if not holds:
        given = ", ".join(map(str, args))
        raise error(f"{op} requires: {rule}; given: {given}")


_UNARY = Op((), _same, "f")
_BINARY = Op((), _same)
_NUMERIC = Op((), _same, "if")
_COMPARE = Op((), _compare)
_LOGIC = Op((), _same, "b")
_REDUCE = Op(("axes",), _reduce, "if", "reduce")


def _movement(*params: str, typing: Typing) -> Op:
    return Op(params, typing, group="movement")


OPS: dict[str, Op] = {
    # leaves
    "input": Op(("shape", "dtype", "name"), _leaf, group="leaf"),
    "parameter": Op(("shape", "dtype", "name", "cell"), _leaf, group="leaf"),
    "state": Op(("shape", "dtype", "name", "cell"), _leaf, group="leaf"),
    "constant": Op(("value",), _constant, group="leaf"),
    "size": Op(("size",), _size_value, group="leaf"),
    "iota": Op(("size",), _iota, group="leaf"),
    # elementwise
    "add": _NUMERIC,
    "subtract": _NUMERIC,
    "multiply": _NUMERIC,
    "divide": Op((), _same, "f"),
    "floor_divide": _NUMERIC,
    "remainder": _NUMERIC,
    "pow": _NUMERIC,
    "maximum": _NUMERIC,
    "minimum": _NUMERIC,
    "negative": _NUMERIC,
    "abs": _NUMERIC,
    "sign": _NUMERIC,
    "floor": _UNARY,
    "exp": _UNARY,
    "expm1": _UNARY,
    "log": _UNARY,
    "log1p": _UNARY,
    "sqrt": _UNARY,
    "rsqrt": _UNARY,
    "tanh": _UNARY,
    "sigmoid": _UNARY,
    "softplus": _UNARY,
    "erf": _UNARY,
    "sin": _UNARY,
    "cos": _UNARY,
    "bfloat16": Op((), _rounded, "f"),
    "equal": _COMPARE,
    "not_equal": _COMPARE,
    "less": Op((), _compare, "if"),
    "less_equal": Op((), _compare, "if"),
    "logical_and": _LOGIC,
    "logical_or": _LOGIC,
    "logical_not": _LOGIC,
    "where": Op((), _where),
    "cast": Op(("dtype",), _cast),
    "bound": Op(("size", "wraps"), _same, "i"),
    # reductions
    "sum": _REDUCE,
    "max": _REDUCE,
    "min": _REDUCE,
    "argmax": Op(("axes",), _argmax, "if", "reduce"),
    "cumsum": Op(("axis",), _same, "if", "reduce"),
    "dot": Op(("a", "b", "out"), _dot, "if", "reduce"),
    # movement
    "reshape": _movement("shape", typing=_reshape),
    "expand": _movement("shape", "axes", typing=_expand),
    "permute": _movement("axes", typing=_permute),
    "pad": _movement("widths", typing=_pad),
    "slice": _movement("starts", "steps", "shape", typing=_slice),
    "concat": _movement("axis", typing=_concat),
    "window": _movement("axis", "size", "stride", "dilation", typing=_window),
    "unwindow": Op(("axis", "n", "stride", "dilation"), _unwindow, "if", "reduce"),
    "gather": _movement("axis", typing=_gather),
    "scatter_add": Op(("axis", "n"), _scatter_add, "if", "reduce"),
    # special
    "random": Op(("key", "shape", "dtype"), _random, group="random"),
    "stop_gradient": Op((), _same, group="special"),
    "custom": Op(("pullback",), _first, group="special"),
    "checkpoint": Op((), _same, group="special"),
    "again": Op((), _first, group="special"),
}


def type_of(op: str, args: tuple[Type, ...], params: Params) -> Type:
    """The type of `op` applied to arguments of types `args`.

    Raises `ShapeError` or `DTypeError`, which state the rule and the arguments.
    """
    row = OPS[op]
    for arg in args:
        if arg.dtype.kind not in row.kinds:
            allowed = ", ".join(_KINDS[kind] for kind in row.kinds)
            raise DTypeError(f"{op} takes {allowed} arguments, not {arg}")
    return row.typing(op, args, params)


_KINDS = {"b": "bool", "i": "integer", "f": "floating-point"}


def is_elementwise(op: str) -> bool:
    """Whether each element of the result depends on the same element of each argument."""
    return OPS[op].group == "elementwise"
