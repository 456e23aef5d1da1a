"""How often the steps of a sum go to a page that the processor does not know."""

from __future__ import annotations

import pytest

from exprgrad.graph import dtype
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Buffer
from exprgrad.loop.pages import page_steps

ROWS = Axis("j", 48)
U, V, W = Axis("u", 64), Axis("v", 3), Axis("w", 4)


def steps(shape: tuple[int, ...], index: tuple[Axis, ...], *summed: Axis, high: int = 6) -> float:
    """Those of a sum over an array of float32 numbers."""
    buffer = Buffer("x", shape, dtype.float32, "temporary")
    read = ir.read(buffer, shape, [ir.axis_value(axis) for axis in index])
    return page_steps(read, summed, ROWS, high)


@pytest.mark.parametrize(
    ("inner", "wanted"),
    [
        (16, 0),  # 64 bytes from w to w, 768 from u to u: 12 pages
        (128, 191 / 768),  # 512 from w to w: wherever v or u changes, of 96 pages
        (256, 767 / 768),  # 1 KB from w to w: at each step but the first
    ],
)
def test_steps_to_another_page_count_where_pages_are_many(inner: int, wanted: float) -> None:
    found = steps((64, 3, 4, inner), (U, V, W, Axis("i", inner)), U, V, W)
    assert found == pytest.approx(wanted)


def test_a_sum_that_goes_along_memory_stays() -> None:
    """The same elements in two orders."""
    v, w, u = index = Axis("v", 16), Axis("w", 8), Axis("u", 1024)
    assert steps((16, 8, 1024), index, v, w, u) == pytest.approx(127 / 131072)
    assert steps((16, 8, 1024), index, u, v, w) == pytest.approx(127 / 128)


@pytest.mark.parametrize("extent", [0, 1])
def test_axes_that_never_move_count_nothing(extent: int) -> None:
    short = Axis("v", extent)
    index = (U, W, short, Axis("i", 512))
    long = steps((64, 4, 1, 512), (U, W, V, index[3]), U, W)
    assert steps((64, 4, 1, 512), index, U, W, short) == long


def test_each_row_of_a_tile_has_its_own_pages() -> None:
    """Rows far apart make the pages many; rows side by side share theirs."""
    far = (48, 64, 256), (ROWS, U, W), U, W
    assert steps(*far) == pytest.approx(6 * 63 / 256)
    assert steps(*far, high=1) == 0
    near = (128, 4, 48), (Axis("u", 128), W, ROWS)
    assert steps(*near, *near[1][:2]) == 0  # 768 bytes from u to u: 24 pages for all rows
    assert steps((128, 64, 48), near[1], *near[1][:2]) == pytest.approx(127 / 512)
