"""Statistics of the whole data set, against NumPy in float64, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError, InputError
from exprgrad.runtime import compile as compiler
from tests.nn.record_peers import recorded

RNG = np.random.default_rng(7)
N = 53
# The rows drift, so that batches differ from one another and from the whole.
X = RNG.normal(size=(N, 2, 6, 6)) * 3 + np.linspace(0, 10, N)[:, None, None, None]
Y = RNG.integers(0, 3, N)
STATISTICS = [f"batch_norm{layer}.{which}" for layer in (1, 2) for which in ("mean", "var")]


class Model:
    """A convolution and a dense layer, each normalised, with dropout between."""

    def __init__(
        self, dtype: str = "float64", optimizer: eg.optim.Optimizer | None = None
    ) -> None:
        self.net = net = eg.nn.Layers(dtype=dtype)
        x = eg.input("x", ("batch", 2, 6, 6), dtype)
        y = eg.input("y", ("batch",), "int64")
        h = eg.relu(net.batch_norm(net.conv2d(x, 4, 3, bias=False)))
        h = eg.nn.dropout(eg.max_pool2d(h, 2), 0.5)
        h = eg.relu(net.batch_norm(net.dense(eg.nn.flatten(h), 5)))
        loss = eg.nn.cross_entropy(net.dense(h, 3), y).mean()
        chosen = optimizer or eg.optim.SGD(0.1)
        self.trainer = eg.Trainer(loss, chosen, updates=net.updates)
        self.data = {"x": X.astype(dtype), "y": Y}

    def found(self) -> dict[str, np.ndarray]:
        return {name: self.net[name].value.copy() for name in STATISTICS}

    def expected(self) -> dict[str, np.ndarray]:
        """Moments of the whole data, those of the first layer used for the second."""
        p = {name: leaf.value.astype(np.float64) for name, leaf in self.net.leaves.items()}
        windows = np.lib.stride_tricks.sliding_window_view(X, (3, 3), (2, 3))
        h = np.einsum("ncyxij,ocij->noyx", windows, p["conv1.weight"])
        first, h = normalised(h, p["batch_norm1.gamma"], p["batch_norm1.beta"])
        h = np.maximum(h, 0).reshape(N, 4, 2, 2, 2, 2).max((3, 5)).reshape(N, -1)
        h = h @ p["dense1.weight"] + p["dense1.bias"]
        second, _ = normalised(h, p["batch_norm2.gamma"], p["batch_norm2.beta"])
        return dict(zip(STATISTICS, [*first, *second], strict=True))


def normalised(h: Any, gamma: Any, beta: Any) -> tuple[tuple[Any, Any], Any]:
    axes = tuple(a for a in range(h.ndim) if a != 1)
    mean, var = h.mean(axes), h.var(axes)
    placed = (-1, *(1,) * (h.ndim - 2))
    scale = (gamma / np.sqrt(var + 1e-5)).reshape(placed)
    return (mean, var), (h - mean.reshape(placed)) * scale + beta.reshape(placed)


def assert_close(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], r: float) -> None:
    """Each by itself, but for one close to 0 as a mean of values of both signs may be."""
    for name in STATISTICS:
        near_zero = 0.1 * r * np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name], expected[name], r, near_zero, err_msg=name)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_exact_whatever_the_batches(dtype: str, tolerance: float) -> None:
    model = Model(dtype)
    model.trainer.fit(model.data, epochs=2, batch_size=8)
    running, expected = model.found(), model.expected()
    for name in STATISTICS:  # training left something else
        assert not np.allclose(running[name], expected[name], rtol=0.01)
    for size in (7, 1, None):
        model.trainer.finalize_batch_norm(model.data, batch_size=size)
        assert_close(model.found(), expected, tolerance)


def test_batches_of_unequal_size_weigh_by_their_rows() -> None:
    model = Model()
    parts = [slice(0, 3), slice(3, 40), slice(40, N)]
    batches = [{name: rows[part] for name, rows in model.data.items()} for part in parts]
    model.trainer.finalize_batch_norm(batches)
    assert_close(model.found(), model.expected(), 1e-12)
    model.trainer.finalize_batch_norm(lambda: iter(batches))
    assert_close(model.found(), model.expected(), 1e-12)


def one_layer() -> tuple[eg.Trainer, eg.Tensor, eg.Tensor]:
    x = eg.input("x", ("batch", 1), "float64")
    w = eg.parameter("w", init=1.0, dtype="float64")
    mean, var = (eg.state(name, (1,), dtype="float64") for name in ("mean", "var"))
    y, updates = eg.nn.batch_norm(x, w, 0.0, mean, var)
    return eg.Trainer((y**2).mean(), eg.optim.SGD(0.1), updates=updates), mean, var


def test_the_distance_between_batches_counts_which_update_bn_leaves_out() -> None:
    trainer, mean, var = one_layer()
    trainer.finalize_batch_norm([{"x": [[0.0], [2.0]]}, {"x": [[10.0], [12.0]]}])
    rows = [0, 2, 10, 12]
    assert (mean.value, var.value) == (np.mean(rows), np.var(rows)) == (6.0, 26.0)
    peers = recorded("update_bn")
    assert (peers["mean"], peers["var"]) == (6.0, 2.0)


def test_inference_then_normalises_the_data_themselves() -> None:
    trainer, *_ = one_layer()
    rows = RNG.normal(1e3, 2.0, (40, 1))
    trainer.finalize_batch_norm({"x": rows}, batch_size=9)
    found = trainer.evaluate({"x": rows}, batch_size=11)["loss"]
    assert found == pytest.approx(rows.var() / (rows.var() + 1e-5), rel=1e-9)


def test_one_more_program_for_any_number_of_layers_and_passes() -> None:
    model = Model()
    before = int(compiler.COMPILATIONS)
    for size in (10, None, 7):
        model.trainer.finalize_batch_norm(model.data, size)
    assert int(compiler.COMPILATIONS) - before == 1


def test_after_an_error_all_is_as_before() -> None:
    model = Model()
    before = model.found()

    def once() -> Iterator[dict[str, np.ndarray]]:
        yield model.data

    with pytest.raises(InputError, match="a generator is used up"):
        model.trainer.finalize_batch_norm(once())
    for name in STATISTICS:
        np.testing.assert_array_equal(model.net[name].value, before[name])


def test_two_norms_of_one_tensor() -> None:
    x = eg.input("x", ("batch", 1), "float64")
    states = [eg.state(f"s{i}", (1,), dtype="float64") for i in range(4)]
    a, first = eg.nn.batch_norm(x, eg.parameter("g", (1,), 1.0, "float64"), 0.0, *states[:2])
    b, second = eg.nn.batch_norm(x, 2.0, 1.0, *states[2:])
    trainer = eg.Trainer((a * b).mean(), eg.optim.SGD(0.1), updates={**first, **second})
    trainer.finalize_batch_norm({"x": [[0.0], [2.0], [4.0]]}, batch_size=2)
    assert [float(s.value[0]) for s in states] == [2.0, pytest.approx(8 / 3)] * 2


def test_of_averaged_parameters() -> None:
    mean = eg.optim.EMA(0.9)
    model = Model(optimizer=eg.optim.Chain(eg.optim.SGD(0.1), mean))
    model.trainer.fit(model.data, batch_size=8)
    last = model.expected()["batch_norm1.mean"]
    with mean.applied():
        model.trainer.finalize_batch_norm(model.data)
        assert_close(model.found(), model.expected(), 1e-12)
    assert not np.allclose(model.found()["batch_norm1.mean"], last, rtol=1e-3)


def test_nothing_to_finalize_and_statistics_that_are_shared() -> None:
    x = eg.input("x", ("batch", 1))
    w = eg.parameter("w", (1,))
    with pytest.raises(GraphError, match="no batch normalisation whose `updates`"):
        eg.Trainer((x @ w).mean(), eg.optim.SGD(0.1)).finalize_batch_norm({"x": [[1.0]]})
    mean, var = eg.state("mean", (1,)), eg.state("var", (1,))
    a, updates = eg.nn.batch_norm(x, w, 0.0, mean, var)
    b, _ = eg.nn.batch_norm(2 * a, w, 0.0, mean, var)
    trainer = eg.Trainer(b.mean(), eg.optim.SGD(0.1), updates=updates)
    with pytest.raises(GraphError, match=r"mean: f32\[1\].* of two normalisations"):
        trainer.finalize_batch_norm({"x": [[1.0], [2.0]]})
