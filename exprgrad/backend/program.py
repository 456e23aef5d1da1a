"""All kernels as one function that every thread runs: barriers where threads share data,
the loop over mini-batches inside.

    for step in first .. last:                     (a plain call runs once; in steps subnormal
                                                    numbers count as zeros)
        batch, offset, slot = the step's sizes
        kernels of a phase; barrier; kernels of the next; ...
        leave if an index was out of range         (before any state is written)
        kernels that write states

In a large phase threads claim parts of its loops (`claim.py`), in others each has its
share. What one thread alone does between two barriers, the last to come to the first of them
does before it lets the others pass: that is one barrier.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from exprgrad.backend import clock
from exprgrad.backend.arith import least
from exprgrad.backend.barrier import emit_barrier, emit_section
from exprgrad.backend.claim import WHOLE, Part, claimed, own_part, release
from exprgrad.backend.emit import Emitter, Layout
from exprgrad.backend.level import Bound as Iterations
from exprgrad.backend.level import Level, Loop, open_loop
from exprgrad.backend.status import leave_if_stopped, stop_if_bad
from exprgrad.backend.subnormal import flush, restore
from exprgrad.backend.target import Target
from exprgrad.backend.text import Block, Code, Function, Module
from exprgrad.loop.ir import Axis, Buffer
from exprgrad.loop.phases import writes_state
from exprgrad.loop.same import form
from exprgrad.loop.schedule import Scheduled

ARGUMENTS = (
    "ptr %buffers, ptr %dims, ptr %status, i64 %thread, i64 %first, i64 %until, i64 %of"
)

# What the caller passes in one table: where each of these stands.
TABLES = ("buffers", "dims", "status", "barrier", "claims", "ticks")
CONTEXT = (*TABLES, "first", "last", "rows", "batch")


@dataclass(frozen=True, slots=True)
class Slices:
    """The names of the sizes that change from step to step of an epoch: how many rows
    the step has, the first of them, and the number of the step in this call.
    """

    batch: str
    offset: str = "first row"
    slot: str = "step of call"


@dataclass(frozen=True, eq=False)
class Emitted:
    """The text of a module, and where its code looks for things: `tables` are the
    buffers of each kernel, which stand one table after another.
    """

    text: str
    layout: Layout
    tables: tuple[tuple[Buffer, ...], ...]


def emit_program(
    phases: Sequence[Sequence[Scheduled]],
    target: Target,
    slices: Slices | None = None,
    timed: bool = False,
) -> Emitted:
    """The module of a program; its entries are `run(ptr context, i64 thread, i64 threads)`
    and, for one thread, `alone(ptr context)`.

    Threads wait between two phases. Kernels that differ in their buffers and the keys of
    their draws alone share one function. With `timed` each thread adds up in its row of
    the table `ticks` how long each kernel took, and last its waiting.
    """
    kernels = [scheduled for phase in phases for scheduled in phase]
    module = Module(target=target)
    layout = Layout()
    if slices is not None:
        for name in (slices.batch, slices.offset, slices.slot):
            layout.dims.setdefault(name, len(layout.dims))
    forms = [form(scheduled) for scheduled in kernels]
    functions: dict[Hashable, str] = {}
    for number, (scheduled, each) in enumerate(zip(kernels, forms, strict=True)):
        if each.key not in functions:
            functions[each.key] = f"kernel{number}"
            name = functions[each.key]
            keys = {key: f"%key{n}" for n, key in enumerate(each.draws)}
            arguments = ", ".join([ARGUMENTS, *(f"i64 {key}" for key in keys.values())])
            function = Function(module, name, arguments, target.attributes)
            Emitter(scheduled, function, layout, each.buffers, keys).emit()
    names = [functions[each.key] for each in forms]
    tables = tuple(each.buffers for each in forms)
    draws = [each.draws for each in forms]
    Entry(module, phases, Calls(names, tables, draws), layout, slices, timed).emit()
    alone = Code(Function(module, "alone", "ptr %context", target.attributes))
    alone.do("call void @run(ptr %context, i64 0, i64 1)")
    alone.block.end = "ret void"
    return Emitted(str(module), layout, tables)


@dataclass(frozen=True, eq=False)
class Calls:
    """Which function runs each kernel, on which buffers, with which keys of draws."""

    names: list[str]
    tables: tuple[tuple[Buffer, ...], ...]
    draws: list[tuple[int, ...]]

    @cached_property
    def offsets(self) -> list[int]:
        """Where each kernel's own table begins."""
        return list(accumulate(map(len, self.tables), initial=0))


