"""A long sum of large factors, block by block: what a block reads stays in the cache while
all of its results are added to.

    for i, j: c[i, j] = f(sum over u < 4096: x[u, i] * y[u, j])
    ->
    for i, j: s[i, j] = sum over t < 1024: x[t, i] * y[t, j]
    for b < 3: for i, j: s[i, j] += sum over t < 1024: x[b * 1024 + 1024 + t, i] * y[...]
    for i, j: c[i, j] = f(s[i, j])

The gradient of a weight is such a sum, over all places of all examples, and that of a
convolution goes through it once for each tap. How it is divided depends on sizes and on the
cache only, and so does the order of its additions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exprgrad.graph.dims import Size
from exprgrad.loop import ir
from exprgrad.loop.contract import contraction, fit_panels
from exprgrad.loop.cost import Machine, assuming, points, typical
from exprgrad.loop.fuse import is_contraction
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store
from exprgrad.loop.schedule import Scheduled, schedule
from exprgrad.loop.split import alone, piece

# Steps that pay for results that are read and written once more: as many as the cache has
# KB, as long as they are no more and no fewer than these.
STEPS, LEAST = 1024, 512
# A sum is divided where its factors take so much of the cache, and where there are so many
# tiles of rows: for each of them one factor is gone through again.
SHARE = 0.75
TILES = 4


def block(kernels: Sequence[Kernel], machine: Machine) -> list[Kernel]:
    """`kernels`, in a valid order, with long sums of large factors in blocks. In a call,
    too, named sizes count as those of a mini-batch: results of a short sum should stay in
    registers until all that follows from them is computed.
    """
    with assuming({}):
        return [part for kernel in kernels for part in _parts(kernel, machine)]


def _parts(kernel: Kernel, machine: Machine) -> list[Kernel]:
    axes = kernel.stores[0].axes
    alike = all(s.axes == axes and not s.accumulate and not s.ordered for s in kernel.stores)
    long = [node for node in ir.scalars(kernel) if _is_long(node, axes, machine)]
    loops = _columns_last(schedule(kernel, machine), machine) if alike and long else ()
    if not loops:
        return [kernel]
    parts: list[Kernel] = []
    totals: dict[Scalar, Scalar] = {}
    index = tuple(map(ir.axis_value, loops))
    for number, node in enumerate(long):
        shape = tuple(axis.extent for axis in loops)
        total = Buffer(f"{kernel.name}.sum{number or ''}", shape, node.dtype, "temporary")
        whole = Store(total, loops, index, node)
        parts += [alone([part]) for part in _blocks(whole, _steps(machine))]
        totals[node] = ir.read(total, shape, index)
    return [*parts, Kernel(tuple(ir.replaced(s, totals, {}) for s in kernel.stores))]


def _is_long(node: Scalar, loops: tuple[Axis, ...], machine: Machine) -> bool:
    """Whether a scalar is a sum of many products, inside no other reduction, whose factors
    do not stay in the cache until they are read again.
    """
    if not is_contraction(node) or not ir.free_axes(node) <= set(loops):
        return False
    product = ir.summed_product(node)
    assert product is not None
    nbytes = sum(points(ir.free_axes(f)) * f.dtype.size for f in product.args)
    long = points(node.params[1]) >= 2 * _steps(machine)
    return long and nbytes >= SHARE * machine.cache_bytes


def _steps(machine: Machine) -> int:
    """How many steps a block has."""
    return min(STEPS, max(LEAST, machine.cache_bytes >> 10))


def _columns_last(scheduled: Scheduled, machine: Machine) -> tuple[Axis, ...]:
    """The loops of a contraction of many rows, these and its columns innermost; none where
    panels do as well.
    """
    axes = scheduled.kernel.stores[0].axes
    columns = next((axis for axis in axes if scheduled.of(axis).vector), None)
    found = contraction(scheduled.kernel.stores, columns) if columns is not None else None
    if found is None or typical(found.rows.extent) < TILES * scheduled.block(found.rows):
        return ()
    inner = (found.rows, found.columns)
    apart = tuple(axis for axis in axes if axis not in inner)
    return () if fit_panels(found, machine) else (*apart, *inner)


def _blocks(whole: Store, most: int) -> tuple[Store, Store]:
    """What stores the first part of a sum, divided along its first axis, and what adds
    equal blocks of about so many steps to it. Of a size known at run time the first part
    may be empty.
    """
    node = whole.value
    axis, *others = node.params[1]
    steps = max(1, most // points(others))
    first: Size = axis.extent - axis.extent // steps * steps
    if isinstance(axis.extent, int):  # about as many blocks, of one size if that can be
        steps = -(-axis.extent // max(1, axis.extent // steps))
        first = axis.extent % steps or steps
    blocks = Axis("b", (axis.extent - first) // steps)
    start = ir.add(ir.times(ir.axis_value(blocks), steps), ir.size(first))
    return replace(whole, value=piece(node, axis, ir.number(0), Axis("t", first))), replace(
        whole,
        axes=(blocks, *whole.axes),
        value=piece(node, axis, start, Axis("t", steps)),
        accumulate=True,
        ordered=frozenset({blocks}),
    )
