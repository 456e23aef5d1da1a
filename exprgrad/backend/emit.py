"""A scheduled kernel as LLVM IR: loops, tiles, vectors, and the scalars inside them.

Each scalar is written once for each point of the tile that it depends on, in the
outermost loop that has all its axes. Reading `b[k, j..]` is thus shared by the rows of a
tile, `a[i, k]` by its columns, and what does not depend on `k` stays outside its loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, product

from exprgrad.backend.access import store
from exprgrad.backend.ahead import ask_for_tile
from exprgrad.backend.arith import INDEX, floor_div, iota, select, splat
from exprgrad.backend.blocks import last_of
from exprgrad.backend.cover import open_piece, runs
from exprgrad.backend.crosswise import store_across
from exprgrad.backend.epilogue import open_rows
from exprgrad.backend.filling import Panels, Piece
from exprgrad.backend.groups import Groups
from exprgrad.backend.level import Level
from exprgrad.backend.outline import call, called_in, is_once
from exprgrad.backend.philox import (
    Rounds,
    aligned_draw,
    four_of,
    four_vectors,
    random,
    rounds,
)
from exprgrad.backend.reduce import beside, reduce
from exprgrad.backend.scope import Parted, Point, Spread, Value
from exprgrad.backend.spelling import spell
from exprgrad.backend.status import report
from exprgrad.backend.text import Code, Function, Kind
from exprgrad.graph.dims import Dim, FloorDiv, Size
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Buffer, Scalar, Store
from exprgrad.loop.schedule import Scheduled, across

# Where the value of a scalar is kept: in which level, and under which key.
Place = tuple[Level, tuple[object, ...]]


@dataclass(eq=False)
class Layout:
    """Where kernels find things: a slot of the run-time sizes for each name, and a
    number for each scalar that checks an index.
    """

    dims: dict[str, int] = field(default_factory=dict)
    checks: dict[Scalar, int] = field(default_factory=dict)


class Emitter:
    """Writes one kernel into a function of %buffers, %dims, %status, %thread, %first,
    %until and %of: the part of divided loops that a call runs.

    %buffers is the kernel's own table, with a slot for each of `buffers`; `keys` names
    the argument that holds the key of a draw. `root` is the level outside all loops.
    """

    def __init__(
        self,
        scheduled: Scheduled,
        function: Function,
        layout: Layout,
        buffers: Sequence[Buffer],
        keys: Mapping[int, str],
    ) -> None:
        self.scheduled = scheduled
        self.keys = keys
        self.layout = layout
        self.slots = {buffer: slot for slot, buffer in enumerate(buffers)}
        self.called = called_in(scheduled)
        self.function = function
        self.root = Level(Code(function))
        group = scheduled.group
        self.panels: Panels | Groups = Panels(self) if group is None else Groups(self, group)
        self.blocks: dict[Axis, tuple[Level, str, str]] = {}
        self.on_stack: dict[Buffer, str] = {}
        self.sums: dict[Scalar, tuple[Scalar, ...]] = {}
        self.spread: Spread | None = None
        self.parted: Parted | None = None
        self.rounds: dict[tuple[object, ...], Rounds] = {}

    # Stores and their loops

    def emit(self) -> None:
        """Write the whole kernel."""
        self.nest(self.scheduled.kernel.stores, 0, self.root)
        self.root.code.block.end = "ret void"

    def nest(self, stores: Sequence[Store], depth: int, level: Level) -> None:
        """Write stores whose first `depth` loops are open."""
        runs = groupby(stores, key=lambda s: s.axes[depth] if s.axes[depth:] else None)
        for axis, run in runs:
            inside = list(run)
            if axis is None:
                self._points(inside, level)
                continue
            for piece in self.panels.pieces(inside, depth, level):
                self.piece(inside, depth, level, piece)

    def piece(
        self, stores: Sequence[Store], depth: int, level: Level, piece: Piece
    ) -> None:
        """A loop over a piece of the axis at `depth`; none where it runs never or once."""
        (span, bound), axis = piece, stores[0].axes[depth]
        times = runs(span)
        if times is None:
            loop = open_piece(self, level, axis, span, bound)
            self._inside(stores, depth, axis, loop.level)
            loop.close()
        elif times == 1:
            inside = level.inside(axis, replace(bound, start=span[0]))
            self._inside(stores, depth, axis, inside)

    def _inside(
        self, stores: Sequence[Store], depth: int, axis: Axis, level: Level
    ) -> None:
        self.panels.begin(axis, stores, level)
        self.nest(stores, depth + 1, level)

    def _points(self, stores: Sequence[Store], level: Level) -> None:
        """All points of the tile; at each every value first, then every store."""
        axes = frozenset(stores[0].axes)
        vector = level.vector_of(axes)
        lanes = vector[1].lanes if vector else 1
        self.sums = beside(stores)
        self.spread = ask_for_tile(self, stores, level, level.tiled(axes))
        last = last_of(self, stores, level)
        level = last.level if last is not None else level
        rows = open_rows(self, stores, level)
        level = rows.level if rows is not None else level
        tiles = level.tiled(axes)
        squares: dict[tuple[Store, tuple[Axis, Axis], frozenset[tuple[Axis, int]]], list[str]] = {}
        for place in product(*(range(bound.tile) for bound in tiles.values())):
            point = dict(zip(tiles, place, strict=True))
            values = [self.vector(s.value, level, point, lanes) for s in stores]
            for each, value in zip(stores, values, strict=True):
                pair = across(self.scheduled, each)
                if pair is None or pair[1] not in tiles:
                    store(self, each, value, level, point)
                else:
                    others = frozenset(point.items() - {(pair[1], point[pair[1]])})
                    squares.setdefault((each, pair, others), []).append(value)
        for (each, pair, others), columns in squares.items():
            store_across(self, each, pair, columns, level, dict(others))
        for opened in (rows, last):
            if opened is not None:
                opened.close()

    # Scalars

    def value(self, node: Scalar, level: Level, point: Point) -> Value:
        """The value of a scalar at a point of the tile, written where it belongs."""
        home, key = place = _place(node, level, point)
        if key not in home.known:
            for each, its in self._missing(node, place, level, point).items():
                self._write(each, *its, point)
        return home.known[key]

    def vector(self, node: Scalar, level: Level, point: Point, lanes: int) -> str:
        """A value in `lanes` lanes, all the same where it is one number."""
        name, width = self.value(node, level, point)
        if width == lanes:
            return name
        if node.op == "constant":
            return Kind.of(node.dtype, lanes).splat(node.params[0].array.item())
        home = level.of(ir.free_axes(node))
        key = ("splat", name, lanes)
        if key not in home.known:
            home.known[key] = (splat(home.code, Kind.of(node.dtype), name, lanes), lanes)
        return home.known[key][0]

    def _missing(
        self, root: Scalar, place: Place, level: Level, point: Point
    ) -> dict[Scalar, Place]:
        """`root`, which has no value yet, and what under it has none, arguments first, with
        the places of their values.
        """
        places = {root: place}

        def missing(node: Scalar) -> Iterator[Scalar]:
            for operand in _operands(node):
                home, key = its = _place(operand, level, point)
                if key not in home.known:
                    places[operand] = its
                    yield operand

        return {node: places[node] for node in walk([root], missing)}

    def _write(self, node: Scalar, level: Level, key: tuple[object, ...], point: Point) -> None:
        if node.op == "reduce":
            for (each, place), value in reduce(self, self.sums.get(node, (node,)), level).items():
                level.known[(each, *place)] = value
        else:
            write = SPECIAL.get(node.op, Emitter._computed)
            level.known[key] = write(self, node, level, point)

    def _constant(self, node: Scalar, level: Level, point: Point) -> Value:
        return Kind.of(node.dtype).splat(node.params[0].array.item()), 1

    def _axis(self, node: Scalar, level: Level, point: Point) -> Value:
        axis = node.params[0]
        bound = level.bound(axis)
        first = level.code.iadd(bound.start, str(point.get(axis, 0) * bound.step))
        if bound.lanes == 1:
            return first, 1
        base = splat(level.code, INDEX, first, bound.lanes)
        kind = Kind("i64", bound.lanes)
        return level.code.op(f"add {kind} {base}, {iota(bound.lanes)}"), bound.lanes

    def _size_of(self, node: Scalar, level: Level, point: Point) -> Value:
        return self.size(node.params[0]), 1

    def _load(self, node: Scalar, level: Level, point: Point) -> Value:
        return self.panels.load(node, level, point)

    def _computed(self, node: Scalar, level: Level, point: Point) -> Value:
        values = [self.value(a, level, point) for a in node.args]
        lanes = max(width for _, width in values)
        names = tuple(
            name if width == lanes else self.vector(a, level, point, lanes)
            for a, (name, width) in zip(node.args, values, strict=True)
        )
        dtype = node.args[-1].dtype

        def write(code: Code, names: tuple[str, ...]) -> str:
            return spell(code, node.op, dtype, lanes, names, node.params)

        if node.op not in self.called and not is_once(node):
            return write(level.code, names), lanes
        kind = Kind.of(dtype, lanes)
        return call(level.code, node.op, kind, [(kind, n) for n in names], write), lanes

    def _random(self, node: Scalar, level: Level, point: Point) -> Value:
        element, *counters = node.args
        name, lanes = self.value(element, level, point)
        counted = [self.value(a, level, point)[0] for a in counters]
        scalars = [*counted, self.keys[node.params[0]]]
        axis = aligned_draw(node, level, self.scheduled)
        if axis is not None:
            return self._one_of_four(node, axis, scalars, level, point)

        def write(code: Code, names: tuple[str, ...]) -> str:
            element, *scalars = names
            return random(code, node.dtype, lanes, element, rounds(code, lanes, *scalars))

        # Scalar draws of one tile share their rounds' keys, which are half the work.
        if "random" not in self.called or lanes == 1:
            common = self._rounds(lanes, scalars)
            return random(level.code, node.dtype, lanes, name, common), lanes
        kinds = [Kind("i64", lanes), *(INDEX for _ in scalars)]
        given = list(zip(kinds, (name, *scalars), strict=True))
        return call(level.code, "random", Kind.of(node.dtype, lanes), given, write), lanes

    def _one_of_four(
        self, node: Scalar, axis: Axis, scalars: list[str], level: Level, point: Point
    ) -> Value:
        """A vector of numbers that is drawn together with three others."""
        lanes = level.bound(axis).lanes
        number, word = four_of(point.get(axis, 0), lanes)
        first = {**point, axis: number}
        others = tuple(first.get(a, 0) for a in level.tiled(ir.free_axes(node)))
        key = ("draw", node, others)
        if (*key, 0) not in level.known:
            element, _ = self.value(node.args[0], level, first)
            common = self._rounds(lanes, scalars)
            for n, name in enumerate(four_vectors(level.code, lanes, element, common)):
                level.known[(*key, n)] = (name, lanes)
        return level.known[(*key, word)]

    def _rounds(self, lanes: int, scalars: Sequence[str]) -> Rounds:
        """What all elements of a draw have in common, written outside of all loops."""
        key = (lanes, *scalars)
        if key not in self.rounds:
            self.rounds[key] = rounds(self.root.code, lanes, *scalars)
        return self.rounds[key]

    def _bound(self, node: Scalar, level: Level, point: Point) -> Value:
        """An index of an element that exists; a bad one is reported and becomes 0."""
        lanes = max(self.value(a, level, point)[1] for a in node.args)
        index, *used = (self.vector(a, level, point, lanes) for a in node.args)
        code, kind = level.code, Kind("i64", lanes)
        size = splat(code, INDEX, self.size(node.params[0]), lanes)
        _, wraps = node.params
        place = _from_the_front(code, kind, index, size) if wraps else index
        outside = code.op(f"icmp uge {kind} {place}, {size}")
        bad, vector = outside, level.vector_of(ir.free_axes(node))
        mask = vector[1].mask_at(point.get(vector[0], 0)) if vector else None
        for flags in (*used, *([mask] if mask is not None else [])):
            bad = code.op(f"and {kind.with_element('i1')} {bad}, {flags}")
        self._report(code, node, kind, bad, index)
        return select(code, kind, outside, kind.splat(0), place), lanes

    def _report(self, code: Code, node: Scalar, kind: Kind, outside: str, index: str) -> None:
        """Leave the number of the check and the bad index where the caller looks: in
        this thread's own slot, the smallest of all that it met.
        """
        number = self.layout.checks.setdefault(node, len(self.layout.checks) + 1)
        some, bad = outside, index
        if kind.lanes > 1:
            flags = kind.with_element("i1")
            some = code.call("i1", f"llvm.vector.reduce.or.{flags.mangled}", (flags, outside))
            chosen = select(code, kind, outside, index, kind.splat(2**63 - 1))
            bad = code.call("i64", f"llvm.vector.reduce.smin.{kind.mangled}", (kind, chosen))
        report(code, some, number, bad)

    # Sizes and pointers

    def size(self, size: Size) -> str:
        """A size, computed once outside all loops."""
        if isinstance(size, int):
            return str(size)
        key = ("size", size)
        if key not in self.root.known:
            self.root.known[key] = (self._polynomial(size), 1)
        return self.root.known[key][0]

    def _polynomial(self, size: Dim) -> str:
        code, total = self.root.code, "0"
        for monomial, factor in size.terms:
            term = str(factor)
            for atom in monomial:
                term = code.imul(term, self._atom(atom))
            total = code.iadd(total, term)
        return total

    def _atom(self, atom: str | FloorDiv) -> str:
        if isinstance(atom, FloorDiv):
            return floor_div(self.root.code, self.size(atom.top), atom.bottom)
        if ("dim", atom) in self.root.known:
            return self.root.known["dim", atom][0]
        slots = self.layout.dims
        return self._from_table(("dim", atom), "i64", "%dims", slots.setdefault(atom, len(slots)))

    def pointer(self, buffer: Buffer) -> str:
        """Where a buffer begins, read once from the table; panels are on the stack."""
        if buffer in self.on_stack:
            return self.on_stack[buffer]
        return self._from_table(("pointer", buffer), "ptr", "%buffers", self.slots[buffer])

    def _from_table(self, key: object, kind: str, table: str, slot: int) -> str:
        if key not in self.root.known:
            code = self.root.code
            where = code.op(f"getelementptr {kind}, ptr {table}, i64 {slot}")
            self.root.known[key] = (code.op(f"load {kind}, ptr {where}"), 1)
        return self.root.known[key][0]


# How each scalar that is not an operation of the language is written.
SPECIAL = {
    "constant": Emitter._constant,
    "axis": Emitter._axis,
    "size": Emitter._size_of,
    "read": Emitter._load,
    "random": Emitter._random,
    "bound": Emitter._bound,
}


def _place(node: Scalar, level: Level, point: Point) -> Place:
    """The level where a scalar's value is kept, and under which key."""
    home, tiles = level.home(ir.free_axes(node))
    if not tiles:
        return home, (node,)
    return home, (node, *[point.get(axis, 0) for axis in tiles])


def _from_the_front(code: Code, kind: Kind, index: str, size: str) -> str:
    """An index whose negative values count from the end, as one that has none."""
    negative = code.op(f"icmp slt {kind} {index}, {kind.splat(0)}")
    return select(code, kind, negative, code.op(f"add {kind} {index}, {size}"), index)


def _operands(node: Scalar) -> list[Scalar]:
    """The scalars whose values are needed where a scalar is written."""
    if node.op == "reduce":
        return []
    if node.op != "read":
        return list(node.args)
    guard = ir.read_parts(node)[3]
    opaque = [atom for atom, _ in ir.offset(node).terms if atom.op != "axis"]
    return opaque + ([guard] if guard is not None else [])
