"""How a contraction runs: which of its two loops is the outer one, the tile of its
accumulators, and which factors are copied into a panel that stays in the cache.

    for i, j: c[i, j] = sum over k: a[i, k] * b[j, k]
    ->
    for j by 4 vectors:                            one panel of b, turned, for all i
        panel[k, j..] = b[j.., k]
        for i by 6: c[i.., j..] = sum over k: a[i.., k] * panel[k, j..]

A factor is copied where it runs along the summed axis, so that its elements for a vector
of results lie apart; where it is so large that it would leave the cache before it is used
again; where its rows are such powers of two apart that they meet in few places of the
cache; and where a tile is no wider than a line of the cache: lines that lie apart come one
by one, some in two halves, and share few places of the cache, while those of a panel
follow one another. In wide tiles that counts where many rows read it in the steps of a
mini-batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import gcd
from weakref import WeakKeyDictionary

from exprgrad.graph.dims import Size
from exprgrad.graph.state import LINE, PAGE
from exprgrad.loop import ir
from exprgrad.loop.cost import Machine, nbytes, points, typical
from exprgrad.loop.fuse import is_contraction
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store
from exprgrad.loop.tile import MANY, Area, tile

# How often each element of a panel has to be used for the copy to be worth its time.
USES = 12
# How many rows a sum over a mini-batch has to have for the same, in wide tiles.
TALL = 216
# From how many bytes on a factor is copied although it lies in order, where that is half
# of the cache at least: what fills most of a cache does not stay there as a whole.
LARGE = 1 << 20
# What is a large state: such a part of the cache.
PARTS = 16
# Bytes after which addresses meet in the same place of the cache, a power of two.
WAY = 1 << 17
# The most bytes of a panel.
MOST = 1 << 19
# Stores are asked for their contractions along each of their axes.
Found = tuple[tuple[Scalar, tuple[Scalar, ...]], ...]
_found: WeakKeyDictionary[Store, Found] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False, slots=True)
class Contraction:
    """Stores over `loops`, among them rows and columns, of sums of products. `in_order` says
    that all stores run along the columns; `innermost`, that no other loop is inside of these
    two, which then may change places. Of a sum in blocks, `blocks` is the loop over them.
    """

    rows: Axis
    columns: Axis
    in_order: bool
    innermost: bool
    blocks: frozenset[Axis]
    loops: tuple[Axis, ...]
    factors: tuple[tuple[Scalar, tuple[Axis, ...]], ...]

    def across(self) -> Iterator[tuple[Scalar, tuple[Axis, ...]]]:
        """The factors that depend on the columns and not on the rows, with their sums."""
        for factor, summed in self.factors:
            free = ir.free_axes(factor)
            if self.columns in free and self.rows not in free:
                yield factor, summed


def contraction(stores: Sequence[Store], columns: Axis) -> Contraction | None:
    """What `stores` contract with vectors along `columns`, if they do."""
    axes, blocks = stores[0].axes, stores[0].ordered
    if any(s.axes != axes or (s.ordered and not in_blocks(s)) for s in stores):
        return None
    found = dict.fromkeys(each for store in stores for each in _contracted(store))
    factors = tuple((factor, node.params[1]) for node, pair in found for factor in pair)
    rows = [
        axis
        for axis in axes
        if axis is not columns
        and any(columns in f and axis not in f for f in map(_free, factors))
    ]
    if not rows:
        return None
    in_order = all(store.place().factor_of(columns) == 1 for store in stores)
    longest = max(rows, key=_length)
    innermost = set(axes[-2:]) == {longest, columns}
    return Contraction(longest, columns, in_order, innermost, blocks, axes, factors)


def _contracted(store: Store) -> Found:
    """The sums in a store that are contractions, and their factors."""
    if store not in _found:
        _found[store] = tuple(
            (node, product.args)
            for node in ir.scalars(store)
            if is_contraction(node) and (product := ir.summed_product(node)) is not None
        )
    return _found[store]


def in_blocks(store: Store) -> bool:
    """Whether each iteration of an ordered loop adds to the same elements."""
    moving = frozenset().union(*map(ir.free_axes, store.index))
    return store.accumulate and store.ordered.isdisjoint(moving)


def _length(axis: Axis) -> int:
    return typical(axis.extent)


def _free(factor: tuple[Scalar, tuple[Axis, ...]]) -> frozenset[Axis]:
    return ir.free_axes(factor[0])


# Panels


def panels(found: Contraction, machine: Machine) -> tuple[Scalar, ...]:
    """The factors worth copying into a panel for each tile of columns."""
    if not (found.in_order and found.innermost and typical(found.rows.extent) >= USES):
        return ()
    narrow = is_narrow(machine)
    return tuple(
        factor
        for factor, summed in found.across()
        if _may_be_copied(factor, summed, found, machine)
        and (
            _pays_known(factor, summed, found, machine)
            if is_known(factor, summed)
            else _pays_short(factor, summed, found, narrow)
        )
    )


def _pays_known(
    factor: Scalar, summed: tuple[Axis, ...], found: Contraction, machine: Machine
) -> bool:
    """Whether a copy pays of a sum whose steps are counted before the program runs."""
    return (
        runs_along(factor, summed, found.columns)
        or _is_large(factor, found, machine)
        or _crowds(factor, summed, found, machine)
        or (is_narrow(machine) and lies_apart(factor, summed))
    )


def _pays_short(
    factor: Scalar, summed: tuple[Axis, ...], found: Contraction, narrow: bool
) -> bool:
    """Whether a copy pays of a sum with as many steps as a mini-batch has: in wide tiles
    where many rows read vectors that lie in two lines, or yet more go from page to page.
    """
    if runs_along(factor, summed, found.columns):
        return False
    if narrow:
        return lies_apart(factor, summed)
    rows, apart = typical(found.rows.extent), steps_of(factor, summed)
    split = any(isinstance(by, int) and by * factor.dtype.size % LINE for by in apart)
    return rows >= TALL if split else rows >= 2 * TALL and pages_apart(factor, summed)


def of_known_size(copied: Iterable[Scalar], found: Contraction) -> tuple[Scalar, ...]:
    """Those panels for which memory can be set aside before the program runs."""
    summed = dict(found.factors)
    return tuple(factor for factor in copied if is_known(factor, summed[factor]))


def _may_be_copied(
    factor: Scalar, summed: tuple[Axis, ...], found: Contraction, machine: Machine
) -> bool:
    """Whether a panel for a tile of columns can be filled before all sums, and one vector of
    it fits the cache, as far as that is known.
    """
    columns = found.columns
    if factor.op != "read" or not isinstance(columns.extent, int):
        return False
    if is_window(factor, found.blocks):
        return False
    if not ir.free_axes(factor) <= {*found.loops, *summed}:
        return False  # another sum is around this one
    used = [axis for axis in summed if axis in ir.free_axes(factor)]
    place = ir.offset(factor)
    if not used or any(place.factor_of(a) is None for a in (*used, columns)):
        return False
    fits = points(used) * machine.vector_bytes <= room(machine)
    return fits or not is_known(factor, summed)


def is_known(factor: Scalar, summed: Iterable[Axis]) -> bool:
    """Whether the size of a panel is known before the program runs."""
    used = ir.free_axes(factor)
    return all(isinstance(axis.extent, int) for axis in summed if axis in used)


def lies_apart(factor: Scalar, summed: Iterable[Axis]) -> bool:
    """Whether each step of the sum, or of one of its loops, goes to another line."""
    apart = steps_of(factor, summed)
    return any(typical(by) * factor.dtype.size > LINE for by in apart)


def is_window(factor: Scalar, blocks: frozenset[Axis]) -> bool:
    """Whether an index is made of several axes, of which none goes through blocks: a panel
    would repeat what it holds.
    """
    return any(
        sum(ir.free_axes(atom).isdisjoint(blocks) for atom, _ in ir.affine(index).terms) > 1
        for index in ir.read_parts(factor)[2]
    )


def widest_panel(factor: Scalar, summed: tuple[Axis, ...], machine: Machine) -> int:
    """How many vectors wide a panel may be to leave half of the cache to the rest; any
    number where the steps are known at run time alone.
    """
    used = [axis for axis in summed if axis in ir.free_axes(factor)]
    if not is_known(factor, summed):
        return MANY
    return max(1, room(machine) // max(1, points(used) * machine.vector_bytes))


def room(machine: Machine) -> int:
    """The bytes of a panel: it leaves half of the cache, and most of a stack, to others."""
    return min(machine.cache_bytes // 2, MOST)


def runs_along(factor: Scalar, summed: tuple[Axis, ...], columns: Axis) -> bool:
    """Whether a factor lies in memory along a summed axis instead of the columns."""
    place = ir.offset(factor)
    along = any(place.factor_of(axis) == 1 for axis in summed)
    return along and place.factor_of(columns) not in (0, 1, None)


def fit_panels(found: Contraction, machine: Machine) -> bool:
    """Whether each factor along the columns may be read from a panel as wide as a large
    tile, which then stays in the cache while all rows are gone through.
    """
    return found.in_order and all(
        _may_be_copied(factor, summed, found, machine)
        and is_known(factor, summed)
        and widest_panel(factor, summed, machine) >= _widest_tile(machine)
        for factor, summed in found.across()
    )


def _widest_tile(machine: Machine) -> int:
    return tile(Area(MANY, MANY), machine.registers)[1]


def is_narrow(machine: Machine) -> bool:
    """Whether the columns of a large tile fill no more than a line of the cache."""
    return _widest_tile(machine) * machine.vector_bytes <= LINE


def _is_large(factor: Scalar, found: Contraction, machine: Machine) -> bool:
    large = max(machine.cache_bytes // 2, min(machine.cache_bytes, LARGE))
    return _nbytes(factor) >= large and typical(found.rows.extent) >= 5 * USES


def _crowds(
    factor: Scalar, summed: tuple[Axis, ...], found: Contraction, machine: Machine
) -> bool:
    """Whether the rows of a factor meet in so few places of the cache that those of one
    tile of columns drive one another out before the next tile of rows reads them.
    """
    place = ir.offset(factor)
    for axis in summed:
        apart = place.factor_of(axis)
        if not isinstance(apart, int) or not apart:
            continue
        alike = gcd(apart * factor.dtype.size, WAY)
        if alike >= PAGE // 4 and typical(axis.extent) * alike > machine.cache_bytes // 2:
            return typical(found.rows.extent) >= 4 * USES
    return False


# The order of the loops


def interchange(kernel: Kernel, found: Contraction, outside: bool) -> Kernel:
    """The kernel with the columns outside the rows, or the other way round.

    for i, j: c[i, j] = ...   ->   for j, i: c[i, j] = ...
    """
    axes = kernel.stores[0].axes
    pair = (found.columns, found.rows) if outside else (found.rows, found.columns)
    if not found.innermost or axes[-2:] == pair:
        return kernel
    return Kernel(tuple(replace(s, axes=(*axes[:-2], *pair)) for s in kernel.stores))


def columns_between(kernel: Kernel, found: Contraction, wide: int, machine: Machine) -> Kernel:
    """The kernel with the columns, `wide` of them at a time, right inside the first loop, if
    all that is read along them leaves the cache from one point of the other loops to the
    next, and what a tile reads does not. Rows that are alone between them are for
    `interchange` to place.

    for n, y, x, j: c[n, y, x, j] = sum over i: h[n, y, x, i] * w[i, j]
    ->
    for n, j, y, x: c[n, y, x, j] = sum over i: h[n, y, x, i] * w[i, j]
    """
    first, *others, last = kernel.stores[0].axes
    factors = [factor for factor, _ in found.across()]
    again = set(others).difference({found.rows}, *map(ir.free_axes, factors))
    whole, near = sum(map(_nbytes, factors)), machine.cache_bytes * 3 // 4
    leaves = whole > near >= whole * wide // max(1, typical(last.extent))
    if last is not found.columns or found.blocks or not leaves or points(again) == 1:
        return kernel
    axes = (first, last, *others)
    return Kernel(tuple(replace(store, axes=axes) for store in kernel.stores))


def columns_outside(
    kernel: Kernel, found: Contraction, shape: tuple[int, int], machine: Machine
) -> bool:
    """Whether fewer bytes come from beyond the cache with the columns outside.

    The factor of the inner loop is gone through once for each tile of the outer one.
    """
    mine = sum(_nbytes(f) for f, _ in found.across())
    other = sum(_nbytes(f) for f, _ in found.factors if found.columns not in ir.free_axes(f))
    rows, columns = (typical(a.extent) for a in (found.rows, found.columns))
    near = machine.cache_bytes * 3 // 4
    inside = other + mine * (rows // shape[0] if mine > near else 1)
    streams = sum(points(s.axes) * s.buffer.dtype.size for s in kernel.stores)
    outside = mine + other * (columns // shape[1] if other > near else 1) + streams
    return outside < inside


def _nbytes(factor: Scalar) -> int:
    return points(ir.free_axes(factor)) * factor.dtype.size


def steps_to_pages(found: Contraction) -> bool:
    """Whether neighbours along the sum lie on pages of their own."""
    across = found.across()
    return any(pages_apart(factor, summed) for factor, summed in across if factor.op == "read")


def pages_apart(factor: Scalar, summed: Iterable[Axis]) -> bool:
    """Whether steps along one of these axes go to another page, or to half of one."""
    apart = steps_of(factor, summed)
    return any(isinstance(by, int) and by * factor.dtype.size >= PAGE // 2 for by in apart)


def steps_of(factor: Scalar, summed: Iterable[Axis]) -> list[Size]:
    """How many elements apart neighbours along each axis of a sum lie."""
    apart = (ir.offset(factor).factor_of(axis) for axis in summed)
    return [by for by in apart if by is not None]


def far_buffers(kernels: Sequence[Kernel], machine: Machine) -> frozenset[Buffer]:
    """What is not expected in the cache: what is larger than it, and, where all that a
    program works on is, every large state, for it is read again only in the next step.
    """
    used = {buffer: nbytes(buffer) for k in kernels for buffer in (*k.reads(), *k.writes())}
    crowded = sum(used.values()) >= machine.cache_bytes
    share = machine.cache_bytes // PARTS if crowded else machine.cache_bytes
    return frozenset(
        buffer
        for buffer, size in used.items()
        if size >= (share if buffer.role == "state" else machine.cache_bytes)
    )
