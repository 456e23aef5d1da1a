"""Phases: threads that wait for nobody within one compute the same, and there are few."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

import exprgrad as eg
from exprgrad.backend.claim import UNITS
from exprgrad.graph import dims as sizes
from exprgrad.graph.evaluate import dims_of
from exprgrad.graph.tensor import Tensor
from exprgrad.loop import ir, phases
from exprgrad.loop.cost import Machine
from exprgrad.loop.ir import Axis, Kernel
from exprgrad.loop.schedule import Scheduled, schedule
from exprgrad.loop.share import Anyone, divisions, slab
from tests.backend.test_random import LOOPS, loops, with_updates
from tests.compiled import as_arrays
from tests.loop.stages import MACHINE, Stages, interpreted, stages
from tests.rewrite.random_graphs import build, expressions


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads divide even the least work."""
    monkeypatch.setattr(phases, "PARALLEL_WORK", 0)


# A machine without vectors divides even small loops in many blocks.
NARROW = Machine(8, 32)


def part(
    scheduled: Scheduled, thread: int, threads: int, dims: dict[str, int]
) -> Kernel:
    """What one of the threads runs of a kernel: whole blocks of each divided loop."""
    kernel = scheduled.kernel
    if scheduled.parallel is None:
        return kernel if thread == 0 else Kernel(())
    images, axes = {}, {}
    for axis in (axis for axis, how in scheduled.how.items() if how.parallel):
        n, share = sizes.evaluate(axis.extent, dims), scheduled.share(axis)
        blocks = -(-n // share)
        low, high = (min(n, blocks * t // threads * share) for t in (thread, thread + 1))
        axes[axis] = Axis(axis.name, high - low)
        images[ir.axis_value(axis)] = ir.add(ir.axis_value(axes[axis]), ir.number(low))
    return Kernel(tuple(ir.replaced(s, images, axes) for s in kernel.stores))


def one_after_another(
    made: Stages, threads: int, dims: dict[str, int]
) -> Iterator[Kernel]:
    """Each phase, the last thread running all of its part before the one before it."""
    for phase in made.phases:
        for thread in reversed(range(threads)):
            for scheduled in phase:
                yield part(scheduled, thread, threads, dims)


@given(
    case=st.one_of(expressions(), loops()),
    seed=st.integers(0, 99),
    threads=st.sampled_from((3, 3 * UNITS)),
)
@examples(max_examples=40, deadline=None)
def test_threads_of_a_phase_need_not_wait(case, seed, threads):
    """Whichever thread is the first through a phase, all values are the same; so they are
    for the parts that threads claim.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phases, "PARALLEL_WORK", 0)
        case, updates = with_updates(case, seed)
        made = stages(case.outputs, updates, NARROW)
    held(made, case.values, threads)


def held(made: Stages, values, threads: int) -> None:
    dims = dims_of(as_arrays(values))
    buffers = [*made.outputs, *made.states.values()]
    wanted = interpreted(made.ordered, buffers, values)
    found = interpreted(list(one_after_another(made, threads, dims)), buffers, values)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


X, Y = eg.input("x", ("batch", 64)), eg.input("y", ("batch",), "int64")


def network(*sizes: int) -> tuple[Tensor, list[Tensor]]:
    """The loss of a classifier, and its parameters."""
    weights, x = [], X
    for n, (a, b) in enumerate(pairwise(sizes)):
        weights += [eg.parameter(f"w{n}", (a, b)), eg.parameter(f"b{n}", (b,))]
        x = eg.relu(x) @ weights[-2] + weights[-1]
    return eg.mean(eg.nn.cross_entropy(x, Y)), weights


def counted(made: Stages) -> list[tuple[int, bool]]:
    """How many kernels each phase has, and whether threads divide any of them."""
    return [(len(p), any(s.parallel for s in p)) for p in made.phases]


@pytest.mark.parametrize("hidden", [(), (128,), (128, 80, 48)])
def test_a_network_waits_once_before_its_parameters(hidden):
    """Rows of the batch go through all layers and back; the rest needs all rows."""
    loss, weights = network(64, *hidden, 10)
    rate = eg.state("rate", ())
    gradients = eg.grad(loss, weights)
    pairs = zip(weights, gradients, strict=True)
    made = stages([loss], {w: w - rate * g for w, g in pairs})
    assert [many for _, many in counted(made)] == [True, True]
    written = [s.kernel.writes() for s in made.phases[1]]
    assert {b.source for buffers in written for b in buffers} >= set(weights)


def test_a_state_that_all_read_is_written_between_two_phases():
    loss, weights = network(64, 128, 10)
    count = eg.state("count", (), init=0.0)
    pairs = zip(weights, eg.grad(loss, weights), strict=True)
    updates = {w: w - g / (count + 1) for w, g in pairs}
    made = stages([loss], {**updates, count: count + 1})
    assert [many for _, many in counted(made)] == [True, False, True]


def rows_after(first: Tensor, last: Tensor) -> list[int]:
    """In which phase each of two outputs is computed, the second reading the first."""
    made = stages([first, last])
    return [
        n for n, phase in enumerate(made.phases) for s in phase for _ in s.kernel.stores
    ]


@pytest.mark.parametrize(
    ("last", "waits"),
    [
        (lambda h: eg.logsumexp(h, 1), False),
        (lambda h: eg.logsumexp(h, 0), True),
        (lambda h: eg.softmax(h, 1) @ eg.parameter("v", (96, 40)), False),
        (lambda h: eg.permute_dims(h, (1, 0)) @ h, True),
        (lambda h: eg.logsumexp(eg.reshape(h, (64, 12, 8)), 1), False),
        (lambda h: eg.logsumexp(h[::-1], 1), True),
        (lambda h: eg.logsumexp(eg.reshape(h, (32, 192)), 1), True),
        (lambda h: eg.logsumexp(eg.reshape(h, (48, 128)), 1), True),
    ],
    ids=[
        "rows",
        "down the rows",
        "contraction",
        "all rows",
        "view",
        "reversed",
        "pairs of rows",
        "parts of rows",
    ],
)
def test_who_waits(eager, last, waits):
    hidden = eg.tanh(eg.input("a", (64, 80)) @ eg.parameter("w", (80, 96)))
    made = stages([hidden, last(hidden)])
    assert any(s.parallel for s in made.phases[0])
    assert (len(made.phases) > 1) == waits


def test_a_slab_is_the_part_of_a_buffer_that_a_loop_divides():
    i, j = Axis("i", 6), Axis("j", 8)
    row, column = ir.axis_value(i), ir.axis_value(j)
    assert slab((6, 8), (row, column), i, 2) == slab(
        (1, 6, 2, 4), (ir.number(0), row, row, row), i, 2
    )
    flat = Axis("k", 48)
    assert slab((48,), (ir.axis_value(flat),), flat, 16) == slab(
        (6, 8), (row, column), i, 2
    )
    assert slab((6, 8), (row, column), j, 4) == slab((12, 8), (row, column), j, 4)
    assert slab((6, 8), (row, column), j, 4) != slab((6, 8), (row, column), j, 8)
    assert slab((8, 6), (column, row), i, 2) != slab((6, 8), (row, column), i, 2)
    assert slab((6, 8), (ir.add(row, ir.number(-1)), column), i, 2) is Anyone.UNKNOWN


def claims(made: Stages) -> list[bool]:
    return [all(scheduled.claimed for scheduled in phase) for phase in made.phases]


def test_parts_are_claimed_where_the_work_is_worth_it():
    for hidden, wanted in ((1024, False), (16384, True)):
        loss, weights = network(64, hidden, 10)
        pairs = zip(weights, eg.grad(loss, weights), strict=True)
        assert any(claims(stages([loss], {w: w - 0.1 * g for w, g in pairs}))) == wanted


@pytest.fixture
def worth(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least work is worth a claim."""
    monkeypatch.setattr(phases, "CLAIMED_WORK", 0)


def test_few_blocks_are_not_claimed(worth):
    """A part of less than a block would be none, and the rest as large as a share."""
    for rows, wanted in ((16, [False]), (256, [True])):
        x = eg.input("x", (rows, 4096))
        made = stages([eg.cumulative_sum(eg.tanh(x), 1)])
        assert [scheduled.parallel.extent for scheduled in made.scheduled] == [rows]
        assert claims(made) == wanted


def test_parts_do_not_fill_a_panel_each(worth):
    """Of few columns the rows are divided; each part would copy the whole factor."""
    x, w = eg.input("x", (4096, 256)), eg.input("w", (256, 256))
    made = stages([x @ w.T])
    (scheduled,) = made.scheduled
    assert scheduled.panels
    assert scheduled.parallel not in scheduled.panels
    assert claims(made) == [False]
    assert claims(stages([x @ w])) == [True]


def test_loops_that_all_threads_run_are_not_claimed(worth):
    """Each part would run them again."""
    rows = eg.input("x", (1024, 1024))
    made = stages([eg.tanh(rows), eg.tanh(eg.input("y", (3,)))])
    large, small = (store for each in made.scheduled for store in each.kernel.stores)
    for stores, wanted in (((large,), True), ((large, small), False)):
        (way,) = divisions(schedule(Kernel(stores), MACHINE), {})
        assert phases.is_claimed([way]) == wanted


def test_random_programs_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    """The property at the top is not empty."""
    monkeypatch.setattr(phases, "PARALLEL_WORK", 0)
    made = stages(build(5, 20, LOOPS).outputs, machine=NARROW)
    assert any(s.parallel for s in made.scheduled)
    assert any(sum(s.parallel is not None for s in phase) > 1 for phase in made.phases)


@pytest.mark.parametrize("rows", [32, 64, 128])
@pytest.mark.parametrize("named", [False, True])
def test_two_threads_have_equally_many_rows_in_tiles_of_six(rows: int, named: bool) -> None:
    a, b = eg.input("a", ("rows" if named else rows, 200)), eg.input("b", (200, 512))
    (scheduled,) = stages([a @ b]).scheduled
    (axis,) = (axis for axis, how in scheduled.how.items() if how.parallel)
    assert scheduled.of(axis).tile == 6
    parts = [part(scheduled, thread, 2, {"rows": rows}) for thread in (0, 1)]
    lengths = [n for each in parts for n in (x.extent for x in each.stores[0].axes) if n != 512]
    assert lengths == [rows // 2, rows // 2]
