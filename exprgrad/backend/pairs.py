"""Two products at a time: the instruction of AVX512-BF16 for pairs of bfloat16 numbers.

    pair of k     = upper half of x[k] | upper half of x[k + 1]     both are bfloat16
    s[j] += a[k] * b[k, j] + a[k + 1] * b[k + 1, j]                 one instruction

A pair is put together once for all points of the tile that read it.
"""

from __future__ import annotations

from exprgrad.backend.level import Level
from exprgrad.backend.scope import Point, Scope
from exprgrad.backend.text import Kind
from exprgrad.backend.value import Value
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Scalar

LANES = 16
SUMS, PAIRS, WORDS = Kind("float", LANES), f"<{2 * LANES} x bfloat>", Kind("i32", LANES)


def add_pair(
    scope: Scope, product: Scalar, axis: Axis, level: Level, point: Point, total: str
) -> str:
    """`total` and the products at two neighbours along `axis`, added up in float32."""
    pairs = [(PAIRS, _pair(scope, factor, axis, level, point)) for factor in product.args]
    return level.code.call(SUMS, "llvm.x86.avx512bf16.dpbf16ps.512", (SUMS, total), *pairs)


def _pair(scope: Scope, factor: Scalar, axis: Axis, level: Level, point: Point) -> str:
    """A factor at two neighbours, as an operand of the instruction."""
    axes = ir.free_axes(factor)
    home = level.of(axes)
    place = tuple(point[a] for a in home.tiled(axes) if a is not axis)
    key = ("pair", factor, axis, place)
    if key not in home.known:
        ends = [scope.value(factor, level, {**point, axis: side}) for side in (0, 1)]
        kind = Kind("float", ends[0][1])
        first, second = (Value(home.code, kind, name).bits for name, _ in ends)
        words = first.logical_right(16) | (second & -0x10000)
        home.known[key] = (_operand(words), LANES)
    return home.known[key][0]


def _operand(words: Value) -> str:
    code, name = words.code, words.name
    if words.kind.lanes == 1:
        name = code.op(f"insertelement {WORDS} poison, i32 {name}, i64 0")
        zeros = f"<{LANES} x i32> zeroinitializer"
        name = code.op(f"shufflevector {WORDS} {name}, {WORDS} poison, {zeros}")
    return code.op(f"bitcast {WORDS} {name} to {PAIRS}")
