"""The two programs of a trainer: the training step, and the same without updates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exprgrad.errors import GraphError, NonFiniteError
from exprgrad.grad import grad
from exprgrad.graph.check import Demand, demands
from exprgrad.graph.elementwise import as_tensor
from exprgrad.graph.mode import replaced, running_statistics
from exprgrad.graph.node import walk
from exprgrad.graph.precision import decided
from exprgrad.graph.random import numbered
from exprgrad.graph.reduction import mean
from exprgrad.graph.show import listing, new_values
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.peak import together
from exprgrad.runtime.arguments import line_of, require_demands
from exprgrad.runtime.footprint import Footprint, footprint
from exprgrad.runtime.function import checked_update
from exprgrad.runtime.report import Stage
from exprgrad.runtime.step import Epoch
from exprgrad.train.data import Rows, Table, batch_dimension, inference_rows
from exprgrad.train.parts import is_mean
from exprgrad.train.rule import Optimizer

SLICE_SECONDS = 0.05  # how long native code keeps the interpreter waiting
GROWTH = 8.0

Means = dict[str, float]
Progress = Callable[[int, int, Means], None]  # steps done, steps in all, means so far


@dataclass(frozen=True)
class Program:
    """What runs over the rows of a table: scalars of each batch, and updates."""

    inputs: tuple[Tensor, ...]
    outputs: dict[str, Tensor]
    updates: dict[Tensor, Tensor]
    batch: str
    demands: list[Demand]
    epoch: Epoch
    written: tuple[Stage, ...] = ()

    @property
    def changeable(self) -> list[Tensor]:
        """What a fit may change: what steps update, and numbers that callbacks set."""
        roots = [*self.outputs.values(), *self.updates.values()]
        numbers = [node for node in walk(roots) if node.op == "state" and not node.ndim]
        return list(dict.fromkeys([*self.updates, *numbers]))

    @property
    def notes(self) -> list[str]:
        """What the user should know: slower ways taken, and why."""
        return self.epoch.notes

    def report(self) -> list[Stage]:
        """The stages of its making: what was written, then what the compiler made."""
        _, *made = self.epoch.report()
        return [*self.written, *made]

    def memory(self) -> Footprint:
        """What the steps of a `fit` hold in memory."""
        tables = self.epoch.program.linked.tables
        return footprint(tables, {"values before fit": together(self.changeable)})

    @cached_property
    def in_parts(self) -> bool:
        """Whether the outputs of all rows are means of those of parts of the rows."""
        return all(is_mean(node, self.batch) for node in self.outputs.values())

    def rows_at_a_time(self, table: Table, batch_size: int | None) -> int:
        """How many rows of `table` are taken at a time where nothing is updated."""
        if batch_size is None and not self.in_parts:
            return len(table)
        return inference_rows(table, batch_size)

    def require_sizes(self, table: Table, rows: int, batch_size: int) -> None:
        """Raise `InputError` where a batch of `rows` of this table cannot be computed."""
        last = rows % batch_size or batch_size
        for n in {min(batch_size, rows), last}:
            require_demands(self.demands, {**table.dims, self.batch: n})


def scalars(loss: Tensor, metrics: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The loss and the metrics by name, each a scalar of a batch.

    Raises `GraphError` for a loss that is not a floating-point scalar, and for a
    metric's name that has a meaning already.
    """
    if not isinstance(loss, Tensor) or loss.ndim or loss.dtype.kind != "f":
        given = loss.type if isinstance(loss, Tensor) else type(loss).__name__
        raise GraphError(
            f"the loss is a floating-point scalar, such as losses.mean(), not {given}"
        )
    if not isinstance(metrics, Mapping):
        given = type(metrics).__name__
        raise GraphError(f"metrics map names to expressions; {given} does not")
    found = {"loss": loss}
    for name, metric in metrics.items():
        if name in ("loss", "epoch", "step", "steps") or name.startswith("val_"):
            raise GraphError(
                f"a metric may not be called {name}, which the trainer uses"
            )
        metric = as_tensor(metric)
        found[name] = (
            mean(metric) if metric.ndim or metric.dtype.kind != "f" else metric
        )
    return found


def training_program(
    outputs: Mapping[str, Tensor],
    optimizer: Optimizer,
    parameters: Sequence[Tensor],
    updates: Mapping[Tensor, Tensor],
    counters: Mapping[Tensor, Tensor],
    precision: str,
) -> Program:
    """The step: forward, backward and every update, in training mode.

    `counters` has the trainer's own states for `eg.step` and its kind.

    The products of the loss, of its gradient and of `updates` are in `precision`, not
    those of the optimizer. Raises `GraphError` where the optimizer and the user update
    the same state, and where running statistics are not updated.
    """
    _require_followed(outputs, updates)
    image = decided([*outputs.values(), *updates.values()], True, precision)
    shown = {name: image[node] for name, node in outputs.items()}
    start = time.perf_counter()
    changes = optimizer.updates(shown["loss"], parameters)
    elapsed = 1e3 * (time.perf_counter() - start)
    for state, new in updates.items():
        if state in changes:
            raise GraphError(f"both optimizer and `updates` change {line_of(state)}")
        changes[state] = image[as_tensor(new)]
    checked = {state: checked_update(state, new) for state, new in changes.items()}
    written = (
        Stage("graph", 0.0, lambda: listing(outputs)),
        Stage("gradient", elapsed, lambda: listing(_slopes(shown["loss"], parameters))),
        Stage("updates", 0.0, lambda: listing(new_values(checked))),
    )
    compiled = rows_program(shown, checked, counters)
    return replace(compiled, written=written)


