"""Sums of deviations from a mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from exprgrad.rewrite import deviations
from exprgrad.rewrite.simplify import condense
from tests.compiled import Array

X = eg.input("x", ("batch", 5), "float64")
C = eg.input("c", ("batch", 5), "float64")
W = eg.input("w", (5,), "float64")
SQUARE = eg.input("q", (5, 5), "float64")
IMAGES = eg.input("images", ("batch", 3, 4, 6), "float64")
WHOLE = eg.input("whole", (8, 5), "int64")


def deviation(x: Tensor, axis: int | tuple[int, ...]) -> Tensor:
    return x - x.mean(axis=axis, keepdims=True)


# before, after: the graph that is expected
SPELLED = {
    "nothing else": (deviation(X, 0).sum(axis=0), eg.zeros((5,), "float64")),
    "along rows": ((C + 3 * deviation(X, 1)).sum(axis=1), C.sum(axis=1)),
    "a term": ((C + W * deviation(X, 0)).sum(axis=0), C.sum(axis=0)),
    "a term that is taken off": ((C - deviation(X, 0) / W).sum(axis=0), C.sum(axis=0)),
    "what another is taken off": ((deviation(X, 0) - C).sum(axis=0), -C.sum(axis=0)),
    "two terms": ((deviation(X, 0) + C - deviation(C, 0)).sum(axis=0), C.sum(axis=0)),
    "over an axis of two": ((C + deviation(X, 0)).sum(), C.sum()),
    "of pixels": (
        (IMAGES + deviation(IMAGES, (0, 2, 3))).sum(axis=(0, 2, 3)),
        IMAGES.sum(axis=(0, 2, 3)),
    ),
    "of a product, whose mean has another form": (
        (C + deviation(eg.tanh(X) @ SQUARE, 0)).sum(axis=0), C.sum(axis=0),
    ),
    "of a product that is computed anyway": (
        (eg.exp(X @ SQUARE) + deviation(X @ SQUARE, 0)).sum(axis=0),
        eg.exp(X @ SQUARE).sum(axis=0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPELLED)
def test_graph(name: str) -> None:
    before, after = condense(SPELLED[name])
    assert before is after


# what is no multiple of a deviation over what is summed
KEPT = {
    "a square": (deviation(X, 0) ** 2).sum(axis=0),
    "a product with what varies": (deviation(X, 0) * C).sum(axis=0),
    "what is divided by it": (W / deviation(X, 0)).sum(axis=0),
    "a deviation along the other axis": deviation(X, 1).sum(axis=0),
    "a deviation from another's mean": (X - C.mean(axis=0)).sum(axis=0),
    "a deviation from twice the mean": (X - X.mean(axis=0) * 2).sum(axis=0),
    "a deviation from a sum": (X - X.sum(axis=0)).sum(axis=0),
    "a factor that varies along the mean": (deviation(X, 1) * W).sum(),
    "whole numbers": (WHOLE - WHOLE.sum(axis=0) // 7).sum(axis=0) - 1,
}


@pytest.mark.parametrize("name", KEPT)
def test_others_are_kept(name: str) -> None:
    before, after = values_of(KEPT[name])
    np.testing.assert_allclose(after, before, rtol=1e-12)
    assert np.any(np.abs(before) > 1e-6)


@pytest.mark.parametrize("name", SPELLED)
def test_values(name: str) -> None:
    before, after = values_of(SPELLED[name][0])
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-12)


def values_of(node: Tensor) -> list[Array]:
    """The value of an expression, and that of its shorter form."""
    rng = np.random.default_rng(1)
    values = {
        each: rng.standard_normal([n if isinstance(n, int) else 7 for n in each.shape]) * 3 + 2
        for each in walk([node])
        if each.op == "input"
    }
    return evaluate([node, *condense([node])], values, {"batch": 7})


def test_the_gradient_of_a_normalised_layer_goes_through_the_batch_once() -> None:
    """The sums in section 3 of Ioffe and Szegedy 2015, less that of the deviations."""
    gamma, beta = eg.input("gamma", (5,), "float64"), eg.input("beta", (5,), "float64")
    y = deviation(X, 0) * eg.rsqrt(X.var(axis=0) + 1e-5) * gamma + beta
    gradients = eg.grad((C * y).sum(), [X, gamma, beta])
    assert "add" in _summed(gradients)
    assert _summed(condense(gradients)) == {"input": 2, "multiply": 4}


def _summed(outputs: Iterable[Tensor]) -> Counter[str]:
    """The operations whose results are summed."""
    return Counter(node.args[0].op for node in walk(outputs) if node.op == "sum")


def test_a_derivative_by_the_deviation_itself() -> None:
    """A gradient is simplified, but keeps such terms: more may be asked of it."""
    d = deviation(X, 0)
    first = eg.grad((d.sum(axis=0) ** 2).sum(), d)
    second = eg.function([X], eg.grad(first.sum(), d))
    np.testing.assert_array_equal(second(np.ones((4, 5))), np.full((4, 5), 8.0))


def test_how_much_is_looked_through_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = Counter[int]()
    look = deviations._vanishes

    def counted(x: Tensor, *more: object) -> object:
        looked[layers] += 1
        return look(x, *more)

    monkeypatch.setattr(deviations, "_vanishes", counted)
    for layers in (40, 80):
        total, sums = X, []
        for n in range(layers):
            total = (total + eg.sin(X * n) * deviation(C, 0)) * W
            sums.append((total * X).sum(axis=0))
        condense(sums)
    assert looked[40] > 40
    assert looked[80] < 2.5 * looked[40]


def test_missing_numbers_are_seen_in_the_gradient() -> None:
    """A sum of deviations is left out; what stands beside it is NaN where it was."""
    x = np.ones((4, 5))
    x[1, 2] = np.nan
    gradient = eg.function([X], eg.grad(X.var(axis=0).sum(), X))(x)
    assert np.isnan(gradient[:, 2]).all()
    assert not np.isnan(gradient[:, [0, 1, 3, 4]]).any()
