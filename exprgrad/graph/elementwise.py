"""Elementwise functions: operands are promoted to one type and broadcast to one shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exprgrad.errors import DTypeError, ShapeError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.dims import Dim, Shape, Size, as_size
from exprgrad.graph.dtype import DType, as_dtype, convert, promote, weak
from exprgrad.graph.tensor import Constant, Operand, Tensor, apply


def constant(value: object, dtype: object = None) -> Tensor:
    """A fixed array; `dtype` is the array's own when not given (floats: float32).

    >>> import exprgrad as eg
    >>> eg.constant([1.0, 2.0]).dtype
    float32
    """
    exact = as_dtype(_default_dtype(value) if dtype is None else dtype)
    try:
        return apply("constant", (), (Constant(value, exact),))
    except (OverflowError, ValueError, TypeError) as error:
        raise DTypeError(f"{value!r} is not of {exact}: {error}") from None


def _default_dtype(value: object) -> DType:
    if isinstance(value, np.ndarray | np.generic):
        return as_dtype(value.dtype)
    try:
        array = np.asarray(value)
    except ValueError:
        raise DTypeError(f"{value!r} is no array of numbers (see eg.stack)") from None
    return dtypes.float32 if array.dtype.kind == "f" else as_dtype(array.dtype)


def as_tensor(value: Operand, like: Tensor | None = None) -> Tensor:
    """`value` as an expression; a Python number takes the type of `like` if it can."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, bool | int | float) and like is not None:
        return constant(value, weak(value, like.dtype))
    return size_value(value) if isinstance(value, Dim) else constant(value)


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that all of `shapes` stretch to by NumPy's rule.

    Raises `ShapeError` naming the two sizes that differ and neither of which is 1.
    """
    if all(shape == shapes[0] for shape in shapes):
        return shapes[0]
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result: list[Size] = []
    for axis in range(rank):
        sizes = dict.fromkeys(shape[axis] for shape in padded if shape[axis] != 1)
        if len(sizes) > 1:
            given = " and ".join("[" + ", ".join(map(str, s)) + "]" for s in shapes)
            a, b = list(sizes)[:2]
            raise ShapeError(
                f"{given} do not broadcast: axis {axis - rank} is {a} and {b}"
            )
        result.append(next(iter(sizes), 1))
    return tuple(result)


def broadcast_to(x: Operand, shape: Any) -> Tensor:
    """`x` stretched to `shape` by NumPy's rule.

    >>> import exprgrad as eg
    >>> eg.broadcast_to(eg.input("b", (4,)), (3, 4)).shape
    (3, 4)
    """
    t = as_tensor(x)
    sizes = tuple(as_size(size) for size in shape)
    return t if t.shape == sizes else _stretched(t, sizes)


def _stretched(x: Tensor, shape: Shape) -> Tensor:
    if broadcast_shapes(x.shape, shape) != shape:
        raise ShapeError(f"{x.type} does not broadcast to {shape}")
    lead = len(shape) - x.ndim
    stretched = [a for a in range(x.ndim) if x.shape[a] != shape[lead + a]]
    kept = tuple(n for a, n in enumerate(x.shape) if a not in stretched)
    axes = (*range(lead), *(lead + a for a in stretched))
    return apply("expand", (_squeezed(x, kept),), (shape, axes))


def _squeezed(x: Tensor, kept: Shape) -> Tensor:
    source = x.args[0] if x.op == "reshape" else x
    return source if source.shape == kept else apply("reshape", (source,), (kept,))


def astype(x: Operand, dtype: object) -> Tensor:
    """`x` converted to `dtype`; a float becomes an integer by dropping its fraction."""
    t = as_tensor(x)
    exact = as_dtype(dtype)
    if t.dtype == exact:
        return t
    if t.op == "constant":
        return constant(convert(t.params[0].array, exact), exact)
    return apply("cast", (t,), (exact,))


def operands(*values: Operand, dtype: DType | None = None) -> tuple[Tensor, ...]:
    """`values` as tensors of one dtype and one shape."""
    first = next((v for v in values if isinstance(v, Tensor)), None)
    strong = [v for v in values if not isinstance(v, bool | int | float)]
    tensors = [as_tensor(v) for v in strong]
    like = _meeting(tensors) if tensors else first
    everything = [as_tensor(v, like) for v in values]
    exact = dtype or promote(*(t.dtype for t in everything))
    shape = broadcast_shapes(*(t.shape for t in everything))
    return tuple(broadcast_to(astype(t, exact), shape) for t in everything)


def _meeting(tensors: list[Tensor]) -> Tensor:
    exact = promote(*(t.dtype for t in tensors))
    return next(t for t in tensors if t.dtype == exact)


def _as_float(x: Operand) -> Tensor:
    x = as_tensor(x)
    return x if x.dtype.kind == "f" else astype(x, dtypes.float32)


def _unary(
    op: str, meaning: str, convert: Callable[[Operand], Tensor]
) -> Callable[..., Tensor]:
    def function(x: Operand) -> Tensor:
        return apply(op, (convert(x),))

    return _named(function, op, meaning)


def _binary(op: str, meaning: str) -> Callable[..., Tensor]:
    def function(a: Operand, b: Operand) -> Tensor:
        return apply(op, operands(a, b))

    return _named(function, op, meaning)


def _named(
    function: Callable[..., Tensor], op: str, meaning: str
) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = op
    function.__doc__ = meaning
    return function


add = _binary("add", "a + b")
subtract = _binary("subtract", "a - b")
multiply = _binary("multiply", "a * b")
floor_divide = _binary("floor_divide", "The largest integer not above a / b.")
remainder = _binary("remainder", "a - b * floor(a / b); it has the sign of b.")
pow = _binary("pow", "a to the power b.")
maximum = _binary("maximum", "The larger of a and b; NaN where one is NaN.")
minimum = _binary("minimum", "The smaller of a and b; NaN where one is NaN.")
equal = _binary("equal", "Whether a = b.")
not_equal = _binary("not_equal", "Whether a and b differ.")
less = _binary("less", "Whether a < b.")
less_equal = _binary("less_equal", "Whether a <= b.")

negative = _unary("negative", "-x", as_tensor)
abs = _unary("abs", "Magnitude of x.", as_tensor)
sign = _unary("sign", "-1, 0 or 1; NaN where x is NaN.", as_tensor)
floor = _unary("floor", "The largest integer not above x.", _as_float)
exp = _unary("exp", "e to the power x.", _as_float)
expm1 = _unary("expm1", "exp(x) - 1, exact for small x.", _as_float)
log = _unary("log", "Natural logarithm; -inf at 0, NaN below.", _as_float)
log1p = _unary("log1p", "log(1 + x), exact for small x.", _as_float)
sqrt = _unary("sqrt", "Square root; NaN below 0.", _as_float)
rsqrt = _unary("rsqrt", "1 / sqrt(x)", _as_float)
tanh = _unary("tanh", "Hyperbolic tangent.", _as_float)
sigmoid = _unary("sigmoid", "1 / (1 + exp(-x))", _as_float)
softplus = _unary("softplus", "log(1 + exp(x)), which never overflows.", _as_float)
erf = _unary("erf", "The error function.", _as_float)
sin = _unary("sin", "Sine of x in radians.", _as_float)
cos = _unary("cos", "Cosine of x in radians.", _as_float)
bfloat16 = _unary("bfloat16", "The float32 next to x that bfloat16 has too.", _as_float)


def divide(a: Operand, b: Operand) -> Tensor:
    """a / b, always of floating-point type."""
    exact = promote(dtypes.float32, operands(a, b)[0].dtype)
    return apply("divide", operands(a, b, dtype=exact))


def greater(a: Operand, b: Operand) -> Tensor:
    """Whether a > b."""
    return less(b, a)


def greater_equal(a: Operand, b: Operand) -> Tensor:
    """Whether a >= b."""
    return less_equal(b, a)


def logical_and(a: Operand, b: Operand) -> Tensor:
    """Whether both are true (nonzero)."""
    return apply("logical_and", operands(_truth(a), _truth(b)))


def logical_or(a: Operand, b: Operand) -> Tensor:
    """Whether one of them is true (nonzero)."""
    return apply("logical_or", operands(_truth(a), _truth(b)))


def logical_not(x: Operand) -> Tensor:
    """Whether x is false (zero)."""
    return apply("logical_not", (_truth(x),))


def both(a: Operand, b: Operand) -> Tensor:
    """`a & b`, of booleans only: NumPy has it bitwise for integers."""
    return logical_and(_boolean(a), _boolean(b))


def either(a: Operand, b: Operand) -> Tensor:
    """`a | b`, of booleans only."""
    return logical_or(_boolean(a), _boolean(b))


def invert(x: Operand) -> Tensor:
    """`~x`, of booleans only."""
    return logical_not(_boolean(x))


def _boolean(x: Operand) -> Tensor:
    t = as_tensor(x)
    if t.dtype != dtypes.bool_:
        raise DTypeError(
            f"&, | and ~ take bool, not {t.type}; compare, or use eg.logical_and"
        )
    return t


def _truth(x: Operand) -> Tensor:
    return astype(as_tensor(x), dtypes.bool_)


def where(condition: Operand, a: Operand, b: Operand) -> Tensor:
    """`a` where the condition holds, else `b`.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> eg.where(x > 0, x, 0.0)
    where(0.0 < x, x, 0.0)
    """
    a, b = operands(a, b)
    condition = _truth(condition)
    shape = broadcast_shapes(condition.shape, a.shape)
    return apply("where", tuple(broadcast_to(t, shape) for t in (condition, a, b)))


def size_value(size: Size) -> Tensor:
    """A size as an int64 scalar: a constant, or known at run time."""
    if isinstance(size, int):
        return constant(size, dtypes.int64)
    return apply("size", (), (size,))


def full(shape: Any, value: Operand, dtype: object = None) -> Tensor:
    """A tensor whose elements all equal `value`."""
    return broadcast_to(constant(value, dtype) if dtype else as_tensor(value), shape)


def like(x: Tensor, value: float) -> Tensor:
    """A constant of the shape and type of `x`."""
    return broadcast_to(constant(value, x.dtype), x.shape)
