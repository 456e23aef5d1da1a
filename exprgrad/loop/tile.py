"""The tile of a contraction: how many rows and how many vectors of results are computed
side by side.

A tile of `rows x vectors` needs so many accumulators and, for each step of the sum, loads
its vectors and repeats one element for each row:

    8 x 2: 16 multiplications, 2 loads, 8 repeated elements, 19 registers
    6 x 4: 24 multiplications, 4 loads, 6 repeated elements, 29 registers

The tile that takes the least time for all rows and columns, those that are left over
included, is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

# In vector multiplications: what a load and a repeated element take beside them, a step
# of the sum, a step to another page of memory, and the least that a step can take.
LOAD = 0.2
REPEAT = 0.1
STEP = 0.25
PAGE = 2.0
LATENCY = 8.0
VECTORS = (1, 2, 4)
# The most rows of a tile, and the rows where their number is not known: one and the same
# in most kernels, so that threads divide the mini-batch alike and need not wait between
# two of them. One vector wide, tiles of many rows are as high as it takes to have enough
# sums under way.
COMMON = 6
MANY = 96


@dataclass(frozen=True, slots=True)
class Area:
    """What is to be covered: rows, of a number known before the program runs or not, and
    vectors. `far` says that each step of the sum goes to another page of memory.
    """

    rows: int
    vectors: int
    known: bool = True
    far: bool = False


@lru_cache(1 << 10)
def tile(area: Area, registers: int, widest: int = VECTORS[-1]) -> tuple[int, int]:
    """Rows and vectors of the tile."""
    tiles = [
        (most, wide)
        for wide in VECTORS
        if wide <= min(widest, max(1, area.vectors))
        for most in _heights(area, wide, _most(wide, registers))
    ]
    return min(tiles, key=lambda t: (_time(area, *t), t[0] * t[1]))


def _heights(area: Area, wide: int, most: int) -> list[int]:
    if not area.known:
        return [min(COMMON, most)]
    high = 2 * COMMON if wide == 1 and area.rows >= MANY else COMMON
    return list(range(1, min(most, high) + 1))


def _most(vectors: int, registers: int) -> int:
    """The rows for which there are registers; of many some are left for what follows."""
    taken = registers // 4 if registers > 16 else 1 + vectors
    return (registers - taken) // vectors


def _time(area: Area, rows: int, vectors: int) -> float:
    """The time of one step of the sum for all tiles."""
    step = PAGE if area.far else STEP
    return sum(
        high * broad * (step + _step(tall, wide))
        for tall, high in _rows(area, rows)
        for wide, broad in _pieces(area.vectors, vectors)
    )


def _step(rows: int, vectors: int) -> float:
    return max(LATENCY, rows * vectors) + LOAD * vectors + REPEAT * rows


def _rows(area: Area, tall: int) -> list[tuple[int, int]]:
    if area.known or tall == 1:
        return _pieces(area.rows, tall)
    rest = area.rows % tall
    return [(tall, area.rows // tall), (2, rest // 2), (1, rest % 2)]


def _pieces(n: int, size: int) -> list[tuple[int, int]]:
    """The sizes of the pieces of n things in tiles of a size, and how many there are."""
    return [(size, n // size), *([(n % size, 1)] if n % size else [])]
