"""The order of the axes of each temporary: which one is innermost in memory.

    for n, o, y, x: z[n, o, y, x] = sum over i, j: t[n, y + i, x + j] * w[o, i, j]
    ->
    for o, y, x, n: z[o, y, x, n] = sum over i, j: t[y + i, x + j, n] * w[o, i, j]

Along the mini-batch, or along many channels, all lanes of a vector are filled and
no window crosses the vector; along a short row neither is so. An axis is put innermost in
all buffers that it runs through at once, where that takes less time (`schedule.price`): fewer
vectors are read and written, tiles are wider, sums go along memory. What contractions
over windows read of inputs and parameters is copied into that order first (`copies`),
weights once for each direction in which they are summed over; rows of such a copy are a line
longer where they would meet in few places of the cache. Nests that share the loop which
becomes innermost are taken apart: within an image one would have to wait for the other.

    for n: for y, x: h[n, y, x] = ...
           for y, x: z[n, y, x] = sum over i, j: h[n, y + i, x + j] * ...
    ->
    for y, x, n: h[y, x, n] = ...
    for y, x, n: z[y, x, n] = sum over i, j: h[y + i, x + j, n] * ...
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import TypeVar

from exprgrad.graph.dims import Shape, Size, names
from exprgrad.graph.node import transform, walk
from exprgrad.graph.state import LINE, PAGE
from exprgrad.loop import ir
from exprgrad.loop.copies import Copies, copies, sums
from exprgrad.loop.cost import Machine, nbytes, typical
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store
from exprgrad.loop.nests import nests_of, shared_axes
from exprgrad.loop.place import groups
from exprgrad.loop.same import Numbers, written
from exprgrad.loop.schedule import price

RANK = 3  # of the smallest arrays that are put in order: matrices are read either way
SHORT = 8  # iterations that fill a vector too badly for any order
GAIN = 0.005  # the least share of all time that another order has to save


@dataclass(frozen=True, eq=False, slots=True)
class Order:
    """Which axis of a buffer becomes the innermost, and the buffer that has it so."""

    axis: int
    buffer: Buffer


T = TypeVar("T")
Part = tuple[Buffer, int]  # a buffer and one of its axes
Orders = Mapping[Buffer, Order]


def arrange(
    kernels: Sequence[Kernel], machine: Machine, steady: Collection[str] = ()
) -> list[Kernel]:
    """`kernels` with their temporaries in the orders that take the least time.

    Of named sizes only those in `steady` are what they are taken to be, run for run:
    other axes of such sizes may turn out to be short, and stay where they are.
    """
    if not any(True for kernel in kernels for _ in sums(kernel)):
        return list(kernels)
    made = copies(kernels)
    orders = Search(kernels, made, machine, steady).best()
    made = made.merged({buffer: order.axis for buffer, order in orders.items()})
    copied = {kernel.stores[0].buffer for kernel in made.kernels.values()}
    orders |= {b: _spread(b, order, machine) for b, order in orders.items() if b in copied}
    kept = [k for k in made.kernels.values() if k.stores[0].buffer in orders]
    return [part for kernel in (*kept, *kernels) for part in _arranged(kernel, orders, made)]


class Search:
    """Orders under trial, and what each kernel costs under them."""

    def __init__(
        self,
        kernels: Sequence[Kernel],
        made: Copies,
        machine: Machine,
        steady: Collection[str],
    ) -> None:
        self.kernels = list(kernels)
        self.made = made
        self.machine = machine
        self.copies = {k.stores[0].buffer: k for k in made.kernels.values()}
        reading = {kernel: substituted(kernel, made.images) for kernel in kernels}
        reading |= {kernel: kernel for kernel in self.copies.values()}
        self.forms: dict[Kernel, tuple[int, Collection[Buffer]]] = {}
        self.users: dict[Buffer, list[Kernel]] = {}
        number = Numbers()
        for kernel, form in reading.items():
            found = written((*kernel.stores, *form.stores))
            used = found.buffers.of.keys()
            arrays = tuple((buffer.shape, buffer.role) for buffer in used)
            self.forms[kernel] = number((found.key, arrays)), used
            for buffer in used:
                self.users.setdefault(buffer, []).append(kernel)
        everything = [*kernels, *reading.values()]
        self.classes = [
            {buffer: _innermost(buffer, axis) for buffer, axis in each}
            for each in _classes(everything)
            if all(_is_long(buffer.shape[axis], steady) for buffer, axis in each)
            and any(axis + 1 != len(buffer.shape) for buffer, axis in each)
        ]
        alone = sorted(made.bordered, key=lambda b: b.number)
        known = [p for each in self.classes for p in each.items() if not _is_named(p)]
        self.classes += [
            *({copy: _innermost(copy, len(copy.shape) - 1)} for copy in alone),
            *({copy: order} for copy, order in known if copy in made.bordered),
        ]
        self.prices: dict[tuple[int, tuple[int | None, ...]], float] = {}

    def best(self) -> dict[Buffer, Order]:
        """The best that is found from several beginnings: a network may run along its
        channels only if all of its layers do.
        """
        starts = [{}, *self._conventions()]
        return min(map(self._climbed, starts), key=self.total)

    def _conventions(self) -> list[dict[Buffer, Order]]:
        """Orders in which most buffers have the axis of one place innermost."""
        parts = [part for each in self.classes for part in each.items()]
        places = sorted({order.axis for _, order in parts})
        found = [{b: o for b, o in parts if o.axis == place} for place in places]
        return [orders for orders in found if 2 * len(orders) >= len(dict(parts))]

    def _climbed(self, orders: dict[Buffer, Order]) -> dict[Buffer, Order]:
        """Orders that no single class, put above or below them, makes better by much."""
        least = self.total(orders)
        while True:
            taken = [each for each in self.classes if not each.keys().isdisjoint(orders)]
            trials = [{**orders, **each} for each in self.classes]
            trials += [{**each, **orders} for each in taken]
            moved = [*self.classes, *taken]
            totals = [self._after(orders, least, *each) for each in zip(trials, moved, strict=True)]
            if not totals or min(totals) >= (1 - GAIN) * least:
                return orders
            orders, least = self._refined(trials[totals.index(min(totals))])

    def _refined(self, orders: dict[Buffer, Order]) -> tuple[dict[Buffer, Order], float]:
        """The same without changes that gain nothing by themselves, and their price."""
        least = self.total(orders)
        for buffer in list(orders):
            fewer = {b: axis for b, axis in orders.items() if b is not buffer}
            total = self._after(orders, least, fewer, [buffer])
            if total <= least:
                orders, least = fewer, total
        return orders, least

    def total(self, orders: Orders) -> float:
        """The price of all kernels."""
        return sum(self._price(k, orders) for k in (*self.copies.values(), *self.kernels))

    def _after(
        self, orders: Orders, before: float, trial: Orders, moved: Iterable[Buffer]
    ) -> float:
        """The same under `trial`, told from that `before`: of what uses a buffer that moved,
        which are some of `moved`.
        """
        found = [b for b in moved if orders.get(b) is not trial.get(b)]
        using = dict.fromkeys(kernel for b in found for kernel in self.users[b])
        return before + sum(self._price(k, trial) - self._price(k, orders) for k in using)

    def _price(self, kernel: Kernel, orders: Orders) -> float:
        """That of a kernel, nothing for a copy that is not made; that of one which does the
        same to buffers in the same orders, if it is known.
        """
        own = kernel.stores[0].buffer
        if own in self.copies and own not in orders:
            return 0.0
        form, used = self.forms[kernel]
        key = form, tuple(orders[b].axis if b in orders else None for b in used)
        if key not in self.prices:
            parts = _arranged(kernel, orders, self.made)
            self.prices[key] = sum(price(part, self.machine) for part in parts)
        return self.prices[key]


def _classes(kernels: Sequence[Kernel]) -> list[list[Part]]:
    """The axes of temporaries that may become the innermost, those that one loop runs
    along in one class.
    """
    joined: dict[object, dict[object, None]] = {}
    fixed: set[object] = set()
    for kernel in kernels:
        for buffer, view, index in _accesses(kernel):
            for axis in range(len(buffer.shape)):
                here = place_in(view, buffer.shape, axis)
                if here is None or len(ir.affine(index[here]).terms) > 1:
                    fixed.add((buffer, axis))
                elif buffer.role == "temporary" and len(buffer.shape) >= RANK:
                    _join(joined, (buffer, axis), index[here])
    parts = [[p for p in each if isinstance(p, tuple)] for each in _different(joined)]
    free = [[part for part in each if part not in fixed] for each in parts]
    return [each for each in free if each]


def _join(joined: dict[object, dict[object, None]], part: Part, index: Scalar) -> None:
    """Put an axis of a buffer into the class of the loop that runs along it."""
    whole = joined.setdefault(part, {part: None})
    if index.op == "axis":
        whole |= joined.get(index, {index: None})
        joined.update(dict.fromkeys(whole, whole))


def _different(joined: Mapping[object, dict[object, None]]) -> list[dict[object, None]]:
    return list({id(each): each for each in joined.values()}.values())


def _is_long(extent: Size, steady: Collection[str]) -> bool:
    return names(extent) <= set(steady) and typical(extent) >= SHORT


def _is_named(part: tuple[Buffer, Order]) -> bool:
    """Whether the size of the innermost axis is known only when the program runs."""
    buffer, order = part
    return bool(names(buffer.shape[order.axis]))


def _innermost(buffer: Buffer, axis: int) -> Order:
    return _order(buffer, axis, _last(buffer.shape, axis))


def _order(buffer: Buffer, axis: int, shape: Shape) -> Order:
    return Order(axis, Buffer(buffer.name, shape, buffer.dtype, buffer.role, buffer.source))


def _spread(buffer: Buffer, order: Order, machine: Machine) -> Order:
    """The order of a copy, its rows a line longer where they are such powers of two apart
    that a tile's columns of them meet in few places of the cache and drive one another out.
    """
    *others, row = order.buffer.shape
    size = buffer.dtype.size
    if not isinstance(row, int) or nbytes(buffer) <= machine.cache_bytes // 2:
        return order
    if gcd(row * size, PAGE) < PAGE // 4:
        return order
    return _order(buffer, order.axis, (*others, row + LINE // size))


def _accesses(kernel: Kernel) -> Iterator[tuple[Buffer, Shape, tuple[Scalar, ...]]]:
    """What a kernel stores to and reads: the buffer, its view, the index."""
    for store in kernel.stores:
        yield store.buffer, store.shape, store.index
    for node in ir.scalars(kernel):
        if node.op == "read":
            yield ir.read_parts(node)[:3]


def place_in(view: Shape, shape: Shape, axis: int) -> int | None:
    """Which axis of a view is this axis of an array; None if it is no axis of its own.

    >>> place_in((8, 12), (8, 3, 4), 0), place_in((8, 12), (8, 3, 4), 1)
    (0, None)
    """
    if view == shape:
        return axis
    before = after = 0
    for left, right in groups(shape, view):
        if before <= axis < before + len(left):
            longer = [n for n, size in enumerate(right) if size != 1]
            alone = all(n == axis - before or size == 1 for n, size in enumerate(left))
            return after + longer[0] if alone and len(longer) == 1 else None
        before, after = before + len(left), after + len(right)
    return None


# Kernels under an order


def substituted(kernel: Kernel, images: Mapping[Scalar, Scalar]) -> Kernel:
    """A kernel that reads copies."""
    if images.keys().isdisjoint(ir.scalars(kernel)):
        return kernel
    return Kernel(tuple(ir.replaced(store, images, {}) for store in kernel.stores))


def _arranged(kernel: Kernel, orders: Orders, made: Copies) -> list[Kernel]:
    """A kernel under these orders: its indices, then its loops, those of each nest by
    themselves where memory runs along a loop around several.
    """
    images = {old: new for old, new in made.images.items() if new.params[0] in orders}
    kernel = substituted(kernel, images)
    if orders.keys().isdisjoint(kernel.reads() | kernel.writes()):
        return [kernel]
    stores = [_stored(store, orders) for store in kernel.stores]
    whole = Kernel(tuple(_loops_in_order(stores)))
    if not _runs_along(whole, shared_axes(whole)):
        return [whole]
    return [Kernel(tuple(_loops_in_order(nest))) for nest in nests_of(whole)]


def _runs_along(kernel: Kernel, shared: Sequence[Axis]) -> bool:
    """Whether stores of a kernel run along a loop that its nests share, and may be taken
    apart: no sum is computed outside of a nest's own loops.
    """
    along = any(s.place().factor_of(axis) == 1 for s in kernel.stores for axis in shared)
    return along and all(
        node.op != "reduce" or ir.free_axes(node) >= set(store.axes)
        for store in kernel.stores
        for node in ir.scalars(store)
    )


def _last(items: Sequence[T], axis: int) -> tuple[T, ...]:
    """`items` with that of an axis put last."""
    return (*items[:axis], *items[axis + 1 :], items[axis])


def _stored(store: Store, orders: Orders) -> Store:
    """A store with its reads, and itself, under orders."""

    def visit(node: Scalar, args: tuple[Scalar, ...]) -> Scalar:
        new = ir.rebuilt(node, args)
        if new.op == "read" and new.params[0] in orders:
            buffer, view, index, guard = ir.read_parts(new)
            order = orders[buffer]
            axis = place_in(view, buffer.shape, order.axis)
            assert axis is not None
            new_view = _view(view, buffer, order, axis)
            return ir.read(order.buffer, new_view, _last(index, axis), guard)
        return _sum_in_order(new) if new.op == "reduce" else new

    image = transform((*store.index, store.value), visit)
    index, value = tuple(image[i] for i in store.index), image[store.value]
    if store.buffer not in orders:
        return replace(store, index=index, value=value)
    order, view = orders[store.buffer], store.shape
    axis = place_in(view, store.buffer.shape, order.axis)
    assert axis is not None
    return replace(
        store,
        buffer=order.buffer,
        index=_last(index, axis),
        value=value,
        view=_view(view, store.buffer, order, axis),
    )


def _view(view: Shape, buffer: Buffer, order: Order, axis: int) -> Shape:
    """A view of `buffer` under its order; that of a whole buffer is the new one, whole."""
    if view == buffer.shape:
        return order.buffer.shape
    assert order.buffer.shape == _last(buffer.shape, order.axis), "longer rows have no views"
    return _last(view, axis)


def _sum_in_order(node: Scalar) -> Scalar:
    """A reduction whose last axis is one that all of its reads have innermost, or else a
    long one that one of them has.
    """
    kind, axes = node.params
    if kind == "argmax" or len(axes) == 1:
        return node
    reads = [ir.offset(n) for n in walk(node.args) if n.op == "read"]
    inner = {a: [place.factor_of(a) == 1 for place in reads] for a in axes}
    of_all = [a for a in axes if reads and all(inner[a])]
    of_some = [a for a in axes if any(inner[a]) and typical(a.extent) >= SHORT]
    last = (of_all or of_some or axes)[-1]
    if last is axes[-1]:
        return node
    return ir.reduction(kind, node.args, (*(a for a in axes if a is not last), last))


def _loops_in_order(stores: Sequence[Store]) -> list[Store]:
    """Stores whose loops run in the order of what they store, where they share none."""
    nests = nests_of(Kernel(tuple(stores)))
    shared = Counter(axis for nest in nests for axis in nest[0].axes)
    result: list[Store] = []
    for nest in nests:
        free = not any(store.ordered or store.accumulate for store in nest)
        if free and all(shared[axis] == 1 for axis in nest[0].axes):
            axes = _by_place(nest[-1])
            nest = [replace(store, axes=axes) for store in nest]
        result += nest
    return result


def _by_place(store: Store) -> tuple[Axis, ...]:
    met = [a for index in store.index for a in store.axes if a in ir.free_axes(index)]
    outer = [axis for axis in store.axes if axis not in met]
    return tuple(dict.fromkeys((*outer, *met)))
