"""The whole compiler: from expressions to a native program, stage by stage."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from exprgrad import config
from exprgrad.backend.emit import Layout
from exprgrad.backend.jit import Library, compile_module, host
from exprgrad.backend.program import Slices, emit_program
from exprgrad.backend.spelling import SLOW
from exprgrad.backend.target import Target as Processor
from exprgrad.graph.check import check
from exprgrad.graph.dims import Dim
from exprgrad.graph.show import listing, new_values
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.absorb import absorb
from exprgrad.loop.block import block
from exprgrad.loop.border import cut
from exprgrad.loop.check import check_kernels, check_order
from exprgrad.loop.contract import far_buffers
from exprgrad.loop.cost import TYPICAL, Machine, assuming, terms
from exprgrad.loop.fuse import fuse
from exprgrad.loop.ir import Buffer, Kernel, scalars
from exprgrad.loop.layout import arrange
from exprgrad.loop.lift import lift
from exprgrad.loop.lower import Target, lower
from exprgrad.loop.memory import Life, lives
from exprgrad.loop.order import order
from exprgrad.loop.pairs import rounded
from exprgrad.loop.part import part
from exprgrad.loop.phases import into_phases
from exprgrad.loop.pieces import in_pieces
from exprgrad.loop.reason import slow_ways
from exprgrad.loop.residue import divide, interleave
from exprgrad.loop.rows import add_rows
from exprgrad.loop.schedule import Scheduled, schedule
from exprgrad.loop.show import show_kernels
from exprgrad.loop.split import split
from exprgrad.loop.turn import turn
from exprgrad.rewrite.simplify import condense, erase
from exprgrad.runtime.linked import Linked, Tables
from exprgrad.runtime.report import Stage

T = TypeVar("T")

# How many programs have been compiled in this process: a changed size, rate or state
# adds none.
COMPILATIONS = 0
# What a named dimension of a call is taken to be, until arrays say what it is.
LARGE = 1 << 17


@dataclass(eq=False)
class Compiled:
    """Machine code, and where it looks for what. With `timed` it adds up how long each
    kernel takes.
    """

    library: Library
    layout: Layout
    tables: tuple[tuple[Buffer, ...], ...]
    phases: list[list[Scheduled]]
    needed: list[Life]
    outputs: list[Buffer]
    slices: Slices | None
    stages: list[Stage] = field(default_factory=list)
    timed: bool = False

    @property
    def kernels(self) -> list[Scheduled]:
        """All kernels, in the order in which they run."""
        return [scheduled for phase in self.phases for scheduled in phase]

    @property
    def notes(self) -> list[str]:
        """Operations that are computed in a slow way."""
        slow = {
            f"{node.op} of {dtype} calls the C library for each element   ({node.where})"
            for scheduled in self.kernels
            for node in scalars(scheduled.kernel)
            if node.args and (node.op, dtype := node.args[-1].dtype.name) in SLOW
        }
        with assuming({}, usual_size(self.slices)):
            return [*sorted(slow), *(n for each in self.kernels for n in slow_ways(each))]

    @property
    def whole(self) -> Compiled:
        """All that the compiler made."""
        return self

    @cached_property
    def linked(self) -> Linked:
        """What is needed to run."""
        kernels = [scheduled.kernel for scheduled in self.kernels]
        checks = {n: (*node.params, node.where) for node, n in self.layout.checks.items()}
        written = {buffer: None for kernel in kernels for buffer in kernel.writes()}
        tables = Tables(
            self.tables,
            self.layout.dims,
            checks,
            self.needed,
            self.outputs,
            tuple(written),
            terms(kernels),
        )
        return Linked(self.library, tables, len(kernels) + 1 if self.timed else 0)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be compiled. With `slices` the program is an epoch: its outputs, which
    are scalars, are recorded for each step.
    """

    outputs: Sequence[Tensor]
    updates: Mapping[Tensor, Tensor]
    slices: Slices | None = None

    def listing(self, graph: Sequence[Tensor]) -> str:
        """Outputs by their numbers, new values of states as `name'`."""
        n = len(self.outputs)
        results = {f"out{i}" if n > 1 else "out": y for i, y in enumerate(graph[:n], 1)}
        new = dict(zip(self.updates, graph[n:], strict=True))
        return listing({**results, **new_values(new)})


def compile_request(request: Request, target: Processor | None = None) -> Compiled:
    """Run all stages. Raises `CompileError`, which names the stage and the node.

    A step's dimensions are taken to be those of a mini-batch, a call's to be large.
    """
    with assuming({}, usual_size(request.slices)), _uncollected():
        return _compiled(request, target)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Within, Python looks for no cycles: what compiling makes is in use until it ends, and
    to look through all of it takes a part of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def usual_size(slices: Slices | None) -> int:
    """What a named dimension is taken to be before arrays say what it is."""
    return TYPICAL if slices else LARGE


