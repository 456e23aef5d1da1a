"""The op `random` as vector code: Philox 4x32-10 as `graph/philox.py` defines it.

The 32-bit words are held in 64-bit lanes, so that a product of two words is one
instruction; what stands in the upper halves of words does not matter, as no product
looks there. Any vector of element numbers will do: each lane makes its own block of
four words and takes one word of it (float32) or two (float64). What all blocks of a draw
have in common is written once, in `Rounds`.
"""

from __future__ import annotations

from dataclasses import dataclass

from exprgrad.backend.level import Level
from exprgrad.backend.text import Code, Kind
from exprgrad.backend.value import Value, select
from exprgrad.graph.dtype import DType
from exprgrad.graph.philox import LANES, MASK, MULTIPLIERS, ROUNDS, ROW, WEYL
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Scalar
from exprgrad.loop.schedule import Scheduled

Words = tuple[Value, Value, Value, Value]


@dataclass(frozen=True, eq=False)
class Rounds:
    """What does not depend on the element: the keys of the rounds, and of the first round
    the terms of its three words that the block's number is no part of.
    """

    keys: list[tuple[Value, Value]]
    first: tuple[Value, Value, Value]


def rounds(code: Code, lanes: int, step: str, seed: str, key: str) -> Rounds:
    """Write them, in all `lanes`; `step`, `seed` and the draw's own number `key` name
    int64 scalars.
    """
    kind = Kind("i64", lanes)
    whole = Value(code, Kind("i64"), seed)
    halves = [half.convert("trunc", "i32") for half in (whole, whole.logical_right(32))]
    keys = []
    for turn in range(ROUNDS):
        k0, k1 = (
            (half + turn * weyl % 2**32).convert("zext", "i64")
            for half, weyl in zip(halves, WEYL, strict=True)
        )
        keys.append((k0, k1))
    count, draw = Value(code, Kind("i64"), step), Value(code, Kind("i64"), key)
    product = (count & MASK) * MULTIPLIERS[1]
    first = (product.logical_right(32) ^ keys[0][0], product, draw ^ keys[0][1])
    c0, c1, c2 = (_in_all_lanes(value, kind) for value in first)
    later = [(_in_all_lanes(a, kind), _in_all_lanes(b, kind)) for a, b in keys[1:]]
    return Rounds(later, (c0, c1, c2))


def random(code: Code, dtype: DType, lanes: int, element: str, common: Rounds) -> str:
    """Write numbers in [0, 1) of type `dtype` and give the name of their value.

    `element` names int64 numbers of elements (`lanes` of them).
    """
    words_each = dtype.size // 4
    span = LANES * 4 // words_each
    within = Value(code, Kind("i64", lanes), element) & (span - 1)
    part = within.logical_right(_log2(LANES))
    words = _blocks(code, span, lanes, element, common)
    if words_each == 1:
        return _single(_choose(part, words)).name
    high, low = _choose(part, words[0::2]), _choose(part, words[1::2])
    bits = ((high << 32) | (low & MASK)).logical_right(11)
    return (bits.convert("sitofp", "double") * 2.0**-53).name


def four_vectors(code: Code, lanes: int, element: str, common: Rounds) -> tuple[str, ...]:
    """Four vectors of float32 numbers, `LANES` elements apart, for as much work as one:
    `element` names the numbers of the elements of the first, in the first quarter of a
    row of blocks.
    """
    words = _blocks(code, ROW, lanes, element, common)
    return tuple(_single(word).name for word in words)


def four_of(number: int, lanes: int) -> tuple[int, int]:
    """The vector with which the one at a place of the tile is drawn, and its word.

    >>> [four_of(number, 8) for number in range(9)]
    [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3), (8, 0)]
    """
    row, place = divmod(number, ROW // lanes)
    word, first = divmod(place, LANES // lanes)
    return row * (ROW // lanes) + first, word


def aligned_draw(node: Scalar, level: Level, scheduled: Scheduled) -> Axis | None:
    """The axis whose vectors are drawn in fours, where each tile of it begins a row of
    blocks; None where a vector is drawn by itself.
    """
    found = level.vector_of(ir.free_axes(node))
    if found is None or node.dtype.size != 4:
        return None
    axis, bound = found
    place = ir.affine(node.args[0])
    others = [factor for atom, factor in place.terms if atom is not ir.axis_value(axis)]
    rows = all(isinstance(n, int) and n % ROW == 0 for n in (*others, place.offset))
    whole = isinstance(axis.extent, int) and scheduled.block(axis) % ROW == 0
    unit = place.factor_of(axis) == 1
    return axis if rows and whole and unit and bound.lanes <= LANES else None


def _blocks(code: Code, span: int, lanes: int, element: str, common: Rounds) -> Words:
    """The words of the block of each element."""
    numbers = Value(code, Kind("i64", lanes), element)
    block = (numbers.logical_right(_log2(span)) * LANES) + (numbers & (LANES - 1))
    return _philox(block, common)


def _single(word: Value) -> Value:
    bits = word.convert("trunc", "i32").logical_right(8)
    return bits.convert("sitofp", "float") * 2.0**-24


def _log2(power: int) -> int:
    return power.bit_length() - 1


def _choose(part: Value, words: tuple[Value, ...]) -> Value:
    """Of each lane the word whose number is in `part`."""
    chosen = words[0]
    for number, word in enumerate(words[1:], 1):
        chosen = select(part.same(number), word, chosen)
    return chosen


def _in_all_lanes(scalar: Value, kind: Kind) -> Value:
    """A scalar known at run time only, in every lane of a vector."""
    if kind.lanes == 1:
        return scalar
    one = scalar.make(
        f"insertelement {kind} poison, {scalar.kind} {scalar.name}, i32 0", kind
    )
    mask = f"<{kind.lanes} x i32> zeroinitializer"
    return one.make(f"shufflevector {kind} {one.name}, {kind} poison, {mask}")


def _philox(block: Value, common: Rounds) -> Words:
    """The counter being the block's number, the step and the draw's key."""
    p0 = (block & MASK) * MULTIPLIERS[0]
    c0 = block.logical_right(32) ^ common.first[0]
    c1, c2, c3 = common.first[1], p0.logical_right(32) ^ common.first[2], p0
    for k0, k1 in common.keys:
        p0, p1 = (c0 & MASK) * MULTIPLIERS[0], (c2 & MASK) * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            p1.logical_right(32) ^ c1 ^ k0,
            p1,
            p0.logical_right(32) ^ c3 ^ k1,
            p0,
        )
    return c0, c1, c2, c3
