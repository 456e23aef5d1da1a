"""Loops as they are written: nested levels, each with a place where code may be added.

A value is put into the outermost level at which all axes that it depends on have values.
A level stays open while the loops inside it are written, so that what is found in an
inner loop not to depend on it still gets its place outside.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from exprgrad.backend.arith import known
from exprgrad.backend.text import Block, Code
from exprgrad.loop.ir import Affine, Axis, Buffer

# The mask of a last vector whose lanes are counted when the program runs.
RUN_TIME = "at run time"


@dataclass(frozen=True, slots=True)
class Bound:
    """The iterations of a loop that stand side by side: `start`, `start + step`, ...

    With `lanes` each of them is a vector of iterations; `mask` says which lanes of the
    last one exist.
    """

    start: str
    tile: int = 1
    lanes: int = 1
    mask: str | None = None

    @property
    def step(self) -> int:
        """How far apart neighbours of the tile are."""
        return self.lanes

    def mask_at(self, number: int) -> str | None:
        """The lanes that exist at a place of the tile; None when all do."""
        return self.mask if number == self.tile - 1 else None


@dataclass(eq=False)
class Level:
    """A place in the nest: the axes bound there, its open code, the values it has, and,
    once somebody asked, where values of other axes belong and where buffers are entered.
    """

    code: Code
    parent: Level | None = None
    axes: dict[Axis, Bound] = field(default_factory=dict)
    known: dict[Hashable, tuple[str, int]] = field(default_factory=dict)
    homes: dict[frozenset[Axis], tuple[Level, tuple[Axis, ...]]] = field(default_factory=dict)
    bases: dict[tuple[Buffer, Affine], tuple[str, Level]] = field(default_factory=dict)

    def outward(self) -> Iterator[Level]:
        """This level and those around it."""
        level: Level | None = self
        while level is not None:
            yield level
            level = level.parent

    def of(self, axes: frozenset[Axis]) -> Level:
        """The outermost level at which all of `axes` have values."""
        for level in self.outward():
            if level.parent is None or not axes.isdisjoint(level.axes):
                return level
        raise AssertionError("a level without an outermost one")

    def home(self, axes: frozenset[Axis]) -> tuple[Level, tuple[Axis, ...]]:
        """The same, and those of `axes` that have several iterations there."""
        found = self.homes.get(axes)
        if found is None:
            level = self.of(axes)
            found = self.homes[axes] = level, tuple(level.tiled(axes))
        return found

    def bound(self, axis: Axis) -> Bound:
        """The iterations of `axis` that stand here."""
        for level in self.outward():
            if axis in level.axes:
                return level.axes[axis]
        raise KeyError(axis)

    def tiled(self, axes: frozenset[Axis]) -> dict[Axis, Bound]:
        """Those of `axes` that have several iterations here, outermost first."""
        found: dict[Axis, Bound] = {}
        for level in self.outward():
            here = {a: b for a, b in level.axes.items() if a in axes and a not in found}
            found = {**here, **found}
        return {axis: bound for axis, bound in found.items() if bound.tile > 1}

    def is_row(self, axis: Axis) -> bool:
        """Whether an axis that is bound here has one of the iterations that it has outside."""
        return self.parent is not None and any(axis in each.axes for each in self.parent.outward())

    def vector_of(self, axes: frozenset[Axis]) -> tuple[Axis, Bound] | None:
        """The axis among `axes` that runs as a vector here, if any."""
        for level in self.outward():
            for axis, bound in level.axes.items():
                if bound.lanes > 1 and axis in axes:
                    return axis, bound
        return None

    def inside(self, axis: Axis, bound: Bound) -> Level:
        """A level in the same code where `axis` has a value: a loop of one iteration."""
        return Level(self.code, self, {axis: bound})


@dataclass(eq=False)
class Loop:
    """An open loop: `for (i = start; i < stop; i += step)`, with carried values."""

    outer: Level
    level: Level
    header: Block
    start: str
    stop: str
    step: int
    variable: str
    carried: Sequence[tuple[str, str]]
    names: list[str]

    def close(self, following: Sequence[str] = ()) -> list[str]:
        """End the loop; `following` are the carried values for the next iteration.

        Gives the carried values after the loop.
        """
        outer, body = self.outer.code, self.level.code
        after = body.op(f"add nsw i64 {self.variable}, {self.step}")
        again = body.op(f"icmp slt i64 {after}, {self.stop}")
        leave = body.function.block("after")
        body.branch(again, self.header, leave)
        runs = _runs(self.start, self.stop)
        if runs:
            outer.jump(self.header)
        else:
            enters = outer.op(f"icmp slt i64 {self.start}, {self.stop}")
            outer.branch(enters, self.header, leave)
        here, there = outer.block.label, body.block.label
        phis = [_phi(self.variable, "i64", (self.start, here), (after, there))]
        for name, (kind, first), last in zip(self.names, self.carried, following, strict=True):
            phis.append(_phi(name, kind, (first, here), (last, there)))
        self.header.lines[:0] = phis
        outer.block = leave
        if runs:
            return list(following)
        return [
            outer.op(f"phi {kind} [ {first}, %{here} ], [ {last}, %{there} ]")
            for (kind, first), last in zip(self.carried, following, strict=True)
        ]


@dataclass(eq=False)
class Branch:
    """What runs only where a flag is set, still open, with carried values."""

    outer: Level
    level: Level
    inside: Block
    flag: str
    carried: Sequence[tuple[str, str]]

    def close(self, following: Sequence[str] = ()) -> list[str]:
        """End the branch; `following` are the carried values if it was taken.

        Gives the carried values after it.
        """
        outer, body = self.outer.code, self.level.code
        after = body.function.block("after")
        outer.branch(self.flag, self.inside, after)
        body.jump(after)
        here, there = outer.block.label, body.block.label
        outer.block = after
        return [
            outer.op(f"phi {kind} [ {first}, %{here} ], [ {last}, %{there} ]")
            for (kind, first), last in zip(self.carried, following, strict=True)
        ]


def open_branch(
    outer: Level, flag: str, carried: Sequence[tuple[str, str]] = ()
) -> Branch:
    """Begin what runs inside `outer` only where `flag`, an i1, is set."""
    function = outer.code.function
    inside = function.block("branch")
    return Branch(outer, Level(Code(function, inside), outer), inside, flag, carried)


def open_loop(
    outer: Level,
    axis: Axis,
    span: tuple[str, str, int],
    bound: Bound,
    carried: Sequence[tuple[str, str]] = (),
) -> Loop:
    """Begin a loop over `axis` inside `outer`; `span` is start, stop and step."""
    function = outer.code.function
    header = function.block("loop")
    variable = "%" + function.fresh("i")
    names = ["%" + function.fresh("c") for _ in carried]
    here = Bound(variable, bound.tile, bound.lanes, bound.mask)
    level = Level(Code(function, header), outer, {axis: here})
    return Loop(outer, level, header, *span, variable, carried, names)


def _runs(start: str, stop: str) -> bool:
    """Whether the loop is known to run at least once."""
    first, last = known(start), known(stop)
    return first is not None and last is not None and first < last


def _phi(name: str, kind: str, *sources: tuple[str, str]) -> str:
    arms = ", ".join(f"[ {value}, %{label} ]" for value, label in sources)
    return f"{name} = phi {kind} {arms}"
