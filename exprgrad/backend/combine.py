"""Accumulators of a reduction as one: two that stand side by side, and the lanes of one.

Which of them are taken together, and in which order, depends on their number only.
"""

from __future__ import annotations

from exprgrad.backend.arith import select
from exprgrad.backend.spelling import spell
from exprgrad.backend.text import Code, Kind
from exprgrad.loop.ir import Scalar

# The names of an accumulator: a value, a value and a position, or a value for each of
# several sums.
Total = tuple[str, ...]

COMBINE = {"sum": "add", "max": "maximum", "min": "minimum"}


def merged(
    node: Scalar, code: Code, lanes: int, a: Total, b: Total, later: bool = False
) -> Total:
    """Two accumulators as one; `later` says that b's position is known to follow a's."""
    kind, args = node.params[0], node.args
    if kind != "argmax":
        op, types = COMBINE[kind], [argument.dtype for argument in args]
        pairs = zip(types, a, b, strict=True)
        return tuple(spell(code, op, dtype, lanes, (x, y)) for dtype, x, y in pairs)
    kinds = [Kind.of(argument.dtype, lanes) for argument in args]
    better = _better(code, kinds, a, b, later)
    return tuple(
        select(code, kind, better, new, old) for kind, new, old in zip(kinds, b, a, strict=True)
    )


def _better(code: Code, kinds: list[Kind], a: Total, b: Total, later: bool) -> str:
    """Whether b is larger than a, or as large and earlier; NaN counts as the largest."""
    kind, place = kinds
    flags = kind.with_element("i1")
    is_float = kind.element in ("float", "double")
    greater, equal = ("fcmp ogt", "fcmp oeq") if is_float else ("icmp sgt", "icmp eq")
    larger = code.op(f"{greater} {kind} {b[0]}, {a[0]}")
    same = code.op(f"{equal} {kind} {b[0]}, {a[0]}") if not later else None
    if is_float:
        nan_a, nan_b = (code.op(f"fcmp uno {kind} {x[0]}, {x[0]}") for x in (a, b))
        number_a = code.op(f"xor {flags} {nan_a}, {flags.splat(True)}")
        only_b = code.op(f"and {flags} {nan_b}, {number_a}")
        larger = code.op(f"or {flags} {larger}, {only_b}")
        if same is not None:
            same = code.op(f"or {flags} {same}, " + code.op(f"and {flags} {nan_a}, {nan_b}"))
    if same is None:
        return larger
    earlier = code.op(f"icmp slt {place} {b[1]}, {a[1]}")
    return code.op(f"or {flags} {larger}, " + code.op(f"and {flags} {same}, {earlier}"))


def beside_as_one(node: Scalar, code: Code, lanes: int, totals: list[Total]) -> Total:
    """Accumulators side by side as one, by halves."""
    while len(totals) > 1:
        half = len(totals) // 2
        pairs = zip(totals[:half], totals[half:], strict=True)
        totals = [merged(node, code, lanes, a, b) for a, b in pairs]
    return totals[0]


def lanes_as_one(node: Scalar, code: Code, lanes: int, totals: list[Total]) -> list[Total]:
    """The lanes of each accumulator as one number, by halves; those of several in the same
    vectors, which takes no more instructions than those of one.

        a0 a1 a2 a3, b0 b1 b2 b3  ->  a0+a2 a1+a3 b0+b2 b1+b3  ->  a0+a2+a1+a3 b0+b2+b1+b3
    """
    found: list[Total] = []
    while len(found) < len(totals):
        rest = totals[len(found) :]
        count = min(lanes, 1 << len(rest).bit_length() - 1)
        found += _in_the_same_vectors(node, code, lanes, rest[:count])
    return found


def _in_the_same_vectors(
    node: Scalar, code: Code, lanes: int, totals: list[Total]
) -> list[Total]:
    """The same for as many accumulators as a power of two, no more than there are lanes."""
    vectors, own = totals, lanes  # so many lanes are left to each accumulator
    while own > 1:
        own //= 2
        pairs = [vectors[n : n + 2] for n in range(0, len(vectors), 2)]
        vectors = [_halved(node, code, lanes, own, pair) for pair in pairs]
        lanes = own * len(totals) // len(vectors)
    if lanes == 1:
        return vectors
    return [_chosen(node, code, lanes, vectors, [n]) for n in range(lanes)]


def _halved(node: Scalar, code: Code, lanes: int, own: int, vectors: list[Total]) -> Total:
    """Each two times `own` lanes of one vector or two as `own` lanes of one."""
    starts = range(0, len(vectors) * lanes, 2 * own)
    low, high = ([start + n for start in starts for n in range(at, at + own)] for at in (0, own))
    a, b = (_chosen(node, code, lanes, vectors, each) for each in (low, high))
    return merged(node, code, len(low), a, b)


def _chosen(
    node: Scalar, code: Code, lanes: int, vectors: list[Total], chosen: list[int]
) -> Total:
    """What stands at some places of one vector or of two, counted through both."""
    names = []
    for n, argument in enumerate(node.args):
        kind = Kind.of(argument.dtype, lanes)
        if len(chosen) == 1:
            names.append(code.op(f"extractelement {kind} {vectors[0][n]}, i64 {chosen[0]}"))
            continue
        first, second = vectors[0][n], vectors[1][n] if len(vectors) > 1 else "poison"
        places = ", ".join(f"i32 {place}" for place in chosen)
        both = f"{kind} {first}, {kind} {second}"
        names.append(code.op(f"shufflevector {both}, <{len(chosen)} x i32> <{places}>"))
    return tuple(names)
