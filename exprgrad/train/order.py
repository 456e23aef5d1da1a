"""The order of the data: which rows an epoch takes, one after another.

`fit(shuffle=...)` takes True (a new order each epoch), False (as they stand), or one of
these. Each is drawn anew from the trainer's seed and the number of the epoch, so that a
resumed run goes on with the orders it would have had.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exprgrad.errors import GraphError, InputError
from exprgrad.graph import leaves
from exprgrad.graph.evaluate import evaluate_along
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from exprgrad.train.data import Rows, Table, generator
from exprgrad.train.schedules import polynomial

__all__ = ["Order", "Curriculum", "Stratified", "Weighted", "Blocks", "pacing"]

Array = NDArray[Any]


class Order:
    """Base of orders: override `rows`, and `check` where a table may not fit.

    >>> class Backwards(Order):
    ...     def rows(self, rows, epoch, batch_size, random):
    ...         return rows[::-1]
    """

    def check(self, n: int) -> None:
        """Raise `InputError` where this is no order of arrays with `n` rows."""

    def rows(
        self, rows: Rows, epoch: int, batch_size: int, random: np.random.Generator
    ) -> Rows:
        """The rows of epoch `epoch`, from 0: some of `rows`, also more than once.

        The first `batch_size` of them are the first batch, and so on. All that is left
        to chance comes from `random`.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method rows")


class _Shuffled(Order):
    """A Fisher-Yates permutation of all rows."""

    def rows(
        self, rows: Rows, epoch: int, batch_size: int, random: np.random.Generator
    ) -> Rows:
        return rows[random.permutation(rows.size)]


class _AsTheyStand(Order):
    """The rows from the first to the last."""

    def rows(
        self, rows: Rows, epoch: int, batch_size: int, random: np.random.Generator
    ) -> Rows:
        return rows


_NAMED: dict[bool, Order] = {True: _Shuffled(), False: _AsTheyStand()}


def pacing(
    start: float, epochs: int | None = None, power: float = 1.0, steps: int | None = None
) -> Tensor:
    """The part of the rows that is admitted: `start` at first, all from `epochs` on.

    (start^p + (1 - start^p) t / epochs)^(1/p), t being `eg.epoch`: linear with power 1,
    root with 2. With `steps` in place of `epochs` it counts `eg.step`. Platanios et al.
    2019, Competence-based curriculum learning, equation 7. Raises `GraphError` unless
    0 < start <= 1 and one of both is given.

    >>> from exprgrad.train.schedules import values
    >>> values(pacing(0.2, 4), 6).round(3)
    array([0.2, 0.4, 0.6, 0.8, 1. , 1. ])
    """
    if not 0 < start <= 1:
        raise GraphError(
            f"start of a pacing is above 0 and at most 1, not {start}: the part of the "
            f"rows in the first epoch"
        )
    t, end = (leaves.step, steps) if epochs is None else (leaves.epoch, epochs)
    if end is None or None not in (epochs, steps):
        raise GraphError(
            f"a pacing takes the number of epochs or that of steps until all rows are "
            f"admitted, not epochs={epochs} and steps={steps}"
        )
    grown = polynomial(start**power, end, end=1.0, t=t)
    return grown if power == 1 else grown ** (1 / power)


