"""The trainer on a small regression and a small classification."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.runtime import compile as compiler
from exprgrad.train.program import Total

RNG = np.random.default_rng(11)
X = RNG.normal(size=(53, 3)).astype(np.float32)
LABELS = (X @ RNG.normal(size=(3, 4))).argmax(1)
TARGET = (X @ np.array([1.0, -2.0, 0.5]) + 0.3).astype(np.float32)
DATA = {"x": X, "y": LABELS}


class Model:
    """A softmax regression; every instance has parameters of its own."""

    def __init__(self, rate: Any = 0.0, optimizer: Any = None, **options: Any) -> None:
        self.x = eg.input("x", ("batch", 3))
        self.y = eg.input("y", ("batch",), "int64")
        self.w = eg.parameter("w", (3, 4), init=eg.init.glorot_normal())
        self.b = eg.parameter("b", (4,))
        self.mask_key = 7  # two models draw the same masks
        self.logits = self._dropped(rate) @ self.w + self.b
        self.loss = eg.nn.cross_entropy(self.logits, self.y).mean()
        self.trainer = eg.Trainer(
            self.loss,
            optimizer or eg.optim.Adam(0.05),
            metrics={"accuracy": eg.nn.accuracy(self.logits, self.y)},
            **options,
        )

    def _dropped(self, rate: Any) -> eg.Tensor:
        if isinstance(rate, float) and rate == 0:
            return self.x
        draw = eg.random.uniform(self.x.shape, key=self.mask_key)
        return eg.where(eg.nn.training, eg.where(draw < rate, 0.0, self.x), self.x)

    def numbers(self) -> np.ndarray:
        return np.concatenate([self.w.value.ravel(), self.b.value]).copy()


class Linear:
    """A linear regression whose gradient is known by hand."""

    def __init__(self, optimizer: Any = None) -> None:
        x, t = eg.input("x", ("batch", 3)), eg.input("t", ("batch",))
        self.w = eg.parameter("w", (3,), dtype="float64")
        error = eg.astype(x, "float64") @ self.w - t
        self.prediction = x @ eg.astype(self.w, "float32")
        self.loss = (error * error).mean()
        self.trainer = eg.Trainer(self.loss, optimizer or eg.optim.SGD(0.1))


def descended(order: np.ndarray, size: int) -> tuple[np.ndarray, float]:
    """The oracle: gradient descent on `Linear` in NumPy; the parameters, mean loss."""
    w, total = np.zeros(3), 0.0
    for i in range(0, len(order), size):
        rows = order[i : i + size]
        error = X[rows].astype(np.float64) @ w - TARGET[rows]
        total += float((error**2).sum())
        w = w - 0.1 * 2 * (error @ X[rows].astype(np.float64)) / len(rows)
    return w, total / len(order)


@pytest.mark.parametrize(
    "size", [1, 8, 53, None], ids=["online", "mini", "all", "None"]
)
def test_descent_by_hand(size: int | None) -> None:
    model = Linear()
    history = model.trainer.fit(
        {"x": X, "t": TARGET}, epochs=1, batch_size=size, shuffle=False
    )
    w, loss = descended(np.arange(53), size or 53)
    np.testing.assert_allclose(model.w.value, w, rtol=1e-9)
    assert history["loss"] == [pytest.approx(loss, rel=1e-6)]


def test_learns_and_records() -> None:
    model = Model()
    history = model.trainer.fit(
        DATA, epochs=30, batch_size=8, validation_data={"x": X[:9], "y": LABELS[:9]}
    )
    assert history["accuracy"][-1] > 0.9
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert {len(values) for values in history.values()} == {30}
    assert history.epochs == list(range(1, 31))
    assert model.trainer.history is history


def test_evaluate_is_numpy_and_does_not_depend_on_the_batch() -> None:
    model = Model()
    model.trainer.fit(DATA, epochs=2, batch_size=16)
    scores = X.astype(np.float64) @ model.w.value + model.b.value
    logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    expected = {
        "loss": -logs[np.arange(53), LABELS].mean(),
        "accuracy": (scores.argmax(1) == LABELS).mean(),
    }
    before = model.numbers()
    for size in (None, 1, 7, 53):
        assert model.trainer.evaluate(DATA, size) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(model.numbers(), before)


def test_predict() -> None:
    model = Model()
    expected = X @ model.w.value + model.b.value
    for size in (None, 1, 10, 53):
        found = model.trainer.predict(model.logits, {"x": X}, size)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(
        model.trainer.predict("accuracy", DATA), expected.argmax(1) == LABELS
    )
    total = model.trainer.predict(model.logits.sum(), {"x": X})
    assert total == pytest.approx(expected.sum(), rel=1e-4)
    np.testing.assert_array_equal(model.trainer.predict(model.b * 2, {}), np.zeros(4))


def test_the_same_program_gives_the_same_bits() -> None:
    runs = [Model(rate=0.3, seed=5) for _ in range(2)]
    histories = [m.trainer.fit(DATA, epochs=3, batch_size=8) for m in runs]
    np.testing.assert_array_equal(runs[0].numbers(), runs[1].numbers())
    assert histories[0] == histories[1]
    other = Model(rate=0.3, seed=6)
    other.trainer.fit(DATA, epochs=3, batch_size=8)
    assert (other.numbers() != runs[0].numbers()).any()


def test_means_do_not_depend_on_how_many_steps_come_together() -> None:
    """An epoch is taken in slices that a clock decides."""
    rng = np.random.default_rng(0)
    losses, rows = rng.normal(size=300), rng.integers(1, 64, 300).astype(float)
    found = set()
    for slices in ([], [1, 3, 9, 27, 81, 243], range(1, 300), [150], [299]):
        total = Total()
        for first, end in pairwise([0, *slices, 300]):
            total.add({"loss": losses[first:end]}, rows[first:end])
        found.add(total.means()["loss"])
    assert len(found) == 1
    np.testing.assert_allclose(found.pop(), np.average(losses, weights=rows), rtol=1e-12)


def test_two_fits_are_one() -> None:
    once, twice = Model(rate=0.3), Model(rate=0.3)
    whole = once.trainer.fit(DATA, epochs=4, batch_size=8)
    parts = [twice.trainer.fit(DATA, epochs=2, batch_size=8) for _ in range(2)]
    np.testing.assert_array_equal(once.numbers(), twice.numbers())
    assert whole["loss"] == parts[0]["loss"] + parts[1]["loss"]
    assert parts[1].epochs == [3, 4]


def compilations() -> int:
    return int(compiler.COMPILATIONS)


def test_one_training_compile() -> None:
    rate = eg.state("rate", init=0.2)
    model = Model(rate=rate)
    before = compilations()
    model.trainer.fit(DATA, epochs=1, batch_size=8)  # 53 = 6 * 8 + 5
    assert compilations() - before == 1
    model.trainer.optimizer.learning_rate = 0.01
    rate.value = 0.5
    model.trainer.fit(DATA, epochs=2, batch_size=10)
    assert compilations() - before == 1
    for size in (None, 4):
        model.trainer.evaluate(DATA, size)
    model.trainer.fit(DATA, epochs=1, batch_size=8, validation_split=0.25)
    assert compilations() - before == 2


def test_a_changed_rate_acts_on_the_next_step() -> None:
    model = Linear()
    model.trainer.optimizer.learning_rate = 0.0
    model.trainer.fit({"x": X, "t": TARGET}, batch_size=8)
    np.testing.assert_array_equal(model.w.value, np.zeros(3))


def test_dropout_is_off_at_inference() -> None:
    model = Model(rate=1.0)
    model.trainer.fit(DATA, epochs=1, batch_size=53)
    assert (model.w.value == Model().w.value).all()  # no gradient came through
    found = model.trainer.predict(model.logits, {"x": X})
    assert (found != model.b.value).all()


def test_running_statistics_are_updated_and_used() -> None:
    x, t = eg.input("x", ("batch", 3)), eg.input("t", ("batch",))
    mean, var = eg.state("mean", (3,)), eg.state("var", (3,), init=1.0)
    w = eg.parameter("w", (3,), init=1.0)
    y, updates = eg.nn.batch_norm(x, 1.0, 0.0, mean, var)
    loss = eg.nn.mse(y @ w, t).mean()
    trainer = eg.Trainer(loss, eg.optim.SGD(0.0), updates=updates)
    trainer.fit({"x": X, "t": TARGET}, epochs=200, batch_size=None)
    np.testing.assert_allclose(mean.value, X.mean(0), atol=1e-5)
    np.testing.assert_allclose(var.value, X.var(0, ddof=1), rtol=1e-5)
    found = trainer.predict(y, {"x": X[:1]})
    expected = (X[:1] - mean.value) / np.sqrt(var.value + 1e-5)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_validation_split_holds_rows_out() -> None:
    class Rows(eg.Callback):
        """Fits one parameter to each row, so that rows trained on are seen."""

    x = eg.input("x", ("batch",), "int64")
    w = eg.parameter("w", (20,))
    trainer = eg.Trainer(((eg.take(w, x) - 1) ** 2).sum(), eg.optim.SGD(0.5))
    trainer.fit({"x": np.arange(20)}, batch_size=4, validation_split=0.25)
    assert sorted(w.value.tolist()) == [0.0] * 5 + [1.0] * 15
    trainer.fit({"x": np.arange(20)}, epochs=3, batch_size=4, validation_split=0.25)
    assert (w.value == 0).sum() == 5


def test_shuffling_takes_each_row_once() -> None:
    x = eg.input("x", ("batch",), "int64")
    w, order = eg.parameter("w", (20,)), eg.state("order", init=0.0)
    trainer = eg.Trainer(
        eg.take(w, x).sum(),
        eg.optim.SGD(1.0),
        updates={order: order * 2 + eg.astype(x.sum(), "float32") % 2},
    )
    seen = []
    for _ in range(2):
        order.value = 0.0
        trainer.fit({"x": np.arange(20)}, batch_size=1)
        seen.append(float(order.value))
    np.testing.assert_array_equal(w.value, np.full(20, -2.0))
    assert seen[0] != seen[1]


def test_memory_mapped_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    plain, other = Linear(), Linear()
    plain.trainer.fit({"x": X, "t": TARGET}, epochs=2, batch_size=8)
    other.trainer.fit({"x": mapped, "t": TARGET}, epochs=2, batch_size=8)
    np.testing.assert_array_equal(plain.w.value, other.w.value)


def in_parts() -> Iterator[dict[str, np.ndarray]]:
    for i in range(0, 53, 8):
        yield {"x": X[i : i + 8], "t": TARGET[i : i + 8]}


@pytest.mark.parametrize("source", [in_parts, list(in_parts())], ids=["made", "list"])
def test_batches_from_outside(source: Any) -> None:
    model, peer = Linear(), Linear()
    history = model.trainer.fit(source, epochs=2, validation_data=source)
    same = peer.trainer.fit(
        {"x": X, "t": TARGET}, epochs=2, batch_size=8, shuffle=False
    )
    np.testing.assert_allclose(model.w.value, peer.w.value, rtol=1e-12)
    assert history["loss"] == pytest.approx(same["loss"], rel=1e-6)
    assert history["val_loss"][-1] == pytest.approx(
        peer.trainer.evaluate({"x": X, "t": TARGET})["loss"], rel=1e-6
    )


def test_float64_rows_and_lists_are_taken() -> None:
    model, peer = Linear(), Linear()
    model.trainer.fit({"x": X.astype(np.float64), "t": TARGET.tolist()}, batch_size=8)
    peer.trainer.fit({"x": X, "t": TARGET}, batch_size=8)
    np.testing.assert_array_equal(model.w.value, peer.w.value)


def test_only_the_parameters_named_are_trained() -> None:
    model = Model()
    trainer = eg.Trainer(model.loss, eg.optim.SGD(0.1), parameters=[model.b])
    before = model.w.value.copy()
    trainer.fit(DATA, epochs=1)
    np.testing.assert_array_equal(model.w.value, before)
    assert model.b.value.any()


def test_own_loss_and_own_rule_together() -> None:
    class Signs(eg.optim.Optimizer):
        rate: eg.Hyper

        def update(self, parameter, gradient):  # type: ignore[no-untyped-def]
            return {parameter: parameter - self.rate * eg.sign(gradient)}

    x = eg.input("x", ("batch",))
    w = eg.parameter("w", init=0.0)
    trainer = eg.Trainer(eg.log(1 + (x - w) ** 2).mean(), Signs(rate=0.25))
    trainer.fit({"x": np.full(4, 3.0)}, epochs=12, batch_size=4)
    assert float(w.value) == 3.0


def test_what_rows_have_with_all_others_is_predicted_at_once():
    """More rows than are taken at a time where each is computed by itself."""
    x = eg.input("x", ("batch", 3))
    w = eg.parameter("w", (3,))
    trainer = eg.Trainer(((x @ w) ** 2).mean(), eg.optim.SGD(0.1))
    rows = np.random.default_rng(0).normal(size=(2500, 3)).astype(np.float32)
    np.testing.assert_allclose(trainer.predict(x @ x.T, {"x": rows}), rows @ rows.T, atol=1e-4)
