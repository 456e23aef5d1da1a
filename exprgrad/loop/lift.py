"""What follows a sum gets a loop of its own where it would waste vectors there.

    for i < batch:
        z[i] = sigmoid(sum over u < 30: x[i, u] * w[u])       16 rows take 16 sigmoids
    ->
    for i < batch:
        s[i] = sum over u < 30: x[i, u] * w[u]
    for i < batch:
        z[i] = sigmoid(s[i])                                  16 rows take one, of a vector

Vectors run along the summed axis there, so that what is computed of the sum would be
computed row by row, which matters if it is long.

    h[i, j] = random < (sum over k: v[i, k] * w[k, j])    a tile of 16 columns uses one of
                                                          the four words that each draw has
"""

from __future__ import annotations

from collections.abc import Sequence

from exprgrad.graph.dtype import float32
from exprgrad.graph.node import walk
from exprgrad.graph.philox import ROW
from exprgrad.loop import ir
from exprgrad.loop.collapse import collapse
from exprgrad.loop.cost import COSTS, Machine, points, typical, work
from exprgrad.loop.fuse import is_contraction
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store
from exprgrad.loop.tile import MANY, Area, tile
from exprgrad.loop.vector import element_bytes, vector_axis

# Additions by row from which on a loop of their own is worth storing the sums, as long as
# they are more than all that is computed in vectors.
LONG = 12
# Rows from which on most lanes of a vector are filled.
ROWS = 8


def lift(kernels: Sequence[Kernel], machine: Machine) -> list[Kernel]:
    """`kernels` with such loops taken apart."""
    return [part for kernel in kernels for part in _parts(kernel, machine)]


def _parts(kernel: Kernel, machine: Machine) -> list[Kernel]:
    for axes in dict.fromkeys(store.axes for store in kernel.stores):
        stores = [store for store in kernel.stores if store.axes == axes]
        if _can_be_apart(kernel, stores) and (
            _is_long_by_row(kernel, stores, machine)
            or _draws_too_much(stores, machine.lanes(element_bytes(kernel)), machine)
        ):
            return _taken_apart(kernel, stores)
    return [kernel]


def _can_be_apart(kernel: Kernel, stores: list[Store]) -> bool:
    """Whether there are rows enough, sums in them, and nothing that was just stored, or will
    be before the stores themselves.
    """
    axes = stores[0].axes
    if not axes or typical(axes[-1].extent) < ROWS:
        return False
    if any(store.accumulate or store.ordered for store in stores):
        return False
    written = {store.buffer for store in stores}
    if any(n.op == "read" and n.params[0] in written for n in ir.scalars(kernel)):
        return False
    sums = [n for n in _in_all_loops(stores) if n.op == "reduce"]
    # They are all computed where the first of the stores stands.
    behind = {store.buffer for store in kernel.stores[kernel.stores.index(stores[0]) :]}
    return bool(sums) and not any(n.op == "read" and n.params[0] in behind for n in walk(sums))


def _is_long_by_row(kernel: Kernel, stores: list[Store], machine: Machine) -> bool:
    """Whether lanes are added up, and what follows costs more than the vectors."""
    axes = stores[0].axes
    after = [n for n in _in_all_loops(stores) if n.op not in ("read", "reduce") and n.args]
    lanes = machine.lanes(element_bytes(kernel))
    row = work(kernel) / max(1, points(axes)) / lanes
    if sum(COSTS.get(n.op, 1) for n in after) < max(LONG, row):
        return False
    flat = list(collapse(Kernel(tuple(stores))).stores)
    inner = [n for n in walk(s.value for s in flat) if n.op == "reduce"]
    return vector_axis(flat, flat[0].axes, inner, lanes, machine) is None


def _draws_too_much(stores: list[Store], lanes: int, machine: Machine) -> bool:
    """Whether a contraction's tile is narrower than the vectors of one draw."""
    after = _in_all_loops(stores)
    if not any(n.op == "random" and n.dtype == float32 for n in after):
        return False
    wide = tile(Area(MANY, MANY), machine.registers)[1] * lanes
    sums = [n for n in after if n.op == "reduce"]
    return wide < ROW <= typical(stores[0].axes[-1].extent) and all(map(is_contraction, sums))


def _in_all_loops(stores: list[Store]) -> list[Scalar]:
    """What is computed outside of sums for each point of the loops."""
    return [n for n in _after(stores) if set(stores[0].axes) <= ir.free_axes(n)]


def _after(stores: Sequence[Store]) -> list[Scalar]:
    """The scalars outside of all reductions, and the outermost of these."""
    return walk((s.value for s in stores), lambda n: () if n.op == "reduce" else n.args)


def _taken_apart(kernel: Kernel, stores: list[Store]) -> list[Kernel]:
    """The sums, stored where the stores were; and the stores, in loops of their own."""
    axes = stores[0].axes
    shape = tuple(axis.extent for axis in axes)
    place = tuple(ir.axis_value(axis) for axis in axes)
    sums = [n for n in _in_all_loops(stores) if n.op == "reduce"]
    name = stores[0].buffer.name
    made = {n: Buffer(f"{name}.sum", shape, n.dtype, "temporary") for n in sums}
    images = {n: ir.read(buffer, shape, place) for n, buffer in made.items()}
    first = [Store(buffer, axes, place, n) for n, buffer in made.items()]
    before = [s for s in kernel.stores if s not in stores]
    number = kernel.stores.index(stores[0])
    own = {axis: Axis(axis.name, axis.extent) for axis in axes}
    moved = {ir.axis_value(a): ir.axis_value(b) for a, b in own.items()}
    after = [ir.replaced(ir.replaced(s, images, {}), moved, own) for s in stores]
    return [
        Kernel((*before[:number], *first, *before[number:])),
        Kernel(tuple(after)),
    ]