class Curriculum(Order):
    """The easiest rows first, more of them each epoch, or with each update.

    `difficulty[row]` is any number, such as a loss; `pace` is the part of the rows
    admitted: a `pacing`, or a schedule. As an expression of `eg.epoch` it decides which
    rows an epoch takes, each once, shuffled: an easy epoch is short. Bengio et al. 2009,
    Curriculum learning.

    As an expression of `eg.step` it decides from which rows each batch is drawn. An
    epoch has as many batches as one of all rows, and batch b of epoch e is step e times
    this number + b: `eg.step`, as long as the batches keep their size. A batch is drawn
    uniformly from the rows admitted, which are as many as the batch at least; while
    their number stays no row comes twice until none but a part of a batch is left.
    Hacohen and Weinshall 2019, On the power of curriculum learning, algorithm 1.

    Raises `InputError` for a difficulty that is not one number a row or is NaN, and for
    a part outside (0, 1].

    >>> order = Curriculum([3.0, 1.0, 2.0, 9.0], pacing(0.5, epochs=10))
    >>> sorted(order.rows(np.arange(4), 0, 1, np.random.default_rng(0)).tolist())
    [1, 2]
    """

    def __init__(self, difficulty: Any, pace: Tensor) -> None:
        self.difficulty = _numbers("difficulty", difficulty)
        if np.isnan(self.difficulty).any():
            row = int(np.isnan(self.difficulty).argmax())
            raise InputError(f"a difficulty may not be NaN, but that of row {row} is")
        if not isinstance(pace, Tensor) or pace.ndim:
            raise GraphError(
                f"pace is a scalar expression of eg.epoch or eg.step, such as "
                f"eg.order.pacing(0.2, epochs=10), not {pace!r}"
            )
        self.pace = pace
        self.by_step = any(node is leaves.step for node in walk([pace]))

    def check(self, n: int) -> None:
        """One difficulty for each row."""
        _require_length("difficulty", self.difficulty, n)

    def parts(self, epoch: int, batches: int) -> NDArray[np.float64]:
        """The part of the rows that each of the `batches` of an epoch, from 0, draws from.

        >>> Curriculum(range(100), pacing(0.25, steps=6)).parts(epoch=1, batches=4)
        array([0.75 , 0.875, 1.   , 1.   ])
        """
        steps = epoch * batches + np.arange(batches)
        found = evaluate_along(self.pace, {leaves.step: steps, leaves.epoch: epoch})
        wrong = ~((found > 0) & (found <= 1))
        if wrong.any():
            i = int(wrong.argmax())
            at = f"eg.step is {steps[i]}" if self.by_step else f"eg.epoch is {epoch}"
            raise InputError(
                f"the part of the rows that a curriculum admits is above 0 and at most "
                f"1, but its pace is {found[i]:.6g} where {at}"
            )
        return found.astype(np.float64)

    def rows(
        self, rows: Rows, epoch: int, batch_size: int, random: np.random.Generator
    ) -> Rows:
        """The easiest part of `rows`, shuffled; of equals the first are easier."""
        easiest = rows[np.argsort(self.difficulty[rows], kind="stable")]
        parts = self.parts(epoch, -(-rows.size // batch_size))
        admitted = np.rint(parts * rows.size).astype(np.int64)
        if not self.by_step:
            return random.permutation(easiest[: max(1, admitted[0])])
        least = min(batch_size, rows.size)
        return _drawn(easiest, np.maximum(admitted, least), batch_size, random)


def _drawn(
    easiest: Rows, admitted: Rows, batch_size: int, random: np.random.Generator
) -> Rows:
    """For each batch rows of the first `admitted[batch]`; `rows.size` in all.

    While the number stays, rows are dealt until too few are left for another batch.
    """
    found: list[Rows] = []
    missing = easiest.size
    for run in np.split(admitted, np.flatnonzero(np.diff(admitted)) + 1):
        wanted = min(len(run) * batch_size, missing)
        missing -= wanted
        while wanted:
            dealt = wanted if wanted <= run[0] else run[0] - run[0] % batch_size
            found.append(random.choice(easiest[: run[0]], dealt, replace=False))
            wanted -= dealt
    return np.concatenate(found)


class Stratified(Order):
    """Each row once an epoch, each stratum in its share in every batch.

    `strata[row]` is a label of any kind. Two full batches differ in a stratum's rows by
    one at most; the last, smaller batch has its share, rounded up or down. Raises
    `InputError` for strata that are not one label a row.

    >>> order = Stratified(["a", "b", "a", "a", "b", "a"])
    >>> rows = order.rows(np.arange(6), 0, 3, np.random.default_rng(0))
    >>> [sorted("abaaba"[r] for r in part) for part in rows.reshape(2, 3)]
    [['a', 'a', 'b'], ['a', 'a', 'b']]
    """

    def __init__(self, strata: Any) -> None:
        labels = np.asarray(strata)
        if labels.ndim != 1:
            raise InputError(f"strata have one label a row, not shape {labels.shape}")
        names, self.strata = np.unique(labels, return_inverse=True)
        self.count = len(names)

    def check(self, n: int) -> None:
        """One label for each row."""
        _require_length("strata", self.strata, n)

    def rows(
        self, rows: Rows, epoch: int, batch_size: int, random: np.random.Generator
    ) -> Rows:
        """Strata lie one after another and are dealt to the batches like cards."""
        deck = random.permutation(rows)
        place = random.permutation(self.count)[self.strata[deck]]
        deck = deck[np.argsort(place, kind="stable")]
        n, last = rows.size, rows.size % batch_size
        late = np.zeros(n, np.bool_)
        if last:  # every n/last-th row, from a random one on, makes the smaller batch
            late[(np.arange(last) * n + random.integers(n)) // last] = True
        batches = deck[~late].reshape(min(batch_size, n), -1).T
        batches = random.permutation(random.permuted(batches, axis=1))
        return np.concatenate([batches.ravel(), random.permutation(deck[late])])


class Weighted(Order):
    """Rows drawn with replacement, each as often as its weight says.

    `weights[row]` are numbers from 0, of any sum; an epoch has `draws` rows, as many as
    there are when None. Raises `InputError` for weights that are not one finite number
    from 0 a row, or are all 0.

    >>> order = Weighted([0.0, 1.0, 0.0], draws=4)
    >>> order.rows(np.arange(3), 0, 2, np.random.default_rng(0))
    array([1, 1, 1, 1])
    """

    def __init__(self, weights: Any, draws: int | None = None) -> None:
        self.weights = _numbers("weights", weights)
        wrong = ~(np.isfinite(self.weights) & (self.weights >= 0))
        if wrong.any():
            row = int(wrong.argmax())
            raise InputError(
                f"weights are finite numbers from 0, but that of row {row} is "
                f"{self.weights[row]}"
            )
        self.draws = None if draws is None else _count("draws", draws)

    def check(self, n: int) -> None:
        """One weight for each row."""
        _require_length("weights", self.weights, n)

    def rows(
        self, rows: Rows, epoch: int, batch_size: int, random: np.random.Generator
    ) -> Rows:
        """Independent draws from `rows`."""
        weights = self.weights[rows]
        if not weights.any():
            raise InputError(f"one weight at least is above 0; all {rows.size} are 0")
        shares = weights / weights.max()  # whose sum is finite
        return random.choice(rows, self.draws or rows.size, p=shares / shares.sum())


class Blocks(Order):
    """Blocks of `size` rows in a random order, shuffled within: near rows stay near.

    For memory-mapped arrays, which are then read block by block. Raises `InputError`
    for a size below 1.

    >>> rows = Blocks(2).rows(np.arange(6), 0, 2, np.random.default_rng(0))
    >>> (rows // 2).tolist(), sorted(rows.tolist())
    ([1, 1, 2, 2, 0, 0], [0, 1, 2, 3, 4, 5])
    """

    def __init__(self, size: int) -> None:
        self.size = _count("the size of a block", size)

    def rows(
        self, rows: Rows, epoch: int, batch_size: int, random: np.random.Generator
    ) -> Rows:
        """All rows, a block after another."""
        block = np.arange(rows.size) // self.size
        place = random.permutation(block[-1] + 1)[block]
        return rows[np.lexsort((random.random(rows.size), place))]


def as_order(shuffle: bool | Order) -> Order:
    """The order that an argument `shuffle` means. Raises `InputError` for no such one."""
    if isinstance(shuffle, Order):
        return shuffle
    if isinstance(shuffle, bool | np.bool_):
        return _NAMED[bool(shuffle)]
    raise InputError(
        f"shuffle is True, False or an order, such as eg.order.Stratified(labels), not "
        f"{shuffle!r}"
    )


def arranged(
    order: Order, table: Table, epoch: int, batch_size: int, seed: int
) -> Rows:
    """The rows of a table in epoch `epoch`, from 0.

    Raises `InputError` where an order gives anything but rows of the table.
    """
    random = generator(seed, epoch + 1)
    rows = np.asarray(order.rows(table.rows, epoch, batch_size, random))
    if order not in _NAMED.values():  # which give each row of the table, once
        _require_rows_of(table, rows, type(order).__name__)
    return np.ascontiguousarray(rows, np.int64)


def _require_rows_of(table: Table, rows: Rows, name: str) -> None:
    if rows.ndim != 1 or not rows.size or rows.dtype.kind not in "iu":
        raise InputError(
            f"an order gives one integer a row, and one row at least, but {name} gave "
            f"{rows.dtype} of shape {rows.shape}"
        )
    known = np.zeros(table.height, np.bool_)
    known[table.rows] = True
    inside = (rows >= 0) & (rows < table.height)
    wrong = ~inside | ~known[np.where(inside, rows, 0)]
    if wrong.any():
        raise InputError(
            f"an order gives rows that it was given, but {name} gave row "
            f"{rows[wrong.argmax()]}"
        )


def _count(name: str, n: int) -> int:
    if not isinstance(n, int) or n < 1:
        raise InputError(f"{name} is an integer from 1, not {n!r}")
    return n


def _numbers(name: str, given: Any) -> Array:
    array = np.asarray(given)
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise InputError(
            f"{name} has one number a row, not {array.dtype} of shape {array.shape}"
        )
    return array.astype(np.float64)


def _require_length(name: str, array: Array, n: int) -> None:
    if len(array) != n:
        raise InputError(
            f"{name} has one entry for each row of the data, which has {n} rows, not "
            f"{len(array)}"
        )
