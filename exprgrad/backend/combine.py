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


def folded(
    node: Scalar, code: Code, lanes: int, totals: list[Total], across: bool
) -> Total:
    """Accumulators side by side as one, then, where lanes run `across` the sum, its lanes
    as one number: by halves.
    """
    while len(totals) > 1:
        half = len(totals) // 2
        pairs = zip(totals[:half], totals[half:], strict=True)
        totals = [merged(node, code, lanes, a, b) for a, b in pairs]
    total = totals[0]
    while across and lanes > 1:
        lanes //= 2
        low, high = (_half(node, code, total, lanes, start) for start in (0, lanes))
        total = merged(node, code, lanes, low, high)
    return total


def _half(node: Scalar, code: Code, total: Total, lanes: int, start: int) -> Total:
    names = []
    for name, argument in zip(total, node.args, strict=True):
        wide = Kind.of(argument.dtype, 2 * lanes)
        if lanes == 1:
            names.append(code.op(f"extractelement {wide} {name}, i64 {start}"))
            continue
        chosen = ", ".join(f"i32 {start + n}" for n in range(lanes))
        names.append(
            code.op(f"shufflevector {wide} {name}, {wide} poison, <{lanes} x i32> <{chosen}>")
        )
    return tuple(names)
