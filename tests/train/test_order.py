"""Which rows an epoch takes: exactly where it is exact, by statistics where it is chance."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import exprgrad as eg
from exprgrad.errors import InputError

O = eg.order  # noqa: E741 - as S is for schedules
N = 60
LABELS = np.repeat([0, 1, 2], [36, 18, 6])
DIFFICULTY = np.random.default_rng(5).permutation(N).astype(float)
WEIGHTS = np.arange(N, dtype=float)


class Visits(eg.Callback):
    """Trains on row numbers and keeps those of each epoch in the order of their steps."""

    def __init__(self, n: int = N) -> None:
        row = eg.input("row", ("batch",), "int64")
        self.data = {"row": np.arange(n)}
        w = eg.parameter("w", (n,))
        self.step, self.at = eg.state("step", init=1.0), eg.state("at", (n,))
        seen = eg.scatter_add(0 * eg.astype(row, "float32") + self.step, row, n)
        updates = {self.at: self.at + seen, self.step: self.step + 1}
        self.trainer = eg.Trainer(eg.take(w, row).sum(), eg.optim.SGD(1.0), updates=updates)
        self.w = w
        self.epochs: list[dict[int, int]] = []

    def on_epoch_begin(self, trainer: Any, logs: Any) -> None:
        self.at.value, self.step.value = np.zeros(self.at.shape), 1.0

    def on_epoch_end(self, trainer: Any, logs: Any) -> None:
        """The step that took each row, where none took two."""
        rows = np.flatnonzero(self.at.value)
        self.epochs.append({int(r): int(self.at.value[r]) for r in rows})

    def fit(self, shuffle: Any, **arguments: Any) -> list[dict[int, int]]:
        self.trainer.fit(self.data, shuffle=shuffle, callbacks=self, **arguments)
        return self.epochs


def drawn(order: Any, epoch: int = 0, batch_size: int = 8, seed: int = 0, n: int = N) -> Any:
    random = np.random.default_rng([seed, epoch])
    return order.rows(np.arange(n), epoch, batch_size, random)


WHOLE = {
    "shuffled": True,
    "as they stand": False,
    "stratified": O.Stratified(LABELS),
    "blocks": O.Blocks(7),
    "all admitted": O.Curriculum(DIFFICULTY, O.pacing(1.0, 1)),
    "all admitted by step": O.Curriculum(DIFFICULTY, O.pacing(1.0, steps=1)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_each_row_once_an_epoch_in_batches_that_are_full(name: str) -> None:
    epochs = Visits().fit(WHOLE[name], epochs=3, batch_size=8)
    for steps in epochs:
        assert sorted(steps) == list(range(N))
        assert list(Counter(sorted(steps.values())).values()) == [8] * 7 + [4]
    assert (epochs[0] == epochs[1] == epochs[2]) is (name == "as they stand")


@pytest.mark.parametrize("name", WHOLE)
def test_two_fits_are_one(name: str) -> None:
    once, twice = Visits(), Visits()
    whole = once.fit(WHOLE[name], epochs=3, batch_size=8)
    twice.fit(WHOLE[name], epochs=1, batch_size=8)
    assert twice.fit(WHOLE[name], epochs=2, batch_size=8) == whole


def test_every_permutation_is_as_likely_as_another() -> None:
    from scipy.stats import chisquare

    everything = O.Curriculum([1.0, 2.0, 3.0, 4.0], O.pacing(1.0, 1))
    counts = Counter(tuple(drawn(everything, epoch, n=4)) for epoch in range(1200))
    assert len(counts) == 24
    assert chisquare(list(counts.values())).pvalue > 0.01


# Curriculum


def test_a_curriculum_admits_the_easiest_part_and_more_each_epoch() -> None:
    order = O.Curriculum(DIFFICULTY, O.pacing(0.25, epochs=3))
    epochs = Visits().fit(order, epochs=5, batch_size=8)
    easiest = np.argsort(DIFFICULTY)
    for steps, admitted in zip(epochs, (15, 30, 45, 60, 60), strict=True):
        assert set(steps) == set(easiest[:admitted].tolist())
        assert max(steps.values()) == -(-admitted // 8)


def test_rows_are_shuffled_among_the_admitted() -> None:
    order = O.Curriculum([5, 1, 3, 2, 4], O.pacing(0.6, 10))
    seen = {tuple(drawn(order, 0, seed=seed, n=5)) for seed in range(60)}
    assert seen == set(itertools.permutations((1, 2, 3)))


def test_of_equal_difficulty_the_first_are_easier() -> None:
    order = O.Curriculum(np.zeros(8), O.pacing(0.5, 10))
    assert sorted(drawn(order, n=8)) == [0, 1, 2, 3]


def test_the_root_pacing_of_platanios() -> None:
    t = np.arange(20)
    expected = np.minimum(1, np.sqrt(t * (1 - 0.1**2) / 12 + 0.1**2))
    np.testing.assert_allclose(eg.schedules.values(O.pacing(0.1, 12, 2), 20), expected)


def test_any_schedule_of_epochs_is_a_pace() -> None:
    pace = eg.schedules.sequence({0: 0.5, 2: 1.0}, t=eg.epoch)  # Bengio's two stages
    order = O.Curriculum(DIFFICULTY, pace)
    assert [drawn(order, epoch).size for epoch in range(4)] == [30, 30, 60, 60]


def test_with_a_validation_split_the_part_is_of_the_rows_left() -> None:
    visits = Visits()
    order = O.Curriculum(DIFFICULTY, O.pacing(0.5, epochs=1))
    first, second = visits.fit(order, epochs=2, batch_size=8, validation_split=0.2)
    easiest = [row for row in np.argsort(DIFFICULTY) if row in second]
    assert (len(second), set(first)) == (48, set(easiest[:24]))


# Pacing by update


def batches_of(rows: Any, size: int = 8) -> list[Any]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def test_each_batch_is_of_the_part_admitted_at_its_step() -> None:
    """Equation 7 of Platanios; eight batches of 60 rows in an epoch."""
    order = O.Curriculum(DIFFICULTY, O.pacing(0.2, steps=20))
    rank = np.argsort(np.argsort(DIFFICULTY))
    for epoch in range(4):
        found = batches_of(drawn(order, epoch))
        assert [len(set(rows)) for rows in found] == [8] * 7 + [4]
        for b, rows in enumerate(found):
            part = min(1, 0.2 + 0.8 * (8 * epoch + b) / 20)
            assert rank[rows].max() < round(part * N)
    assert sorted(drawn(order, 3)) == list(range(N)), "all admitted: each row once"


def test_the_fixed_exponential_pacing_of_hacohen_and_weinshall() -> None:
    """Their equation (1): start * increase^floor(step / length) of the rows, at most all."""
    staircase = eg.schedules.step_decay(0.2, 1.9, every=3)
    order = O.Curriculum(DIFFICULTY, eg.minimum(staircase, 1.0))
    expected = [min(0.2 * 1.9 ** (i // 3), 1) for i in range(8, 16)]
    np.testing.assert_allclose(order.parts(1, 8), expected, rtol=1e-12)
    rank = np.argsort(np.argsort(DIFFICULTY))
    for seed in range(20):
        found = batches_of(drawn(order, seed=seed))
        first, second = np.concatenate(found[3:5]), found[5]  # of 23 rows: two batches, one
        assert len(set(first)) == 16 and len(set(second)) == 8
        assert rank[[*first, *second]].max() < 23


def test_each_admitted_row_is_as_likely_as_another_in_every_batch() -> None:
    from scipy.stats import chisquare

    order = O.Curriculum(np.arange(20.0), O.pacing(0.4, steps=9))
    counts = np.zeros((5, 20))
    for seed in range(2000):
        for b, rows in enumerate(batches_of(drawn(order, seed=seed, n=20, batch_size=4), 4)):
            np.add.at(counts[b], rows, 1)
    for b, count in enumerate(counts):
        admitted = round(20 * (0.4 + 0.6 * b / 9))
        assert count[admitted:].sum() == 0
        assert chisquare(count[:admitted]).pvalue > 0.001


@pytest.mark.parametrize("batch_size", [1, 7, 60])
def test_as_many_rows_are_admitted_as_a_batch_has(batch_size: int) -> None:
    order = O.Curriculum(DIFFICULTY, 1e-9 + 0 * eg.astype(eg.step, "float64"))
    rows = drawn(order, batch_size=batch_size)
    assert len(rows) == N and set(rows) == set(np.argsort(DIFFICULTY)[:batch_size])


def test_the_step_of_the_pace_is_that_of_the_trainer_and_two_fits_are_one() -> None:
    def trained(*epochs: int) -> tuple[list[float], float]:
        row, w = eg.input("row", ("batch",), "int64"), eg.parameter("w", dtype="float64")
        admitted = eg.schedules.polynomial(0.2, 20, end=1.0) * N
        inside = eg.astype(row, "float64") < eg.floor(admitted + 0.5)
        loss = (w - eg.astype(row, "float64")).mean() ** 2
        trainer = eg.Trainer(loss, eg.optim.SGD(0.1), metrics={"inside": inside})
        order = O.Curriculum(np.arange(N), O.pacing(0.2, steps=20))
        seen: list[float] = []
        for n in epochs:
            history = trainer.fit({"row": np.arange(N)}, n, 8, shuffle=order)
            seen += history["inside"]
        return seen, float(w.value)

    once, twice = trained(4), trained(1, 3)
    assert once == twice
    assert once[0] == [1.0] * 4


# Strata


def counts_of_batches(labels: Any, rows: Any, size: int) -> np.ndarray:
    """Rows of each stratum in each batch."""
    parts = [labels[rows[i : i + size]] for i in range(0, len(rows), size)]
    return np.array([np.bincount(part, minlength=labels.max() + 1) for part in parts])


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=50),
    st.integers(1, 50),
    st.integers(0, 9),
)
def test_batches_have_each_stratum_in_its_share(labels: Any, size: int, seed: int) -> None:
    labels = np.array(labels)
    n, size = len(labels), min(size, len(labels))
    rows = drawn(O.Stratified(labels), batch_size=size, seed=seed, n=n)
    assert sorted(rows) == list(range(n))
    counts = counts_of_batches(labels, rows, size)
    full, share = counts[: n // size], np.bincount(labels) / n
    assert (full.max(0) - full.min(0) <= 1).all()
    assert (np.abs(full - size * share) < 1 + size / n).all()
    if n % size:
        assert (np.abs(counts[-1] - n % size * share) < 1).all()


def test_strata_in_a_trainer_by_names() -> None:
    names = np.array(["cat", "dog", "emu"])[LABELS]
    for steps in Visits().fit(O.Stratified(names), epochs=2, batch_size=10):
        rows = sorted(steps, key=steps.__getitem__)
        np.testing.assert_array_equal(
            counts_of_batches(LABELS, np.array(rows), 10), [[6, 3, 1]] * 6
        )


def test_every_row_of_a_stratum_is_as_often_in_each_batch() -> None:
    from scipy.stats import chisquare

    order = O.Stratified(LABELS)
    firsts = np.concatenate([drawn(order, epoch)[:8] for epoch in range(3000)])
    assert chisquare(np.bincount(firsts, minlength=N)).pvalue > 0.01


# Weights


def test_rows_are_drawn_as_often_as_they_weigh() -> None:
    from scipy.stats import chisquare

    rows = drawn(O.Weighted(WEIGHTS, draws=60_000))
    counts = np.bincount(rows, minlength=N)
    assert counts[0] == 0
    expected = 60_000 * WEIGHTS[1:] / WEIGHTS.sum()
    assert chisquare(counts[1:], expected).pvalue > 0.01


def test_as_many_draws_as_asked_for() -> None:
    visits = Visits()
    visits.fit(O.Weighted(WEIGHTS, draws=150), batch_size=32)
    taken = -visits.w.value
    assert (taken.sum(), taken[0], int(visits.trainer.optimizer.count.value)) == (150, 0, 5)
    visits.fit(O.Weighted(WEIGHTS), batch_size=32)
    assert -visits.w.value.sum() == 150 + N


def test_weights_of_any_size() -> None:
    rows = drawn(O.Weighted([1e308] * 3 + [5e-324] * 3), n=6)
    assert set(rows) <= {0, 1, 2}


def test_weights_of_the_rows_left_by_a_validation_split() -> None:
    weights = np.zeros(N)
    weights[3] = 1.0
    visits = Visits()
    with pytest.raises(InputError, match="one weight at least is above 0; all 3 are 0"):
        visits.fit(O.Weighted(weights), validation_split=0.95, batch_size=1)
    assert not visits.w.value.any()


# Blocks


def test_near_rows_stay_near() -> None:
    rows = drawn(O.Blocks(7))
    blocks = [number for number, _ in itertools.groupby(rows // 7)]
    assert sorted(blocks) == list(range(9))
    assert blocks != sorted(blocks)
    assert any(np.diff(rows[rows // 7 == 2]) < 0)


def test_an_order_of_ones_own() -> None:
    class Backwards(O.Order):
        def rows(self, rows: Any, epoch: int, batch_size: int, random: Any) -> Any:
            return rows[::-1]

    (steps,) = Visits().fit(Backwards(), batch_size=1)
    assert [steps[row] for row in range(N)] == list(range(N, 0, -1))
