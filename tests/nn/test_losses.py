"""Losses against SciPy and scikit-learn, their gradients against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics

import exprgrad as eg
from exprgrad.errors import DTypeError, GraphError, IndexOutOfRange, ShapeError
from exprgrad.graph.evaluate import evaluate
from tests.nn.record_peers import LABELS as LABELS4
from tests.nn.record_peers import LOGITS as LOGITS4
from tests.nn.record_peers import SHARES, recorded

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(7, 4)) * 3
LABELS = RNG.integers(0, 4, 7)
P, Q = special.softmax(RNG.normal(size=(2, 7, 4)), -1)
A, B = RNG.normal(size=(2, 7, 4))
BITS = RNG.integers(0, 2, (7, 4)).astype(float)


def value(loss: Any, *arrays: Any) -> np.ndarray:
    """The loss of constants of the arrays' own types."""
    names = [
        eg.input(f"a{i}", ("n", *a.shape[1:]), a.dtype) for i, a in enumerate(arrays)
    ]
    given = {f"a{i}": a for i, a in enumerate(arrays)}
    return evaluate([loss(*names)], given)[0]


CASES = {
    "cross_entropy": (
        (LOGITS, LABELS),
        lambda z, y: -special.log_softmax(z, -1)[np.arange(7), y],
    ),
    "cross_entropy of probabilities": (
        (LOGITS, P),
        lambda z, p: -(p * special.log_softmax(z, -1)).sum(-1),
    ),
    "binary_cross_entropy": (
        (P, BITS),
        lambda p, y: [
            metrics.log_loss(b, a, labels=[0, 1]) for a, b in zip(p, y, strict=True)
        ],
    ),
    "binary_cross_entropy_with_logits": (
        (LOGITS, BITS),
        lambda z, y: (
            -np.where(y == 1, special.log_expit(z), special.log_expit(-z)).mean(-1)
        ),
    ),
    "mse": (
        (A, B),
        lambda a, b: metrics.mean_squared_error(a.T, b.T, multioutput="raw_values"),
    ),
    "mae": (
        (A, B),
        lambda a, b: metrics.mean_absolute_error(a.T, b.T, multioutput="raw_values"),
    ),
    "huber": ((2 * A, B), lambda a, b: special.huber(1.0, a - b).mean(-1)),
    "hinge": (
        (A, 2 * BITS - 1),
        lambda s, y: [
            metrics.hinge_loss(b, a, labels=[-1, 1]) for a, b in zip(s, y, strict=True)
        ],
    ),
    "kl": ((P, Q), lambda p, q: stats.entropy(p, q, axis=-1)),
    "accuracy": (
        (LOGITS, LABELS),
        lambda z, y: [
            metrics.accuracy_score([b], [a.argmax()]) for a, b in zip(z, y, strict=True)
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_value(name: str) -> None:
    arrays, oracle = CASES[name]
    found = value(getattr(eg.nn, name.split()[0]), *arrays)
    np.testing.assert_allclose(found, oracle(*arrays), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [n for n in CASES if n != "accuracy"])
def test_gradient(name: str) -> None:
    (first, second), _ = CASES[name]
    which = 1 if name == "kl" else 0  # the prediction is kl's second operand
    arrays = [first, second]
    names = [
        eg.input(f"a{i}", ("n", *a.shape[1:]), a.dtype) for i, a in enumerate(arrays)
    ]
    loss = getattr(eg.nn, name.split()[0])(*names).sum()
    given = {f"a{i}": a for i, a in enumerate(arrays)}
    slope = evaluate([eg.grad(loss, names[which])], given)[0]
    direction, h = np.random.default_rng(0).normal(size=slope.shape), 1e-6

    def at(t: float) -> float:
        moved = {**given, f"a{which}": arrays[which] + t * direction}
        return float(evaluate([loss], moved)[0])

    assert (slope * direction).sum() == pytest.approx(
        (at(h) - at(-h)) / (2 * h), rel=1e-6
    )


def test_large_logits_stay_finite() -> None:
    z = np.array([[800.0, -800.0, 0.0], [-1e4, 0.0, 1e4]], np.float32)
    y = np.array([1, 2])
    np.testing.assert_allclose(value(eg.nn.cross_entropy, z, y), [1600.0, 0.0])
    bits = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]], np.float32)
    found = value(eg.nn.binary_cross_entropy_with_logits, z, bits)
    np.testing.assert_allclose(found, [(1600 + np.log(2)) / 3, (1e4 + np.log(2)) / 3])


