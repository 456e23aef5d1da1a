"""Every elementwise operation as LLVM spells it, against NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from exprgrad.backend.spelling import SLOW, SPELLINGS, spell
from exprgrad.backend.text import Code, Function, Module
from exprgrad.graph.dtype import BY_NAME, DTYPES, DType, as_dtype, bool_
from exprgrad.graph.ops import OPS, is_elementwise
from tests.backend.harness import AVX2, BASELINE, HOST, Array, apply, loop_text, run

FLOATS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -2.5,
    3.0,
    7.25,
    -1e20,
    1e-40,
    np.inf,
    -np.inf,
    np.nan,
]
VALUES = {
    "b": [False, True],
    "i": [0, 1, -1, 2, -2, 3, 7, -7, 100, -128, "min", "max"],
    "f": FLOATS,
}
BINARY: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "floor_divide": np.floor_divide,
    "remainder": np.remainder,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
}
UNARY: dict[str, Callable[..., Any]] = {
    "negative": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "sqrt": np.sqrt,
    "logical_not": np.logical_not,
}
ELSEWHERE = {
    "exp",
    "expm1",
    "log",
    "log1p",
    "rsqrt",
    "tanh",
    "sigmoid",
    "softplus",
    "erf",
}
ELSEWHERE |= {"sin", "cos", "bfloat16", "pow", "cast", "where", "bound"}


def cases(table: dict[str, Any]) -> list[tuple[str, DType]]:
    return [(op, t) for op in table for t in DTYPES if t.kind in OPS[op].kinds]


def values(dtype: DType) -> Array:
    listed: list[Any] = list(VALUES[dtype.kind])
    if dtype.kind == "i":
        info = np.iinfo(dtype.name)
        ends = {"min": info.min, "max": info.max}
        listed = [ends.get(v, v) for v in listed]
    return np.array(listed, dtype.name)


def result_type(op: str, dtype: DType) -> DType:
    return bool_ if OPS[op].typing.__name__ == "_compare" else dtype


def test_every_elementwise_op_is_spelled() -> None:
    elementwise = {op for op in OPS if is_elementwise(op)}
    assert elementwise - set(SPELLINGS) == {"cast", "bound"}
    assert set(SPELLINGS) <= elementwise
    assert [op for op in OPS if op in SPELLINGS] == list(SPELLINGS)


def test_every_elementwise_op_is_tried() -> None:
    elementwise = {op for op in OPS if is_elementwise(op)}
    assert elementwise == set(BINARY) | set(UNARY) | ELSEWHERE


@pytest.mark.parametrize(("op", "dtype"), cases(BINARY), ids=str)
@pytest.mark.parametrize("lanes", [1, 8, 16])
def test_binary(op: str, dtype: DType, lanes: int) -> None:
    pairs = np.array(list(itertools.product(values(dtype), values(dtype))), dtype.name)
    a, b = pairs.T.copy()
    with np.errstate(all="ignore"):
        expected = BINARY[op](a, b)
    got = apply(op, a, b, lanes=lanes, dtype=result_type(op, dtype))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(("op", "dtype"), cases(UNARY), ids=str)
def test_unary(op: str, dtype: DType) -> None:
    x = values(dtype)
    with np.errstate(all="ignore"):
        expected = UNARY[op](x)
    for lanes in (1, 8):
        got = apply(op, x, lanes=lanes, dtype=result_type(op, dtype))
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float_division_as_numpy_over_many_numbers(dtype: str) -> None:
    rng = np.random.default_rng(5)
    a, b = (rng.standard_normal((2, 4000)) * [[50], [3]]).astype(dtype)
    np.testing.assert_array_equal(apply("remainder", a, b), np.remainder(a, b))
    np.testing.assert_array_equal(apply("floor_divide", a, b), np.floor_divide(a, b))


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("lanes", [1, 8])
def test_integer_power(dtype: str, lanes: int) -> None:
    base = np.array([0, 1, -1, 2, -2, 3, -7, 46341, np.iinfo(dtype).min], dtype)
    exponent = np.array([0, 1, 2, 3, 5, 31, 62, 63, 64, 1000], dtype)
    a, b = (grid.ravel().copy() for grid in np.meshgrid(base, exponent))
    np.testing.assert_array_equal(apply("pow", a, b, lanes=lanes), np.power(a, b))
    negative = apply("pow", base, np.full_like(base, -3), lanes=lanes)
    np.testing.assert_array_equal(negative, [0, 1, -1, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_where(dtype: DType) -> None:
    a = values(dtype)
    b = a[::-1].copy()
    condition = np.arange(a.size) % 3 == 0
    for lanes in (1, 8):
        got = apply("where", condition, a, b, lanes=lanes)
        np.testing.assert_array_equal(got, np.where(condition, a, b))


@pytest.mark.parametrize("source", DTYPES, ids=str)
@pytest.mark.parametrize("result", DTYPES, ids=str)
@pytest.mark.parametrize("lanes", [1, 16])
def test_cast(source: DType, result: DType, lanes: int) -> None:
    x = values(source)
    x = x[np.isfinite(x)] if source.kind == "f" else x
    x = x[np.abs(x) < 1e9] if (source.kind, result.kind) == ("f", "i") else x
    got = apply("cast", x, lanes=lanes, dtype=result, params=(result,))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(got, x.astype(result.name))


@pytest.mark.parametrize("result", ["int32", "int64"])
def test_cast_out_of_range_goes_to_the_end_of_the_range(result: str) -> None:
    x = np.array([1e30, -1e30, np.inf, -np.inf, np.nan], np.float64)
    got = apply("cast", x, dtype=BY_NAME[result], params=(BY_NAME[result],))
    info = np.iinfo(result)
    np.testing.assert_array_equal(got, [info.max, info.min, info.max, info.min, 0])


@pytest.mark.parametrize("target", [AVX2, BASELINE], ids=["avx2", "baseline"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_other_machines(target: Any, dtype: DType) -> None:
    if target is AVX2 and not HOST.has("avx2"):
        pytest.skip("the host lacks AVX2")
    a = values(dtype)
    b = np.roll(a, 3)
    for op in (op for op, t in cases(BINARY) if t is dtype):
        out = result_type(op, dtype)
        expected = apply(op, a, b, dtype=out, lanes=8)
        got = apply(op, a, b, dtype=out, lanes=8, target=target)
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("op", ["maximum", "minimum"])
@pytest.mark.parametrize("first", [True, False])
def test_extreme_with_a_constant_is_one_instruction(op: str, first: bool) -> None:
    dtype = as_dtype("float32")
    x = values(dtype)

    def write(code: Code, names: tuple[str, ...]) -> str:
        zero = "zeroinitializer"
        pair = (zero, names[0]) if first else (names[0], zero)
        return spell(code, op, dtype, 16, pair)

    padded = np.concatenate([x, np.zeros(-x.size % 16, x.dtype)])
    got = run(loop_text(write, [dtype], dtype, 16, HOST), dtype, [padded], HOST)
    np.testing.assert_array_equal(got, getattr(np, op)(padded, np.float32(0)))
    function = Function(Module(), "f", "<16 x float> %x")
    write(Code(function), ("%x",))
    assert len(function.blocks[0].lines) == 2


def test_slow_operations_are_listed() -> None:
    calling = set()
    for op, dtype in cases({op: None for op in SPELLINGS}):
        function = Function(Module(), "f", "")
        count = 3 if op == "where" else 2 if op in BINARY or op == "pow" else 1
        spell(Code(function), op, dtype, 4, ("%x",) * count)
        usual = function.blocks[0].lines
        if any(" call " in line and "@llvm." not in line for line in usual):
            calling.add((op, dtype.name))
    assert calling == SLOW
