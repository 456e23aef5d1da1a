"""Running compiled code: pointers and sizes are put into tables, threads are sent in."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from exprgrad.backend.barrier import FLAGS_SIZE
from exprgrad.backend.claim import claims_size
from exprgrad.backend.program import CONTEXT, TABLES
from exprgrad.backend.status import SLOT, status_size
from exprgrad.backend.threads import Pool
from exprgrad.errors import out_of_range
from exprgrad.graph import dims as sizes
from exprgrad.graph.state import LINE
from exprgrad.graph.tensor import Tensor
from exprgrad.graph.turn import Turn
from exprgrad.loop.ir import Buffer
from exprgrad.loop.memory import plan
from exprgrad.loop.peak import together
from exprgrad.runtime.choice import MOST_THREADS, Choice
from exprgrad.runtime.compile import Compiled, Request, with_clock
from exprgrad.runtime.footprint import Footprint, footprint
from exprgrad.runtime.kept import Kept, recall
from exprgrad.runtime.report import Stage

Array = NDArray[Any]
Layout = tuple[tuple[int, ...], np.dtype[Any]]
Span = tuple[int, int, int, int]  # first step, last step, rows, rows of a batch
# Below this many additions a call is over before another thread has woken.
WORK_OF_CALL = 1_000_000
MOST_CHOICES = 64
POOL = Pool(MOST_THREADS)
# What reads a pointer, and how far it lies behind the beginning of a Python object.
POINTER, HEADER = ctypes.c_size_t.from_address, object.__basicsize__
# The entry of a program for one thread: a call with one argument takes half as long as one
# with three.
ALONE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def aligned(nbytes: int) -> NDArray[np.uint8]:
    """Zeroed memory that begins on a cache line."""
    memory = np.zeros(nbytes + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + nbytes]


def address(array: Array) -> int:
    """Where an array's elements begin, which takes NumPy's own `ctypes.data` eight times as
    long: every small call asks. The pointer follows the header of each Python object, as
    in all that was compiled with NumPy's C API (PyArrayObject.data).
    """
    return POINTER(id(array) + HEADER).value


def fresh(layouts: Sequence[Layout]) -> list[Array]:
    """Arrays with whatever is in their memory."""
    return [np.empty(shape, dtype) for shape, dtype in layouts]


class Place:
    """Where kernels find an input. What `given` gives stands there already: memory cannot
    move while its array is watched.
    """

    def __init__(self, slots: Sequence[int]) -> None:
        self._slots = tuple(slots)
        self.given: Callable[[], Array | None] = lambda: None

    def enter(self, array: Array, pointers: memoryview) -> None:
        """Let every kernel find `array`."""
        where = address(array)
        for slot in self._slots:
            pointers[slot] = where
        self.given = ref(array)


class Program:
    """Compiled code with the memory it works in.

    Calls from several threads queue up, and so do programs that update states of which
    they share one: no update is lost. A program that only reads states waits for none.
    `inputs` are those that it reads, in the order in which a run takes their arrays.
    """

    def __init__(self, made: Compiled | Kept) -> None:
        self._made = made
        self.linked = made.linked
        tables = self.linked.tables
        self._address = self.linked.library.address("run")
        self._alone = ALONE(self.linked.library.address("alone"))
        self._slots: dict[Buffer, list[int]] = {}
        for slot, buffer in enumerate(b for table in tables.buffers for b in table):
            self._slots.setdefault(buffer, []).append(slot)
        self._turn = self._own_turn()
        self._buffers = np.zeros(sum(map(len, tables.buffers)) + 1, np.int64)
        self._pointers = self._buffers.data  # written to faster than the array
        self._dims = np.zeros(len(tables.dims) + 1, np.int64)
        self._status = aligned(status_size(MOST_THREADS)).view(np.int64)
        self._flag = self._status.data  # read faster than the array
        self._barrier = aligned(FLAGS_SIZE)
        self._claims = aligned(claims_size(MOST_THREADS))
        # How long each kernel took on each thread, and last how long the thread waited.
        self.ticks = np.zeros((MOST_THREADS, self.linked.ticks), np.int64)
        self._context = np.zeros(len(CONTEXT), np.int64)
        meeting = (self._barrier, self._claims)
        given = (self._buffers, self._dims, self._status, *meeting, self.ticks)
        self._context[: len(TABLES)] = [table.ctypes.data for table in given]
        self._context_address = self._context.ctypes.data
        self._span: Span | None = None
        self._arena = aligned(0)
        self._placed: Mapping[str, int] | None = None
        read = {b.source: slots for b, slots in self._slots.items() if b.role == "input"}
        self.inputs = tuple(source for source in read if source is not None)
        self._places = [Place(read[source]) for source in self.inputs]
        self._outputs = [self._slots.get(buffer, []) for buffer in tables.outputs]
        self._kept = [self._own(buffer) for buffer in self._slots]

    @property
    def compiled(self) -> Compiled:
        """All that the compiler made, for views of the program."""
        return self._made.whole

    @property
    def notes(self) -> list[str]:
        """What the user should know: slower ways taken, and why."""
        return self.compiled.notes

    def _own_turn(self) -> Turn:
        """Joined with those of all states, if any is updated."""
        turn = Turn()
        for buffer in self._slots if self.linked.updated else ():
            if buffer.role == "state" and buffer.source is not None:
                turn.join(buffer.source.cell.turn)
        return turn

    def _enter(self, slots: Sequence[int], pointer: int) -> None:
        """Let every kernel that works on a buffer find it."""
        for slot in slots:
            self._pointers[slot] = pointer

    def _own(self, buffer: Buffer) -> Array | None:
        """Enter the pointer of a constant or a state, whose memory never moves."""
        if buffer.role not in ("constant", "state") or buffer.source is None:
            return None
        is_state = buffer.role == "state"
        array = buffer.source.cell.array if is_state else buffer.source.params[0].array
        self._enter(self._slots[buffer], array.ctypes.data)
        return array

    def report(self) -> list[Stage]:
        """The stages of the compilation."""
        return self._made.stages

    def run(
        self,
        inputs: Sequence[Array],
        dims: Mapping[str, int],
        outputs: Collection[Array],
        span: Span = (0, 1, 0, 0),
        threads: int = 1,
    ) -> None:
        """Run once, or run the steps of an epoch that `span` names, into `outputs`.

        `inputs` stand in the order of the program's; nobody changes `dims` any more.
        Raises `IndexOutOfRange` naming the user's line, the index and the size; then no
        state has been written by the step that met it.
        """
        while True:
            lock = self._turn.lock
            with lock:
                if lock is self._turn.lock:  # it was not joined while this call waited
                    self._run(inputs, dims, outputs, span, threads)
                    return

    def _run(
        self,
        inputs: Sequence[Array],
        dims: Mapping[str, int],
        outputs: Collection[Array],
        span: Span,
        threads: int,
    ) -> None:
        """Run while nobody else does."""
        if self._placed is not dims:
            self._place(dims)
        for place, array in zip(self._places, inputs, strict=True):
            if place.given() is not array:
                place.enter(array, self._pointers)
        for slots, array in zip(self._outputs, outputs, strict=True):
            self._enter(slots, address(array))
        if span != self._span:
            self._context[len(TABLES) :] = self._span = span
        if threads == 1:
            self._alone(self._context_address)
        else:
            POOL.run(self._address, self._context_address, threads)
        if self._flag[0]:
            self._raise(dims)

    def _place(self, dims: Mapping[str, int]) -> None:
        """Enter the run-time sizes, and with them the places of the temporaries."""
        if self._placed == dims:
            self._placed = dims
            return
        # Until all is entered no sizes are placed: there may be no memory for these.
        self._placed = None
        for name, slot in self.linked.tables.dims.items():
            self._dims[slot] = dims.get(name, 0)
        found = plan(self.linked.tables.needed, dims)
        if self._arena.size < found.nbytes:
            self._arena = aligned(found.nbytes)
        for buffer, offset in found.offsets.items():
            self._enter(self._slots.get(buffer, ()), self._arena.ctypes.data + offset)
        self._placed = dims

    def _raise(self, dims: Mapping[str, int]) -> None:
        slots = self._status.reshape(-1, SLOT // self._status.itemsize)[1:, :2].tolist()
        number, index = min(slot for slot in slots if slot[0])
        self._status[:] = 0
        size, wraps, where = self.linked.tables.checks[number]
        raise out_of_range(index, sizes.evaluate(size, dims), wraps, where)


class Call:
    """A program that is called with arrays in the order of its inputs."""

    def __init__(self, program: Program, inputs: Sequence[Tensor]) -> None:
        self.program = program
        self.inputs = tuple(inputs)
        places = {source: place for place, source in enumerate(self.inputs)}
        self._read = [places[source] for source in program.inputs]
        self._known: dict[tuple[int, ...], tuple[Choice, list[Layout]]] = {}
        self._updated = [state.cell.array for state in program.linked.updated]

    @property
    def notes(self) -> list[str]:
        """What the user should know: slower ways taken, and why."""
        return self.program.notes

    def report(self) -> list[Stage]:
        """The stages of the compilation."""
        return self.program.report()

    def with_clock(self) -> Call:
        """The same call of a program that adds up how long each kernel takes."""
        return Call(Program(with_clock(self.program.compiled)), self.inputs)

    def memory(self) -> Footprint:
        """What a call holds in memory."""
        tables = self.program.linked.tables
        return footprint(tables, {"results": together(tables.outputs)})

    def run(self, arrays: Sequence[Array], dims: Mapping[str, int]) -> list[Array]:
        """The outputs, in fresh arrays; states are updated in place."""
        inputs = self.read(arrays)
        choice, layouts = self._sized(dims)
        outputs = fresh(layouts)
        for _, _, threads in choice.slices(1):
            self.program.run(inputs, dims, outputs, threads=threads)
        return outputs

    def read(self, arrays: Sequence[Array]) -> list[Array]:
        """Those of the arrays that the program reads, in its order."""
        read = [arrays[place] for place in self._read]
        return [self._apart(array) for array in read] if self._updated else read

    def outputs(self, dims: Mapping[str, int]) -> list[Array]:
        """Fresh arrays for the outputs."""
        return fresh(self._sized(dims)[1])

    def _sized(self, dims: Mapping[str, int]) -> tuple[Choice, list[Layout]]:
        """What depends on the sizes: the number of threads that is learned for them, and
        the outputs' shapes.
        """
        key = tuple(dims.values())
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MOST_CHOICES:
                self._known.clear()
            shapes = [
                (tuple(sizes.evaluate(n, dims) for n in buffer.shape), buffer.dtype.numpy)
                for buffer in self.program.linked.tables.outputs
            ]
            found = Choice(self.program.linked.work(dims), WORK_OF_CALL), shapes
            self._known[key] = found
        return found

    def _apart(self, array: Array) -> Array:
        """An array that no memory overlaps which the call writes to."""
        overlaps = any(np.may_share_memory(array, state) for state in self._updated)
        return array.copy() if overlaps else array


def compile_graph(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], updates: Mapping[Tensor, Tensor]
) -> Call:
    """Native code that computes `outputs` and gives states their `updates`."""
    return Call(Program(recall(Request(outputs, updates))), inputs)
