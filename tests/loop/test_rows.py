"""Rows that a step names are changed in place; the others are not touched."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import IndexOutOfRange
from exprgrad.graph.elementwise import as_tensor
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.ir import Store
from tests.loop.stages import stages

RNG = np.random.default_rng(5)
INDEX = np.array([[3, 7, 3], [0, -1, 7]])
ROWS = RNG.normal(size=(2, 3, 4)).astype(np.float32)


def table() -> Tensor:
    return eg.parameter("rows_table", (9, 4), RNG.normal(size=(9, 4)).astype(np.float32))


def inputs() -> tuple[Tensor, Tensor]:
    return eg.input("rows", (2, 3, 4)), eg.input("index", (2, 3), "int64")


def stores(state: Tensor, new: Tensor) -> list[Store]:
    """All that is stored by a step that gives the state its new value."""
    kernels = stages([], {state: new}).ordered
    return [store for kernel in kernels for store in kernel.stores]


FORMS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], float]] = {
    "subtracted": (lambda w, s: w - 0.5 * s, -0.5),
    "added": (lambda w, s: w + s, 1.0),
    "before the state": (lambda w, s: s + w, 1.0),
    "added to": (lambda w, s: s / 4 + w, 0.25),
    "negative": (lambda w, s: w - (-s) * 3, 3.0),
    "at a rate of the step": (lambda w, s: w - eg.astype(eg.step + 2, "float32") * s, -2.0),
}


@pytest.mark.parametrize("form", FORMS)
def test_only_named_rows_are_stored(form: str) -> None:
    step, factor = FORMS[form]
    eg.step.value = 0
    w, (rows, index) = table(), inputs()
    new = step(w, eg.scatter_add(rows, index, 9))
    checked, store = stores(w, new)
    assert checked.buffer.shape == INDEX.shape
    assert store.accumulate
    assert store.buffer.source is w
    wanted = w.value.astype(np.float64)
    np.add.at(wanted, INDEX, factor * ROWS.astype(np.float64))
    eg.function([rows, index], None, {w: new})(ROWS, INDEX)
    np.testing.assert_allclose(w.value, wanted, rtol=1e-5)


OTHERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "a rate for each element": lambda w, s: w - w * s,
    "decay": lambda w, s: 0.9 * w - s,
    "read twice": lambda w, s: w - 0.5 * s * eg.tanh(s),
    "in other places": lambda w, s: w - s[::-1],
    "subtracted from": lambda w, s: s - w,
}


@pytest.mark.parametrize("form", OTHERS)
def test_what_changes_all_rows_is_stored_whole(form: str) -> None:
    w, (rows, index) = table(), inputs()
    summed = np.zeros((9, 4))
    np.add.at(summed, INDEX, ROWS.astype(np.float64))
    (wanted,) = evaluate([OTHERS[form](w, as_tensor(summed.astype(np.float32)))])
    new = OTHERS[form](w, eg.scatter_add(rows, index, 9))
    assert any(s.buffer.source is w and not s.accumulate for s in stores(w, new))
    eg.function([rows, index], None, {w: new})(ROWS, INDEX)
    np.testing.assert_allclose(w.value, wanted, rtol=1e-5, atol=1e-6)


def test_a_step_that_reads_other_rows_of_the_table_reads_them_as_they_were() -> None:
    w, (_, index) = table(), inputs()
    before = w.value.copy()
    neighbours = eg.take(w, index + 1)  # of rows that the step changes
    new = w - 0.5 * eg.scatter_add(neighbours, index, 9)
    eg.function([index], None, {w: new})(INDEX % 8)
    wanted = before.copy()
    np.add.at(wanted, INDEX % 8, -0.5 * before[INDEX % 8 + 1])
    np.testing.assert_allclose(w.value, wanted, rtol=1e-5)


def test_a_bad_index_leaves_the_table_as_it_was() -> None:
    w, (rows, index) = table(), inputs()
    before = w.value.copy()
    step = eg.function([rows, index], None, {w: w + eg.scatter_add(rows, index, 9)})
    with pytest.raises(IndexOutOfRange, match="9"):
        step(ROWS, INDEX + 2)
    assert np.array_equal(w.value, before)


def test_an_embedding_is_trained_without_memory_of_its_size(monkeypatch) -> None:
    n, words = 5_000, RNG.integers(0, 5_000, (64, 3))
    bits, note = [], "words_table adds rows to places known at run time"
    for threads in ("1", "2"):
        monkeypatch.setenv("EXPRGRAD_THREADS", threads)
        w = eg.parameter("words_table", (n, 32), init=eg.init.normal(0.1))
        x = eg.input("words", ("batch", 3), "int64")
        loss = eg.mean(eg.sum(eg.take(w, x), 1) ** 2)
        trainer = eg.Trainer(loss, eg.optim.SGD(0.1))
        assert trainer.memory().bytes(batch=16) < 3 * w.value.nbytes  # two for an error
        assert [n for n in trainer.program.notes if n.startswith(note) and "test_rows.py:" in n]
        trainer.fit({"words": words}, epochs=2, batch_size=16)
        bits.append(w.value.copy())
    assert np.array_equal(*bits)
    named = np.isin(np.arange(n), words)
    assert np.array_equal((bits[0] != w.cell._first()).any(1), named)
