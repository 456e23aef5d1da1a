"""Which values of a table's rows may be computed a part of the rows at a time.

Each node of an expression is one of these, times a power of the number of rows n:

    fixed        the same whatever rows there are: a parameter
    by rows      along one axis, what is at a row depends on that row alone: x @ w
    a total      the sum of something by rows, over all rows: sum(x @ w)
    None         anything else: a maximum over rows, a row less the rows' mean

A mean over rows is a total times n**-1, and so is a sum of it and of what is fixed. An
expression by rows along its first axis is that of parts put one after another, a mean
that of parts averaged with their numbers of rows. Each operation of `graph.ops.OPS` has a
rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from exprgrad.graph.dims import Dim, Shape, Size, count, names
from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS
from exprgrad.graph.tensor import Tensor


class Part(NamedTuple):
    """How a value depends on the rows; fixed where there is neither axis nor total."""

    axis: int | None = None
    total: bool = False
    power: int = 0


FIXED = Part()
Rule = Callable[[Tensor, Sequence[Part], str], Part | None]


def is_by_rows(expression: Tensor, rows: str) -> bool:
    """Whether the value at each index of the first axis, `rows` long, is that of a row.
    Random numbers are not: each part would draw the same.

    >>> import exprgrad as eg
    >>> x = eg.input("x", ("batch", 3))
    >>> is_by_rows(eg.softmax(x, axis=1), "batch"), is_by_rows(x - x.mean(0), "batch")
    (True, False)
    """
    drawn = any(node.op == "random" for node in walk([expression]))
    return not drawn and _part(expression, rows) == Part(axis=0)


def is_mean(expression: Tensor, rows: str) -> bool:
    """Whether a value is a mean over rows, or does not depend on them. What a row draws is
    its own: that each part draws the same leaves the mean's expectation what it is.

    >>> import exprgrad as eg
    >>> x, w = eg.input("x", ("batch", 3)), eg.parameter("w", (3,))
    >>> is_mean((x @ w).mean() + (w * w).sum(), "batch"), is_mean((x @ w).max(), "batch")
    (True, False)
    """
    return _part(expression, rows) in (FIXED, Part(total=True, power=-1))


def _part(expression: Tensor, rows: str) -> Part | None:
    found: dict[Tensor, Part | None] = {}
    for node in walk([expression]):
        known = [part for part in map(found.__getitem__, node.args) if part is not None]
        whole = len(known) == len(node.args)
        part = RULES[node.op](node, known, rows) if whole else None
        found[node] = part if part is not None and _fits(node.shape, part, rows) else None
    return found[expression]


def _fits(shape: Shape, part: Part, rows: str) -> bool:
    """Whether the axis of the rows, and no other, grows with their number."""
    grown = [axis for axis, n in enumerate(shape) if rows in names(n)]
    return grown == ([] if part.axis is None else [part.axis]) and all(
        _is_multiple(shape[axis], rows) for axis in grown
    )


def _is_multiple(size: Size, rows: str) -> bool:
    """Whether a size is so and so many times the number of rows."""
    terms = size.terms if isinstance(size, Dim) else (((), size),)
    return all(
        [atom for atom in monomial if rows in names(Dim((((atom,), 1),)))] == [rows]
        for monomial, _ in terms
    )


# Leaves


def _fixed(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    return FIXED if all(part == FIXED for part in parts) else None


def _input(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    return Part(axis=0) if node.ndim and rows in names(node.shape[0]) else FIXED


def _random(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    grown = [axis for axis, n in enumerate(node.shape) if rows in names(n)]
    fixed = _fixed(node, parts, rows)
    return fixed and fixed._replace(axis=grown[0] if grown else None)


def _size(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    (size,) = node.params
    if rows not in names(size):
        return FIXED
    return Part(power=1) if _is_multiple(size, rows) else None


# Elementwise operations


def _function(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    """Of values of a row that of the row; of a total nothing is known."""
    if any(part.total or part.power for part in parts):
        return None
    return _joined(parts)


def _joined(parts: Sequence[Part]) -> Part | None:
    """What is by rows along one axis, and what is fixed, are by rows together."""
    axes = {part.axis for part in parts} - {None}
    powers = sum(part.power for part in parts)
    if len(axes) > 1:
        return None
    return Part(axes.pop() if axes else None, any(p.total for p in parts), powers)


def _sum(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    """n**k times what is fixed is the total of n**(k - 1) times that."""
    total = any(part.total for part in parts)
    if total and any(part.axis is not None for part in parts):
        return None
    powers = {part.power - (total and not part.total) for part in parts}
    if len(powers) > 1:
        return None
    joined = _joined(parts)
    return joined and joined._replace(power=powers.pop())


def _product(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    """A total may be multiplied by what is fixed."""
    joined = _joined(parts)
    if joined is None or (joined.total and joined.axis is not None):
        return None
    return joined if sum(part.total for part in parts) <= 1 else None


def _quotient(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    above, below = parts
    if below.total:
        return None
    return _product(node, [above, below._replace(power=-below.power)], rows)


def _choice(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    condition, *branches = parts
    if condition == FIXED:
        return _sum(node, branches, rows)
    return _function(node, parts, rows)


def _same(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    return parts[0]


def _cast(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    linear = node.dtype.kind == "f" and node.args[0].dtype.kind != "b"
    return (_same if linear else _function)(node, parts, rows)


def _bound(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    return None if rows in names(node.params[0]) else _function(node, parts, rows)


# Reductions


def _over(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    (part,), (axes,) = parts, node.params
    if part.axis is None:
        return part
    if part.axis in axes:
        return Part(None, True, part.power)
    return part._replace(axis=part.axis - sum(a < part.axis for a in axes))


def _extreme(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    kept = _over(node, parts, rows)
    return None if kept is None or kept.total or kept.power else kept


def _dot(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    *labels, out = node.params
    along = {
        of[part.axis]
        for part, of in zip(parts, labels, strict=True)
        if part.axis is not None
    }
    totals = sum(part.total for part in parts)
    if len(along) + totals > 1:
        return None
    power = sum(part.power for part in parts)
    label = along.pop() if along else None
    if label is None or label not in out:
        return Part(None, bool(totals or label), power)
    return Part(out.index(label), False, power)


# Movement


def _reshape(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    """The elements of a row stay together, as many in front of the axis of the rows."""
    (part,) = parts
    if part.axis is None:
        return part
    front = count(node.args[0].shape[: part.axis])
    for axis, n in enumerate(node.shape):
        if rows in names(n):
            return part._replace(axis=axis) if count(node.shape[:axis]) == front else None
    return None


def _expand(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    (part,), (shape, new) = parts, node.params
    grown = [axis for axis in new if rows in names(shape[axis])]
    if grown:
        return Part(grown[0], False, part.power) if part._replace(power=0) == FIXED else None
    if part.axis is None:
        return part
    old = [axis for axis in range(len(shape)) if axis not in new]
    return part._replace(axis=old[part.axis])


def _permute(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    (part,), (axes,) = parts, node.params
    return part if part.axis is None else part._replace(axis=axes.index(part.axis))


def _pad(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    (part,), (widths,) = parts, node.params
    return part if part.axis is None or widths[part.axis] == (0, 0) else None


def _slice(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    (part,), (starts, steps, shape) = parts, node.params
    if any(rows in names(n) for n in (*starts, *steps)):
        return None
    a = part.axis
    whole = a is None or (starts[a], steps[a], shape[a]) == (0, 1, node.args[0].shape[a])
    return part if whole else None


def _concat(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    alike = all(part == parts[0] for part in parts)
    return parts[0] if alike and parts[0].axis != node.params[0] else None


def _along_another(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    return parts[0] if parts[0].axis != node.params[0] else None


def _gather(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    (x, index), (axis,) = parts, node.params
    if x.axis is None and index.axis is not None:
        by_rows = not index.total and not index.power and x == FIXED
        return Part(axis + index.axis) if by_rows else None
    if index != FIXED or x.axis == axis:
        return None
    if x.axis is None or x.axis < axis:
        return x
    return x._replace(axis=x.axis - 1 + node.args[1].ndim)


def _scatter_add(node: Tensor, parts: Sequence[Part], rows: str) -> Part | None:
    (updates, index), (axis, _) = parts, node.params
    rank = node.args[1].ndim
    if index.axis is not None:
        met = index == Part(index.axis) and updates.axis == axis + index.axis
        return Part(None, True, updates.power) if met else None
    if index != FIXED:
        return None
    if updates.axis is None or updates.axis < axis:
        return updates
    return updates._replace(axis=updates.axis - rank + 1)


RULES: dict[str, Rule] = {
    **{op: _function for op, row in OPS.items() if row.group == "elementwise"},
    "input": _input,
    "parameter": _fixed,
    "state": _fixed,
    "constant": _fixed,
    "size": _size,
    "iota": _fixed,
    "add": _sum,
    "subtract": _sum,
    "multiply": _product,
    "divide": _quotient,
    "negative": _same,
    "where": _choice,
    "cast": _cast,
    "bound": _bound,
    "sum": _over,
    "max": _extreme,
    "min": _extreme,
    "argmax": _extreme,
    "cumsum": _along_another,
    "dot": _dot,
    "reshape": _reshape,
    "expand": _expand,
    "permute": _permute,
    "pad": _pad,
    "slice": _slice,
    "concat": _concat,
    "window": _along_another,
    "unwindow": _along_another,
    "gather": _gather,
    "scatter_add": _scatter_add,
    "random": _random,
    "stop_gradient": _same,
    "custom": _same,
    "checkpoint": _same,
    "again": _same,
}
