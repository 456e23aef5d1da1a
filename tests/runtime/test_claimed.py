"""Programs whose threads claim parts: the same bits, however many they are."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import IndexOutOfRange
from exprgrad.runtime.program import Program
from exprgrad.runtime.step import Epoch
from tests.compiled import assert_same_bits, compiled, native, settings

ROWS, WIDTH, HIDDEN, CLASSES = 200, 256, 512, 10
RNG = np.random.default_rng(0)
STEPS = 4
DATA = {
    "x": RNG.normal(size=(ROWS, WIDTH)).astype("float32"),
    "y": RNG.integers(0, CLASSES, ROWS),
}


def trained(threads: int) -> list[np.ndarray]:
    """Two epochs of a network: its losses and its weights."""
    x, y = eg.input("x", ("batch", WIDTH)), eg.input("y", ("batch",), "int64")
    rng = np.random.default_rng(1)
    v = eg.parameter("v", (WIDTH, HIDDEN), init=rng.normal(0, 0.1, (WIDTH, HIDDEN)))
    w = eg.parameter("w", (HIDDEN, CLASSES), init=rng.normal(0, 0.1, (HIDDEN, CLASSES)))
    loss = eg.mean(eg.nn.cross_entropy(eg.relu(x @ v) @ w, y))
    updates = {p: p - 0.1 * g for p, g in zip((v, w), eg.grad(loss, [v, w]), strict=True)}
    with settings(claims=True), pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPRGRAD_THREADS", str(threads))
        epoch = Epoch([x, y], {"loss": loss}, updates)
        assert any(scheduled.claimed for scheduled in epoch.program.compiled.kernels)
        steps, order = epoch.over(DATA, ROWS, 64), np.arange(ROWS)
        records = [steps.run(order, 0, STEPS)["loss"] for _ in range(2)]
    return [*records, v.value.copy(), w.value.copy()]


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_the_bits_of_training_do_not_depend_on_the_threads(threads: int) -> None:
    for ours, alone in zip(trained(threads), trained(1), strict=True):
        assert_same_bits(ours, alone)


def product() -> tuple[eg.Tensor, eg.Tensor, Program]:
    """Rows of x, in the order of places, times weights."""
    x, places = eg.input("x", (ROWS, HIDDEN)), eg.input("places", (ROWS,), "int64")
    weights = eg.constant(RNG.normal(size=(HIDDEN, WIDTH)).astype("float32"))
    program = compiled([eg.take(x, places, axis=0) @ weights], claims=True)
    assert any(scheduled.claimed for scheduled in program.compiled.kernels)
    return x, places, program


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_what_a_call_claimed_the_next_call_finds_free(threads: int) -> None:
    x, places, program = product()
    values = {x: RNG.normal(size=x.shape).astype("float32"), places: np.arange(ROWS)[::-1]}
    first = native(program, values)[0]
    for _ in range(5):
        assert_same_bits(native(program, values, threads=threads)[0], first)


def test_a_call_that_met_a_bad_index_leaves_nothing_claimed() -> None:
    x, places, program = product()
    good = {x: RNG.normal(size=x.shape).astype("float32"), places: np.arange(ROWS)}
    bad = {**good, places: np.where(np.arange(ROWS) == 150, ROWS, 0)}
    first = native(program, good)[0]
    for _ in range(3):
        with pytest.raises(IndexOutOfRange, match=f"index {ROWS}"):
            native(program, bad, threads=2)
        assert_same_bits(native(program, good, threads=2)[0], first)
