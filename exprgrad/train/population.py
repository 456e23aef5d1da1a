"""Statistics of the whole data set, in place of running ones, after training.

A running mean is late: it weighs the last batches most, which were seen by other
weights. And a mean of the batches' variances misses how far their means lie apart. So
each statistic is taken anew, over all rows, and lower layers first:

    mean ← Σ over rows of x / n                 the layers below being at inference
    var  ← Σ over rows of (x - mean)² / n       mean being the one just found

Ioffe and Szegedy 2015, Batch normalization, algorithm 2, with all data for its batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from exprgrad.errors import GraphError
from exprgrad.graph.dims import Dim
from exprgrad.graph.dtype import float64
from exprgrad.graph.elementwise import astype, size_value
from exprgrad.graph.leaves import state
from exprgrad.graph.mode import replaced, running_statistics
from exprgrad.graph.node import walk
from exprgrad.graph.precision import decided
from exprgrad.graph.tensor import Tensor
from exprgrad.runtime.arguments import line_of
from exprgrad.train.data import batch_dimension
from exprgrad.train.program import Program, rows_program


@dataclass(frozen=True)
class Population:
    """The running statistics of a graph, lower ones first, and what sums them up."""

    totals: dict[Tensor, Tensor]  # of each statistic, over the rows of a pass, float64
    rows: Tensor
    program: Program

    def settle(self, run_over_data: Callable[[], Any]) -> None:
        """Give each statistic its value by a pass over the data that `run_over_data` does.

        After an error all are as they were.
        """
        before = {statistic: statistic.value.copy() for statistic in self.totals}
        try:
            for statistic, total in self.totals.items():
                for sum in self.program.updates:
                    sum.cell.reset()
                run_over_data()
                statistic.value = total.value / self.rows.value
        except BaseException:
            for statistic, value in before.items():
                statistic.value = value
            raise


def population(
    outputs: Mapping[str, Tensor],
    updates: Mapping[Tensor, Tensor],
    counters: Mapping[Tensor, Tensor],
    precision: str,
) -> Population:
    """What finds the statistics that `outputs` read at inference, of those updated.

    Raises `GraphError` when there are none, or one stands for two of a batch.
    """
    found = _statistics(outputs, updates)
    image = decided(list(found.values()), False, precision)
    means: dict[Tensor, Tensor] = {}
    known: dict[Tensor, Tensor] = {}
    for statistic, batch in found.items():
        at_inference = image[batch]
        means[statistic] = replaced([at_inference], known)[at_inference]
        known[at_inference] = statistic
    inputs = [node for node in walk(means.values()) if node.op == "input"]
    rows = astype(size_value(Dim.named(batch_dimension(inputs))), float64)
    totals = {s: state(f"{s.name}.total", s.shape, dtype=float64) for s in means}
    sums = {
        total: total + rows * astype(means[s], float64) for s, total in totals.items()
    }
    seen = state("rows", dtype=float64)
    program = rows_program({}, {**sums, seen: seen + rows}, counters)
    return Population(totals, seen, program)


def _statistics(
    outputs: Mapping[str, Tensor], updates: Mapping[Tensor, Tensor]
) -> dict[Tensor, Tensor]:
    """Each running statistic, and what a batch has in its place; lower ones first."""
    found: dict[Tensor, Tensor] = {}
    for statistic, batch in running_statistics(outputs.values()):
        if statistic not in updates:
            continue
        if found.setdefault(statistic, batch) is not batch:
            raise GraphError(
                f"{line_of(statistic)} is the running statistic of two normalisations, "
                f"which have different ones; each needs its own"
            )
    if not found:
        raise GraphError(
            "finalize_batch_norm needs running statistics: the loss has no batch "
            "normalisation whose `updates` the trainer was given"
        )
    return found
