"""Tensors into kernels: each tensor that has memory becomes loops around one store.

y = tanh(x @ W)    ->    for i, j: t[i, j] = sum over u: x[i, u] * W[u, j]
for i, j: y[i, j] = tanh(t[i, j])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from exprgrad.graph.dims import Size
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from exprgrad.loop import ir
from exprgrad.loop.ir import Buffer, Kernel, Store
from exprgrad.loop.place import HAVE_MEMORY, place
from exprgrad.loop.pull import Memory, axes_of, computed, pull, values_of


@dataclass
class Lowering:
    """What has been given memory so far, and the kernels that fill it."""

    placed: set[Tensor]
    memory: Memory = field(default_factory=Memory)
    kernels: list[Kernel] = field(default_factory=list)
    numbered: dict[str, int] = field(default_factory=dict)

    def name(self, op: str) -> str:
        """A name for listings: the op and how many of it came before."""
        self.numbered[op] = self.numbered.get(op, 0) + 1
        return f"{op}{self.numbered[op]}"


@dataclass(frozen=True)
class Target:
    """Where an output goes: a buffer of the tensor's shape, or a slot of a record."""

    buffer: Buffer
    slot: Size | None = None


def lower(
    outputs: Sequence[tuple[Tensor, Target]], computed: Sequence[Tensor] = ()
) -> tuple[list[Kernel], dict[Tensor, Buffer]]:
    """Kernels that store each output in its target, and the buffer of each tensor that
    has one; kernels stand in an order in which every value is stored before it is read.
    """
    roots = [tensor for tensor, _ in outputs]
    state = Lowering(place([*roots, *computed]))
    for tensor, target in outputs:
        if target.slot is None and tensor in state.placed and tensor not in state.memory.buffers:
            state.memory.buffers[tensor] = target.buffer
            _store_below(state, tensor, target.buffer)
    for node in walk(roots):
        if node.op in HAVE_MEMORY or (node.op == "constant" and node.shape):
            state.memory.buffers[node] = _leaf_buffer(state, node)
        elif node in state.placed:
            buffer = state.memory.buffers.get(node)
            if buffer is None:
                name = state.name(node.op)
                buffer = Buffer(name, node.shape, node.dtype, "temporary", node)
            state.memory.buffers[node] = buffer
            state.kernels.append(_kernel(state, node, buffer))
    for tensor, target in outputs:
        if state.memory.buffers.get(tensor) is not target.buffer:
            state.kernels.append(_copy(state, tensor, target))
    return state.kernels, state.memory.buffers


def _store_below(state: Lowering, tensor: Tensor, buffer: Buffer) -> None:
    """Let what an output only sees under another shape be stored in its place at once."""
    base = tensor
    while base.op == "reshape":
        base = base.args[0]
    if base is tensor or base.op in {*HAVE_MEMORY, *SPECIAL, "constant"}:
        return
    if base not in state.memory.buffers:
        state.memory.buffers[base] = buffer
        state.placed = (state.placed | {base}) - {tensor}


def _leaf_buffer(state: Lowering, node: Tensor) -> Buffer:
    if node.op == "constant":
        return Buffer(state.name("constant"), node.shape, node.dtype, "constant", node)
    role = "input" if node.op == "input" else "state"
    return Buffer(node.name, node.shape, node.dtype, role, node)


def _kernel(state: Lowering, node: Tensor, buffer: Buffer) -> Kernel:
    special = SPECIAL.get(node.op)
    if special is not None:
        return special(state, node, buffer)
    axes = axes_of(node.shape)
    index = values_of(axes)
    view = None if buffer.shape == node.shape else node.shape
    value = computed(state.memory, node, index)
    return Kernel((Store(buffer, axes, index, value, view=view),))


def _copy(state: Lowering, tensor: Tensor, target: Target) -> Kernel:
    axes = axes_of(tensor.shape)
    index = values_of(axes)
    value = pull(state.memory, (tensor, index, ()))
    where = index if target.slot is None else (ir.size(target.slot),)
    return Kernel((Store(target.buffer, axes, where, value),))


# Stores whose iterations depend on one another


def _cumsum(state: Lowering, node: Tensor, buffer: Buffer) -> Kernel:
    """y[i] = (y[i - 1] where 0 < i) + x[i], for i in order."""
    (axis,) = node.params
    axes = axes_of(node.shape)
    index = values_of(axes)
    before = ir.add(index[axis], ir.number(-1))
    exists = ir.less_equal(ir.number(0), before)
    last = ir.read(buffer, node.shape, (*index[:axis], before, *index[axis + 1 :]), exists)
    value = pull(state.memory, (node.args[0], index, ()))
    total = ir.scalar("add", (last, value), (), node.dtype, node.where)
    return Kernel((Store(buffer, axes, index, total, ordered=frozenset({axes[axis]})),))


def _scatter_add(state: Lowering, node: Tensor, buffer: Buffer) -> Kernel:
    """y = 0, then y[.., index[k], ..] += updates[.., k, ..] for k in order."""
    updates, rows = node.args
    (axis, _) = node.params
    end = axis + len(rows.shape)
    zeroed = axes_of(node.shape)
    axes = axes_of(updates.shape)
    index = values_of(axes)
    row = pull(state.memory, (rows, index[axis:end], ()))
    value = pull(state.memory, (updates, index, ()))
    place = (*index[:axis], row, *index[end:])
    ordered = frozenset(axes[axis:end])
    return Kernel(
        (
            Store(buffer, zeroed, values_of(zeroed), ir.zero(node.dtype)),
            Store(buffer, axes, place, value, accumulate=True, ordered=ordered),
        )
    )


SPECIAL: Mapping[str, Callable[[Lowering, Tensor, Buffer], Kernel]] = {
    "cumsum": _cumsum,
    "scatter_add": _scatter_add,
}