def _require_followed(
    outputs: Mapping[str, Tensor], updates: Mapping[Tensor, Tensor]
) -> None:
    """Without updates inference would read first values for ever, and so would chains."""
    for statistic, _ in running_statistics(outputs.values()):
        if statistic not in updates:
            raise GraphError(
                f"at inference {line_of(statistic)} takes the place of a batch's value, "
                f"but no step updates it; give the trainer what batch_norm gave: "
                f"updates=..."
            )
    for node in walk([outputs["loss"]]):
        by = node.cell.moved_by if node.op == "state" else None
        if by is not None and node not in updates:
            raise GraphError(
                f"each step moves on {line_of(node)}, but no update of it was given; "
                f"give the trainer what {by} gave: updates=..."
            )


def _slopes(loss: Tensor, parameters: Sequence[Tensor]) -> dict[str, Tensor]:
    gradients = grad(loss, list(parameters))
    return {f"d loss / d {p.name}": g for p, g in zip(parameters, gradients, strict=True)}


def inference_program(
    outputs: Mapping[str, Tensor], counters: Mapping[Tensor, Tensor], precision: str
) -> Program:
    """Loss and metrics in inference mode, with nothing updated."""
    image = decided(list(outputs.values()), False, precision)
    shown = {name: image[node] for name, node in outputs.items()}
    return rows_program(shown, {}, counters)


def rows_program(
    outputs: dict[str, Tensor],
    updates: dict[Tensor, Tensor],
    counters: Mapping[Tensor, Tensor],
) -> Program:
    """What computes `outputs` and `updates` of the rows of a batch.

    `counters` has the states for `eg.step` and its kind, so that none is shared; draws are
    numbered anew, so that they do not depend on what else was written.
    """
    roots = [*outputs.values(), *updates.values()]
    own = replaced(roots, counters)
    image = numbered([own[root] for root in roots])
    outputs = {name: image[own[node]] for name, node in outputs.items()}
    updates = {state: image[own[new]] for state, new in updates.items()}
    roots = [*outputs.values(), *updates.values()]
    inputs = tuple(node for node in walk(roots) if node.op == "input")
    batch = batch_dimension(inputs)
    epoch = Epoch(inputs, outputs, updates, batch)
    return Program(inputs, outputs, updates, batch, demands(roots), epoch)


class Pace:
    """How many steps fill a slice: short enough for Ctrl-C, long enough for speed."""

    def __init__(self) -> None:
        self.steps = 1

    def slices(self, total: int) -> Iterator[tuple[int, int]]:
        """(first, end) of each slice of `total` steps; the time between is measured."""
        first = 0
        while first < total:
            end = min(first + self.steps, total)
            start = time.perf_counter()
            yield first, end
            self._adapt(end - first, time.perf_counter() - start)
            first = end

    def _adapt(self, steps: int, seconds: float) -> None:
        wanted = steps * SLICE_SECONDS / max(seconds, 1e-9)
        self.steps = max(1, int(min(wanted, steps * GROWTH)))


def run(
    program: Program,
    table: Table,
    order: Rows,
    batch_size: int,
    pace: Pace,
    progress: Progress,
    check_finite: bool = False,
) -> Means:
    """The mean of each output over the rows of `order`, a batch weighing by its rows."""
    steps = -(-order.size // batch_size)
    running = program.epoch.over(table.arrays, order.size, batch_size)
    total = Total()
    for first, end in pace.slices(steps):
        values = running.run(order, first, end)
        if check_finite:
            _require_finite(values["loss"], first)
        weights = _rows_of_steps(order.size, batch_size, first, end)
        total.add(values, weights)
        progress(end, steps, total.means())
    return total.means()


def whole(program: Program, table: Table, check_finite: bool) -> Means:
    """One step on all rows of a table."""
    n = len(table)
    return run(program, table, table.rows, n, Pace(), lambda *_: None, check_finite)


class Total:
    """A mean in the making, of numbers that weigh by their rows: each is added to the sum of
    those before it, so that it does not matter how many come together.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._sums: dict[str, float] = {}

    def add(self, values: Mapping[str, Any], rows: Any) -> None:
        """Add each of `values`, which are means over `rows` rows."""
        self._rows += int(np.sum(rows))
        for name, value in values.items():
            terms = np.append(self._sums.get(name, 0.0), np.asarray(value, np.float64) * rows)
            self._sums[name] = float(np.add.accumulate(terms)[-1])

    def means(self) -> Means:
        """The means so far."""
        return {name: total / self._rows for name, total in self._sums.items()}


def _rows_of_steps(n: int, batch_size: int, first: int, end: int) -> NDArray[np.float64]:
    """How many rows each step takes: `batch_size`, and in the last what is left of `n`."""
    rows = np.full(end - first, float(batch_size))
    rows[-1] = min(batch_size, n - (end - 1) * batch_size)
    return rows


def _require_finite(losses: NDArray[np.floating], first: int) -> None:
    wrong = np.flatnonzero(~np.isfinite(losses))
    if wrong.size:
        i = int(wrong[0])
        raise NonFiniteError(
            f"the loss must be finite, but it is {losses[i]} in step {first + i} of "
            f"the epoch"
        )
