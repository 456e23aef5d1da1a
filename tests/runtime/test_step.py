"""An epoch in one native call, against a Python loop of NumPy's steps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import IndexOutOfRange, InputError
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.leaves import step
from exprgrad.runtime.step import Epoch
from tests.compiled import assert_same_bits, settings

ROWS, WIDTH, CLASSES = 23, 5, 3
TINY = {"rtol": 1e-11, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _fresh():
    """No step before the first, nothing kept on disk."""
    with settings():
        step.value = 0
        yield
        step.value = 0


class Model:
    """A linear classifier of x * scale; its states begin anew at each `reset`."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.x = eg.input("x", ("batch", WIDTH), "float64")
        self.y = eg.input("y", ("batch",), "int64")
        self.scale = eg.input("scale", (WIDTH,), "float64")
        self.first = rng.normal(size=(WIDTH, CLASSES))
        self.w = eg.parameter("w", (WIDTH, CLASSES), init=self.first, dtype="float64")
        self.b = eg.parameter("b", (CLASSES,), dtype="float64")
        logits = (self.x * self.scale) @ self.w + self.b
        self.loss = eg.mean(eg.nn.cross_entropy(logits, self.y))
        dw, db = eg.grad(self.loss, [self.w, self.b])
        self.updates = {
            self.w: self.w - 0.1 * dw,
            self.b: self.b - 0.1 * db,
            step: step + 1,
        }
        self.outputs = {"loss": self.loss, "rows": eg.sum(eg.ones(("batch",)))}
        self.data = {
            "x": rng.normal(size=(ROWS, WIDTH)),
            "y": rng.integers(0, CLASSES, ROWS),
            "scale": rng.normal(size=WIDTH),
        }
        self.order = rng.permutation(ROWS)

    def epoch(self) -> Epoch:
        return Epoch([self.x, self.y, self.scale], self.outputs, self.updates)

    def reset(self) -> None:
        self.w.value, self.b.value, step.value = self.first, np.zeros(CLASSES), 0

    def states(self) -> list:
        return [np.array(node.value) for node in (self.w, self.b, step)]

    def by_numpy(self, batch_size: int, steps: int) -> tuple[list, list]:
        """Losses and states of that many steps, one after another."""
        losses, states = (
            [],
            dict(zip((self.w, self.b, step), self.states(), strict=True)),
        )
        for n in range(steps):
            rows = self.order[n * batch_size : (n + 1) * batch_size]
            given = {"x": self.data["x"][rows], "y": self.data["y"][rows]}
            values = {**given, "scale": self.data["scale"], **states}
            loss, *new = evaluate([self.loss, *self.updates.values()], values)
            losses.append(float(loss))
            states = dict(zip(self.updates, new, strict=True))
        return losses, list(states.values())


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("batch_size", [1, 4, 7, 23, 50])
def test_each_step_is_numpys(model, batch_size, threads, monkeypatch):
    """The last, smaller batch and batches above the data among them."""
    monkeypatch.setenv("EXPRGRAD_THREADS", threads)
    steps = -(-ROWS // batch_size)
    model.reset()
    losses, states = model.by_numpy(batch_size, steps)
    found = model.epoch().over(model.data, ROWS, batch_size).run(model.order, 0, steps)
    np.testing.assert_allclose(found["loss"], losses, **TINY)
    sizes = [min(batch_size, ROWS - n * batch_size) for n in range(steps)]
    assert found["rows"].tolist() == sizes
    for got, wanted in zip(model.states(), states, strict=True):
        np.testing.assert_allclose(got, wanted, **TINY)


@pytest.mark.parametrize("cuts", [(0, 6), (0, 1, 2, 6), (0, 5, 6), (0, 0, 3, 6)])
def test_slices_give_the_bits_of_one_call(model, cuts):
    steps = model.epoch().over(model.data, ROWS, 4)
    model.reset()
    whole = steps.run(model.order, 0, 6)["loss"]
    states = model.states()
    model.reset()
    parts = [steps.run(model.order, first, last)["loss"] for first, last in pairwise(cuts)]
    assert_same_bits([np.concatenate(parts)], [whole])
    assert_same_bits(model.states(), states)


@pytest.mark.parametrize("rows", [0, ROWS - 1, ROWS + 1])
def test_an_order_of_other_rows_is_refused(model, rows):
    model.reset()
    before = model.states()
    steps = model.epoch().over(model.data, ROWS, 4)
    with pytest.raises(InputError, match=f"order of {ROWS} rows, not of {rows}"):
        steps.run(np.zeros(rows, np.int64), 0, 1)
    assert_same_bits(model.states(), before)


def test_memory_mapped_rows_are_read_in_place(model, tmp_path):
    np.save(tmp_path / "x.npy", model.data["x"])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    epoch = model.epoch()
    results = []
    for x in (model.data["x"], mapped):
        model.reset()
        steps = epoch.over({**model.data, "x": x}, ROWS, 4)
        results.append(steps.run(model.order, 0, 6)["loss"])
    assert_same_bits(*[[r] for r in results])


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("bad", [CLASSES, -CLASSES - 1])
def test_bad_label_leaves_the_steps_before_it(model, bad, threads, monkeypatch):
    monkeypatch.setenv("EXPRGRAD_THREADS", threads)
    labels = model.data["y"].copy()
    labels[model.order[2 * 4 + 3]] = bad  # a row of the third step
    model.reset()
    _, states = model.by_numpy(4, 2)
    steps = model.epoch().over({**model.data, "y": labels}, ROWS, 4)
    with pytest.raises(IndexOutOfRange, match=f"class {bad} is none of the 3") as caught:
        steps.run(model.order, 0, 6)
    assert "test_step.py" in str(caught.value)
    for got, wanted in zip(model.states(), states, strict=True):
        np.testing.assert_allclose(got, wanted, **TINY)


def test_draws_differ_by_step_and_are_the_same_again():
    x = eg.input("x", ("batch", 40))
    kept = eg.sum(eg.astype(eg.random.uniform(x.shape) < 0.5, "float32") * x)
    epoch = Epoch([x], {"kept": kept}, {step: step + 1})
    steps, order = epoch.over({"x": np.ones((9, 40), "float32")}, 9, 1), np.arange(9)
    runs = []
    for cuts in ((0, 9), (0, 4, 9)):
        step.value = 0
        parts = [steps.run(order, a, b)["kept"] for a, b in pairwise(cuts)]
        runs.append(np.concatenate(parts))
    assert_same_bits([runs[0]], [runs[1]])
    assert len(set(runs[0].tolist())) > 3
    expected = []
    for n in range(9):
        (value,) = evaluate([kept], {x: np.ones((1, 40)), step: n})
        expected.append(float(value))
    assert runs[0].tolist() == expected


@pytest.mark.parametrize("threads", ["1", "2"])
def test_embeddings(threads, monkeypatch):
    """A table whose rows are gathered, and scattered to by the gradient."""
    monkeypatch.setenv("EXPRGRAD_THREADS", threads)
    rng = np.random.default_rng(0)
    first = rng.normal(size=(11, 6))
    i, y = eg.input("i", ("batch", 3), "int64"), eg.input("y", ("batch",), "float64")
    table = eg.parameter("table", (11, 6), init=first, dtype="float64")
    loss = eg.mean((eg.sum(eg.take(table, i), (1, 2)) - y) ** 2)
    new = table - 0.01 * eg.grad(loss, table)
    data = {"i": rng.integers(-11, 11, (20, 3)), "y": rng.normal(size=20)}
    order = rng.permutation(20)
    losses, value = [], first
    for n in range(3):
        rows = order[n * 8 : n * 8 + 8]
        batch = {"i": data["i"][rows], "y": data["y"][rows], "table": value}
        one, value = evaluate([loss, new], batch)
        losses.append(float(one))
    found = Epoch([i, y], {"loss": loss}, {table: new}).over(data, 20, 8).run(order, 0, 3)
    np.testing.assert_allclose(found["loss"], losses, **TINY)
    np.testing.assert_allclose(table.value, value, **TINY)


def test_an_epoch_without_updates_measures_alone(model):
    model.reset()
    epoch = Epoch([model.x, model.y, model.scale], {"loss": model.loss}, {})
    before = model.states()
    found = epoch.over(model.data, ROWS, ROWS).run(np.arange(ROWS), 0, 1)
    (wanted,) = evaluate([model.loss], model.data)
    np.testing.assert_allclose(found["loss"], [wanted], **TINY)
    assert_same_bits(model.states(), before)


def test_two_threads_that_meet_bad_indices_name_the_smallest(monkeypatch):
    """Whoever is the first: each has a slot of its own, and both leave at one place."""
    monkeypatch.setenv("EXPRGRAD_THREADS", "2")
    table, total = eg.parameter("table", (500, 40)), eg.state("total", (), init=0.0)
    rows = eg.input("rows", ("batch",), "int64")
    found = eg.sum(eg.exp(eg.take(table, rows)))
    epoch = Epoch([rows], {"found": found}, {total: total + found})
    given = np.arange(3 * 256) % 500
    given[256:512:7] = 900 - np.arange(37)
    given[512:] = 700
    steps = epoch.over({"rows": given}, len(given), 256)
    for _ in range(50):
        total.value = 0.0
        with pytest.raises(IndexOutOfRange, match="864"):
            steps.run(np.arange(len(given)), 0, 3)
        np.testing.assert_allclose(total.value, 256 * 40, rtol=1e-5)
