"""When two kernels are the same but for the buffers that they work on, and for the keys
of their draws.

The layers of a deep network, the steps of a Gibbs chain, or the updates of parameters,
are such kernels: code is made for one of them, and it is given the buffers and the keys
of each; and one of them is priced, when orders in memory are compared (`layout`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from exprgrad.graph.node import walk
from exprgrad.loop.ir import Buffer, Scalar, Store
from exprgrad.loop.schedule import Scheduled


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel does, buffers, axes and draws being numbers; and the buffers, and the
    keys of the draws, by number.

    Kernels whose keys are equal do the same to their buffers.
    """

    key: Hashable
    buffers: tuple[Buffer, ...]
    draws: tuple[int, ...] = ()


class Numbers:
    """Numbers for objects in the order in which they are first met."""

    def __init__(self) -> None:
        self.of: dict[Any, int] = {}

    def __call__(self, thing: Any) -> int:
        """The number of a thing, a new one when it has none yet."""
        return self.of.setdefault(thing, len(self.of))


@dataclass(frozen=True, slots=True)
class Written:
    """Stores with a number for each buffer, axis, draw and scalar: `key`, and whose numbers
    they are.
    """

    key: Hashable
    buffers: Numbers
    axes: Numbers
    draws: Numbers
    nodes: Numbers


def written(stores: Sequence[Store]) -> Written:
    """Stores as they read wherever buffers, axes and draws have other names."""
    buffers, axes, draws, nodes = Numbers(), Numbers(), Numbers(), Numbers()
    loops = tuple(tuple(map(axes, store.axes)) for store in stores)
    scalars = []
    for node in walk(root for s in stores for root in (*s.index, s.value)):
        nodes(node)
        args = tuple(nodes(a) for a in node.args)
        scalars.append((node.op, node.dtype, args, _params(node, buffers, axes, draws)))
    stored = tuple(
        (
            buffers(s.buffer),
            s.shape,
            tuple(nodes(i) for i in s.index),
            nodes(s.value),
            s.accumulate,
            s.buffer.dtype,
            frozenset(map(axes, s.ordered)),
        )
        for s in stores
    )
    extents = tuple(axis.extent for axis in axes.of)
    return Written((loops, tuple(scalars), stored, extents), buffers, axes, draws, nodes)


def form(scheduled: Scheduled) -> Form:
    """The form of a kernel."""
    found = written(scheduled.kernel.stores)
    nodes, group = found.nodes, scheduled.group
    how = tuple(map(scheduled.of, found.axes.of))
    panels = tuple(nodes(factor) for each in scheduled.panels.values() for factor in each)
    far = tuple(map(found.buffers, sorted(scheduled.far, key=lambda b: b.number)))
    copied = (panels, group and (group.depth, group.steps, tuple(map(nodes, group.strips))))
    key = (found.key, how, scheduled.lanes, scheduled.grain, copied, far)
    return Form(key, tuple(found.buffers.of), tuple(found.draws.of))


def _params(node: Scalar, buffers: Numbers, axes: Numbers, draws: Numbers) -> Hashable:
    if node.op == "axis":
        return axes(node.params[0])
    if node.op == "read":
        buffer, view = node.params
        return buffers(buffer), buffer.dtype, view
    if node.op == "reduce":
        kind, over = node.params
        return kind, tuple(map(axes, over))
    if node.op == "random":
        return draws(node.params[0])
    if node.op == "bound":
        return id(node)  # its error names the user's line
    return node.params
