"""The tile of a contraction: full registers, and little left over."""

import pytest

from exprgrad.loop.tile import Area, tile


@pytest.mark.parametrize(
    ("rows", "vectors", "registers", "expected"),
    [
        (784, 64, 32, (6, 4)),  # 24 accumulators of 32 registers
        (1, 64, 32, (1, 4)),  # one row: as many vectors as there are sums under way
        (784, 1, 32, (12, 1)),
        (784, 64, 16, (6, 2)),  # 12 accumulators, two vectors, one repeated element
    ],
)
def test_shapes(rows: int, vectors: int, registers: int, expected: tuple[int, int]) -> None:
    assert tile(Area(rows, vectors), registers) == expected


@pytest.mark.parametrize("registers", [16, 32])
def test_accumulators_vectors_and_a_repeated_element_have_registers(registers: int) -> None:
    for rows in range(1, 70):
        for vectors in range(1, 9):
            for known in (True, False):
                tall, wide = tile(Area(rows, vectors, known), registers)
                assert tall * wide + wide + 1 <= registers
                assert known or tall <= 6


def test_a_tile_may_be_no_wider_than_asked() -> None:
    assert tile(Area(512, 32), 32, widest=1)[1] == 1
