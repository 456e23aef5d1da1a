"""How much work loops are, as far as that is known before they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import prod
from weakref import WeakKeyDictionary

from exprgrad.graph import dims
from exprgrad.graph.dims import Shape, Size
from exprgrad.loop import ir
from exprgrad.loop.ir import Affine, Axis, Buffer, Kernel, Scalar

# Arithmetic that an element costs where it is computed again, in additions.
COSTS = {
    "divide": 4, "floor_divide": 8, "remainder": 8, "pow": 40, "exp": 12, "expm1": 20,
    "log": 20, "log1p": 24, "sqrt": 6, "rsqrt": 8, "tanh": 20, "sigmoid": 16,
    "softplus": 30, "erf": 30, "sin": 20, "cos": 20, "bfloat16": 6, "random": 60, "cast": 0,
    "bound": 0, "equal": 0, "not_equal": 0, "less": 0, "less_equal": 0, "logical_not": 0,
    "gather": 3, "concat": 1, "again": 0,
}  # fmt: skip

# What a named dimension counts for where nothing is assumed: a mini-batch.
TYPICAL = 64
# Named sizes, that of all others, and what was told from them.
_assumed: ContextVar[tuple[Mapping[str, int], int, dict[Size, int]]] = ContextVar("assumed")


@contextmanager
def assuming(sizes: Mapping[str, int], others: int = TYPICAL) -> Iterator[None]:
    """Within, estimates take named dimensions to be `sizes`, and `others` not named."""
    token = _assumed.set((sizes, others, {}))
    try:
        yield
    finally:
        _assumed.reset(token)


@dataclass(frozen=True, slots=True)
class Machine:
    """What a schedule has to know of the processor; `pairs` says that it adds up two
    products of bfloat16 numbers at a time, `masks` that it leaves out lanes of a vector.
    """

    vector_bytes: int = 64
    registers: int = 32
    cache_bytes: int = 1 << 20
    pairs: bool = False
    masks: bool = True

    def lanes(self, element_bytes: int) -> int:
        """Elements in a vector."""
        return self.vector_bytes // element_bytes


def typical(size: Size) -> int:
    """A size as a number, named dimensions taken as assumed; of these none counts as 0."""
    return size if isinstance(size, int) else max(1, assumed(size))


def assumed(size: Size) -> int:
    """A size as a number, named dimensions taken as assumed: 0 also where blocks of a sum
    are longer than it.
    """
    if isinstance(size, int):
        return size
    sizes, others, known = _assumed.get(({}, TYPICAL, {}))
    if size not in known:
        given = {name: sizes.get(name, others) for name in dims.names(size)}
        known[size] = dims.evaluate(size, given)
    return known[size]


def iterations(axes: Iterable[Axis]) -> int:
    """How often the body of loops over `axes` runs; 0 where they are empty."""
    return prod([assumed(axis.extent) for axis in axes])


def points(axes: Iterable[Axis]) -> int:
    """How often the body of loops over `axes` runs."""
    return prod([typical(axis.extent) for axis in axes])


def work(kernel: Kernel) -> int:
    """Additions, or what takes as long, of one run of the kernel."""
    if kernel not in _terms:
        _terms[kernel] = terms([kernel])
    return total(_terms[kernel])


# Numbers, each times a product of sizes, which are to be added up.
Terms = tuple[tuple[int, Shape], ...]
_terms: WeakKeyDictionary[Kernel, Terms] = WeakKeyDictionary()


def terms(kernels: Iterable[Kernel]) -> Terms:
    """The work of kernels, for whatever sizes their dimensions will have.

    for i < n, j < 4: y[i, j] = x[i, j] + z[i]   ->   4 * n for x, n for z, 4 * n for the sum
    """
    found: Counter[Shape] = Counter()
    for kernel in kernels:
        for node, around in visited(kernel):
            extents = [axis.extent for axis in ir.free_axes(node) & around]
            known = prod(n for n in extents if isinstance(n, int))
            named = sorted((n for n in extents if not isinstance(n, int)), key=str)
            found[tuple(named)] += COSTS.get(node.op, 1) * known
    return tuple((number, named) for named, number in found.items())


def total(terms: Terms) -> int:
    """The sum of terms, named dimensions taken as assumed."""
    return sum(number * prod(map(typical, named)) for number, named in terms)


def visited(kernel: Kernel) -> Iterator[tuple[Scalar, frozenset[Axis]]]:
    """Each scalar that is stored or leads to it, with the axes of all loops around it."""
    seen: set[tuple[Scalar, frozenset[Axis]]] = set()
    for store in kernel.stores:
        stack = [(store.value, frozenset(store.axes))]
        while stack:
            node, around = stack.pop()
            if (node, around) in seen:
                continue
            seen.add((node, around))
            yield node, around
            inner = around | set(node.params[1]) if node.op == "reduce" else around
            stack += [(argument, inner) for argument in node.args]


# Arithmetic and memory, for the account that is given to the user


@dataclass(frozen=True, slots=True)
class Flops:
    """Floating-point operations of one run: those in a multiplication whose product is
    added up at once, two each, and all others, in additions that take as long.
    """

    fused: int = 0
    single: int = 0

    def plus(self, fused: int, single: int) -> Flops:
        """These and more."""
        return Flops(self.fused + fused, self.single + single)

    @property
    def total(self) -> int:
        """All of them."""
        return self.fused + self.single


LEAVES = {"read", "constant", "axis", "size"}


def flops(kernel: Kernel) -> dict[str, Flops]:
    """The arithmetic of a kernel, by the name of the element type.

    sum over k < 784 of a[i, k] * b[k, j], i < 64, j < 256   ->   2 * 784 * 64 * 256 fused
    """
    nodes = [(n, around) for n, around in visited(kernel) if n.dtype.kind == "f"]
    sums = [node for node, _ in nodes if ir.summed_product(node) is not None]
    # Where a product counts is known from the loops, or a mask of what is read.
    with_sums = {ir.summed_product(node) for node in sums} | {node.args[0] for node in sums}
    found: dict[str, Flops] = {}
    for node, around in nodes:
        before = found.get(node.dtype.name, Flops())
        times = iterations(ir.free_axes(node) & around)
        if node.op == "reduce":
            times *= iterations(node.params[1])
            pair = 2 * times if ir.summed_product(node) is not None else 0
            found[node.dtype.name] = before.plus(pair, 0 if pair else times)
        elif node.op not in LEAVES and node not in with_sums:
            found[node.dtype.name] = before.plus(0, COSTS.get(node.op, 1) * times)
    return found


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of one buffer that a kernel reads and writes, each byte counted once, and
    those of the whole buffer. What stands at an index that is known at run time may lie
    anywhere in it.
    """

    read: int = 0
    written: int = 0
    whole: int = 0
    anywhere: bool = False

    @property
    def touched(self) -> int:
        """Bytes that have to be near the processor."""
        return max(self.read, self.written)