class Entry:
    """Writes the function that runs all kernels."""

    def __init__(
        self,
        module: Module,
        phases: Sequence[Sequence[Scheduled]],
        calls: Calls,
        layout: Layout,
        slices: Slices | None,
        timed: bool = False,
    ) -> None:
        self.calls = calls
        self.phases = phases
        attributes = module.target.attributes if module.target else ""
        arguments = "ptr %context, i64 %thread, i64 %threads"
        self.function = Function(module, "run", arguments, attributes)
        self.code = Code(self.function)
        self.layout = layout
        self.slices = slices
        self.given = {
            name: self._field(n, "ptr" if name in TABLES else "i64")
            for n, name in enumerate(CONTEXT)
        }
        self.row = self._own_row() if timed else None
        self.unreleased = False  # claims of a phase after which threads have not met
        self.leave = Block("leave", end="ret void")

    def _field(self, number: int, kind: str) -> str:
        where = self.code.op(f"getelementptr ptr, ptr %context, i64 {number}")
        return self.code.op(f"load {kind}, ptr {where}")

    def _own_row(self) -> str:
        """Where this thread adds up the times of the kernels and of its waiting."""
        offset = self.code.imul("%thread", str(len(self.calls.names) + 1))
        return self._slot(self.given["ticks"], offset)

    @contextmanager
    def _timed(self, slot: int) -> Iterator[None]:
        """The time that what is written within takes is added to a slot of the row."""
        if self.row is None:
            yield
            return
        start = clock.now(self.code)
        yield
        clock.add_since(self.code, start, self.row, slot)

    def emit(self) -> None:
        """Write the function."""
        if self.slices is None:
            self._kernels(self.given["dims"])
        else:
            mode = flush(self.code)
            restore(Code(self.function, self.leave), mode)
            dims = self._own_dims()
            outer = Level(self.code)
            span = (self.given["first"], self.given["last"], 1)
            loop = open_loop(outer, Axis("step", 0), span, Iterations(""))
            self.code = loop.level.code
            self._step_sizes(loop, dims, self.slices)
            if not self._kernels(dims):
                self._barrier()
            loop.close()
            self.code = outer.code
        self.code.jump(self.leave)
        self.function.blocks.append(self.leave)

    def _own_dims(self) -> str:
        """A copy of the sizes that this thread may change."""
        count = len(self.layout.dims)
        dims = self.code.op(f"alloca [{count} x i64], align 8")
        for slot in range(count):
            source, copy = (self._slot(table, slot) for table in (self.given["dims"], dims))
            value = self.code.op(f"load i64, ptr {source}")
            self.code.do(f"store i64 {value}, ptr {copy}")
        return dims

    def _slot(self, table: str, slot: int | str) -> str:
        return self.code.op(f"getelementptr i64, ptr {table}, i64 {slot}")

    def _step_sizes(self, loop: Loop, dims: str, slices: Slices) -> None:
        code, step = self.code, loop.variable
        offset = code.imul(step, self.given["batch"])
        left = code.op(f"sub i64 {self.given['rows']}, {offset}")
        values = {
            slices.batch: least(code, left, self.given["batch"]),
            slices.offset: offset,
            slices.slot: code.op(f"sub i64 {step}, {self.given['first']}"),
        }
        for name, value in values.items():
            code.do(f"store i64 {value}, ptr {self._slot(dims, self.layout.dims[name])}")

    def _kernels(self, dims: str) -> bool:
        """Call the kernels of all phases; gives whether threads have met after the last.

        Before states are written, all leave if an index was out of range.
        """
        number, met, checked = 0, True, not self.layout.checks
        for phase in self.phases:
            calls = [(n, each, dims) for n, each in enumerate(phase, number)]
            check = not checked and any(map(writes_state, phase))
            checked |= check
            if number and all(each.parallel is None for each in phase):
                self._section(calls, check)
                met = True
            else:
                if check:
                    self._section([], check)
                elif not met:
                    self._barrier()
                self._phase(calls)
                met = False
            number += len(phase)
        if self.unreleased:
            self._barrier()
            return True
        return met

    def _phase(self, calls: Sequence[tuple[int, Scheduled, str]]) -> None:
        """Run kernels on this thread's share, or on the parts of it and others that it
        gets hold of.
        """
        if not any(scheduled.claimed for _, scheduled, _ in calls):
            self._part(calls, own_part(self.code))
            return
        outside = self.code
        with claimed(outside, self.given["claims"]) as (self.code, part):
            self._part(calls, part)
        self.code, self.unreleased = outside, True

    def _part(self, calls: Sequence[tuple[int, Scheduled, str]], part: Part) -> None:
        for number, scheduled, dims in calls:
            with self._timed(number):
                self._call(number, scheduled, dims, part)

    def _release(self) -> None:
        """Where all threads have come together: what was claimed may be claimed again."""
        if self.unreleased:
            release(self.code, self.given["claims"])
        self.unreleased = False

    def _section(self, calls: Sequence[tuple[int, Scheduled, str]], check: bool) -> None:
        """Let the last thread to come run kernels, unless an index was out of range."""

        def section() -> None:
            self._release()
            skip = self.function.block("skip")
            if check:
                stop_if_bad(self.code, self.given["status"], skip)
            for number, _, dims in calls:
                with self._timed(number):
                    self.code.do(self._call_text(number, dims, WHOLE))
            self.code.jump(skip)
            self.code.block = skip

        with self._timed(len(self.calls.names)):
            emit_section(self.code, self.given["barrier"], "%threads", section)
        if check:
            leave_if_stopped(self.code, self.given["status"], self.leave)

    def _call(self, number: int, scheduled: Scheduled, dims: str, part: Part) -> None:
        call = self._call_text(number, dims, part)
        if scheduled.parallel is not None:
            self.code.do(call)
            return
        first = self.code.op(f"icmp eq i64 {part.first}, 0")
        alone, after = self.function.block("alone"), self.function.block("after")
        self.code.branch(first, alone, after)
        alone.lines.append(call)
        alone.end = f"br label %{after.label}"
        self.code.block = after

    def _call_text(self, number: int, dims: str, part: Part) -> str:
        offset, status = self.calls.offsets[number], self.given["status"]
        table = self.code.op(f"getelementptr ptr, ptr {self.given['buffers']}, i64 {offset}")
        keys = "".join(f", i64 {key}" for key in self.calls.draws[number])
        return (
            f"call void @{self.calls.names[number]}(ptr {table}, ptr {dims}, "
            f"ptr {status}, i64 %thread, i64 {part.first}, i64 {part.until}, i64 {part.of}{keys})"
        )

    def _barrier(self) -> None:
        with self._timed(len(self.calls.names)):
            if self.unreleased:
                emit_section(self.code, self.given["barrier"], "%threads", self._release)
            else:
                emit_barrier(self.code, self.given["barrier"], "%threads")
