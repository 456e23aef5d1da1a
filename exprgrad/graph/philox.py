"""Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011, "Parallel random
numbers: as easy as 1, 2, 3", section 3.3), and how elements of a tensor read it.

Element e of a draw depends on seed, step, key and e alone, so that every backend and
every number of threads gives the same numbers. The order suits vectors of 16 lanes: 16
neighbouring elements are the same word of 16 neighbouring blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = tuple[NDArray[np.uint32], ...]

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)  # the golden ratio and sqrt(3) - 1
ROUNDS = 10
LANES = 16
MASK = 0xFFFFFFFF


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


def uniform(
    shape: tuple[int, ...], dtype: np.dtype[Any], key: int, step: int, seed: int
) -> NDArray[Any]:
    """Numbers in [0, 1): 24 random bits each in float32, 53 in float64."""
    words_each = 1 if dtype.itemsize == 4 else 2
    span = LANES * 4 // words_each
    element = np.arange(int(np.prod(shape, dtype=np.int64)))
    block = element // span * LANES + element % LANES
    part = element % span // LANES
    blocks = int(np.max(block)) + 1 if block.size else 0
    random = _blocks(blocks, key, step, seed)
    if words_each == 1:
        return _scaled(random[part, block] >> 8, -24, dtype).reshape(shape)
    high, low = random[2 * part, block], random[2 * part + 1, block]
    bits = (high.astype(np.uint64) << np.uint64(32) | low) >> np.uint64(11)
    return _scaled(bits, -53, dtype).reshape(shape)


def _scaled(bits: NDArray[Any], power: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    scaled: NDArray[Any] = np.ldexp(bits.astype(dtype), power)
    return scaled


def _blocks(n: int, key: int, step: int, seed: int) -> NDArray[np.uint32]:
    """Words [4, n] of the first n blocks of a draw."""
    number = np.arange(n, dtype=np.uint64)
    low, high = number & np.uint64(MASK), number >> np.uint64(32)
    counter = (low, high, np.full_like(low, step & MASK), np.full_like(low, key & MASK))
    return np.stack(philox(counter, (seed & MASK, (seed >> 32) & MASK)))
