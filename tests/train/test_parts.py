"""Values of rows taken in parts: what the table promises holds, and ordinary models are in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import exprgrad as eg
from exprgrad.graph.elementwise import size_value
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.mode import in_mode
from exprgrad.graph.movement import bound
from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS
from exprgrad.graph.tensor import Tensor, apply
from exprgrad.train.parts import RULES, is_by_rows, is_mean
from tests.cases import CASES, Case, arrays, inputs

N = 7
X = eg.input("x", ("batch", 3, 4), "float64")
Y = eg.input("y", ("batch", 4), "float64")
K = eg.input("k", ("batch",), "int64")
W = eg.parameter("w", (4, 4), init=eg.init.normal(1.0), dtype="float64")
ROWS = eg.astype(size_value(Y.shape[0]), "float64")
RNG = np.random.default_rng(0)
DATA = {
    "x": RNG.normal(size=(N, 3, 4)), "y": RNG.normal(size=(N, 4)), "k": RNG.integers(0, 4, N)
}  # fmt: skip


def value(expression: Tensor, rows: slice, data: dict[str, Any] = DATA) -> Any:
    used = {node.name for node in walk([expression]) if node.op == "input"}
    parts = {name: array[rows] for name, array in data.items()}
    n = len(next(iter(parts.values())))
    known = {name: part for name, part in parts.items() if name in used}
    return evaluate([expression], known, {"batch": n})[0]


def require_what_is_promised(expression: Tensor, data: dict[str, Any] = DATA) -> None:
    n = len(next(iter(data.values())))
    cut = n // 2
    by_rows, mean = is_by_rows(expression, "batch"), is_mean(expression, "batch")
    if not by_rows and not mean:
        return
    whole = value(expression, slice(None), data)
    first, last = value(expression, slice(0, cut), data), value(expression, slice(cut, n), data)
    if by_rows:
        np.testing.assert_allclose(np.concatenate([first, last]), whole, rtol=1e-9, atol=1e-12)
    if mean:
        together = (cut * first + (n - cut) * last) / n
        np.testing.assert_allclose(together, whole, rtol=1e-6, atol=1e-12)


def test_there_is_a_rule_for_each_operation() -> None:
    assert RULES.keys() == OPS.keys()


WITH_ROWS = [c for c in CASES if c.shapes and all(s[:1] == ("batch",) for s in c.shapes)]


@pytest.mark.parametrize("case", WITH_ROWS, ids=str)
def test_of_each_operation_what_is_promised_holds(case: Case) -> None:
    nodes = inputs(case, case.dtypes[0])
    data = {node.name: a for node, a in zip(nodes, arrays(case, case.dtypes[0]), strict=True)}
    require_what_is_promised(case.build(*nodes), data)


BY_ROWS: dict[str, Tensor] = {
    "a dense layer": eg.relu(Y @ W + 1.0),
    "a softmax over classes": eg.softmax(Y @ W, axis=1),
    "a layer norm": (Y - Y.mean(1, keepdims=True)) / eg.sqrt(Y.var(1, keepdims=True)),
    "attention within a row": eg.softmax(eg.einsum("bik,bjk->bij", X, X), axis=-1) @ X,
    "rows and tokens as one axis": (X.reshape(-1, 4) @ W).reshape(X.shape),
    "an embedding": W[K],
    "a convolution": eg.conv2d(X[:, None], eg.parameter("c", (2, 1, 2, 2), dtype="float64")),
    "a pooling": eg.max_pool2d(X[:, None], 2),
    "a picture upside down": X[:, ::-1, 1:3],
    "two pictures side by side": eg.concat([X, X + 1.0], 2),
    "a padded picture": eg.pad(X, ((0, 0), (1, 1), (0, 2))),
    "another order of axes and back": X.transpose(1, 0, 2).transpose(1, 0, 2),
    "a choice": eg.where(Y > 0, Y, eg.stop_gradient(Y) * 0.1),
    "the largest of a row": X.max((1, 2)),
    "the class": eg.argmax(Y @ W, axis=1),
    "the loss of each row": eg.nn.cross_entropy(Y @ W, K),
    "a sum along a row": eg.cumulative_sum(X, axis=1),
    "ones": eg.ones(("batch", 3)),
}  # fmt: skip

MEANS: dict[str, Tensor] = {
    "a mean square": (Y * Y).mean(),
    "a weighted penalty": eg.nn.mse(Y @ W, Y).mean() + 0.1 * (W * W).sum(),
    "an accuracy": eg.astype(eg.equal(eg.argmax(Y, axis=1), K), "float32").mean(),
    "a mean of negatives, halved": -eg.nn.cross_entropy(Y, K, smoothing=0.1).mean() / 2.0,
    "a mean written as a product": eg.einsum("bi,bi->", Y, Y) / ROWS,
    "a mean of means": X.mean((1, 2)).mean(),
    "a difference of means": Y.mean() - X.mean(),
    "what no row changes": (W * W).sum(),
    "shares of rows, summed": (Y / ROWS).sum(),
}

NEITHER: dict[str, Tensor] = {
    "a root of a mean": eg.sqrt((Y * Y).mean()),
    "a sum": Y.sum(),
    "a sum over a number": Y.sum() / 7.0,
    "a largest": Y.max(),
    "a product of means": Y.mean() * X.mean(),
    "a ratio of sums": (Y * Y).sum() / Y.sum(),
    "an unbiased variance": Y.var(correction=1),
    "rows less their mean": Y - Y.mean(0),
    "a softmax over rows": eg.softmax(Y, axis=0),
    "all pairs of rows": Y @ Y.T,
    "other rows": Y[::-1],
    "a row and the one before": eg.cumulative_sum(Y, axis=0),
    "the number of the row": eg.arange("batch") + K,
    "rows of other rows": Y[K],
    "random numbers": eg.random.uniform(("batch",)),
    "columns first": Y.T,
    "rows within columns": X.transpose(1, 0, 2).reshape(-1, 4),
    "a mean of what a mean decides": eg.where(Y.mean() < Y, Y, 0.0).mean(),
    "a mean rounded": eg.floor(Y.mean()),
    "rows times the number of rows": Y * ROWS,
}


@pytest.mark.parametrize("name", BY_ROWS)
def test_by_rows(name: str) -> None:
    assert is_by_rows(BY_ROWS[name], "batch")
    require_what_is_promised(BY_ROWS[name])


@pytest.mark.parametrize("name", MEANS)
def test_means(name: str) -> None:
    assert is_mean(MEANS[name], "batch")
    require_what_is_promised(MEANS[name])


@pytest.mark.parametrize("name", NEITHER)
def test_neither(name: str) -> None:
    assert not is_by_rows(NEITHER[name], "batch")
    assert not is_mean(NEITHER[name], "batch")


Step = Callable[[Tensor], Tensor]
STEPS: list[Step] = [
    lambda x: x * x, eg.tanh, lambda x: x + 1.0, lambda x: -x, lambda x: 0.5 * x,
    lambda x: x.sum(0, keepdims=True) if x.ndim else x, lambda x: x.sum(-1) if x.ndim else x,
    lambda x: x.mean(0) if x.ndim else x, lambda x: x.max(-1) if x.ndim else x,
    lambda x: x.mean(), lambda x: x.T, lambda x: x[..., None],
    lambda x: x.reshape(-1), lambda x: x / ROWS, lambda x: x * Y.mean(),
    lambda x: x + Y.sum(1).mean(), lambda x: x[1:] if x.ndim else x,
    lambda x: x[..., ::-1] if x.ndim else x, lambda x: eg.where(x > 0.1, x, 0.0),
    lambda x: eg.where(Y.mean() > 0.0, x, 0.0), lambda x: x * W.sum(), lambda x: x - x.mean(),
    lambda x: eg.cumulative_sum(x, axis=0) if x.ndim else x, lambda x: x.sum(),
    lambda x: apply("stop_gradient", (x,)), lambda x: x * x.sum(-1, keepdims=True) if x.ndim else x,
    lambda x: eg.concat([x, x], 0) if x.ndim else x,
    lambda x: eg.concat([x, -x], -1) if x.ndim else x,
]  # fmt: skip


@given(start=st.sampled_from([X, Y, W]), steps=st.lists(st.sampled_from(STEPS), max_size=7))
@settings(max_examples=400, deadline=None)
def test_of_random_expressions_what_is_promised_holds(start: Tensor, steps: list[Step]) -> None:
    expression = start
    for step in steps:
        expression = step(expression)
    require_what_is_promised(expression)


def test_a_root_of_a_mean_is_that_of_all_rows() -> None:
    x = eg.input("x", ("batch",))
    w = eg.parameter("w", init=1.0)
    rows = RNG.normal(size=3000).astype(np.float32)
    error = w * x - 0.5
    metrics = {"rmse": eg.sqrt((error * error).mean()), "worst": eg.abs(error).max()}
    trainer = eg.Trainer((error * error).mean(), eg.optim.SGD(0.0), metrics)
    exact = rows.astype(np.float64) - 0.5
    found = trainer.evaluate({"x": rows})
    assert found["rmse"] == pytest.approx(np.sqrt((exact * exact).mean()), rel=1e-6)
    assert found["worst"] == pytest.approx(np.abs(exact).max(), rel=1e-6)
    history = trainer.fit({"x": rows}, validation_data={"x": rows}, batch_size=500)
    assert history["val_worst"] == [pytest.approx(np.abs(exact).max(), rel=1e-6)]


def test_no_two_rows_have_the_same_noise() -> None:
    x = eg.input("x", ("batch",))
    trainer = eg.Trainer((x * eg.parameter("w")).mean(), eg.optim.SGD(0.1))
    noisy = trainer.predict(x + eg.random.uniform(("batch",)), {"x": np.zeros(2500, np.float32)})
    assert len(np.unique(noisy[:1024])) > 1000
    assert not np.array_equal(noisy[:1024], noisy[1024:2048])


def test_means_of_noise_are_taken_in_parts_and_noisy_rows_are_not() -> None:
    """Or a model that draws would need memory for all rows at once."""
    v = eg.input("v", ("batch", 6))
    noisy = v + eg.random.normal(("batch", 6))
    rbm = eg.nn.RBM(
        eg.parameter("rbm.w", (6, 4)), eg.parameter("rbm.b", (6,)), eg.parameter("rbm.c", (4,))
    )
    assert not is_by_rows(noisy, "batch")
    assert is_mean((noisy * noisy).mean(), "batch")
    loss = rbm.objective(v)
    assert is_mean(in_mode([loss], False)[loss], "batch")
    assert not is_mean((noisy.mean() * noisy).mean(), "batch")
    assert not is_mean(eg.random.uniform((6,)).sum() * v.max(), "batch")


def test_an_index_that_is_held_within_the_rows_depends_on_them() -> None:
    """-1 is the last row."""
    assert not is_by_rows(bound(K, K.shape[0]), "batch")
    assert is_by_rows(bound(K, 4), "batch")


def test_what_depends_on_other_axes_too_is_predicted_at_once() -> None:
    """A grid of no rows, rows of two names: `fit` refuses them, a prediction does not."""
    w = eg.parameter("w", init=2.0)
    x = eg.input("x", ("batch",))
    grid, other = eg.input("grid", (3, 2)), eg.input("other", ("n",))
    trainer = eg.Trainer((w * x).mean(), eg.optim.SGD(0.1))
    found = trainer.predict(w * grid.sum(1), {"grid": np.ones((3, 2))})
    np.testing.assert_array_equal(found, [4.0, 4.0, 4.0])
    both = {"x": np.ones(3), "other": np.ones(3)}
    assert trainer.predict(x.sum() + other.sum(), both) == 6.0


def test_a_metric_that_draws_is_predicted_as_it_is_evaluated() -> None:
    x = eg.input("x", ("batch",))
    h = eg.nn.dropout(eg.parameter("w", init=2.0) * x, 0.5)
    loss = h.mean() + 0.0 * eg.random.uniform()
    trainer = eg.Trainer(loss, eg.optim.SGD(0.1), {"drawn": eg.random.uniform()})
    data, found = {"x": np.ones(5)}, []
    for seed in (0, 1):
        trainer.reset(seed)
        for _ in range(2):  # the counters are the trainer's own, whatever others have run
            drawn = float(trainer.predict("drawn", {}))
            assert trainer.evaluate(data)["drawn"] == pytest.approx(drawn)
            found.append(drawn)
            trainer.fit(data)
    assert len(set(found)) == 4
