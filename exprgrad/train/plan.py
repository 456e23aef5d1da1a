"""What one call of `fit` is to do: its data read and parted, its numbers checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from exprgrad.errors import InputError
from exprgrad.train.callbacks import Callback
from exprgrad.train.data import (
    Batches,
    Data,
    Table,
    checked_batch_size,
    read,
    split,
)
from exprgrad.train.order import Order, as_order
from exprgrad.train.program import Program


@dataclass(frozen=True)
class Plan:
    """One call of `fit`, its arguments checked; `batch_size` is 0 for given batches."""

    data: Table | Batches
    validation: Table | Batches | None
    epochs: int
    batch_size: int
    order: Order
    callbacks: tuple[Callback, ...]
    check_finite: bool


def planned(
    program: Program,
    names: Collection[str],
    data: Data | Batches,
    *,
    validation_data: Data | Batches | None,
    held_out: tuple[float, int],
    epochs: int,
    batch_size: int | None,
    shuffle: bool | Order,
    callbacks: tuple[Callback, ...],
    check_finite: bool,
    searches: bool,
) -> Plan:
    """The plan of a `fit` of `program`; data may have arrays for all of `names`.

    `held_out` is the part of the rows that validates, and the seed that draws it;
    `searches` says whether the optimizer compares the losses of two steps.
    Raises `InputError` for what does not fit.
    """
    if not isinstance(epochs, int) or epochs < 1:
        raise InputError(f"epochs is an integer from 1, not {epochs!r}")
    _require_made(callbacks)
    source = read(program.inputs, data, "the data", check_finite, names)
    validation: Table | Batches | None = None
    if held_out[0] and validation_data is not None:
        raise InputError("validation_data and validation_split exclude each other")
    if held_out[0]:
        if not isinstance(source, Table):
            raise InputError("validation_split needs data in arrays, not in batches")
        source, validation = split(source, *held_out)
    elif validation_data is not None:
        validation = read(
            program.inputs, validation_data, "validation_data", check_finite, names
        )
    if searches:
        _require_same_rows(source, batch_size, shuffle)
    size, order = 0, as_order(shuffle)
    if isinstance(source, Table):
        size = checked_batch_size(batch_size, len(source))
        order.check(source.height)
    elif isinstance(shuffle, Order):
        raise InputError(
            f"an order needs data in arrays: batches come in their own, which "
            f"{type(shuffle).__name__} cannot change"
        )
    return Plan(source, validation, epochs, size, order, callbacks, check_finite)


def _require_same_rows(
    source: Table | Batches, batch_size: int | None, shuffle: bool | Order
) -> None:
    """Of a search along a line, which compares the losses of two steps."""
    if not isinstance(source, Table):
        given = "data in batches"
    elif isinstance(shuffle, Order):
        given = f"rows by {type(shuffle).__name__}"
    elif batch_size is not None and checked_batch_size(batch_size, len(source)) < len(source):
        given = f"{batch_size} of {len(source)}"
    else:
        return
    raise InputError(
        f"a search along a line compares the losses of two steps, which are of the same "
        f"rows with batch_size=None, not with {given}"
    )


def _require_made(callbacks: tuple[Callback, ...]) -> None:
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise InputError(
                f"a callback is made by a call, as EarlyStopping(patience=5), not "
                f"{callback!r}"
            )
