"""Loops in pieces: inside no condition is left, and the values are the same."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.evaluate import evaluate
from exprgrad.loop import ir
from tests.compiled import assert_right
from tests.loop.stages import interpreted, stages


def image_gradient(n=2, channels=16, size=9, taps=3, **options):
    """The gradient of a convolution to its image; lanes run along its channels."""
    x, w = eg.input("x", (n, channels, size, size)), eg.input("w", (8, channels, taps, taps))
    y = eg.conv2d(x, w, **options)
    g = eg.input("g", y.shape)
    rng = np.random.default_rng(0)
    values = {v: rng.normal(size=v.shape).astype("f") for v in (w, g)}
    return eg.vjp(y, x, g), values


def conditions(store):
    return {node.op for node in ir.scalars(ir.Kernel((store,)))} & {"where", "logical_and"}


def test_the_inside_of_an_image_is_not_tried():
    gradient, _ = image_gradient(padding=1)
    (kernel,) = [k for k in stages([gradient]).ordered if len(k.stores) > 1]
    extents = [[axis.extent for axis in store.axes[-2:]] for store in kernel.stores]
    assert [7, 7] in extents
    assert not conditions(kernel.stores[extents.index([7, 7])])


@pytest.mark.parametrize("options", [
    {"padding": 1}, {}, {"taps": 5}, {"dilation": 2, "padding": 2}, {"stride": 2, "padding": 1},
    {"size": 5, "taps": 4}, {"size": 20, "padding": (1, 0)},
], ids=str)  # fmt: skip
def test_values(options):
    gradient, values = image_gradient(**options)
    assert_right([gradient], values, scale=10)


def test_interpreted_before_and_after():
    gradient, values = image_gradient(1, 8, 6)
    made = stages([gradient])
    for kernels in (made.variants()["fuse"], made.ordered):
        (found,) = interpreted(kernels, made.outputs, values)
        (expected,) = evaluate([gradient], values)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
