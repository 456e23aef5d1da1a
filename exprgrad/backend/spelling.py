"""The LLVM spelling of every elementwise operation, in the order of the table of ops.

A row takes values, arguments first to last, and gives the value of the operation. Rows
for integers and for floats differ where the instructions do more than the operators of
`Value` know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exprgrad.backend import integers
from exprgrad.backend.slow import each_lane
from exprgrad.backend.text import Code, Kind
from exprgrad.backend.value import Value, absolute, fma, known, select
from exprgrad.backend.vecmath import FUNCTIONS
from exprgrad.graph.dtype import DType

Spelling = Callable[..., Value]

# Operations that call the C library for each element, by the kind of their arguments.
SLOW = {
    ("floor_divide", "float32"),
    ("floor_divide", "float64"),
    ("remainder", "float32"),
    ("remainder", "float64"),
    ("pow", "float64"),
}


def _extreme(floating: str, whole: str) -> Spelling:
    """The larger or smaller; NaN where one is NaN, either zero where both are zeros."""

    def spelling(a: Value, b: Value) -> Value:
        if known(a.name):
            a, b = b, a
        # x86's own instruction gives its second operand where one of the two is NaN.
        best = select(b.compare(floating, whole, a), b, a)
        if not a.is_float or known(b.name):
            return best
        return select(b.is_nan, b, best)

    return spelling


def _sign(x: Value) -> Value:
    positive = select(x > 0, 1, x)
    return select(x < 0, -1, positive)


def _absolute(x: Value) -> Value:
    return absolute(x) if x.is_float else select(x < 0, 0 - x, x)


def _float_remainder(a: Value, b: Value) -> Value:
    """fmod, moved to the sign of b; a zero has that sign too"""
    rest = each_lane("fmod", a, b)
    moved = select(_opposite(rest, b), rest + b, rest)
    return select(rest.same(0.0), rest.intrinsic("copysign", b), moved)


def _float_floor_divide(a: Value, b: Value) -> Value:
    """The quotient without its remainder, which is near an integer already"""
    rest = each_lane("fmod", a, b)
    towards_zero = (a - rest) / b
    whole = select(_opposite(rest, b), towards_zero - 1.0, towards_zero)
    floored = whole.intrinsic("floor")
    nearest = select((whole - floored) > 0.5, floored + 1.0, floored)
    quotient = a / b
    zero = whole.splat(0.0).intrinsic("copysign", quotient)
    return select(b.same(0.0), quotient, select(whole.same(0.0), zero, nearest))


def _opposite(rest: Value, b: Value) -> Value:
    """Whether a remainder has to be moved to the sign of its divisor."""
    return ((rest < 0.0) ^ (b < 0.0)) & rest.differs(0.0)


def _by_kind(floating: Spelling, whole: Spelling) -> Spelling:
    def spelling(a: Value, b: Value) -> Value:
        return (floating if a.is_float else whole)(a, b)

    return spelling


def _bfloat16(x: Value) -> Value:
    """The upper half of the bits, to which a carry comes from the lower; ties to even"""
    last = x.bits.logical_right(16) & 1
    kept = (x.bits + 0x7FFF + last) & -0x10000
    return select(x.is_nan, x, kept.as_float)


def _where(condition: Value, a: Value, b: Value) -> Value:
    return select(condition, a, b)


# Instructions that convert from the row's kind to the column's.
CONVERSIONS = {
    "b": {"i": "zext", "f": "uitofp"},
    "i": {"f": "sitofp"},
}


def cast(x: Value, source: DType, result: DType) -> Value:
    """`x` as another type: fractions are dropped, what is out of range goes to the end
    of the range, NaN becomes 0 (as an integer) or true.
    """
    kind = Kind.of(result, x.kind.lanes)
    if kind == x.kind:
        return x
    if result.kind == "b":
        return x.differs(0)
    if (source.kind, result.kind) == ("f", "i"):
        name = f"llvm.fptosi.sat.{kind.mangled}.{x.kind.mangled}"
        return Value(x.code, kind, x.code.call(kind, name, (x.kind, x.name)))
    if source.kind == result.kind:
        narrower, wider = {"i": ("trunc", "sext"), "f": ("fptrunc", "fpext")}[
            source.kind
        ]
        return x.convert(narrower if result.size < source.size else wider, kind.element)
    return x.convert(CONVERSIONS[source.kind][result.kind], kind.element)


SPELLINGS: dict[str, Spelling] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "floor_divide": _by_kind(_float_floor_divide, integers.floor_divide),
    "remainder": _by_kind(_float_remainder, integers.remainder),
    "pow": _by_kind(FUNCTIONS["pow"], integers.power),
    "maximum": _extreme("ogt", "sgt"),
    "minimum": _extreme("olt", "slt"),
    "negative": lambda x: -x,
    "abs": _absolute,
    "sign": _sign,
    "floor": lambda x: x.intrinsic("floor"),
    "exp": FUNCTIONS["exp"],
    "expm1": FUNCTIONS["expm1"],
    "log": FUNCTIONS["log"],
    "log1p": FUNCTIONS["log1p"],
    "sqrt": lambda x: x.intrinsic("sqrt"),
    "rsqrt": FUNCTIONS["rsqrt"],
    "tanh": FUNCTIONS["tanh"],
    "sigmoid": FUNCTIONS["sigmoid"],
    "softplus": FUNCTIONS["softplus"],
    "erf": FUNCTIONS["erf"],
    "sin": FUNCTIONS["sin"],
    "cos": FUNCTIONS["cos"],
    "bfloat16": _bfloat16,
    "equal": lambda a, b: a.same(b),
    "not_equal": lambda a, b: a.differs(b),
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "logical_and": lambda a, b: a & b,
    "logical_or": lambda a, b: a | b,
    "logical_not": lambda x: x ^ True,
    "where": _where,
}


def spell(
    code: Code,
    op: str,
    dtype: DType,
    lanes: int,
    arguments: tuple[str, ...],
    params: tuple[Any, ...] = (),
) -> str:
    """Write elementwise `op` and give the name of its value.

    `dtype` is the type of the last argument (of `where`: of the branches), `arguments`
    are names of values or constants, a bool being an i1. For `cast`, `params` holds the
    type to convert to; `bound` is written by whoever knows what to do on a bad index.
    The code may go on in another block.
    """
    kind = Kind.of(dtype, lanes)
    kinds = [kind] * len(arguments)
    if op == "where":
        kinds[0] = kind.with_element("i1")
    pairs = zip(kinds, arguments, strict=True)
    values = [Value(code, each, name) for each, name in pairs]
    if op == "cast":
        return cast(values[0], dtype, params[0]).name
    return SPELLINGS[op](*values).name


def multiply_add(code: Code, kind: Kind, a: str, b: str, c: str) -> str:
    """a * b + c: rounded once for floats, wrapped for integers."""
    x, y, z = (Value(code, kind, name) for name in (a, b, c))
    return (fma(x, y, z) if x.is_float else x * y + z).name
