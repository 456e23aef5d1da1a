"""Memory of parameters and states: zeroed, apart from one another, where it should begin."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from exprgrad.graph.dtype import float32, float64
from exprgrad.graph.state import CHUNK, LINE, PAGE, Arena

SIZES = st.one_of(st.integers(0, 40), st.sampled_from([1000, 1024, 1025, 5000, CHUNK]))
SHAPES = st.lists(SIZES, max_size=2).map(tuple)


@given(st.lists(st.tuples(SHAPES.filter(lambda s: np.prod(s) <= CHUNK), st.booleans())))
def test_arrays_lie_apart_and_begin_with_a_line(wanted: list[tuple[tuple[int, ...], bool]]) -> None:
    arena = Arena()
    arrays = [arena.take(shape, float64 if wide else float32) for shape, wide in wanted]
    for array, (shape, _) in zip(arrays, wanted, strict=True):
        assert array.shape == shape
        assert not array.any()
        assert array.ctypes.data % LINE == 0 or not array.size
    spans = sorted((a.ctypes.data, a.ctypes.data + a.nbytes) for a in arrays if a.size)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_large_vectors_begin_a_line_before_a_page() -> None:
    arena = Arena()
    for n in (1025, 7, 1_000_000, 5000):
        begins = arena.take((n,), float32).ctypes.data % PAGE
        assert (begins == PAGE - LINE) == (n > 7)
