"""What is spread over rows, and then added to something once, is added there at once.

    y[..] = 0                                      w'[..] = w[..]
    y[r[k], ..] += u[k, ..]                   ->   w'[r[k], ..] += -(rate * u[k, ..])
    w'[..] = w[..] - rate * y[..]

Where `w'` then takes the place of `w`, nothing is left of the first loop: the step of a
table's rows, such as an embedding's, takes time for the rows that it names alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exprgrad.loop import ir
from exprgrad.loop.fuse import same_place
from exprgrad.loop.ir import Buffer, Kernel, Scalar, Store


def add_rows(kernels: Sequence[Kernel]) -> list[Kernel]:
    """`kernels` without those that spread rows for one sum alone."""
    spread = {k.stores[0].buffer: k for k in kernels if _spreads(k)}
    users: dict[Buffer, list[Kernel]] = {buffer: [] for buffer in spread}
    for kernel in kernels:
        for buffer in kernel.reads() & spread.keys():
            users[buffer].append(kernel)
    images: dict[Kernel, Kernel | None] = {}
    for buffer, kernel in spread.items():
        user = users[buffer][0] if len(users[buffer]) == 1 else None
        if user is None or user in images or kernel in images:
            continue
        joined = _joined(kernel, user)
        if joined is not None:
            images |= {kernel: None, user: joined}
    found = (images.get(kernel, kernel) for kernel in kernels)
    return [kernel for kernel in found if kernel is not None]


def _spreads(kernel: Kernel) -> bool:
    """Whether a kernel stores zeros and then adds rows to them, in a temporary."""
    if len(kernel.stores) != 2:
        return False
    zeros, rows = kernel.stores
    same = zeros.buffer is rows.buffer and zeros.buffer.role == "temporary"
    return same and rows.accumulate and zeros.value is ir.zero(zeros.buffer.dtype)


def _joined(spread: Kernel, user: Kernel) -> Kernel | None:
    """The kernel that adds rows to the state that `user` adds their sum to, if it does."""
    rows, store = spread.stores[1], user.stores[0]
    value = store.value
    if len(user.stores) != 1 or store.view is not None or value.op not in ("add", "subtract"):
        return None
    state, change = value.args
    if value.op == "add" and not _is_state(state):
        state, change = change, state
    summed = _summed(change)
    if not (_is_plain(state, store) and _is_plain(summed, store)):
        return None
    if not _is_state(state) or summed.params[0] is not rows.buffer:
        return None
    added = ir.substitute(change, {summed: rows.value})
    if value.op == "subtract":
        added = ir.scalar("negative", (added,), (), added.dtype, value.where)
    return Kernel(
        (replace(store, value=state), replace(rows, buffer=store.buffer, value=added))
    )


def _summed(change: Scalar) -> Scalar:
    """What is multiplied and divided by numbers that are the same for all elements."""
    while True:
        if change.op == "negative" or (change.op == "divide" and _is_number(change.args[1])):
            change = change.args[0]
        elif change.op == "multiply" and any(map(_is_number, change.args)):
            left, right = change.args
            change = right if _is_number(left) else left
        else:
            return change


def _is_state(node: Scalar) -> bool:
    return node.op == "read" and node.params[0].role == "state"


def _is_number(node: Scalar) -> bool:
    return not ir.free_axes(node)


def _is_plain(node: Scalar, store: Store) -> bool:
    """Whether it is a read of the element at the index of the store, always."""
    if node.op != "read":
        return False
    buffer, view, _, guard = ir.read_parts(node)
    return view == buffer.shape == store.buffer.shape and guard is None and same_place(node, store)
