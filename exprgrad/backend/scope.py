"""What the parts of the emitter ask of it: values of scalars, sizes, pointers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exprgrad.backend.level import Level
from exprgrad.graph.dims import Size
from exprgrad.loop.ir import Axis, Buffer, Scalar
from exprgrad.loop.schedule import Scheduled

Hint = tuple[tuple[str, str], ...]
Point = Mapping[Axis, int]  # which of the iterations that stand side by side
Value = tuple[str, int]  # a name and its lanes


@dataclass(frozen=True, eq=False, slots=True)
class Spread:
    """So many `lines` of so many `rows` that a sum at `level` asks for, some in each round
    of its loop. Of each of `bases` the pointer to the first row, the bytes from one row to
    the next, and the hint.
    """

    level: Level
    rows: int
    lines: int
    bases: Sequence[tuple[str, int, Hint]]


class Scope(Protocol):
    """A kernel being written. `root` is the level outside all loops; of loops that
    run block by block, `blocks` has where the present one begins and ends; `spread` are
    lines of memory that the sum of a tile is to ask for while it runs.
    """

    scheduled: Scheduled
    root: Level
    blocks: dict[Axis, tuple[Level, str, str]]
    spread: Spread | None

    def value(self, node: Scalar, level: Level, point: Point) -> Value:
        """The value of a scalar, written where it belongs."""

    def vector(self, node: Scalar, level: Level, point: Point, lanes: int) -> str:
        """The same in all lanes where it is one number."""

    def size(self, size: Size) -> str:
        """A size, computed once outside all loops."""

    def pointer(self, buffer: Buffer) -> str:
        """Where a buffer begins."""
