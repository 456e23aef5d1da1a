"""A whole epoch of mini-batches as one native call, or as a few slices of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exprgrad.backend.program import Slices
from exprgrad.errors import InputError
from exprgrad.graph.dims import Dim, names
from exprgrad.graph.elementwise import size_value
from exprgrad.graph.mode import replaced
from exprgrad.graph.movement import iota
from exprgrad.graph.tensor import Tensor, apply
from exprgrad.runtime.choice import Choice
from exprgrad.runtime.compile import Request, with_clock
from exprgrad.runtime.kept import recall
from exprgrad.runtime.program import Program
from exprgrad.runtime.report import Stage

Array = NDArray[Any]
ROWS = "rows of data"
ORDER = "order of rows"
# Below this many additions a step is over before threads have met at a barrier.
WORK_OF_STEP = 30_000


class Epoch:
    """Steps over the rows of arrays: each gathers its rows, computes, updates.

    `inputs` whose first axis is the dimension `batch` are cut into mini-batches, others
    are the same in every step. `outputs` are scalars, recorded for each step. The last,
    smaller batch runs in the same code.
    """

    def __init__(
        self,
        inputs: Sequence[Tensor],
        outputs: Mapping[str, Tensor],
        updates: Mapping[Tensor, Tensor],
        batch: str = "batch",
    ) -> None:
        self.batch = batch
        slices = Slices(batch)
        self._order = apply("input", (), ((Dim.named(ORDER),), iota(1).dtype, ORDER))
        whole = {node: _with_all_rows(node, batch) for node in inputs}
        gathered = _gathered(whole, self._order, slices)
        roots = [*outputs.values(), *updates.values()]
        image = replaced(roots, gathered)
        results = [image[node] for node in outputs.values()]
        changes = {state: image[new] for state, new in updates.items()}
        self.program = Program(recall(Request(results, changes, slices)))
        self._read = [None if node is self._order else node.name for node in self.program.inputs]
        self._sizes = list(_sizes(whole.values()))
        recorded = zip(outputs, self.program.linked.tables.outputs, strict=True)
        self._types = {name: buffer.dtype.numpy for name, buffer in recorded}
        self._choice = Choice(self.program.linked.work({}), WORK_OF_STEP)

    def with_clock(self) -> Epoch:
        """The same steps in a program that adds up how long each kernel takes, on as many
        threads as EXPRGRAD_THREADS says or on one.
        """
        twin = copy(self)
        twin.program = Program(with_clock(self.program.compiled))
        twin._choice = Choice(work=0, enough=1)
        return twin

    @property
    def notes(self) -> list[str]:
        """What the user should know: slower ways taken, and why."""
        return self.program.notes

    def report(self) -> list[Stage]:
        """The stages of the compilation."""
        return self.program.report()

    def over(self, data: Mapping[str, Array], rows: int, batch_size: int) -> Steps:
        """The steps over an order of `rows` rows of arrays, at most `batch_size` in each.

        The arrays are read in place, and kept as long as the steps are.
        """
        dims = {size: data[name].shape[axis] for size, name, axis in self._sizes}
        dims |= {ORDER: rows, self.batch: min(batch_size, rows)}
        arrays = [None if name is None else data[name] for name in self._read]
        return Steps(self.program, self._choice, self._types, arrays, dims, batch_size)


@dataclass(frozen=True, eq=False, slots=True)
class Steps:
    """The steps of an epoch over arrays that are known; `arrays` are the program's inputs,
    with None where the order of rows belongs, and `dims` the sizes of a whole step.
    """

    program: Program
    choice: Choice
    types: Mapping[str, np.dtype[Any]]
    arrays: Sequence[Array | None]
    dims: dict[str, int]
    batch_size: int

    def run(self, order: NDArray[np.int64], first: int, last: int) -> dict[str, Array]:
        """Run steps `first` .. `last` - 1; step s takes the rows that stand in `order`
        from s * `batch_size` on, at most `batch_size` of them.

        Gives each output's value of each step. Raises `IndexOutOfRange`; steps before the
        one that met a bad index have been done. Raises `InputError` for an order of another
        number of rows than the steps are for.
        """
        rows, count = self.dims[ORDER], last - first
        if len(order) != rows:
            raise InputError(f"the steps are for an order of {rows} rows, not of {len(order)}")
        inputs = [order if array is None else array for array in self.arrays]
        records = {name: np.empty(count, dtype) for name, dtype in self.types.items()}
        for start, end, threads in self.choice.slices(count):
            span = (first + start, first + end, rows, self.batch_size)
            rest = [record[start:] for record in records.values()] if start else records.values()
            self.program.run(inputs, self.dims, rest, span, threads)
        return records


def _sizes(whole: Iterable[Tensor]) -> Iterator[tuple[str, str, int]]:
    """Each named size, and the input and the axis that have it."""
    for node in whole:
        for axis, size in enumerate(node.shape):
            if isinstance(size, Dim) and str(size) in names(size):
                yield str(size), node.name, axis


def _with_all_rows(node: Tensor, batch: str) -> Tensor:
    """The input that holds all rows of which `node` is a mini-batch."""
    if not node.shape or node.shape[0] != Dim.named(batch):
        return node
    shape = (Dim.named(ROWS), *node.shape[1:])
    return apply("input", (), (shape, node.dtype, node.name))


def _gathered(
    whole: Mapping[Tensor, Tensor], order: Tensor, slices: Slices
) -> dict[Tensor, Tensor]:
    """The rows of a step, in place of each input."""
    place = size_value(Dim.named(slices.offset)) + iota(Dim.named(slices.batch))
    rows = apply("gather", (order, place), (0,))
    return {
        node: apply("gather", (full, rows), (0,))
        for node, full in whole.items()
        if full is not node
    }
