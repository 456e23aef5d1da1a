"""The tile of a contraction: full registers, and little left over."""

import pytest

from exprgrad.loop.tile import Area, cut, kinds, tile, unit


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


@pytest.mark.parametrize("tall", range(1, 17))
def test_rows_of_a_number_known_at_run_time_are_cut_into_tiles(tall: int) -> None:
    for rows in range(100):
        found = cut(rows, tall)
        assert [height for height, _ in found] == kinds(tall)
        assert sum(height * count for height, count in found) == rows
        assert all(count >= 0 for _, count in found)


@pytest.mark.parametrize("rows", [8, 16, 32, 50, 64, 100, 128, 256, 512])
def test_usual_batches_leave_no_rows_to_tiles_that_wait_for_their_sums(rows: int) -> None:
    assert dict(cut(rows, 6))[1] == 0


@pytest.mark.parametrize("rows", [32, 64, 96, 128, 256])
def test_two_threads_have_equally_many_rows_of_a_usual_batch(rows: int) -> None:
    assert rows % (2 * unit(6)) == 0


@pytest.mark.parametrize("tall", range(1, 17))
def test_what_stays_with_one_thread_is_cut_into_no_single_rows(tall: int) -> None:
    for parts in range(1, 100):
        singles = dict(cut(parts * unit(tall), tall))[1]
        assert singles == 0 or tall == 1
