"""What is left of the compiler when a program runs: machine code and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exprgrad.backend.jit import Library
from exprgrad.errors import Where
from exprgrad.graph.dims import Size
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.cost import Terms, assuming, total
from exprgrad.loop.ir import Buffer
from exprgrad.loop.memory import Life

Check = tuple[Size, bool, Where | None]  # the axis, whether an index wraps, the line


@dataclass(frozen=True, eq=False)
class Tables:
    """Where machine code looks for what, and what it costs to run.

    `buffers` are those of each kernel, one table after another; `dims` the slots of the
    run-time sizes; `checks` what an index that is out of range has violated; `needed`
    the lives of temporaries; `work` adds up to an estimate of additions.
    """

    buffers: tuple[tuple[Buffer, ...], ...]
    dims: Mapping[str, int]
    checks: Mapping[int, Check]
    needed: Sequence[Life]
    outputs: Sequence[Buffer]
    written: Sequence[Buffer]
    work: Terms


@dataclass(frozen=True, eq=False)
class Linked:
    """Machine code with its tables; `ticks` is how many times of kernels it takes."""

    library: Library
    tables: Tables
    ticks: int = 0

    @property
    def updated(self) -> list[Tensor]:
        """The parameters and states that the program writes."""
        states = [b for b in self.tables.written if b.role == "state"]
        return [b.source for b in states if b.source is not None]

    def work(self, dims: Mapping[str, int]) -> int:
        """An estimate of the additions of one run, or what takes as long."""
        with assuming(dims):
            return total(self.tables.work)
