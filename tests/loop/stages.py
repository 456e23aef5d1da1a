"""Kernels at each stage, and what they compute when plain Python runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exprgrad.graph import dims as sizes
from exprgrad.graph.evaluate import dims_of
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.absorb import absorb
from exprgrad.loop.block import block
from exprgrad.loop.border import cut
from exprgrad.loop.cost import Machine
from exprgrad.loop.fuse import fuse
from exprgrad.loop.interpret import interpret
from exprgrad.loop.ir import Buffer, Kernel
from exprgrad.loop.layout import arrange
from exprgrad.loop.lift import lift
from exprgrad.loop.lower import Target, lower
from exprgrad.loop.order import order
from exprgrad.loop.pairs import rounded
from exprgrad.loop.part import part
from exprgrad.loop.phases import into_phases
from exprgrad.loop.pieces import in_pieces
from exprgrad.loop.residue import divide, interleave
from exprgrad.loop.rows import add_rows
from exprgrad.loop.schedule import Scheduled, schedule
from exprgrad.loop.split import split
from exprgrad.loop.turn import turn
from exprgrad.rewrite.simplify import condense, erase
from tests.compiled import as_arrays

Array = NDArray[Any]
FRESH = 77  # what memory holds before a kernel stores to it
MACHINE = Machine(64, 32)


@dataclass(frozen=True)
class Stages:
    """The kernels of outputs and updates after each pass, and where results lie."""

    lowered: list[Kernel]
    fused: list[Kernel]
    parts: list[Kernel]
    ordered: list[Kernel]
    phases: list[list[Scheduled]]
    outputs: list[Buffer]
    states: dict[Buffer, Buffer]

    @property
    def scheduled(self) -> list[Scheduled]:
        """The kernels in the order in which they run."""
        return [scheduled for phase in self.phases for scheduled in phase]

    def variants(self) -> dict[str, list[Kernel]]:
        """Kernels that may run as they stand, by the last pass they went through."""
        return {
            "lower": order(self.lowered, self.states),
            "fuse": order(self.fused, {}) + order([], self.states),
            "split": order(self.parts, {}) + order([], self.states),
            "order": self.ordered,
            "schedule": [scheduled.kernel for scheduled in self.scheduled],
        }


def stages(
    outputs: Sequence[Tensor],
    updates: Mapping[Tensor, Tensor] | None = None,
    machine: Machine = MACHINE,
) -> Stages:
    """The passes of the compiler up to the backend, one after another."""
    changes = updates or {}
    graph = condense(erase([*outputs, *changes.values()]))
    results = [
        Buffer(f"output{n}", node.shape, node.dtype, "output")
        for n, node in enumerate(outputs)
    ]
    new = [Buffer(f"{s.name}'", s.shape, s.dtype, "next", s) for s in changes]
    targets = [Target(buffer) for buffer in (*results, *new)]
    lowered, buffers = lower(list(zip(graph, targets, strict=True)))
    states = {
        buffer: buffers.get(s) or Buffer(s.name, s.shape, s.dtype, "state", s)
        for buffer, s in zip(new, changes, strict=True)
    }
    fused = fuse(interleave(add_rows(lowered)))
    arranged = arrange(divide(in_pieces(fused)), machine, {"batch"})
    parts = part(lift(absorb(split(cut(turn(arranged), machine))), machine))
    ordered = order(parts, states)
    blocked = block(ordered, machine)
    phases = into_phases([schedule(kernel, machine, rounded(blocked)) for kernel in blocked])
    return Stages(lowered, fused, parts, ordered, phases, results, states)


def interpreted(
    kernels: Sequence[Kernel],
    results: Sequence[Buffer],
    values: Mapping[Tensor, Any],
    dims: Mapping[str, int] | None = None,
) -> list[Array]:
    """What `results` hold after the kernels have run on memory of their own."""
    arrays = as_arrays(values)
    known = {**dims_of(arrays), **(dims or {})}
    used = set(results).union(*(k.reads() | k.writes() for k in kernels))
    memory = {buffer: _filled(buffer, arrays, known) for buffer in used}
    with np.errstate(all="ignore"):
        interpret(kernels, memory, known)
    return [memory[buffer] for buffer in results]


def _filled(
    buffer: Buffer, arrays: Mapping[Tensor, Array], dims: Mapping[str, int]
) -> Array:
    if buffer.role == "input":
        return arrays[buffer.source]
    if buffer.role == "state":
        return np.array(buffer.source.value, buffer.dtype.numpy)
    if buffer.role == "constant":
        return np.array(buffer.source.params[0].array)
    shape = [sizes.evaluate(n, dims) for n in buffer.shape]
    return np.full(shape, FRESH, buffer.dtype.numpy)
