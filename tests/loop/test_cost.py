"""What the cost model counts, against counts made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

import exprgrad as eg
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.cost import Flops, Machine, assuming, flops, traffic
from exprgrad.loop.ir import Buffer, Kernel
from exprgrad.loop.lower import Target, lower
from exprgrad.loop.reason import chain, slow_ways, why
from exprgrad.loop.schedule import price, schedule
from exprgrad.loop.share import divisions
from tests.loop.stages import stages

MACHINE = Machine(vector_bytes=64, registers=32)


def kernel_of(output: Tensor) -> Kernel:
    """The last kernel of an expression, which stores it."""
    return lower([(output, Target(Buffer("y", output.shape, output.dtype, "output")))])[0][-1]


def moved(output: Tensor) -> dict[str, tuple[int, int]]:
    found = traffic(kernel_of(output)).items()
    return {buffer.name: (each.read, each.written) for buffer, each in found}


def test_a_product_has_two_operations_for_each_term() -> None:
    a, b = eg.input("a", (64, 784)), eg.input("b", (784, 256))
    assert flops(kernel_of(a @ b)) == {"float32": Flops(fused=2 * 64 * 784 * 256)}
    nbytes = {"a": (4 * 64 * 784, 0), "b": (4 * 784 * 256, 0), "y": (0, 4 * 64 * 256)}
    assert moved(a @ b) == nbytes


def test_what_a_loop_does_not_change_is_counted_once() -> None:
    x, rate = eg.input("x", (100,)), eg.input("rate", dtype="float64")
    counted = flops(kernel_of(x * (rate + 1).astype("float32") - x))
    assert counted == {"float32": Flops(single=200), "float64": Flops(single=1)}


def test_windows_that_overlap_are_read_once() -> None:
    image, filters = eg.input("image", (1, 3, 28, 28)), eg.input("filters", (6, 3, 5, 5))
    assert moved(eg.conv2d(image, filters))["image"] == (4 * 3 * 28 * 28, 0)


def test_rows_that_two_loops_read_are_counted_once() -> None:
    x = eg.input("x", (20, 8))
    assert moved(x @ x.T)["x"] == (4 * 20 * 8, 0)


def test_a_part_of_an_array_is_what_is_read() -> None:
    x = eg.input("x", (100, 10))
    assert moved(x[:20] * 2)["x"] == (4 * 200, 0)


def test_sizes_are_those_that_are_assumed() -> None:
    x = eg.input("x", ("n", 3))
    with assuming({"n": 7}):
        assert moved(x + 1)["x"] == (4 * 21, 0)


def test_the_reason_names_the_tile_and_what_is_read() -> None:
    a, b = eg.input("a", (64, 784)), eg.input("b", (784, 256))
    (way, *_) = divisions(schedule(kernel_of(a @ b), MACHINE), {})
    reason = why(way, MACHINE.registers)
    assert "accumulators of 32 registers" in reason
    assert "b is read with unit stride along j" in reason
    assert reason.endswith("threads divide i")
    claimed = why(replace(way, claimed=True), MACHINE.registers)
    assert claimed.endswith("threads claim parts of i")


def test_loops_without_vectors_say_so() -> None:
    x = eg.input("x", (3,))
    assert why(schedule(kernel_of(x[0] + x[1]), MACHINE), 32) == "a single point; " + ALONE


ALONE = "the first thread alone"


def test_a_sum_is_a_chain_of_the_steps_of_an_accumulator() -> None:
    x, w = eg.input("x", (1000,)), eg.input("w", (1000, 16))
    assert chain(schedule(kernel_of(x @ w), MACHINE)) == 1000 // 8
    assert chain(schedule(kernel_of(eg.max(w, axis=0)), MACHINE)) == 1000
    assert chain(schedule(kernel_of(eg.exp(x)), MACHINE)) == 0


def slow(output: Tensor) -> list[str]:
    return slow_ways(schedule(kernel_of(output), MACHINE))


X = eg.input("X", (1000, 100))
INDEX = eg.input("INDEX", (500,), dtype="int64")

SLOW_WAYS = {
    "y adds up a cumulative sum, each step after": lambda: eg.cumulative_sum(X, axis=0),
    "y adds rows to places known at run time": lambda: eg.grad(eg.take(X, INDEX).sum(), X),
    "X is gathered element by element: its index": lambda: eg.take(X[:, 0], INDEX),
}


@pytest.mark.parametrize("start", SLOW_WAYS)
def test_slow_ways_are_named_with_the_users_line(start: str) -> None:
    (note,) = slow(SLOW_WAYS[start]())
    assert note.startswith(start)
    assert "(test_cost.py:" in note


def test_a_state_that_is_copied_is_named() -> None:
    a, b, c = (eg.parameter(name, (100, 100), init=0.5) for name in "abc")
    notes = eg.function([], None, {a: a @ b, b: a, c: c * 2}).notes
    assert [note.split(" is stored twice")[0] for note in notes] == ["a"]
    assert "test_cost.py:" in notes[0]


@pytest.mark.parametrize("fast", [X * 2, X.sum(axis=1), X @ X.T, eg.take(X, INDEX)])
def test_nothing_else_is_called_slow(fast: Tensor) -> None:
    assert slow(fast) == []


@pytest.mark.parametrize("step", [2, 3, 4])
def test_elements_apart_are_read_one_by_one_where_vectors_have_no_masks(step: int) -> None:
    (kernel,) = stages([eg.input("x", (64, 480))[:, ::step]]).ordered
    masked, plain = (price(kernel, Machine(64, 32, masks=masks)) for masks in (True, False))
    assert 1.5 * masked < plain
