"""A factor of a contraction that is larger than the cache is copied into panels.

    for i, j < n: c[i, j] = sum over k: a[i, k] * b[k, j]
    ->
    for p < n / 32, k, q < 32: panel[p, k, q] = b[k, p * 32 + q]
    for p < n / 32, i, q < 32: c[i, p * 32 + q] = sum over k: a[i, k] * panel[p, k, q]

A panel is read from one end to the other for each tile of rows and stays in the cache
meanwhile; read in place, each of its rows would lie on a page of memory of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exprgrad.loop import ir
from exprgrad.loop.cost import typical
from exprgrad.loop.fuse import is_contraction
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store

CACHE = 1 << 20
WIDTH = 32
# Rows for which each panel is read; the copy is worth its time from here on.
ROWS = 64


def pack(kernels: Sequence[Kernel]) -> list[Kernel]:
    """`kernels` with large factors copied into panels first."""
    return [part for kernel in kernels for part in _parts(kernel)]


def _parts(kernel: Kernel) -> list[Kernel]:
    axes = kernel.stores[0].axes
    sums = [node for node in ir.scalars(kernel) if node.op == "reduce"]
    whole = all(store.axes == axes and not store.ordered for store in kernel.stores)
    if len(axes) != 2 or not whole or len(sums) != 1 or not is_contraction(sums[0]):
        return [kernel]
    rows, columns = axes
    factor = _large(sums[0], columns)
    if factor is None or typical(rows.extent) < ROWS:
        return [kernel]
    return _packed(kernel, sums[0], factor, rows, columns)


def _large(node: Scalar, columns: Axis) -> Scalar | None:
    """The factor read along the columns, if it is too large for the cache."""
    product = ir.summed_product(node)
    (summed, *more) = node.params[1]
    if product is None or more or not isinstance(columns.extent, int):
        return None
    if columns.extent % WIDTH or ir.condition_of(node.args[0])[0] is not None:
        return None
    for factor in product.args:
        free = ir.free_axes(factor)
        nbytes = typical(summed.extent) * columns.extent * factor.dtype.size
        plain = factor.op == "read" and ir.read_parts(factor)[3] is None
        if plain and free == {columns, summed} and nbytes >= CACHE:
            return factor
    return None


def _packed(
    kernel: Kernel, node: Scalar, factor: Scalar, rows: Axis, columns: Axis
) -> list[Kernel]:
    (summed,) = node.params[1]
    assert isinstance(columns.extent, int)
    count = columns.extent // WIDTH
    shape = (count, summed.extent, WIDTH)
    panel = Buffer(f"{factor.params[0].name}.panels", shape, factor.dtype, "temporary")
    copy = _copy(panel, factor, summed, columns)
    outer, inner = Axis("p", count), Axis("q", WIDTH)
    place = _column(outer, inner)
    index = [ir.axis_value(axis) for axis in (outer, summed, inner)]
    images = {factor: ir.read(panel, shape, index), ir.axis_value(columns): place}
    stores = [
        replace(ir.replaced(store, images, {}), axes=(outer, rows, inner))
        for store in kernel.stores
    ]
    return [copy, Kernel(tuple(stores))]


def _column(outer: Axis, inner: Axis) -> Scalar:
    return ir.add(ir.times(ir.axis_value(outer), WIDTH), ir.axis_value(inner))


def _copy(panel: Buffer, factor: Scalar, summed: Axis, columns: Axis) -> Kernel:
    count, depth, width = panel.shape
    outer, row, inner = Axis("p", count), Axis("k", depth), Axis("q", width)
    images = {
        ir.axis_value(columns): _column(outer, inner),
        ir.axis_value(summed): ir.axis_value(row),
    }
    index = tuple(ir.axis_value(axis) for axis in (outer, row, inner))
    value = ir.substitute(factor, images)
    return Kernel((Store(panel, (outer, row, inner), index, value),))
