"""What follows from the sums of a tile, row by row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.tensor import Tensor
from exprgrad.runtime.compile import Request, compile_request
from tests.backend.test_assembly import AVX512
from tests.compiled import assert_right

N = "batch"
Spelled = Callable[[Tensor, Tensor], Tensor]


def operations(graph: Tensor, op: str) -> int:
    """How often an operation is written out."""
    return compile_request(Request([graph], {}), AVX512).library.ir.count(op)


def update(gradient: Tensor, weight: Tensor) -> Tensor:
    """About as much as follows from a gradient by Adam."""
    moment = 0.9 * weight + 0.1 * gradient
    second = 0.99 * weight + 0.01 * gradient * gradient
    return weight - 0.1 * moment * 1.5 / (eg.sqrt(second * second + 2) + 1e-8)


def test_it_is_written_for_one_row() -> None:
    """Of a tile of six rows, each of four vectors, and of the smaller tiles of what is left."""
    x, y, w = eg.input("x", (64, 784)), eg.input("y", (64, 256)), eg.input("w", (784, 256))
    written = operations(update(x.T @ y, w), "llvm.sqrt.v16f32(")
    assert written in (4 + 1, 8 + 1)  # and its declaration
    # by itself the same is written out for two vectors side by side
    assert operations(update(w, w), "llvm.sqrt.v16f32(") == 2 + 1


def test_what_is_short_is_written_out() -> None:
    x, w = eg.input("x", (66, 784)), eg.input("w", (784, 256))
    assert operations(eg.maximum(x @ w, 0), "fcmp") >= 24


def numbered(gradient: Tensor, weight: Tensor) -> Tensor:
    """What follows depends on the place of an element, of its row and of its column."""
    rows, columns = gradient.shape
    drawn = eg.random.uniform(gradient.shape, dtype=gradient.dtype)
    place = (eg.arange(rows)[:, None] * 3 + eg.arange(columns)).astype(gradient.dtype)
    chosen = eg.where(place % 2 == 0, gradient * drawn, weight * place)
    return chosen + weight[:, :1] * gradient / (1 + weight[0] * weight[0]) - place


SPELLED: dict[str, Spelled] = {
    "an update": update,
    "what its place decides": numbered,
    "other rows": lambda g, w: update(g, w) + update(eg.flip(w, axis=0), w) * g,
    "turned": lambda g, w: update(g, w).T,
    "sums of its own": lambda g, w: update(g, w) + eg.softmax(update(w, w), axis=1) * g,
    "two sums": lambda g, w: update(g, w) + update(g * w, w),
}


@pytest.mark.parametrize("name", SPELLED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 17), (13, 70), (100, 33)])
def test_values(name: str, dtype: str, rows: int, columns: int) -> None:
    x, y = eg.input("x", (N, rows), dtype), eg.input("y", (N, columns), dtype)
    w = eg.input("w", (rows, columns), dtype)
    graph = SPELLED[name](x.T @ y, w)
    rng = np.random.default_rng(0)
    for batch in (1, 40, 700):
        draw = (rng.uniform(0.1, 1, s) for s in ((batch, rows), (batch, columns)))
        values = {x: next(draw), y: next(draw), w: rng.uniform(0.1, 1, (rows, columns))}
        assert_right([graph], values, scale=50)


def test_states_of_a_long_update() -> None:
    """Rows that threads divide, and tiles whose last vector is a part."""
    x, y = eg.input("x", (N, 61)), eg.input("y", (N, 37))
    w = eg.parameter("w", (61, 37), init=eg.init.glorot_uniform())
    updates = eg.optim.Adam(1e-2).updates(((x @ w - y) ** 2).sum(), [w])
    rng = np.random.default_rng(0)
    values = {x: rng.normal(size=(300, 61)), y: rng.normal(size=(300, 37))}
    assert_right([], values, updates, scale=50)
