"""Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011, "Parallel random
numbers: as easy as 1, 2, 3", section 3.3), and how elements of a tensor read it.

Element e of a draw depends on seed, step, key and e alone, so that every backend and
every number of threads gives the same numbers. The order suits vectors of 16 lanes: 16
neighbouring elements are the same word of 16 neighbouring blocks, and each row of a matrix
begins with blocks of its own, so that four vectors of it use up the same 16 blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exprgrad.graph.dims import Size

Words = tuple[NDArray[np.uint32], ...]

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)  # the golden ratio and sqrt(3) - 1
ROUNDS = 10
LANES = 16
ROW = 4 * LANES  # elements of float32 that the words of as many blocks as lanes give
MASK = 0xFFFFFFFF

# Draws that are given no key have keys from here on.
OWN_KEYS = 1 << 31


def key_text(key: int) -> str:
    """A key as listings print it: one that was given, or the number of the draw."""
    return f"key={key}" if key < OWN_KEYS else f"draw={key - OWN_KEYS}"


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """Four random 32-bit words for each counter of four words."""
    c = tuple(word.astype(np.uint64) for word in counter)
    for i in range(ROUNDS):
        k0, k1 = ((k + i * w) & MASK for k, w in zip(key, WEYL, strict=True))
        p0, p1 = c[0] * np.uint64(MULTIPLIERS[0]), c[2] * np.uint64(MULTIPLIERS[1])
        low, high = np.uint64(MASK), np.uint64(32)
        c = (
            (p1 >> high) ^ c[1] ^ np.uint64(k0),
            p1 & low,
            (p0 >> high) ^ c[3] ^ np.uint64(k1),
            p0 & low,
        )
    return tuple(word.astype(np.uint32) for word in c)


def row_length(n: Size) -> Size:
    """How far apart the numbers of the elements of neighbouring rows are.

    >>> row_length(500), row_length(512)
    (512, 512)
    """
    return (n + ROW - 1) // ROW * ROW


def numbers(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The number of each element: rows follow one another at distances of `row_length`."""
    length = int(np.prod(shape, dtype=np.int64))
    if len(shape) < 2 or not length:
        return np.arange(length).reshape(shape)
    rows = np.arange(length // shape[-1])[:, None]
    apart = row_length(shape[-1])
    assert isinstance(apart, int)
    return (rows * apart + np.arange(shape[-1])).reshape(shape)


def uniform(
    shape: tuple[int, ...], dtype: np.dtype[Any], key: int, step: int, seed: int
) -> NDArray[Any]:
    """Numbers in [0, 1): 24 random bits each in float32, 53 in float64."""
    return drawn(numbers(shape), dtype, key, step, seed)


def drawn(
    element: NDArray[np.int64], dtype: np.dtype[Any], key: int, step: int, seed: int
) -> NDArray[Any]:
    """The numbers of these elements of a draw."""
    words_each = 1 if dtype.itemsize == 4 else 2
    span = LANES * 4 // words_each
    block = element // span * LANES + element % LANES
    part = element % span // LANES
    words = _words(block, key, step, seed)
    if words_each == 1:
        return _scaled(_chosen(words, part) >> 8, -24, dtype)
    high, low = _chosen(words[0::2], part), _chosen(words[1::2], part)
    bits = (high.astype(np.uint64) << np.uint64(32) | low) >> np.uint64(11)
    return _scaled(bits, -53, dtype)


def _chosen(words: Words, part: NDArray[np.int64]) -> NDArray[np.uint32]:
    found: NDArray[np.uint32] = np.choose(part, words)
    return found


def _scaled(bits: NDArray[Any], power: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    scaled: NDArray[Any] = np.ldexp(bits.astype(dtype), power)
    return scaled


def _words(block: NDArray[np.int64], key: int, step: int, seed: int) -> Words:
    """The four words of blocks of a draw."""
    number = block.astype(np.uint64)
    low, high = number & np.uint64(MASK), number >> np.uint64(32)
    counter = (low, high, np.full_like(low, step & MASK), np.full_like(low, key & MASK))
    return philox(counter, (seed & MASK, (seed >> 32) & MASK))
