"""What the parts of the emitter ask of it: values of scalars, sizes, pointers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from exprgrad.backend.level import Level
from exprgrad.graph.dims import Size
from exprgrad.loop.ir import Axis, Buffer, Scalar
from exprgrad.loop.schedule import Scheduled

Point = Mapping[Axis, int]  # which of the iterations that stand side by side
Value = tuple[str, int]  # a name and its lanes


class Scope(Protocol):
    """A kernel being written. `root` is the level outside all loops; of loops that
    run block by block, `blocks` has where the present one begins and ends.
    """

    scheduled: Scheduled
    root: Level
    blocks: dict[Axis, tuple[Level, str, str]]

    def value(self, node: Scalar, level: Level, point: Point) -> Value:
        """The value of a scalar, written where it belongs."""

    def vector(self, node: Scalar, level: Level, point: Point, lanes: int) -> str:
        """The same in all lanes where it is one number."""

    def size(self, size: Size) -> str:
        """A size, computed once outside all loops."""

    def pointer(self, buffer: Buffer) -> str:
        """Where a buffer begins."""
