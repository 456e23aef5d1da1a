"""What the parts of the emitter ask of it: values of scalars, sizes, pointers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exprgrad.backend.level import Level
from exprgrad.graph.dims import Shape, Size
from exprgrad.loop.ir import Axis, Buffer, Scalar
from exprgrad.loop.schedule import Scheduled

Hint = tuple[tuple[str, str], ...]
Point = Mapping[Axis, int]  # which of the iterations that stand side by side
Value = tuple[str, int]  # a name and its lanes


@dataclass(frozen=True, slots=True)
class Pace:
    """So many lines in as many steps as the product of these sizes."""

    lines: int
    steps: Shape


@dataclass(frozen=True, eq=False, slots=True)
class Lines:
    """Lines of rows that lie `apart` bytes from one another, `wide` lines in each, counted
    from `base` on, row by row: those from `first` on, at this pace.
    """

    base: str
    apart: int
    wide: int
    hint: Hint
    first: str
    pace: Pace


@dataclass(frozen=True, eq=False, slots=True)
class Spread:
    """What a sum over `axis` at `level` asks for, some in each round of its loop."""

    level: Level
    axis: Axis
    lines: Sequence[Lines]


@dataclass(frozen=True, eq=False, slots=True)
class Parted:
    """Sums of which a block is added up: where each is kept between blocks, along sides that
    count rows and columns; the flag `later` says that there were blocks before, `last` that
    none follows.
    """

    kept: Mapping[Scalar, Scalar]
    sides: Mapping[Axis, Axis]
    later: str
    last: str

    def side(self, point: Point) -> Point:
        """A point of a tile by the numbers of what is kept."""
        return {side: point.get(axis, 0) for side, axis in self.sides.items()}


class Scope(Protocol):
    """A kernel being written. `root` is the level outside all loops; of loops that
    run block by block, `blocks` has where the present one begins and ends; `spread` are
    lines of memory that the sum of a tile is to ask for while it runs, and `parted` are
    the sums of which a block is added up.
    """

    scheduled: Scheduled
    root: Level
    blocks: dict[Axis, tuple[Level, str, str]]
    spread: Spread | None
    parted: Parted | None

    def value(self, node: Scalar, level: Level, point: Point) -> Value:
        """The value of a scalar, written where it belongs."""

    def vector(self, node: Scalar, level: Level, point: Point, lanes: int) -> str:
        """The same in all lanes where it is one number."""

    def size(self, size: Size) -> str:
        """A size, computed once outside all loops."""

    def pointer(self, buffer: Buffer) -> str:
        """Where a buffer begins."""
