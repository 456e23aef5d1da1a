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
from exprgrad.graph.evaluate import evaluate
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


def pacing(start: float, epochs: int, power: float = 1.0) -> Tensor:
    """The part of the rows that is admitted: `start` in epoch 0, all from `epochs` on.

    (start^p + (1 - start^p) t / epochs)^(1/p), t being `eg.epoch`: linear with power 1,
    root with 2. Platanios et al. 2019, Competence-based curriculum learning, equation
    7. Raises `GraphError` unless 0 < start <= 1.

    >>> from exprgrad.train.schedules import values
    >>> values(pacing(0.2, 4), 6).round(3)
    array([0.2, 0.4, 0.6, 0.8, 1. , 1. ])
    """
    if not 0 < start <= 1:
        raise GraphError(
            f"start of a pacing is above 0 and at most 1, not {start}: the part of the "
            f"rows in the first epoch"
        )
    grown = polynomial(start**power, epochs, end=1.0, t=leaves.epoch)
    return grown if power == 1 else grown ** (1 / power)


class Curriculum(Order):
    """The easiest rows first, more of them each epoch, shuffled among themselves.

    `difficulty[row]` is any number, such as a loss; `pace` is an expression of
    `eg.epoch`, the part of the rows admitted: a `pacing`, or a schedule. Bengio et al.
    2009, Curriculum learning. Raises `InputError` for a difficulty that is not one
    number a row or is NaN, and for a part outside (0, 1].

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
                f"pace is a scalar expression of eg.epoch, such as eg.order.pacing(0.2, "
                f"epochs=10), not {pace!r}"
            )
        if any(node is leaves.step for node in walk([pace])):
            raise GraphError("pace counts eg.epoch, not eg.step: t=eg.epoch")
        self.pace = pace

    def check(self, n: int) -> None:
        """One difficulty for each row."""
        _require_length("difficulty", self.difficulty, n)

    def part(self, epoch: int) -> float:
        """The part of the rows that is admitted in `epoch`, from 0."""
        part = float(evaluate([self.pace], {leaves.epoch: epoch})[0])
        if not 0 < part <= 1:
            raise InputError(
                f"the part of the rows that a curriculum admits is above 0 and at most "
                f"1, but its pace is {part:.6g} where eg.epoch is {epoch}"
            )
        return part

    def rows(
        self, rows: Rows, epoch: int, batch_size: int, random: np.random.Generator
    ) -> Rows:
        """The easiest part of `rows`, shuffled; of equals the first are easier."""
        easiest = rows[np.argsort(self.difficulty[rows], kind="stable")]
        admitted = max(1, round(self.part(epoch) * rows.size))
        return random.permutation(easiest[:admitted])


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
    name = type(order).__name__
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
    return np.ascontiguousarray(rows, np.int64)


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
