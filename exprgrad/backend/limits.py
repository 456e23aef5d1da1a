"""Loops of sums that run only where the condition of the sum holds.

    sum over k < 5: where(0 <= i - k and i - k < 9, x[i - k] * w[k], 0)
    ->
    sum over max(0, i - 8) <= k < min(5, i + 1): x[i - k] * w[k]

Only conditions that are the same for all lanes of a vector and all points of a tile
limit a loop; the others stay masks.
"""

from __future__ import annotations

from exprgrad.backend.cover import ends
from exprgrad.backend.level import Level
from exprgrad.backend.scope import Scope
from exprgrad.backend.text import Code
from exprgrad.loop import ir
from exprgrad.loop.ir import Affine, Axis, Scalar
from exprgrad.loop.ranges import conjuncts, folded, room_of, scalar_of, truth


def limited(
    scope: Scope, node: Scalar, axis: Axis, level: Level
) -> tuple[str, str, Scalar]:
    """Where the loop of a sum over `axis` begins and ends, and what it then adds up."""
    start, stop = ends(scope, axis)
    condition = ir.condition_of(node.args[0])[0] if node.params[0] == "sum" else None
    met: dict[Scalar, Scalar] = {}
    for each in conjuncts(condition):
        bound = _bound(each, axis)
        if bound is None or not _is_one_number(bound[1], level):
            continue
        factor, rest = bound
        value, _ = scope.value(scalar_of(rest), level, {})
        if factor == 1:
            start = _extreme(level.code, "smax", start, level.code.op(f"sub i64 0, {value}"))
        else:
            stop = _extreme(level.code, "smin", stop, level.code.iadd(value, "1"))
        met[each] = truth(True)
    if met:
        kind, axes = node.params
        args = tuple(folded(ir.substitute_all(node.args, met)))
        node = ir.reduction(kind, args, axes)
    return start, stop, node


def _bound(node: Scalar, axis: Axis) -> tuple[int, Affine] | None:
    """A comparison as 0 <= factor * axis + rest, the factor being 1 or -1."""
    room = room_of(node)
    factor = None if room is None else room.factor_of(axis)
    if room is None or factor not in (1, -1):
        return None
    assert isinstance(factor, int)
    return factor, room + Affine(((ir.axis_value(axis), -factor),))


def _is_one_number(value: Affine, level: Level) -> bool:
    """Whether a value is the same for all that stands side by side at a level."""
    axes = frozenset().union(*(ir.free_axes(atom) for atom, _ in value.terms))
    bound = {axis: b for each in level.outward() for axis, b in each.axes.items()}
    return all(axis in bound and bound[axis].lanes == bound[axis].tile == 1 for axis in axes)


def _extreme(code: Code, name: str, a: str, b: str) -> str:
    return code.call("i64", f"llvm.{name}.i64", ("i64", a), ("i64", b))
