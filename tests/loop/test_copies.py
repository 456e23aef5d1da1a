"""What sums read through windows is copied with its border, and with nothing beyond it."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from tests.compiled import assert_right

SIZES = {"n": 3, "h": 8, "w": 11}


def held_to_numpy(*outputs: Tensor) -> None:
    rng = np.random.default_rng(0)
    inputs = [node for node in walk(outputs) if node.op == "input"]
    shapes = ([n if isinstance(n, int) else SIZES[str(n)] for n in i.shape] for i in inputs)
    values = {i: rng.standard_normal(s) for i, s in zip(inputs, shapes, strict=True)}
    assert_right(list(outputs), values, scale=20)


SHAPES = [(16, 16), ("h", 16), (16, "w"), ("h", "w")]
PADDINGS = ["same", [(0, 2), (2, 0)], 1]
# How much "same" adds where a stride jumps depends on the size.
CASES = [
    (size, padding, stride)
    for size in SHAPES
    for padding in PADDINGS
    for stride in (1, 2)
    if (padding, stride) != ("same", 2) or size == (16, 16)
]


@pytest.mark.parametrize(("size", "padding", "stride"), CASES, ids=str)
@pytest.mark.parametrize("taps", [(2, 2), (1, 3)], ids=str)
def test_borders(size: tuple, padding: object, stride: int, taps: tuple) -> None:
    """Also on one side alone, and along axes whose sizes are known when it runs."""
    x, k = eg.input("x", ("n", 3, *size)), eg.input("k", (8, 3, *taps))
    y = eg.conv2d(x, k, padding=padding, stride=stride)
    held_to_numpy(y, *eg.grad((y * y).sum(), [x, k]))


def test_what_a_kernel_writes_itself_is_not_copied() -> None:
    x, c = eg.input("x", ("n", 5, 9, 9)), eg.input("c", ())
    y = eg.max_pool2d(eg.tanh(x), 4, stride=1, padding=1) * c
    held_to_numpy(*eg.grad(eg.sin(y).sum(), [x, c]))
