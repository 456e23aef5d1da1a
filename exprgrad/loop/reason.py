"""Why a kernel runs as it does: what its schedule chose, in a phrase, and what in it is
slow by its nature.

    8 x 2 vectors: 16 accumulators of 32 registers; W is read with unit stride along j
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

from exprgrad.errors import Where
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.contract import in_blocks
from exprgrad.loop.cost import assumed, points
from exprgrad.loop.ir import Axis, Buffer, Scalar, Store
from exprgrad.loop.schedule import Scheduled

# Loops shorter than this may run one element at a time without being named for it.
LARGE = 4096
MOST_NAMES = 3
AHEAD = 64  # steps that a processor looks ahead


def why(scheduled: Scheduled, registers: int) -> str:
    """The tile and the reason for it; one phrase for each nest of the kernel."""
    nests = dict.fromkeys(store.axes for store in scheduled.kernel.stores)
    phrases = dict.fromkeys(_nest(scheduled, axes, registers) for axes in nests)
    return "; ".join(["; then ".join(phrases), *_copies(scheduled), _threads(scheduled)])


def _nest(scheduled: Scheduled, axes: tuple[Axis, ...], registers: int) -> str:
    stores = [s for s in scheduled.kernel.stores if s.axes == axes]
    reduces = _reduces(stores)
    along = vector_axis(scheduled, axes)
    if along is not None:
        return f"{_tile(scheduled, axes, along, stores, registers)}; {_reads(stores, along)}"
    for node in reduces:
        last = node.params[1][-1]
        if scheduled.of(last).vector:
            tile = _across(scheduled, axes, last)
            return f"{tile}: {_held(scheduled, [node], registers)}; {_reads(stores, last)}"
    return "a single point" if points(axes) == 1 and not reduces else "one element at a time"


def _across(scheduled: Scheduled, axes: tuple[Axis, ...], last: Axis) -> str:
    """The tile of vectors that run along a summed axis."""
    vectors = f"{_count(scheduled.of(last).tile, 'vector')} along {last}"
    rows = [str(how.tile) for axis in axes if (how := scheduled.of(axis)).tile > 1]
    return f"{' x '.join(rows)} sums, {vectors}" if rows else vectors


def _tile(
    scheduled: Scheduled,
    axes: tuple[Axis, ...],
    along: Axis,
    stores: list[Store],
    registers: int,
) -> str:
    reduces = _reduces(stores)
    rows = prod(scheduled.of(axis).tile for axis in axes if axis is not along)
    vectors = _count(scheduled.of(along).tile, "vector")
    tile = f"{rows} x {vectors}" if rows > 1 else vectors
    if any(map(in_blocks, stores)):
        tile = f"a sum in blocks, {tile}"
    if any(scheduled.of(node.params[1][-1]).pairs for node in reduces):
        tile = f"{tile}, bfloat16 products in pairs"
    return f"{tile}: {_held(scheduled, reduces, registers)}" if reduces else f"{tile} along {along}"


def _held(scheduled: Scheduled, reduces: list[Scalar], registers: int) -> str:
    sums = max(accumulators(scheduled, node) for node in reduces)
    return f"{_count(sums, 'accumulator')} of {registers} registers"


def _reads(stores: list[Store], along: Axis) -> str:
    """How memory is read along a vector's axis."""
    kinds: dict[str, list[str]] = {}
    for node in _loads(stores):
        if along in ir.free_axes(node):
            names = kinds.setdefault(_manner(node, along), [])
            if node.params[0].name not in names:
                names.append(node.params[0].name)
    phrases = [f"{_listed(names)} {manner} along {along}" for manner, names in kinds.items()]
    return "; ".join(phrases) or f"nothing is read along {along}"


def _manner(node: Scalar, along: Axis) -> str:
    factor = ir.offset(node).factor_of(along)
    if factor is None:
        return "read at indices known at run time"
    return "read with unit stride" if factor == 1 else f"read with stride {factor}"


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    text = ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
    return f"{text} {'is' if len(names) == 1 else 'are'}"


def _copies(scheduled: Scheduled) -> Iterator[str]:
    """What is copied for a group of columns and for a tile of rows, and in which blocks."""
    group = scheduled.group
    if group is None:
        return
    kinds = ((group.panels, f"groups of {group.columns}"), (group.strips, f"tiles of {group.rows}"))
    for factors, what in kinds:
        if factors:
            names = list(dict.fromkeys(factor.params[0].name for factor in factors))
            yield f"{_listed(names)} copied for {what}"
    if group.sums:
        yield f"sums of more than {group.steps} steps run in blocks"


def _threads(scheduled: Scheduled) -> str:
    axis = scheduled.parallel
    if axis is None:
        return "the first thread alone"
    return f"threads claim parts of {axis}" if scheduled.claimed else f"threads divide {axis}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s'[number == 1:]}"


