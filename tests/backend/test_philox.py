"""Random numbers of the vector code against the definition in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from exprgrad.backend.philox import random, rounds
from exprgrad.backend.text import Code
from exprgrad.graph.dtype import BY_NAME, int64
from exprgrad.graph.philox import uniform
from tests.backend.harness import AVX2, HOST, Array, loop_text, run


def draw(
    dtype: str, lanes: int, elements: Array, step: int, seed: int, key: int
) -> Array:
    padded = np.resize(elements, -(-elements.size // lanes) * lanes).astype(np.int64)
    result = BY_NAME[dtype]

    def write(code: Code, names: tuple[str, ...]) -> str:
        common = rounds(code, lanes, str(step), str(seed), key)
        return random(code, result, lanes, names[0], common)

    target = AVX2 if lanes == 8 and HOST.has("avx2") else HOST
    text = loop_text(write, [int64], result, lanes, target)
    return run(text, result, [padded], target)[: elements.size]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lanes", [1, 4, 8, 16])
@pytest.mark.parametrize(
    ("step", "seed", "key"),
    [(0, 0, 0), (7, 123, 3), (2**33 + 5, -(2**62) + 9, 2**32 - 1)],
)
def test_the_definition(dtype: str, lanes: int, step: int, seed: int, key: int) -> None:
    expected = uniform((517,), np.dtype(dtype), key, step, seed)
    got = draw(dtype, lanes, np.arange(517), step, seed, key)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_order_of_elements(dtype: str) -> None:
    order = np.random.default_rng(1).permutation(1000)
    expected = uniform((1000,), np.dtype(dtype), 5, 2, 42)
    np.testing.assert_array_equal(draw(dtype, 16, order, 2, 42, 5), expected[order])


def test_far_elements_have_numbers_of_their_own() -> None:
    near = draw("float32", 16, np.arange(64), 1, 1, 1)
    far = draw("float32", 16, np.arange(64) + 2**34 * 16, 1, 1, 1)
    assert not np.isin(far, near).any()
