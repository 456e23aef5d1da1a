"""How often the steps of a sum go to another page of memory, where that costs time.

    sum over u < 64, v < 3, w < 3: x[u, y + v, x + w, i..] * k[j, u, v, w]

The processor knows the places of some pages at once, and foresees what follows in order;
other steps wait. With 2 KB from row to row of x and all of it larger than the pages known,
the sum above goes elsewhere whenever v or u changes: at one step in three.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from exprgrad.graph.state import PAGE
from exprgrad.loop import ir
from exprgrad.loop.cost import typical
from exprgrad.loop.ir import Axis, Scalar

KNOWN = 64  # pages whose places are known at once
# Bytes between neighbours beyond which the processor's own foresight fails.
APART = 512


def page_steps(read: Scalar, summed: Sequence[Axis], rows: Axis, high: int) -> float:
    """How many of the `high` rows that a tile has go elsewhere in a step of the sum, on
    average; 0 where all their pages are known.
    """
    if abs(_stride(read, rows)) <= APART:
        high = 1
    strides = [(typical(axis.extent), abs(_stride(read, axis))) for axis in summed]
    if high * prod(_pages(*each) for each in strides) <= KNOWN:
        return 0.0
    found, inside = 0.0, 1
    for extent, stride in reversed([each for each in strides if each[0] > 1]):
        if stride > APART:
            found += (1 - 1 / extent) / inside
        inside *= extent
    return high * found


def _stride(read: Scalar, axis: Axis) -> int:
    """The bytes from one iteration's element to the next one's; a page if they differ."""
    factor = ir.offset(read).factor_of(axis)
    return PAGE if factor is None else typical(factor) * read.dtype.size


def _pages(extent: int, stride: int) -> float:
    return extent if stride >= PAGE else max(1.0, extent * stride / PAGE)
