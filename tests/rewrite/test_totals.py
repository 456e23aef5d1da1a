"""Sums of products with what is the same along them, and of deviations from a mean."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from exprgrad.rewrite.simplify import simplify

X = eg.input("x", ("batch", 5), "float64")
C = eg.input("c", ("batch", 5), "float64")
W = eg.input("w", (5,), "float64")
R = eg.input("r", ("batch", 1), "float64")
IMAGES = eg.input("images", ("batch", 3, 4, 6), "float64")


def deviation(x: Tensor, axis: int | tuple[int, ...]) -> Tensor:
    return x - x.mean(axis=axis, keepdims=True)


# before, after: the graph that is expected
SPELLED = {
    "a factor": ((C * W).sum(axis=0), C.sum(axis=0) * W),
    "a factor of several": ((C * W * X).sum(axis=0), (C * X).sum(axis=0) * W),
    "a divisor": ((C / W).sum(axis=0), C.sum(axis=0) / W),
    "what a factor is divided by": ((W / C).sum(axis=0), (1 / C).sum(axis=0) * W),
    "a factor along the other axis": ((C * R).sum(axis=1), C.sum(axis=1) * R[:, 0]),
    "a factor of each channel": (
        (IMAGES * IMAGES.mean(axis=(0, 2, 3), keepdims=True) * IMAGES).sum(axis=(0, 2, 3)),
        (IMAGES * IMAGES).sum(axis=(0, 2, 3)) * IMAGES.mean(axis=(0, 2, 3)),
    ),
    "a deviation": (deviation(X, 0).sum(axis=0), eg.zeros((5,), "float64")),
    "a deviation along rows": ((C + 3 * deviation(X, 1)).sum(axis=1), C.sum(axis=1)),
    "a term": ((C + W * deviation(X, 0)).sum(axis=0), C.sum(axis=0)),
    "a term that is taken off": ((C - deviation(X, 0) / W).sum(axis=0), C.sum(axis=0)),
    "what another is taken off": ((deviation(X, 0) - C).sum(axis=0), -C.sum(axis=0)),
    "two terms": ((deviation(X, 0) + C - deviation(C, 0)).sum(axis=0), C.sum(axis=0)),
    "a deviation over an axis of two": ((C + deviation(X, 0)).sum(), C.sum()),
    "deviations of images": (
        (IMAGES + deviation(IMAGES, (0, 2, 3))).sum(axis=(0, 2, 3)),
        IMAGES.sum(axis=(0, 2, 3)),
    ),
    "of a product, whose mean has another form": (
        (C + deviation(eg.tanh(X) @ eg.input("q", (5, 5), "float64"), 0)).sum(axis=0),
        C.sum(axis=0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPELLED)
def test_graph(name: str) -> None:
    before, after = simplify(SPELLED[name])
    assert before is after


# what is no multiple of a deviation over what is summed
KEPT = {
    "a square": (deviation(X, 0) ** 2).sum(axis=0),
    "a product with what varies": (deviation(X, 0) * C).sum(axis=0),
    "what is divided by it": (C / deviation(X, 0)).sum(axis=0),
    "a deviation along the other axis": deviation(X, 1).sum(axis=0),
    "a deviation from another's mean": (X - C.mean(axis=0)).sum(axis=0),
    "a deviation from twice the mean": (X - X.mean(axis=0) * 2).sum(axis=0),
    "a deviation from a sum": (X - X.sum(axis=0)).sum(axis=0),
    "a factor that varies along the mean": (deviation(X, 1) * W).sum(),
}


@pytest.mark.parametrize("name", KEPT)
def test_others_are_kept(name: str) -> None:
    before, after = values_of(KEPT[name])
    np.testing.assert_allclose(after, before, rtol=1e-12)
    assert np.all(np.abs(before) > 1e-6)


def values_of(node: Tensor) -> list[np.ndarray]:
    """The value of an expression, and that of its simpler form."""
    rng = np.random.default_rng(1)
    values = {
        each: rng.standard_normal([n if isinstance(n, int) else 7 for n in each.shape]) + 2
        for each in walk([node])
        if each.op == "input"
    }
    return evaluate([node, *simplify([node])], values, {"batch": 7})


@pytest.mark.parametrize("name", SPELLED)
def test_values(name: str) -> None:
    before, after = values_of(SPELLED[name][0])
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-12)


def test_a_normalised_layer_has_two_sums_beside_its_moments() -> None:
    """Of the cotangent, and of its product with the deviations (Ioffe and Szegedy 2015,
    section 3).
    """
    gamma, beta = eg.input("gamma", (5,), "float64"), eg.input("beta", (5,), "float64")
    spread = (deviation(X, 0) ** 2).mean(axis=0)
    y = deviation(X, 0) * eg.rsqrt(spread + 1e-5) * gamma + beta
    gradients = eg.grad((C * y).sum(), [X, gamma, beta])
    sums = [node for node in walk(gradients) if node.op == "sum"]
    assert len(sums) == 4  # x, its squared deviations, and these two


def test_a_long_chain_below_each_of_its_sums_takes_linear_time() -> None:
    """What is looked through has a bound."""
    total, sums = X, []
    for n in range(400):
        total = total + eg.sin(X * n) * deviation(C, 0)
        sums.append(total.sum(axis=0))
    found = simplify(sums)
    assert len(found) == 400


def test_missing_numbers_are_seen_in_the_gradient() -> None:
    """A sum of deviations is left out; what stands beside it is NaN where it was."""
    x = np.ones((4, 5))
    x[1, 2] = np.nan
    gradient = eg.function([X], eg.grad(X.var(axis=0).sum(), X))(x)
    assert np.isnan(gradient[:, 2]).all()
    assert not np.isnan(gradient[:, [0, 1, 3, 4]]).any()