def traffic(kernel: Kernel) -> dict[Buffer, Traffic]:
    """The memory that a kernel touches, buffer by buffer.

    x[i + u], i < 28, u < 5   ->   32 elements, not 140
    """
    reads: dict[Buffer, dict[object, Affine]] = {}
    writes: dict[Buffer, dict[object, Affine]] = {}
    for node in ir.scalars(kernel):
        if node.op == "read":
            place = ir.offset(node)
            reads.setdefault(node.params[0], {})[_form(place)] = place
    for store in kernel.stores:
        place = store.place()
        sides = (writes, reads) if store.accumulate else (writes,)
        for side in sides:
            side.setdefault(store.buffer, {})[_form(place)] = place
    return {
        buffer: Traffic(
            _nbytes(buffer, reads.get(buffer, {}).values()),
            _nbytes(buffer, writes.get(buffer, {}).values()),
            nbytes(buffer),
            any(_is_loose(place) for place in reads.get(buffer, {}).values()),
        )
        for buffer in reads | writes
    }


def _nbytes(buffer: Buffer, places: Iterable[Affine]) -> int:
    return min(nbytes(buffer), buffer.dtype.size * sum(map(distinct, places)))


def nbytes(buffer: Buffer) -> int:
    """The size of a buffer in bytes."""
    return buffer.dtype.size * prod(typical(n) for n in buffer.shape)


def distinct(place: Affine) -> int:
    """How many elements an address names while its axes run."""
    steps = sorted((abs(_step(factor)), extent) for factor, extent in _runs(place))
    count, reach = 1, 0
    for step, extent in steps:
        far = reach + step * (extent - 1)
        apart = step > reach
        count = count * extent if apart else min(count * extent, far // steps[0][0] + 1)
        reach = far
    return count


def _runs(place: Affine) -> list[tuple[Size, int]]:
    return [
        (factor, points(ir.free_axes(atom)))
        for atom, factor in place.terms
        if ir.free_axes(atom)
    ]


def _step(factor: Size) -> int:
    return factor if isinstance(factor, int) else typical(factor)


def _is_loose(place: Affine) -> bool:
    return any(atom.op != "axis" and ir.free_axes(atom) for atom, _ in place.terms)


def _form(place: Affine) -> object:
    """What two addresses share that name the same elements in loops of their own."""
    terms = Counter((str(factor), extent) for factor, extent in _runs(place))
    fixed = frozenset((a, str(f)) for a, f in place.terms if not ir.free_axes(a))
    return frozenset(terms.items()), fixed, str(place.offset)
