"""The op `random` as vector code: Philox 4x32-10 as `graph/philox.py` defines it.

The 32-bit words are held in 64-bit lanes, so that a product of two words is one
instruction. Any vector of element numbers will do: each lane makes its own block of
four words and takes one word of it (float32) or two (float64).
"""

from __future__ import annotations

from exprgrad.backend.level import Level
from exprgrad.backend.text import Code, Kind
from exprgrad.backend.value import Value, select
from exprgrad.graph.dtype import DType
from exprgrad.graph.philox import LANES, MASK, MULTIPLIERS, ROUNDS, ROW, WEYL
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Scalar
from exprgrad.loop.schedule import Scheduled

Words = tuple[Value, Value, Value, Value]


def random(
    code: Code, dtype: DType, lanes: int, element: str, step: str, seed: str, key: str
) -> str:
    """Write numbers in [0, 1) of type `dtype` and give the name of their value.

    `element` names int64 numbers of elements (`lanes` of them), `step`, `seed` and
    the draw's own number `key` int64 scalars.
    """
    words_each = dtype.size // 4
    span = LANES * 4 // words_each
    within = Value(code, Kind("i64", lanes), element) & (span - 1)
    part = within.logical_right(_log2(LANES))
    words = _blocks(code, span, lanes, element, step, seed, key)
    if words_each == 1:
        return _single(_choose(part, words)).name
    high, low = _choose(part, words[0::2]), _choose(part, words[1::2])
    bits = ((high << 32) | low).logical_right(11)
    return (bits.convert("sitofp", "double") * 2.0**-53).name


def four_vectors(
    code: Code, lanes: int, element: str, step: str, seed: str, key: str
) -> tuple[str, ...]:
    """Four vectors of float32 numbers, `LANES` elements apart, for as much work as one:
    `element` names the numbers of the elements of the first, in the first quarter of a
    row of blocks.
    """
    words = _blocks(code, ROW, lanes, element, step, seed, key)
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


def _blocks(
    code: Code, span: int, lanes: int, element: str, step: str, seed: str, key: str
) -> Words:
    """The words of the block of each element."""
    numbers = Value(code, Kind("i64", lanes), element)
    block = (numbers.logical_right(_log2(span)) * LANES) + (numbers & (LANES - 1))
    return _philox(_counter(block, step, key), Value(code, Kind("i64"), seed))


def _single(word: Value) -> Value:
    bits = word.logical_right(8).convert("trunc", "i32")
    return bits.convert("sitofp", "float") * 2.0**-24


def _log2(power: int) -> int:
    return power.bit_length() - 1


def _choose(part: Value, words: tuple[Value, ...]) -> Value:
    """Of each lane the word whose number is in `part`."""
    chosen = words[0]
    for number, word in enumerate(words[1:], 1):
        chosen = select(part.same(number), word, chosen)
    return chosen


def _counter(block: Value, step: str, key: str) -> Words:
    count, draw = (
        _in_all_lanes(Value(block.code, Kind("i64"), name) & MASK, block.kind)
        for name in (step, key)
    )
    return block & MASK, block.logical_right(32), count, draw


def _in_all_lanes(scalar: Value, kind: Kind) -> Value:
    """A scalar known at run time only, in every lane of a vector."""
    if kind.lanes == 1:
        return scalar
    one = scalar.make(
        f"insertelement {kind} poison, {scalar.kind} {scalar.name}, i32 0", kind
    )
    mask = f"<{kind.lanes} x i32> zeroinitializer"
    return one.make(f"shufflevector {kind} {one.name}, {kind} poison, {mask}")


def _philox(counter: Words, seed: Value) -> Words:
    c0, c1, c2, c3 = counter
    keys = [half.convert("trunc", "i32") for half in (seed, seed.logical_right(32))]
    for turn in range(ROUNDS):
        k0, k1 = (
            _in_all_lanes((key + turn * weyl % 2**32).convert("zext", "i64"), c0.kind)
            for key, weyl in zip(keys, WEYL, strict=True)
        )
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            p1.logical_right(32) ^ c1 ^ k0,
            p1 & MASK,
            p0.logical_right(32) ^ c3 ^ k1,
            p0 & MASK,
        )
    return c0, c1, c2, c3