def _compiled(request: Request, target: Processor | None) -> Compiled:
    global COMPILATIONS
    COMPILATIONS += 1
    processor = target or host()
    machine = Machine(
        processor.vector_bits // 8,
        processor.registers,
        processor.cache_bytes,
        processor.has("avx512bf16") and processor.vector_bits == 512,
        processor.masks,
    )
    steady = {request.slices.batch} if request.slices else set()
    run = Stages()
    roots = [*request.outputs, *request.updates.values()]
    run.stages.append(Stage("graph", 0.0, lambda: listing(roots)))
    graph = run("simplify", lambda: condense(erase(roots)), request.listing, check)
    pieces, states, outputs = run("lower", lambda: _lowered(request, graph))
    fused = run("fuse", lambda: fuse(interleave(add_rows(pieces))), check=check_kernels)
    divided = run("divide", lambda: divide(in_pieces(fused)), check=check_kernels)
    arranged = run("layout", lambda: arrange(divided, machine, steady), check=check_kernels)
    turned = run("turn", lambda: turn(arranged), check=check_kernels)
    parts = run("split", lambda: absorb(split(cut(turned, machine))), check=check_kernels)
    lifted = run("lift", lambda: part(lift(parts, machine)), check=check_kernels)
    ordered = run("order", lambda: order(lifted, states), check=check_order)
    blocked = run("block", lambda: block(ordered, machine), check=check_order)
    halves = rounded(blocked)
    far = far_buffers(blocked, machine)
    tiled = run("schedule", lambda: [schedule(k, machine, halves, far) for k in blocked])
    phases = run("phases", lambda: into_phases(tiled), _show_phases)
    needed = run("plan", lambda: _lives(phases))
    emitted = run("emit", lambda: emit_program(phases, processor, request.slices))
    library = run("llvm", lambda: compile_module(emitted.text, processor))
    texts = {"emit": lambda: emitted.text, "llvm": lambda: library.assembly}
    stages = [Stage(s.name, s.milliseconds, texts.get(s.name, s.text)) for s in run.stages]
    return Compiled(
        library,
        emitted.layout,
        emitted.tables,
        phases,
        needed,
        outputs,
        request.slices,
        stages,
    )


def with_clock(compiled: Compiled) -> Compiled:
    """The same program, in which each thread adds up how long each kernel takes."""
    target = compiled.library.target
    emitted = emit_program(compiled.phases, target, compiled.slices, timed=True)
    library = compile_module(emitted.text, target)
    return replace(
        compiled,
        library=library,
        layout=emitted.layout,
        tables=emitted.tables,
        timed=True,
    )


class Stages:
    """Runs stages one after another, each timed and able to print its result."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    def __call__(
        self,
        name: str,
        run: Callable[[], T],
        show: Callable[[T], str] | None = None,
        check: Callable[[T], None] | None = None,
    ) -> T:
        """The result of `run`; `show` prints it when somebody asks, `check` raises when
        it is not well formed and EXPRGRAD_CHECK asks for that.
        """
        start = time.perf_counter()
        result = run()
        elapsed = 1e3 * (time.perf_counter() - start)
        if check is not None and config.CHECK():
            check(result)
        text = (lambda: show(result)) if show is not None else (lambda: "")
        self.stages.append(Stage(name, elapsed, text))
        return result


def _lowered(
    request: Request, graph: Sequence[Tensor]
) -> tuple[list[Kernel], dict[Buffer, Buffer], list[Buffer]]:
    count = len(request.outputs)
    targets = [_output(request, n, node) for n, node in enumerate(graph[:count])]
    new = [
        Buffer(f"{state.name}'", state.shape, state.dtype, "next", state)
        for state in request.updates
    ]
    targets += [Target(buffer) for buffer in new]
    kernels, buffers = lower(list(zip(graph, targets, strict=True)))
    states = {
        buffer: buffers.get(state) or Buffer(state.name, state.shape, state.dtype, "state", state)
        for buffer, state in zip(new, request.updates, strict=True)
    }
    return kernels, states, [target.buffer for target in targets[:count]]


def _output(request: Request, number: int, node: Tensor) -> Target:
    if request.slices is None:
        return Target(Buffer(f"output{number}", node.shape, node.dtype, "output"))
    steps = (Dim.named("steps of call"),)
    slot = Dim.named(request.slices.slot)
    return Target(Buffer(f"record{number}", steps, node.dtype, "output"), slot)


def _show_phases(phases: Sequence[Sequence[Scheduled]]) -> str:
    return show_kernels([each for phase in phases for each in phase])


def _lives(phases: Sequence[Sequence[Scheduled]]) -> list[Life]:
    """The phases that need each temporary."""
    kernels = [(each.kernel, n) for n, phase in enumerate(phases) for each in phase]
    return lives([kernel for kernel, _ in kernels], [number for _, number in kernels])
