"""What a trainer reads: whole arrays, or batches one after another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exprgrad.errors import GraphError, InputError
from exprgrad.graph.tensor import Tensor
from exprgrad.runtime.arguments import (
    as_array,
    bind,
    line_of,
    plain_name,
    require_finite,
)

Array = NDArray[Any]
Rows = NDArray[np.int64]
Data = Mapping[Any, Any]  # arrays by the name of their input, or by the input
Batches = Iterable[Data] | Callable[[], Iterable[Data]]
INFERENCE_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Table:
    """Arrays with one row for each example, and the rows that are used."""

    arrays: dict[str, Array]
    dims: dict[str, int]
    rows: Rows

    def __len__(self) -> int:
        return int(self.rows.size)

    @property
    def height(self) -> int:
        """How many rows the arrays have, whether used or not."""
        return len(next(iter(self.arrays.values())))


def batch_dimension(inputs: Sequence[Tensor]) -> str:
    """The named dimension that is the first axis of every input.

    Raises `GraphError` naming the first input of another kind.
    """
    if not inputs:
        raise GraphError(
            "the loss depends on no input, so that there is nothing to fit"
        )
    first: str | None = None
    for node in inputs:
        name = plain_name(node.shape[0]) if node.ndim else None
        if name is None or (first is not None and name != first):
            raise GraphError(
                f"the first axis of every input is the same named dimension, such as "
                f"{first or 'batch'}, but {line_of(node)}; a value that is not of a row "
                f"is a state"
            )
        first = name
    assert first is not None
    return first


def as_table(
    inputs: Sequence[Tensor],
    data: Data,
    what: str,
    check_finite: bool = False,
    also: Collection[str] = (),
) -> Table:
    """The arrays for `inputs` among `data`, checked, in place where they fit.

    Arrays for the names in `also` may stand in `data`, and are not read.

    Raises `InputError` for a name that is missing, unknown or given twice, for arrays
    of different lengths, and for no rows at all.
    """
    named = by_name(data)
    known = {*also, *(node.name for node in inputs)}
    for name in named:
        if name not in known:
            listed = ", ".join(sorted(known))
            raise InputError(
                f"{what} has {name}, which is no input; these are: {listed}"
            )
    for node in inputs:
        if node.name not in named:
            raise InputError(f"{what} misses input {line_of(node)}")
    arrays = [as_array(node, named[node.name]) for node in inputs]
    dims = bind(inputs, arrays)
    n = len(arrays[0]) if arrays else 0
    if n == 0:
        raise InputError(f"{what} has no rows; there must be one at least")
    if check_finite:
        for node, array in zip(inputs, arrays, strict=True):
            require_finite(f"{what}: {node.name}", array)
    pairs = {node.name: array for node, array in zip(inputs, arrays, strict=True)}
    return Table(pairs, dims, np.arange(n, dtype=np.int64))


def read(
    inputs: Sequence[Tensor],
    data: Data | Batches,
    what: str,
    check_finite: bool = False,
    also: Collection[str] = (),
) -> Table | Batches:
    """`as_table` of a mapping; batches, and what makes them, as they are.

    Raises `InputError` for anything else.
    """
    if isinstance(data, Mapping):
        return as_table(inputs, data, what, check_finite, also)
    if not callable(data) and not hasattr(data, "__iter__"):
        given = type(data).__name__
        raise InputError(f"{what} is a mapping or an iterable of them, not {given}")
    return data


def by_name(data: Data) -> dict[str, Any]:
    """`data` with names in place of inputs as keys."""
    if not isinstance(data, Mapping):
        raise InputError(
            f"data is a mapping from input names to arrays, not {type(data).__name__}"
        )
    named: dict[str, Any] = {}
    for key, value in data.items():
        name = key.name if isinstance(key, Tensor) else key
        if name in named:
            raise InputError(f"input {name} was given twice")
        named[name] = value
    return named


def checked_batch_size(batch_size: int | None, n: int) -> int:
    """The number of rows of a batch; all `n` when None, or when that is more.

    Raises `InputError` unless it is an integer from 1.
    """
    if batch_size is None:
        return n
    whole = isinstance(batch_size, int | np.integer) and not isinstance(
        batch_size, bool
    )
    if not whole or batch_size < 1:
        raise InputError(
            f"batch_size is an integer from 1, or None for all {n} rows, not {batch_size!r}"
        )
    return min(int(batch_size), n)


def inference_rows(table: Table, batch_size: int | None) -> int:
    """How many rows of `table` are computed at a time where nothing is updated."""
    size = INFERENCE_ROWS if batch_size is None else batch_size
    return checked_batch_size(size, len(table))


def generator(seed: int, epoch: int) -> np.random.Generator:
    """The random numbers of an epoch."""
    key = np.array([seed, epoch], np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def shuffled(rows: Rows, seed: int, epoch: int) -> Rows:
    """`rows` in the order of this seed and epoch.

    A Fisher-Yates permutation by counter-based numbers (Philox; Salmon et al. 2011),
    so that a resumed run continues with the orders it would have had.

    >>> sorted(shuffled(np.arange(5), seed=0, epoch=1).tolist())
    [0, 1, 2, 3, 4]
    """
    return rows[generator(seed, epoch).permutation(rows.size)]


_SPLIT_EPOCH = 2**63  # no epoch has this number, so that the split is no epoch's order


def split(table: Table, fraction: float, seed: int) -> tuple[Table, Table]:
    """Two tables of the same arrays: `fraction` of the rows, drawn by `seed`, is second.

    Raises `InputError` when one of them would have no row.
    """
    n = round(fraction * len(table))
    if not 0 < fraction < 1 or not 0 < n < len(table):
        raise InputError(
            f"validation_split leaves a row on both sides, but {fraction!r} of "
            f"{len(table)} rows are {n}"
        )
    order = shuffled(table.rows, seed, _SPLIT_EPOCH)
    kept, held_out = np.sort(order[n:]), np.sort(order[:n])
    return (
        Table(table.arrays, table.dims, kept),
        Table(table.arrays, table.dims, held_out),
    )


def batches(
    inputs: Sequence[Tensor],
    source: Batches,
    epoch: int,
    check_finite: bool,
    also: Collection[str] = (),
) -> Iterator[Table]:
    """The tables that an iterable, or a function that makes one, gives in an epoch.

    Raises `InputError` when there are none, as a generator has none at its second use.
    """
    given = source() if callable(source) else source
    found = False
    for number, batch in enumerate(given):
        found = True
        what = f"batch {number} of the data"
        yield as_table(inputs, batch, what, check_finite, also)
    if not found:
        raise InputError(
            f"the data gave no batch in epoch {epoch}; a generator is used up after one "
            f"epoch, so give a function that makes a new one"
        )
