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
    vectors. `far` says that each step of the sum goes to another page of memory. Rows of a
    known number count as one thread has them that runs alone, with one tile for the rest.
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
    return _pieces(area.rows, tall) if area.known else cut(area.rows, tall)


# Rows whose number in a thread's part is known at run time alone


def kinds(tall: int) -> list[int]:
    """How many rows the tiles have by which such rows are covered, the largest first.

    >>> kinds(6), kinds(4), kinds(1)
    ([6, 4, 1], [4, 2, 1], [1])
    """
    return sorted({tall, _half(tall), 1}, reverse=True)


def spare(tall: int) -> range:
    """How many rows beyond whole tiles make two smaller ones with one of these: 6 and 2
    rows are 4 and 4, for a tile of two waits for its sums.

    >>> spare(6), spare(4)
    (range(2, 4), range(0, 0))
    """
    half = _half(tall)
    return range(2 * half - tall, half) if 2 * half > tall > 1 else range(0)


def cut(rows: int, tall: int) -> list[tuple[int, int]]:
    """How many tiles of each kind there are.

    >>> cut(128, 6)
    [(6, 20), (4, 2), (1, 0)]
    """
    found = []
    for height in kinds(tall):
        count = rows // height
        if height == tall and count and rows % height in spare(tall):
            count -= 1
        found.append((height, count))
        rows -= count * height
    return found


def unit(tall: int) -> int:
    """How many of the rows stay with one thread: a smaller tile, so that threads have about
    equally many, where all its multiples are cut into no single rows; else a whole one.

    >>> unit(6), unit(5), unit(8)
    (4, 5, 8)
    """
    half = _half(tall)
    multiples = range(half, half * tall + 1, half)
    fits = tall & (tall - 1) and not any(dict(cut(rows, tall))[1] for rows in multiples)
    return half if fits else tall


def _half(tall: int) -> int:
    """The largest power of two below, four at most."""
    return min(4, 1 << (tall - 1).bit_length() - 1) if tall > 1 else 1


def _pieces(n: int, size: int) -> list[tuple[int, int]]:
    """The sizes of the pieces of n things in tiles of a size, and how many there are."""
    return [(size, n // size), *([(n % size, 1)] if n % size else [])]
