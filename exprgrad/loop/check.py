"""Whether kernels are well formed: what every stage below the line has to keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exprgrad.errors import CompileError
from exprgrad.graph.dims import count
from exprgrad.graph.dtype import bool_
from exprgrad.loop import ir
from exprgrad.loop.ir import Kernel, Scalar, Store
from exprgrad.loop.memory import TEMPORARY

KINDS = {"sum", "max", "min", "argmax"}


def check_kernels(kernels: Sequence[Kernel]) -> None:
    """Raise `CompileError`, which names kernel and rule, where one is not well formed."""
    for kernel in kernels:
        for store in kernel.stores:
            _check_store(kernel, store)
        for node in ir.scalars(kernel):
            if node.op in RULES:
                RULES[node.op](kernel, node)


def check_order(kernels: Sequence[Kernel]) -> None:
    """The same, and that no kernel reads a temporary before all of it has been stored."""
    check_kernels(kernels)
    stored: set[ir.Buffer] = set()
    read: set[ir.Buffer] = set()
    for kernel in kernels:
        late = {b for b in kernel.writes() if b.role in TEMPORARY} & read
        _require(not late, kernel, f"{late} is stored before it is read")
        stored |= kernel.writes()
        early = {b for b in kernel.reads() if b.role in TEMPORARY} - stored
        _require(not early, kernel, f"{early} is stored before it is read")
        read |= kernel.reads() - kernel.writes()


def _check_store(kernel: Kernel, store: Store) -> None:
    free = ir.free_axes(store.value).union(*(ir.free_axes(i) for i in store.index))
    name = store.buffer.name
    _require(free <= set(store.axes), kernel, f"{name}: {free} are loops around the store")
    _require(len(set(store.axes)) == len(store.axes), kernel, f"{name}: loops differ")
    _require(store.ordered <= set(store.axes), kernel, f"{name}: ordered loops are loops")
    _require(store.value.dtype == store.buffer.dtype, kernel, f"{name}: the dtype is stored")
    _require(len(store.index) == len(store.shape), kernel, f"{name}: an index for each axis")


def _check_read(kernel: Kernel, node: Scalar) -> None:
    buffer, view, index, guard = ir.read_parts(node)
    same = count(view) == count(buffer.shape)
    _require(same, kernel, f"{buffer.name}: a view has as many elements")
    _require(len(index) == len(view), kernel, f"{buffer.name}: an index for each axis")
    _require(guard is None or guard.dtype == bool_, kernel, "a guard is a condition")
    _require(node.dtype == buffer.dtype, kernel, f"{buffer.name}: a read has its dtype")


def _check_reduction(kernel: Kernel, node: Scalar) -> None:
    kind, axes = node.params
    _require(kind in KINDS, kernel, f"{kind} is a reduction")
    _require(len(set(axes)) == len(axes) > 0, kernel, f"{kind} is over different axes")
    _require(len(node.args) == 1 + (kind == "argmax"), kernel, f"{kind} has its arguments")


RULES: dict[str, Callable[[Kernel, Scalar], None]] = {
    "read": _check_read,
    "reduce": _check_reduction,
}


def _require(holds: bool, kernel: Kernel, rule: str) -> None:
    if not holds:
        raise CompileError(f"kernel {kernel.name}: {rule}")
