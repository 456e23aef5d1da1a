"""Reductions: loops that carry accumulators, one for each point of the tile.

    sum over k: a[i.., k] * b[k, j..]      accumulators of the tile, in order of k, a few
                                           steps written out in each round of the loop
    sum over k: x[k, i..], k by 4          terms 0, 4, 8, ... in one accumulator, 1, 5, 9, ...
                                           in the next: few sums would wait for themselves
    sum over k: x[i, k], k as vectors      lanes and a few vectors side by side, added up
                                           at the end in a fixed order
    sum over k: x[i, k]; sum over k: y[i, k]
                                           one loop for both: what they share is read and
                                           computed once
    sum over t, v, w: x[t, v, w, i]        begun anew for each t: a number that is added to
                                           one much larger loses its last digits

The order of additions depends on sizes only, never on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from exprgrad.backend.arith import both, fixed_mask, known, select, whole
from exprgrad.backend.blocks import taken_up
from exprgrad.backend.combine import Total, beside_as_one, lanes_as_one, merged
from exprgrad.backend.cover import Span, ends, open_piece, runs
from exprgrad.backend.level import RUN_TIME, Bound, Level, open_loop
from exprgrad.backend.limits import limited
from exprgrad.backend.pairs import add_pair
from exprgrad.backend.scope import Point, Scope, Value
from exprgrad.backend.spelling import multiply_add, spell
from exprgrad.backend.spread import ask_in_round
from exprgrad.backend.steps import steps_of_round
from exprgrad.backend.text import Code, Kind
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.cost import points
from exprgrad.loop.ir import Axis, Scalar, Store


@dataclass(frozen=True, eq=False)
class Reduction:
    """A reduction being written: the points of the tile, how many vectors of its last axis
    stand side by side (0 when that axis runs one by one), and how many accumulators its
    terms go to in turn, for each point.
    """

    scope: Scope
    node: Scalar
    lanes: int
    points: list[dict[Axis, int]]
    across: int
    turns: int = 1

    @property
    def kind(self) -> str:
        """sum, max, min or argmax."""
        return str(self.node.params[0])

    @property
    def kinds(self) -> list[Kind]:
        """The types of one accumulator."""
        return [Kind.of(a.dtype, self.lanes) for a in self.node.args]


# A sum of so many steps begins anew for each step of a loop around so many, with few accumulators
# and with those of a tile, which leave their registers then.
LONG = 2048
ANEW, ANEW_IN_TILES = 16, 256
FEW = 8

# How the values at a level are taken into the accumulators of all points.
Take = Callable[[Reduction, Level, list[Total]], list[Total]]


def beside(stores: Sequence[Store]) -> dict[Scalar, tuple[Scalar, ...]]:
    """Sums that share their loops, each with all that run in the same: they are over the
    same axes, at the same points, unconditional, and none is part of another.
    """
    nodes = [n for n in walk(s.value for s in stores) if _may_share(n)]
    found: dict[object, list[Scalar]] = {}
    for node in nodes:
        found.setdefault((node.params, ir.free_axes(node)), []).append(node)
    groups = [tuple(g) for g in found.values() if set(walk(_bodies(g))).isdisjoint(g)]
    return {node: group for group in groups for node in group if len(group) > 1}


def _may_share(node: Scalar) -> bool:
    is_sum = node.op == "reduce" and node.params[0] == "sum"
    return is_sum and ir.condition_of(node.args[0])[0] is None


def _bodies(sums: Iterable[Scalar]) -> list[Scalar]:
    return [node.args[0] for node in sums]


def reduce(
    scope: Scope, sums: Sequence[Scalar], level: Level
) -> dict[tuple[Scalar, tuple[int, ...]], Value]:
    """The values of a reduction, or of several sums that share their loops, at all points
    of the tile at `level`.
    """
    node = sums[0]
    if len(sums) > 1:
        node = ir.scalar("reduce", tuple(_bodies(sums)), node.params, node.dtype)
    free = ir.free_axes(node)
    tiles = level.tiled(free)
    places = _row_by_row(tiles)
    points = [dict(zip(tiles, place, strict=True)) for place in places]
    vector = level.vector_of(free)
    how = scope.scheduled.of(node.params[1][-1])
    across = how.tile if how.vector and vector is None else 0
    lanes = vector[1].lanes if vector else scope.scheduled.lanes if across else 1
    turns = 1 if how.vector else how.tile
    state = Reduction(scope, node, lanes, points, across, turns)
    totals = [_first(state) for _ in range(max(across, turns)) for _ in points]
    kinds = [str(kind) for kind in state.kinds]
    first = taken_up(scope, sums, level, points, totals[: len(points)], kinds)
    totals = [*first, *totals[len(points) :]]
    totals = _loops(state, list(node.params[1]), level, totals)
    found = [
        beside_as_one(node, level.code, lanes, totals[n :: len(points)]) for n in range(len(points))
    ]
    if across:
        found = lanes_as_one(node, level.code, lanes, found)
    result = {}
    for place, total in zip(places, found, strict=True):
        for each, value in zip(sums, total[-len(sums) :], strict=True):
            result[each, place] = (value, 1 if across else lanes)
    return result


def _row_by_row(tiles: dict[Axis, Bound]) -> list[tuple[int, ...]]:
    """The places of a tile, those of one row of vectors side by side: what is repeated
    for a row is then used up at once, and takes one register in place of many.
    """
    along = [n for n, bound in enumerate(tiles.values()) if bound.lanes > 1]
    places = product(*(range(bound.tile) for bound in tiles.values()))
    return sorted(places, key=lambda place: (*_without(place, along), *place))


def _without(place: tuple[int, ...], along: list[int]) -> list[int]:
    return [number for n, number in enumerate(place) if n not in along]


def _first(state: Reduction) -> Total:
    first, *others = state.node.args
    values = (ir.identity(state.kind, first.dtype), *(0 for _ in others))
    return tuple(kind.splat(value) for kind, value in zip(state.kinds, values, strict=True))


# Loops


def _loops(
    state: Reduction, axes: list[Axis], level: Level, totals: list[Total]
) -> list[Total]:
    """Loops over `axes` around the combination; accumulators in, accumulators out."""
    if not axes:
        return _combined(state, level, totals)
    axis, *rest = axes
    if state.across and not rest:
        return _vectors(state, axis, level, totals)
    n = state.scope.size(axis.extent)
    if n in ("0", "1"):
        inside = level.inside(axis, Bound("0"))
        return _loops(state, rest, inside, totals) if n == "1" else totals
    if not rest and state.scope.scheduled.of(axis).pairs:
        return _pairs(state, axis, level, totals)
    start, stop, node = limited(state.scope, state.node, axis, level)
    state = replace(state, node=node)
    whole_loop = (start, stop) == ends(state.scope, axis)
    if not rest and whole_loop and (steps := _steps_of(state, level)) > 1:
        return _in_rounds(state, axis, level, totals, steps)
    loop = open_loop(level, axis, (start, stop, 1), Bound(""), _carried(state, totals))
    before = _grouped(state, loop.names)
    if _begins_anew(state, axis, rest, len(totals)):
        inner = _loops(state, rest, loop.level, [_first(state) for _ in totals])
        inner = [_sum(state, loop.level.code, *pair) for pair in zip(before, inner, strict=True)]
    else:
        inner = _loops(state, rest, loop.level, before)
    return _grouped(state, loop.close(_names(inner)))


def _begins_anew(
    state: Reduction, axis: Axis, inside: Sequence[Axis], accumulators: int
) -> bool:
    """Whether a sum's loops `inside` that over an axis are so long that they have a sum of
    their own; an axis of a size known at run time counts as long.
    """
    if state.kind != "sum":
        return False
    steps = points(inside) // (state.lanes if state.across else 1)
    enough = ANEW if accumulators <= FEW else ANEW_IN_TILES
    times = axis.extent if isinstance(axis.extent, int) else LONG
    return steps >= enough and steps * times >= LONG


def _sum(state: Reduction, code: Code, first: Total, last: Total) -> Total:
    terms = zip(state.node.args, first, last, strict=True)
    return tuple(spell(code, "add", a.dtype, state.lanes, (x, y)) for a, x, y in terms)


def _vectors(state: Reduction, axis: Axis, level: Level, totals: list[Total]) -> list[Total]:
    """Vectors along the last axis: several side by side, then one, then a partial one."""
    lanes, code, count = state.lanes, level.code, len(state.points)
    n = state.scope.size(axis.extent)
    tiled, full = whole(code, n, lanes * state.across), whole(code, n, lanes)
    totals = _span(state, axis, level, totals, ("0", tiled), Bound("", state.across, lanes))
    head, tail = totals[:count], totals[count:]
    if state.across > 1 and tiled != full:
        head = _span(state, axis, level, head, (tiled, full), Bound("", 1, lanes))
    if full != n:
        number = known(n)
        mask = RUN_TIME if number is None else fixed_mask(lanes, number % lanes)
        head = _span(state, axis, level, head, (full, n), Bound("", 1, lanes, mask))
    return head + tail


def _pairs(state: Reduction, axis: Axis, level: Level, totals: list[Total]) -> list[Total]:
    """Two steps of the last axis at a time, then the one that is left over."""
    _, n = ends(state.scope, axis)
    even = whole(level.code, n, 2)
    totals = _steps(state, axis, level, totals, ("0", even), 2)
    return totals if even == n else _steps(state, axis, level, totals, (even, n), 1)


def _steps_of(state: Reduction, level: Level) -> int:
    """How many steps a round has: at least one for each accumulator of a sum."""
    target = level.code.function.module.target
    return max(state.turns, steps_of_round(state.node, len(state.points), target))


def _in_rounds(
    state: Reduction, axis: Axis, level: Level, totals: list[Total], steps: int
) -> list[Total]:
    """So many steps of the last axis, one after another, in each round of a loop; then
    those that are left over, which go to the first accumulators.
    """
    (_, n), count = ends(state.scope, axis), len(state.points)
    even = whole(level.code, n, steps)
    rounds = Axis("round", axis.extent)
    loop = open_loop(level, rounds, ("0", even, steps), Bound(""), _carried(state, totals))
    inner = _grouped(state, loop.names)
    ask_in_round(state.scope, level, axis, loop, steps)
    for step in range(steps):
        here = loop.level.inside(axis, Bound(loop.level.code.iadd(loop.variable, str(step))))
        own = slice(count * (step % state.turns), count * (step % state.turns + 1))
        inner[own] = _combined(state, here, inner[own])
    totals = _grouped(state, loop.close(_names(inner)))
    if even == n:
        return totals
    piece, first = ((even, n, 1), Bound("")), totals[:count]
    return [*_piece(state, axis, level, first, piece, _combined), *totals[count:]]


def _steps(
    state: Reduction,
    axis: Axis,
    level: Level,
    totals: list[Total],
    ends: tuple[str, str],
    step: int,
) -> list[Total]:
    """Single steps or pairs from one end to another."""
    take = _paired if step == 2 else _combined
    return _piece(state, axis, level, totals, ((*ends, step), Bound("", step)), take)


def _paired(state: Reduction, level: Level, totals: list[Total]) -> list[Total]:
    """Each accumulator with the products of two steps taken in."""
    body, axis = state.node.args[0], state.node.params[1][-1]
    return [
        (add_pair(state.scope, body, axis, level, point, total[0]),)
        for total, point in zip(totals, state.points, strict=True)
    ]


def _span(
    state: Reduction,
    axis: Axis,
    level: Level,
    totals: list[Total],
    ends: tuple[str, str],
    bound: Bound,
) -> list[Total]:
    """Vectors from one end to another."""
    sides = range(bound.tile)
    state = replace(state, points=[{**p, axis: side} for side in sides for p in state.points])
    span = (*ends, bound.tile * bound.lanes)
    return _piece(state, axis, level, totals, (span, bound), _combined)


def _piece(
    state: Reduction,
    axis: Axis,
    level: Level,
    totals: list[Total],
    piece: tuple[Span, Bound],
    take: Take,
) -> list[Total]:
    """A loop over a piece of the axis; no loop where it runs never or once."""
    span, bound = piece
    times = runs(span)
    if times is not None:
        inside = level.inside(axis, replace(bound, start=span[0]))
        return take(state, inside, totals) if times else totals
    loop = open_piece(state.scope, level, axis, span, bound, _carried(state, totals))
    inner = take(state, loop.level, _grouped(state, loop.names))
    return _grouped(state, loop.close(_names(inner)))


def _carried(state: Reduction, totals: list[Total]) -> list[tuple[str, str]]:
    kinds = [str(kind) for kind in state.kinds]
    return [pair for total in totals for pair in zip(kinds, total, strict=True)]


def _grouped(state: Reduction, names: list[str]) -> list[Total]:
    size = len(state.node.args)
    return [tuple(names[i : i + size]) for i in range(0, len(names), size)]


def _names(totals: list[Total]) -> list[str]:
    return [name for total in totals for name in total]


# Combination


def _combined(state: Reduction, level: Level, totals: list[Total]) -> list[Total]:
    """Each accumulator with the value at its point taken in."""
    return [
        _taken_in(state, level, total, point)
        for total, point in zip(totals, state.points, strict=True)
    ]


def _taken_in(state: Reduction, level: Level, total: Total, point: Point) -> Total:
    """The accumulator with the value at a point, where lane and condition allow it."""
    mask = _mask(state, level, point)
    if state.kind == "sum":
        parts = zip(state.node.args, state.kinds, total, strict=True)
        return tuple(_added(state, level, point, mask, *part) for part in parts)
    given = tuple(state.scope.vector(a, level, point, state.lanes) for a in state.node.args)
    new = merged(state.node, level.code, state.lanes, total, given, later=True)
    return tuple(
        _where(level.code, kind, mask, after, before)
        for kind, after, before in zip(state.kinds, new, total, strict=True)
    )


def _added(
    state: Reduction,
    level: Level,
    point: Point,
    mask: str | None,
    term: Scalar,
    kind: Kind,
    total: str,
) -> str:
    """One sum with its term at a point added."""
    lanes, scope, code = state.lanes, state.scope, level.code
    condition, body = ir.condition_of(term)
    if body.op == "multiply":
        a, b = (scope.vector(factor, level, point, lanes) for factor in body.args)
        new = multiply_add(code, kind, a, b, total)
    else:
        value = scope.vector(body, level, point, lanes)
        new = spell(code, "add", body.dtype, lanes, (total, value))
    if condition is not None:
        mask = both(code, lanes, mask, scope.vector(condition, level, point, lanes))
    return _where(code, kind, mask, new, total)


def _where(code: Code, kind: Kind, mask: str | None, after: str, before: str) -> str:
    return after if mask is None else select(code, kind, mask, after, before)


def _mask(state: Reduction, level: Level, point: Point) -> str | None:
    """The lanes of the summed axis that exist."""
    if not state.across:
        return None
    axis = state.node.params[1][-1]
    return level.axes[axis].mask_at(point[axis]) if axis in level.axes else None
