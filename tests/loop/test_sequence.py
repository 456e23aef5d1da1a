"""The sequence of kernels: valid, and with few bytes alive at a time."""

from __future__ import annotations

import random

import pytest

import exprgrad as eg
from exprgrad.errors import CompileError
from exprgrad.loop import ir
from exprgrad.loop.check import check_order
from exprgrad.loop.cost import assuming
from exprgrad.loop.ir import Buffer, Kernel, Store
from exprgrad.loop.memory import lives, nbytes, plan
from exprgrad.loop.order import order
from exprgrad.loop.sequence import sequence
from tests.loop.stages import stages

F32 = eg.float32
WIDTH = 64


def kernel(writes: Buffer, *reads: Buffer) -> Kernel:
    """Stores to one buffer a value that reads the first element of others."""
    total = ir.zero(F32)
    for buffer in reads:
        zeros = [ir.number(0)] * len(buffer.shape)
        total = ir.scalar("add", (total, ir.read(buffer, buffer.shape, zeros)), (), F32)
    return Kernel((Store(writes, (), (ir.number(0),), total),))


def buffer(name: str, size: int, role: str = "temporary") -> Buffer:
    return Buffer(name, (size,), F32, role)


def dependents(kernels: list[Kernel]) -> list[set[int]]:
    return [
        {m for m, user in enumerate(kernels) if user.reads() & source.writes()}
        for source in kernels
    ]


def test_what_waits_for_nothing_runs_right_before_its_reader() -> None:
    a, b, mask, c = (buffer(name, 8) for name in ("a", "b", "mask", "c"))
    kernels = [kernel(mask), kernel(a), kernel(b, a), kernel(c, b, mask)]
    assert sequence(kernels, dependents(kernels), set(), set()) == [1, 2, 0, 3]


def test_a_kernel_that_frees_memory_runs_as_soon_as_it_can() -> None:
    a, b, c = (buffer(name, 8) for name in "abc")
    early, last = (buffer(name, 8, "output") for name in ("early", "last"))
    kernels = [kernel(a), kernel(b, a), kernel(c, b), kernel(last, c), kernel(early, a)]
    assert sequence(kernels, dependents(kernels), set(), set()) == [0, 4, 1, 2, 3]


def test_held_kernels_wait_for_the_first() -> None:
    a, w, done = buffer("a", 8), buffer("w", 8, "state"), buffer("done", 8, "output")
    kernels = [kernel(w), kernel(a), kernel(done, a)]
    after = dependents(kernels)
    assert sequence(kernels, after, {2}, {0}) == [1, 2, 0]
    assert sequence(kernels, after, set(), {0}) == [0, 1, 2]


def test_every_sequence_is_topological() -> None:
    rng = random.Random(0)
    for _ in range(50):
        n = rng.randrange(1, 30)
        buffers = [buffer(f"b{i}", rng.choice([1, 8, 64])) for i in range(n)]
        sources = [rng.sample(buffers[:i], min(i, rng.randrange(4))) for i in range(n)]
        kernels = [kernel(b, *s) for b, s in zip(buffers, sources, strict=True)]
        after = dependents(kernels)
        held = {i for i in range(n) if not after[i] and rng.random() < 0.5}
        first = {i for i in range(n) if i not in held and rng.random() < 0.2}
        found = sequence(kernels, after, first, held)
        place = {i: at for at, i in enumerate(found)}
        assert sorted(found) == list(range(n))
        assert all(place[i] < place[j] for i in range(n) for j in after[i])
        assert all(place[i] < place[j] for i in first for j in held)


def test_a_gradient_updates_its_parameter_before_the_next_is_computed() -> None:
    depth = 12
    h = eg.input("x", ("batch", WIDTH))
    weights = [eg.parameter(f"sequence {n}", (WIDTH, WIDTH)) for n in range(depth)]
    for weight in weights:
        h = eg.tanh(h @ weight)
    loss = (h * h).mean()
    optimizer = eg.optim.SGD(0.1)
    dims = {"batch": 1024}
    with assuming(dims):
        made = stages([loss], optimizer.updates(loss, weights))
    numbers = [n for n, phase in enumerate(made.phases) for _ in phase]
    needed = lives([s.kernel for s in made.scheduled], numbers)
    layer = 1024 * WIDTH * 4
    # All activations live when the backward pass begins, and few cotangents at a time.
    assert depth * layer <= plan(needed, dims).nbytes <= (depth + 5) * layer
    assert max(nbytes(life.buffer, dims) for life in needed) == layer


def test_kernels_that_wait_for_one_another_are_refused() -> None:
    first, second, last = (buffer(name, 8) for name in ("first", "second", "last"))
    kernels = [kernel(first, second), kernel(second, first), kernel(last, second)]
    with pytest.raises(CompileError, match="wait for one another"):
        sequence(kernels, dependents(kernels), set(), set())


def test_what_two_kernels_store_is_read_after_both() -> None:
    """Each a piece of it: the second waits longer."""
    a, late, x = buffer("a", 8, "input"), buffer("late", 800), buffer("x", 16)
    total, early = buffer("total", 1, "output"), buffer("early", 8)
    kernels = [
        kernel(late, early), kernel(early, a), kernel(x, late), kernel(x, a), kernel(total, x)
    ]  # fmt: skip
    found = order(kernels, {})
    written = [name for each in found for name in each.writes()]
    assert written.count(x) == 2
    assert written[-1] is total
    check_order(found)


def test_a_state_that_two_kernels_store_is_written_apart() -> None:
    new, old = buffer("new", 8, "next"), buffer("old", 8, "state")
    kernels = [kernel(new, old), kernel(new, old)]
    *stores, copy = order(kernels, {new: old})
    assert [each.writes() for each in stores] == [{new}, {new}]
    assert copy.reads() == {new}
    assert copy.writes() == {old}
