"""How much work loops are, as far as that is known before they run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import prod

from exprgrad.graph import dims
from exprgrad.graph.dims import Size
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Kernel, Scalar
from exprgrad.loop.place import COSTS

# What a named dimension counts for where nothing is assumed: a mini-batch.
TYPICAL = 64
_assumed: ContextVar[tuple[Mapping[str, int], int]] = ContextVar("assumed")


@contextmanager
def assuming(sizes: Mapping[str, int], others: int = TYPICAL) -> Iterator[None]:
    """Within, estimates take named dimensions to be `sizes`, and `others` not named."""
    token = _assumed.set((sizes, others))
    try:
        yield
    finally:
        _assumed.reset(token)


@dataclass(frozen=True, slots=True)
class Machine:
    """What a schedule has to know of the processor."""

    vector_bytes: int = 64
    registers: int = 32

    def lanes(self, element_bytes: int) -> int:
        """Elements in a vector."""
        return self.vector_bytes // element_bytes


def typical(size: Size) -> int:
    """A size as a number, named dimensions taken as assumed."""
    if isinstance(size, int):
        return size
    sizes, others = _assumed.get(({}, TYPICAL))
    values = {name: sizes.get(name, others) for name in dims.names(size)}
    return max(1, dims.evaluate(size, values))


def points(axes: Iterable[Axis]) -> int:
    """How often the body of loops over `axes` runs."""
    return prod(typical(axis.extent) for axis in axes)


def work(kernel: Kernel) -> int:
    """Additions, or what takes as long, of one run of the kernel."""
    total = 0
    seen: set[tuple[Scalar, frozenset[Axis]]] = set()
    for store in kernel.stores:
        stack = [(store.value, frozenset(store.axes))]
        while stack:
            node, around = stack.pop()
            if (node, around) in seen:
                continue
            seen.add((node, around))
            inner = around | set(node.params[1]) if node.op == "reduce" else around
            total += COSTS.get(node.op, 1) * points(ir.free_axes(node) & around)
            stack += [(argument, inner) for argument in node.args]
    return total