def test_certain_probabilities_cost_nothing_when_right() -> None:
    p = np.array([[0.0, 1.0], [1.0, 1.0]])
    found = value(eg.nn.binary_cross_entropy, p, np.array([[0.0, 1.0], [0.0, 1.0]]))
    np.testing.assert_array_equal(found, [0.0, np.inf])
    one_sided = value(eg.nn.kl, np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]]))
    np.testing.assert_allclose(one_sided, [np.log(2)])


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("name", [n for n in CASES if n != "accuracy"])
def test_a_row_with_nan_has_a_loss_of_nan(name: str, place: int) -> None:
    arrays = [np.array(array) for array in CASES[name][0]]
    if arrays[place].dtype.kind == "f":
        arrays[place][2, 1] = np.nan
        found = value(getattr(eg.nn, name.split()[0]), *arrays)
        assert np.flatnonzero(np.isnan(found)).tolist() == [2]


@pytest.mark.parametrize("label", [4, -1, 100])
def test_a_class_that_is_not_there(label: int) -> None:
    with pytest.raises(IndexOutOfRange):
        value(eg.nn.cross_entropy, LOGITS, np.full(7, label))


@pytest.mark.parametrize(("name", "target"), [("labels", LABELS4), ("shares", SHARES)])
def test_label_smoothing_is_pytorchs(name: str, target: np.ndarray) -> None:
    found = value(lambda z, y: eg.nn.cross_entropy(z, y, 0.1), LOGITS4, target)
    np.testing.assert_allclose(found, recorded(f"smoothed {name}")["y"], rtol=1e-12)
    strength = eg.state("strength", init=0.1, dtype="float64")  # changes without compiling
    given = value(lambda z, y: eg.nn.cross_entropy(z, y, strength), LOGITS4, target)
    np.testing.assert_allclose(given, found, rtol=1e-12)


def test_full_smoothing_forgets_the_label() -> None:
    found = value(lambda z, y: eg.nn.cross_entropy(z, y, smoothing=1.0), LOGITS, LABELS)
    np.testing.assert_allclose(found, -special.log_softmax(LOGITS, -1).mean(-1))
    with pytest.raises(GraphError, match=r"from 0 to 1, not -0\.1"):
        eg.nn.cross_entropy(eg.constant(LOGITS), eg.constant(LABELS), -0.1)


def test_sequences_keep_their_axes() -> None:
    z = RNG.normal(size=(2, 5, 3))
    y = RNG.integers(0, 3, (2, 5))
    flat = value(eg.nn.cross_entropy, z.reshape(10, 3), y.reshape(10))
    np.testing.assert_allclose(value(eg.nn.cross_entropy, z, y), flat.reshape(2, 5))


def test_shapes_that_would_broadcast_are_refused() -> None:
    a, b = eg.input("a", ("batch", 1)), eg.input("b", ("batch",))
    for loss in (
        eg.nn.mse,
        eg.nn.mae,
        eg.nn.huber,
        eg.nn.hinge,
        eg.nn.binary_cross_entropy,
    ):
        with pytest.raises(ShapeError, match=r"f32\[batch, 1\].*f32\[batch\]"):
            loss(a, b)
    with pytest.raises(ShapeError, match="without the last axis"):
        eg.nn.cross_entropy(a, eg.input("y", ("batch", 1), "int64"))
    with pytest.raises(ShapeError, match="without the last axis"):
        eg.nn.accuracy(a, a)
    with pytest.raises(DTypeError, match="floating-point"):
        eg.nn.mse(eg.input("i", (3,), "int64"), eg.input("j", (3,), "int64"))


@pytest.mark.parametrize("spelling", ["plain", "logits"])
def test_binary_cross_entropy_of_extreme_logits(spelling: str) -> None:
    z, y = eg.input("z", ("n",)), eg.input("y", ("n",))
    if spelling == "plain":
        loss = eg.nn.binary_cross_entropy(eg.sigmoid(z), y)
    else:
        loss = eg.nn.binary_cross_entropy_with_logits(z, y)
    f = eg.function([z, y], [loss, eg.grad(loss.sum(), z)])
    value, slope = f([800, -800, 800, -800, 0], [1, 0, 0, 1, 0.5])
    np.testing.assert_allclose(value, [0, 0, 800, 800, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(slope, [0, 0, 1, -1, 0], atol=1e-7)
