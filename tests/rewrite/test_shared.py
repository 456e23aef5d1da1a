"""Sums of products that are computed anyway."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from exprgrad.rewrite.simplify import simplify

X, W = eg.input("x", ("batch", 40)), eg.input("w", (40, 30))


def dots(*outputs: Tensor) -> int:
    return sum(node.op == "dot" for node in walk(simplify(outputs)))


def test_a_mean_is_taken_of_what_is_computed_anyway() -> None:
    hidden = X @ W
    assert dots(hidden.mean(axis=0), eg.tanh(hidden)) == 1
    # alone it is the product of a mean
    (mean,) = simplify([hidden.sum(axis=0)])
    assert mean.op == "dot"
    assert mean.args[0].op == "sum"


def test_the_gradient_of_a_mean_beside_its_product_goes_through_the_product_once() -> None:
    """So the gradient of a convolution with batch norm is one convolution, which adds up
    what its windows share: beside the mean's own way back it was a sum of windows.
    """
    x, k = eg.input("x", ("batch", 3, 8, 8)), eg.input("k", (4, 3, 3, 3))
    y = eg.conv2d(x, k)
    loss = eg.tanh(y - y.mean((0, 2, 3), keepdims=True)).sum()
    slopes = eg.grad(loss, [x, k])
    assert dots(loss, *slopes) == 3
    spread = next(node for node in walk(simplify(slopes)) if node.op == "unwindow")
    assert spread.args[0].op == "dot"


def test_a_product_of_more_elements_than_its_factor_is_not_read_again() -> None:
    wide = eg.input("wide", (40, 50))
    assert dots((X @ wide).sum(axis=0), eg.tanh(X @ wide)) == 2


def test_other_products_are_left_alone() -> None:
    other = eg.input("other", (40, 30))
    assert dots((X @ W).sum(axis=0), eg.tanh(X @ other)) == 2
    assert dots((X @ W).sum(axis=0), eg.tanh(X.sum(axis=0) @ other)) == 2


@pytest.mark.parametrize(
    ("spec", "axes"),
    [
        ("ij,jk->ik", (0,)),
        ("ij,jk->ki", (1,)),
        ("jk,ij->ik", (0,)),
        ("bij,bjk->bik", (1,)),
        ("bij,bjk->kbi", (2,)),
        ("hij,jk->hik", (0, 1)),
        ("hij,jk->ihk", (1,)),
        ("hij,kj->khi", (1,)),
    ],
)
def test_values(spec: str, axes: tuple[int, ...]) -> None:
    size = dict(zip("bhijk", (3, 5, 7, 11, 6), strict=True))
    shapes = [tuple(size[c] for c in part) for part in spec.split("->")[0].split(",")]
    inputs = [eg.input(f"p{n}", shape, "float64") for n, shape in enumerate(shapes)]
    product = eg.einsum(spec, *inputs)
    outputs = [product.sum(axis=axes), eg.exp(product / 9)]
    assert dots(*outputs) == 1
    rng = np.random.default_rng(0)
    given = [rng.normal(size=shape) for shape in shapes]
    whole = np.einsum(spec, *given)
    total, other = eg.function(inputs, outputs)(*given)
    np.testing.assert_allclose(total, whole.sum(axis=axes), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(other, np.exp(whole / 9), rtol=1e-12)


def test_one_mean_inside_of_another_layer() -> None:
    """The product that is summed leads to a sum that is taken from another product."""
    first, second = eg.input("v", (40, 40)), eg.input("u", (40, 40))

    def normalised(x: Tensor) -> Tensor:
        return eg.tanh(x - x.mean(axis=0))

    graph = normalised(normalised(X @ first) @ second)
    assert dots(graph) == 2
    rng = np.random.default_rng(1)
    x, v, u = rng.normal(size=(9, 40)), *(rng.normal(size=(40, 40)) / 6 for _ in range(2))
    hidden = np.tanh(x @ v - (x @ v).mean(axis=0))
    expected = np.tanh(hidden @ u - (hidden @ u).mean(axis=0))
    found = eg.function([X, first, second], graph)(*(a.astype("f") for a in (x, v, u)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