# What the schedule has chosen, in numbers


def vector_axis(scheduled: Scheduled, axes: Iterable[Axis]) -> Axis | None:
    """The axis among `axes` that runs in vectors."""
    return next((axis for axis in axes if scheduled.of(axis).vector), None)


def accumulators(scheduled: Scheduled, node: Scalar) -> int:
    """How many vectors of sums a reduction keeps side by side."""
    last = node.params[1][-1]
    return scheduled.of(last).tile * prod(scheduled.of(axis).tile for axis in ir.free_axes(node))


def chain(scheduled: Scheduled) -> int:
    """The steps of a kernel that wait for one another's results: of sums, how often the
    accumulators are added to; of loops whose order is fixed, all of their iterations.
    """
    lengths = [0]
    for node in _reduces(scheduled.kernel.stores):
        steps = _blocks(scheduled, node.params[1])
        beside = max(1, AHEAD // max(1, steps))  # short chains run beside those that follow
        lengths.append(steps * _blocks(scheduled, ir.free_axes(node)) // beside)
    lengths += [_blocks(scheduled, store.axes) for store in _waiting(scheduled)]
    return max(lengths)


def _waiting(scheduled: Scheduled) -> list[Store]:
    """The stores of which each iteration of a loop waits for the one before it."""
    return [s for s in scheduled.kernel.stores if s.ordered and not in_blocks(s)]


def _blocks(scheduled: Scheduled, axes: Iterable[Axis]) -> int:
    return prod(-(-assumed(axis.extent) // _width(scheduled, axis)) for axis in axes)


def _width(scheduled: Scheduled, axis: Axis) -> int:
    how = scheduled.of(axis)
    return how.tile * (scheduled.lanes if how.vector else 1)


def _reduces(stores: Iterable[Store]) -> list[Scalar]:
    return [node for node in walk(s.value for s in stores) if node.op == "reduce"]


def _loads(stores: Iterable[Store]) -> list[Scalar]:
    return [node for node in walk(s.value for s in stores) if node.op == "read"]


# What is slow by its nature


def slow_ways(scheduled: Scheduled) -> list[str]:
    """What a user may want to write in another way, with the line where it stands."""
    nests = dict.fromkeys(store.axes for store in scheduled.kernel.stores)
    each = (note for axes in nests for note in _slow(scheduled, axes))
    return list(dict.fromkeys([*_in_order(scheduled), *_copied(scheduled), *each]))


def _in_order(scheduled: Scheduled) -> list[str]:
    return [
        f"{store.buffer.name} {_ORDERED[store.accumulate]}{_line(store)}"
        for store in _waiting(scheduled)
    ]


_ORDERED = {
    False: "adds up a cumulative sum, each step after the one before",
    True: "adds rows to places known at run time, one row after another",
}


def _copied(scheduled: Scheduled) -> list[str]:
    """The large states whose new value was kept apart until nobody needed the old one."""
    return [
        f"{s.buffer.name} is stored twice: its old value is read while the new one is "
        f"computed{_line(s)}"
        for s in scheduled.kernel.stores
        if s.value.op == "read" and s.value.params[0].role == "next" and points(s.axes) >= LARGE
    ]


def _slow(scheduled: Scheduled, axes: tuple[Axis, ...]) -> list[str]:
    stores = [s for s in scheduled.kernel.stores if s.axes == axes]
    along = vector_axis(scheduled, axes)
    if along is not None:
        return _gathers(stores, along)
    reduces = _reduces(stores)
    if any(scheduled.of(node.params[1][-1]).vector for node in reduces):
        return [n for r in reduces for n in _gathers(stores, r.params[1][-1])]
    size = max([points(axes), *(points([*axes, *r.params[1]]) for r in reduces)])
    if size < LARGE:
        return []
    return [f"{stores[-1].buffer.name} is computed one element at a time{_line(stores[-1])}"]


def _gathers(stores: list[Store], along: Axis) -> list[str]:
    return [
        f"{node.params[0].name} is gathered element by element: its index along {along} "
        f"is known at run time only{_line(stores[-1])}"
        for node in _loads(stores)
        if ir.offset(node).factor_of(along) is None
    ]


def _line(store: Store) -> str:
    lines = map(_where, reversed(walk([*store.index, store.value])))
    where = next(filter(None, [_where_made(store.buffer), *lines]), None)
    return f"   ({where})" if where else ""


def _where(node: Scalar) -> Where | None:
    return node.where or (_where_made(node.params[0]) if node.op == "read" else None)


def _where_made(buffer: Buffer) -> Where | None:
    return buffer.source.where if buffer.source is not None else None
