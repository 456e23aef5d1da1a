"""The table of examples that every interpretation of an operation is tested with.

A case builds an expression from its inputs and says what NumPy function it is. `inputs`
and `arrays` make the tensors and values of a case; "batch" in a shape is a named size.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

import exprgrad as eg
from exprgrad.graph import elementwise, movement
from exprgrad.graph.philox import uniform
from exprgrad.graph.tensor import Tensor, apply

Array = NDArray[Any]
Shape = tuple[Any, ...]

FLOATS = ("float32", "float64")
NUMBERS = ("float32", "float64", "int32", "int64")
BOOL = ("bool",)
INTS = ("int32", "int64")
BATCH = 7

V, M = ((33,),), (("batch", 17),)  # a vector, a matrix of run-time rows
SMALL = ((2, 3),)
EMPTY = ((0, 3),)


@dataclass(frozen=True)
class Case:
    """An example of `op`.

    `build(*tensors)` is the expression, `numpy(*arrays)` the same by NumPy; values are
    drawn evenly from [low, high), and `kinds` fixes the dtype of single inputs.
    """

    op: str
    name: str
    build: Callable[..., Tensor]
    shapes: tuple[Shape, ...]
    numpy: Callable[..., Any]
    dtypes: tuple[str, ...] = FLOATS
    low: float = -2.0
    high: float = 2.0
    differentiable: bool = True
    kinds: tuple[str | None, ...] = ()
    bounds: tuple[tuple[float, float] | None, ...] = ()

    def __str__(self) -> str:
        return f"{self.op}-{self.name}"


def inputs(case: Case, dtype: str) -> list[Tensor]:
    """The inputs a, b, c, ... of a case."""
    kinds = _kinds(case, dtype)
    named = zip("abcdef", case.shapes, kinds, strict=False)
    return [eg.input(name, shape, kind) for name, shape, kind in named]


def arrays(case: Case, dtype: str, seed: int = 0, batch: int = BATCH) -> list[Array]:
    """Values for the inputs of a case: the same for the same seed."""
    rng = np.random.default_rng([seed, zlib.crc32(str(case).encode())])
    bounds = case.bounds or (None,) * len(case.shapes)
    result = []
    for shape, kind, bound in zip(
        case.shapes, _kinds(case, dtype), bounds, strict=True
    ):
        sizes = tuple(batch if n == "batch" else n for n in shape)
        low, high = bound or (case.low, case.high)
        result.append(_drawn(rng, sizes, kind, low, high))
    return result


def _drawn(
    rng: np.random.Generator, shape: Shape, kind: str, low: float, high: float
) -> Array:
    if kind == "bool":
        return rng.random(shape) < 0.5
    if kind.startswith("int"):
        return rng.integers(math.ceil(low), math.ceil(high), shape).astype(kind)
    return rng.uniform(low, high, shape).astype(kind)


def _kinds(case: Case, dtype: str) -> list[str]:
    kinds = case.kinds or (None,) * len(case.shapes)
    return [kind or dtype for kind in kinds]


def _unary(op: str, numpy: Any, dtypes: Any = FLOATS, **domain: Any) -> list[Case]:
    build = getattr(elementwise, op)
    places = {"vector": V, "batch": M, "one": ((1,),), "empty": EMPTY, "scalar": ((),)}
    return [
        Case(op, name, build, at, numpy, dtypes, **domain)
        for name, at in places.items()
    ]


def _binary(op: str, numpy: Any, dtypes: Any = NUMBERS, **domain: Any) -> list[Case]:
    build = getattr(elementwise, op)
    places = {
        "equal": ((7, 17), (7, 17)),
        "row": (("batch", 3), (3,)),
        "column": (("batch", 1), (1, 33)),
        "scalar": ((), (2, 1, 3)),
        "empty": ((0, 3), (1, 3)),
    }
    return [
        Case(op, name, build, at, numpy, dtypes, **domain)
        for name, at in places.items()
    ]


def _reduction(
    op: str, numpy: Any, build: Any, dtypes: Any = NUMBERS, **rest: Any
) -> list[Case]:
    """Over one axis, several, and all."""
    places: dict[str, tuple[Shape, Any]] = {
        "rows": (("batch", 17), 0),
        "columns": (("batch", 33), 1),
        "middle": ((2, 7, 3), (1,)),
        "outer": ((3, 2, 17), (0, 2)),
        "all": (("batch", 3), None),
        "one": ((1,), 0),
    }
    return [
        Case(op, name, _at(build, axis), (shape,), _at(numpy, axis), dtypes, **rest)
        for name, (shape, axis) in places.items()
    ]


def _at(function: Any, axis: Any) -> Callable[..., Any]:
    return lambda x: function(x, axis=axis)


def _np_argmax(x: Array, axis: Any) -> Array:
    axes = (
        tuple(range(x.ndim))
        if axis is None
        else (axis if isinstance(axis, tuple) else (axis,))
    )
    rest = [a for a in range(x.ndim) if a not in axes]
    flat = np.transpose(x, (*rest, *axes)).reshape(*(x.shape[a] for a in rest), -1)
    return np.argmax(flat, -1)


def _node(op: str, *params: Any) -> Callable[..., Tensor]:
    return lambda *args: apply(op, args, params)


def _dot(name: str, spec: str, *shapes: Shape, dtypes: Any = NUMBERS) -> Case:
    return Case(
        "dot",
        name,
        lambda a, b: eg.einsum(spec, a, b),
        shapes,
        lambda a, b: np.einsum(spec, a, b),
        dtypes,
    )


def _one(
    op: str, name: str, build: Any, numpy: Any, *shapes: Shape, **rest: Any
) -> Case:
    return Case(op, name, build, shapes, numpy, rest.pop("dtypes", NUMBERS), **rest)


def _indexed(name: str, index: Any, *shape: Any) -> Case:
    return _one("slice", name, lambda x: x[index], lambda x: x[index], shape)


def _np_windows(x: Array, axis: int, size: int, stride: int, dilation: int) -> Array:
    reach = (size - 1) * dilation + 1
    taken = sliding_window_view(x, reach, axis)[..., ::dilation]
    return np.moveaxis(np.moveaxis(taken, axis, 0)[::stride], 0, axis)


def _window(
    name: str, axis: int, size: int, stride: int, dilation: int, *shape: Any
) -> Case:
    params = (axis, size, stride, dilation)
    return _one(
        "window",
        name,
        _node("window", *params),
        lambda x: _np_windows(x, *params),
        shape,
    )


def _np_unwindow(y: Array, axis: int, n: int, stride: int, dilation: int) -> Array:
    """By the definition: each tap added to its element, one after another."""
    result = np.zeros((*y.shape[:axis], n, *y.shape[axis + 1 : -1]), y.dtype)
    for place in np.ndindex(*y.shape):
        at = place[axis] * stride + place[-1] * dilation
        result[(*place[:axis], at, *place[axis + 1 : -1])] += y[place]
    return result


def _unwindow(
    name: str, axis: int, n: int, stride: int, dilation: int, *shape: Any
) -> Case:
    params = (axis, n, stride, dilation)
    numpy = lambda y: _np_unwindow(y, *params)  # noqa: E731
    return _one("unwindow", name, _node("unwindow", *params), numpy, shape)


def _gather(name: str, axis: int, x: Shape, index: Shape, n: int) -> Case:
    return _one(
        "gather",
        name,
        lambda a, i: eg.take(a, i, axis),
        lambda a, i: np.take(a, i, axis),
        x,
        index,
        kinds=(None, "int64"),
        bounds=(None, (-n, n)),
    )


def _np_scatter(u: Array, i: Array, n: int) -> Array:
    """Zeros of n rows to which each update is added, one after another."""
    result = np.zeros((n, *u.shape[i.ndim :]), u.dtype)
    for place in np.ndindex(*i.shape):
        result[i[place]] += u[place]
    return result


def _scatter(name: str, updates: Shape, index: Shape, n: int) -> Case:
    return _one(
        "scatter_add",
        name,
        lambda u, i: eg.scatter_add(u, i, n),
        lambda u, i: _np_scatter(u, i, n),
        updates,
        index,
        kinds=(None, "int64"),
        bounds=(None, (-n, n)),
    )


def np_bfloat16(x: Array) -> Array:
    """x to a multiple of 2**-8 of the power of two above it, 2**-133 at least."""
    wide = np.asarray(x, np.float64)
    _, exponent = np.frexp(np.where(np.isfinite(wide), wide, 1.0))
    step = np.ldexp(1.0, np.maximum(exponent, -125) - 8)
    with np.errstate(over="ignore"):
        return (np.rint(wide / step) * step).astype(np.float32)


def _logic(op: str, numpy: Any) -> list[Case]:
    return _binary(op, numpy, BOOL, differentiable=False)


def _comparison(op: str, numpy: Any, dtypes: Any = NUMBERS) -> list[Case]:
    return _binary(op, numpy, dtypes, differentiable=False)


def _np_random(a: Array) -> Array:
    """Independent of the values: a draw is the same whatever it is added to."""
    return a + uniform(a.shape, a.dtype, 5, 3, 11)


def _draw(a: Tensor) -> Tensor:
    return a + eg.random.uniform(a.shape, dtype=a.dtype, step=3, seed=11, key=5)


def _leaf(op: str, make: Callable[[Tensor], Tensor], numpy: Any, **rest: Any) -> Case:
    """A leaf is read together with an input of shape [3]."""
    return _one(op, "read", make, numpy, (3,), dtypes=FLOATS, **rest)


def _numbers(x: Tensor) -> Tensor:
    return eg.constant([0.5, -1.0, 2.0], x.dtype)


def _stored(make: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: x * make("w", (3,), init=[0.5, -1.0, 2.0], dtype=x.dtype)


_THREE = np.array([0.5, -1.0, 2.0])


def _times_three(x: Array) -> Array:
    return x * _THREE.astype(x.dtype)


def _at_least(low: float, high: float = 3.0) -> dict[str, Any]:
    return {"low": low, "high": high}


CASES: list[Case] = [
    # leaves
    _one("input", "itself", lambda x: x, lambda x: x, ("batch", 3)),
    _leaf("parameter", _stored(eg.parameter), _times_three),
    _leaf("state", _stored(eg.state), _times_three),
    _leaf("constant", lambda x: x * _numbers(x), _times_three),
    _one("size", "mean", eg.mean, np.mean, ("batch", 3), dtypes=FLOATS),
    _one(
        "size",
        "value",
        lambda x: x * eg.astype(elementwise.size_value(x.shape[0] * 2 - 3), x.dtype),
        lambda x: x * (2 * len(x) - 3),
        ("batch",),
    ),
    _one(
        "iota",
        "batch",
        lambda x: x + eg.astype(movement.iota(x.shape[0]), x.dtype),
        lambda x: x + np.arange(len(x), dtype=x.dtype),
        ("batch",),
    ),
    # elementwise
    *_binary("add", np.add),
    *_binary("subtract", np.subtract),
    *_binary("multiply", np.multiply),
    *_binary("divide", np.divide, FLOATS, **_at_least(0.5)),
    *_binary(
        "floor_divide", np.floor_divide, **_at_least(1.0, 9.0), differentiable=False
    ),
    *_binary("remainder", np.remainder, **_at_least(1.0, 9.0), differentiable=False),
    *_binary("pow", np.power, **_at_least(0.5)),
    *_binary("maximum", np.maximum),
    *_binary("minimum", np.minimum),
    *_unary("negative", np.negative, NUMBERS),
    *_unary("abs", np.abs, NUMBERS),
    *_unary("sign", np.sign, NUMBERS, differentiable=False),
    *_unary("floor", np.floor, differentiable=False),
    *_unary("exp", np.exp),
    *_unary("expm1", np.expm1),
    *_unary("log", np.log, **_at_least(0.1)),
    *_unary("log1p", np.log1p, **_at_least(-0.9)),
    *_unary("sqrt", np.sqrt, **_at_least(0.1)),
    *_unary("rsqrt", lambda x: 1 / np.sqrt(x), **_at_least(0.1)),
    *_unary("tanh", np.tanh),
    *_unary("sigmoid", lambda x: 1 / (1 + np.exp(-x)), low=-9.0, high=9.0),
    *_unary("softplus", lambda x: np.logaddexp(x, 0), low=-9.0, high=9.0),
    *_unary("erf", np.vectorize(math.erf, otypes=[float])),
    *_unary("sin", np.sin, low=-9.0, high=9.0),
    *_unary("cos", np.cos, low=-9.0, high=9.0),
    *_unary("bfloat16", np_bfloat16, ("float32",), differentiable=False),
    *_comparison("equal", np.equal, (*NUMBERS, "bool")),
    *_comparison("not_equal", np.not_equal, (*NUMBERS, "bool")),
    *_comparison("less", np.less),
    *_comparison("less_equal", np.less_equal),
    *_logic("logical_and", np.logical_and),
    *_logic("logical_or", np.logical_or),
    *_unary("logical_not", np.logical_not, BOOL, differentiable=False),
    _one(
        "where",
        "plain",
        eg.where,
        np.where,
        (7,),
        (7,),
        (7,),
        kinds=("bool", None, None),
    ),
    _one(
        "where",
        "row",
        eg.where,
        np.where,
        ("batch", 1),
        (17,),
        (),
        kinds=("bool", None, None),
    ),
    _one(
        "cast",
        "float",
        lambda x: eg.astype(x, "float64"),
        lambda x: x.astype(float),
        (17,),
    ),
    _one(
        "cast",
        "integer",
        lambda x: eg.astype(x, "int32"),
        lambda x: x.astype(np.int32),
        ("batch", 3),
        low=-9.0,
        high=9.0,
        differentiable=False,
    ),
    _one(
        "cast",
        "bool",
        lambda x: eg.astype(x, "bool"),
        lambda x: x.astype(bool),
        (33,),
        differentiable=False,
    ),
    _one(
        "bound",
        "wrapped",
        lambda i: movement.bound(i, 5),
        lambda i: i % 5,
        ("batch", 3),
        dtypes=INTS,
        low=-5,
        high=5,
        differentiable=False,
    ),
    _one(
        "bound",
        "classes",
        lambda i: movement.bound(i, 5, wraps=False),
        lambda i: i,
        ("batch", 3),
        dtypes=INTS,
        low=0,
        high=5,
        differentiable=False,
    ),
    # reductions
    *_reduction("sum", lambda x, axis: np.sum(x, axis, x.dtype), eg.sum),
    _one("sum", "empty", lambda x: x.sum(0), lambda x: np.sum(x, 0, x.dtype), *EMPTY),
    *_reduction("max", np.max, eg.max),
    *_reduction("min", np.min, eg.min),
    *_reduction("argmax", _np_argmax, eg.argmax, differentiable=False),
    _one(
        "cumsum",
        "rows",
        lambda x: eg.cumulative_sum(x, 0),
        lambda x: np.cumsum(x, 0, x.dtype),
        ("batch", 3),
    ),
    _one(
        "cumsum",
        "last",
        lambda x: eg.cumulative_sum(x, -1),
        lambda x: np.cumsum(x, -1, x.dtype),
        (2, 17),
    ),
    _dot("matrices", "ik,kj->ij", ("batch", 17), (17, 33)),
    _dot("transposed", "ik,jk->ij", (3, 7), (2, 7)),
    _dot("weights", "bi,bo->io", ("batch", 3), ("batch", 17)),
    _dot("vector", "ik,k->i", (7, 33), (33,)),
    _dot("inner", "k,k->", (33,), (33,)),
    _dot("outer", "i,j->ij", ("batch",), (3,)),
    _dot("batched", "bik,bkj->bij", ("batch", 2, 3), ("batch", 3, 1)),
    _dot("scale", "ij,j->ji", (7, 3), (3,)),
    _dot("image", "ncyxij,ocij->noyx", (2, 3, 4, 5, 3, 2), (7, 3, 3, 2)),
    _dot("one", "ik,kj->ij", (1, 1), (1, 1)),
    _dot("empty", "ik,kj->ij", (2, 0), (0, 3)),
    # movement
    _one("reshape", "flat", lambda x: x.reshape(-1), np.ravel, ("batch", 3, 2)),
    _one(
        "reshape", "fold", lambda x: x.reshape(3, 11), lambda x: x.reshape(3, 11), (33,)
    ),
    _one(
        "reshape",
        "units",
        lambda x: x[:, None, :, None],
        lambda x: x[:, None, :, None],
        *M,
    ),
    _one(
        "expand",
        "lead",
        lambda x: eg.broadcast_to(x, (7, 2, 3)),
        lambda x: np.broadcast_to(x, (7, 2, 3)),
        *SMALL,
    ),
    _one(
        "expand",
        "last",
        lambda x: eg.broadcast_to(x, ("batch", 17)),
        lambda x: np.broadcast_to(x, (len(x), 17)),
        ("batch", 1),
    ),
    _one("permute", "T", lambda x: x.T, np.transpose, ("batch", 17)),
    _one(
        "permute",
        "cycle",
        lambda x: eg.permute_dims(x, (2, 0, 1)),
        lambda x: np.transpose(x, (2, 0, 1)),
        (2, 7, 3),
    ),
    _one(
        "pad",
        "around",
        lambda x: eg.pad(x, ((1, 2), (0, 3))),
        lambda x: np.pad(x, ((1, 2), (0, 3))),
        ("batch", 3),
    ),
    _one(
        "pad",
        "value",
        lambda x: eg.pad(x, ((2, 1),), 7),
        lambda x: np.pad(x, (2, 1), constant_values=7),
        (17,),
    ),
    _indexed("range", np.s_[1:-1, ::3], "batch", 17),
    _indexed("back", np.s_[::-1, -2:3:-4], 7, 17),
    _indexed("row", np.s_[-1], "batch", 3),
    _indexed("last", np.s_[..., 2], 7, 3),
    _indexed("empty", np.s_[5:2], 7),
    _indexed("batch-back", np.s_[::-2], "batch"),
    _one(
        "concat",
        "rows",
        lambda a, b: eg.concat([a, b, a]),
        lambda a, b: np.concatenate([a, b, a]),
        ("batch", 3),
        (2, 3),
    ),
    _one(
        "concat",
        "columns",
        lambda a, b: eg.concat([a, b], 1),
        lambda a, b: np.concatenate([a, b], 1),
        ("batch", 1),
        ("batch", 17),
    ),
    _window("plain", 0, 3, 1, 1, 17),
    _window("strided", 1, 3, 2, 1, 2, 17),
    _window("dilated", 0, 2, 1, 3, 7, 3),
    _window("both", 1, 3, 3, 2, "batch", 17),
    _window("batch", 0, 2, 2, 1, "batch", 2),
    _window("image", 2, 3, 1, 1, 2, 3, 7, 7),
    _unwindow("plain", 0, 17, 1, 1, 15, 3),
    _unwindow("strided", 1, 17, 2, 1, 2, 8, 3),
    _unwindow("apart", 0, 10, 3, 1, 3, 2),
    _unwindow("dilated", 1, 17, 3, 2, "batch", 5, 3),
    _gather("rows", 0, (5, 3), ("batch",), 5),
    _gather("columns", 1, ("batch", 7), (3,), 7),
    _gather("table", 0, (7, 2), (2, 3), 7),
    _gather("scalar", 1, (3, 7, 2), (), 7),
    _scatter("rows", ("batch", 3), ("batch",), 5),
    _scatter("table", (2, 3, 2), (2, 3), 7),
    _scatter("empty", (0, 3), (0,), 4),
    # special
    _one("random", "uniform", _draw, _np_random, ("batch", 33), dtypes=FLOATS),
    _one(
        "stop_gradient",
        "half",
        lambda x: x * eg.stop_gradient(x),
        lambda x: x * x,
        *SMALL,
        dtypes=FLOATS,
        differentiable=False,
    ),
    _one(
        "custom",
        "cube",
        eg.custom_gradient(lambda x: x * x * x, lambda g, x: (3.0 * g * x * x,)),
        lambda x: x * x * x,
        *SMALL,
        dtypes=FLOATS,
    ),
    _one(
        "checkpoint",
        "cube",
        lambda x: x * eg.checkpoint(x * x),
        lambda x: x * x * x,
        *SMALL,
    ),
    _one(
        "again",
        "cube",
        lambda x: x * apply("again", (x * x, x.sum())),
        lambda x: x * x * x,
        *SMALL,
    ),
]
