"""What is known of integers and conditions from how far the loops around them run.

    (2 * q + 1 - 2 * m) // 2   ->   q - m    for q < 5, m < 2
    0 <= q + 1                 ->   true
    where(true, x, y)          ->   x

Sizes known at run time are taken to be anything from 0 on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf

from exprgrad.graph import dtype as dtypes
from exprgrad.graph.dims import Size
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Constant
from exprgrad.loop import ir
from exprgrad.loop.ir import Affine, Scalar

Range = tuple[float, float]  # smallest and largest value, infinite where unknown
UNKNOWN = (-inf, inf)


def folded(roots: Iterable[Scalar]) -> list[Scalar]:
    """`roots` with all that is known from the extents of axes computed ahead."""
    roots = list(roots)
    image: dict[Scalar, Scalar] = {}
    for node in walk(roots):
        args = tuple(image[a] for a in node.args)
        same = all(a is b for a, b in zip(args, node.args, strict=True))
        new = node if same else ir.rebuilt(node, args)
        image[node] = FOLDS[new.op](new) if new.op in FOLDS else new
    return [image[root] for root in roots]


def range_of(value: Affine) -> Range:
    """How small and how large an index becomes."""
    if not isinstance(value.offset, int):
        return UNKNOWN
    low: float = value.offset
    high: float = value.offset
    for atom, factor in value.terms:
        first, last = _term(atom, factor)
        low, high = low + first, high + last
    return low, high


def _term(atom: Scalar, factor: Size) -> Range:
    if atom.op != "axis" or not isinstance(factor, int):
        return UNKNOWN
    extent = atom.params[0].extent
    far = factor * (extent - 1 if isinstance(extent, int) else inf)
    return min(0, far), max(0, far)


def scalar_of(value: Affine) -> Scalar:
    """A sum of multiples as a scalar."""
    total: Scalar | None = None
    for atom, factor in value.terms:
        term = ir.times(atom, factor)
        total = term if total is None else ir.add(total, term)
    offset = ir.size(value.offset)
    return offset if total is None else ir.add(total, offset)


def truth(value: bool) -> Scalar:
    """A condition that always, or never, holds."""
    return ir.scalar("constant", (), (Constant(value, dtypes.bool_),), dtypes.bool_)


def known(node: Scalar) -> bool | None:
    """Whether a condition holds, where that is a constant."""
    return bool(node.params[0].array) if node.op == "constant" else None


def conjuncts(node: Scalar | None) -> list[Scalar]:
    """The parts of a condition that all have to hold."""
    if node is None:
        return []
    if node.op != "logical_and":
        return [node]
    return [part for argument in node.args for part in conjuncts(argument)]


def room_of(node: Scalar) -> Affine | None:
    """A comparison of indices as the value that must not be negative for it to hold."""
    if node.op not in ("less", "less_equal") or node.args[0].dtype is not dtypes.int64:
        return None
    small, large = (ir.affine(side) for side in node.args)
    return large + small * -1 + Affine((), -1 if node.op == "less" else 0)


# One rule for each operation that may be known


def divided(value: Affine, step: int) -> tuple[Affine, Affine] | None:
    """Quotient and remainder of an index and a step; None where they are not affine."""
    if not isinstance(value.offset, int):
        return None
    if any(not isinstance(factor, int) for _, factor in value.terms):
        return None
    parts = [(atom, factor) for atom, factor in value.terms if isinstance(factor, int)]
    rest = Affine(tuple((a, f) for a, f in parts if f % step), value.offset)
    low, high = range_of(rest)
    if low == -inf or high == inf or low // step != high // step:
        return None
    whole = int(low // step)
    quotient = Affine(tuple((a, f // step) for a, f in parts if f % step == 0), whole)
    return quotient, rest + Affine((), -whole * step)


def _division(part: int) -> Callable[[Scalar], Scalar]:
    def fold(node: Scalar) -> Scalar:
        step = ir.value_of(node.args[1])
        if node.dtype.kind != "i" or step is None or step < 1:
            return node
        parts = divided(ir.affine(node.args[0]), step)
        return node if parts is None else scalar_of(parts[part])

    return fold


def _comparison(
    always: Callable[[float, float], bool], never: Callable[[float, float], bool]
) -> Callable[[Scalar], Scalar]:
    """A comparison, by the range of the difference of its sides."""

    def fold(node: Scalar) -> Scalar:
        left, right = node.args
        if left.dtype.kind != "i":
            return node
        ends = range_of(ir.affine(left) + ir.affine(right) * -1)
        if always(*ends):
            return truth(True)
        return truth(False) if never(*ends) else node

    return fold


def _sum(node: Scalar) -> Scalar:
    return ir.add(*node.args) if node.dtype is dtypes.int64 else node


def _product(node: Scalar) -> Scalar:
    factor = ir.value_of(node.args[1]) if node.dtype is dtypes.int64 else None
    return node if factor is None else ir.times(node.args[0], factor)


def _and(node: Scalar) -> Scalar:
    left, right = node.args
    if False in (known(left), known(right)):
        return truth(False)
    if known(left):
        return right
    return left if known(right) else node


def _where(node: Scalar) -> Scalar:
    condition, yes, no = node.args
    holds = known(condition)
    return node if holds is None else yes if holds else no


def _read(node: Scalar) -> Scalar:
    buffer, view, index, guard = ir.read_parts(node)
    if guard is None or known(guard) is None:
        return node
    return ir.read(buffer, view, index) if known(guard) else ir.zero(node.dtype)


def _reduce(node: Scalar) -> Scalar:
    kind, axes = node.params
    if kind == "sum" and node.args[0] is ir.zero(node.dtype):
        return node.args[0]
    units = {ir.axis_value(axis): ir.number(0) for axis in axes if axis.extent == 1}
    if not units or kind == "argmax":
        return node
    args = tuple(folded(ir.substitute_all(node.args, units)))
    longer = tuple(axis for axis in axes if axis.extent != 1)
    return ir.reduction(kind, args, longer) if longer else args[0]


FOLDS: dict[str, Callable[[Scalar], Scalar]] = {
    "add": _sum,
    "multiply": _product,
    "floor_divide": _division(0),
    "remainder": _division(1),
    "equal": _comparison(lambda low, high: low == 0 == high, lambda a, b: a > 0 or b < 0),
    "less": _comparison(lambda low, high: high < 0, lambda low, high: low >= 0),
    "less_equal": _comparison(lambda low, high: high <= 0, lambda low, high: low > 0),
    "logical_and": _and,
    "where": _where,
    "read": _read,
    "reduce": _reduce,
}
