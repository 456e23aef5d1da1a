"""Kernels: stores inside loops, whose values are scalar expressions of the loops' axes.

    kernel  = store...                                stores that share outer axes share loops
    store   = for axis...: buffer[index...] = value   (or += value)
    value   = READ buffer[index...] | REDUCE kind over axis...: value | AXIS | SIZE
            | an elementwise operation of the language above, on scalars

The same record as above the line, `Node`, holds the scalars, so that equal scalars are
one object. Nothing in this package knows which machine the loops run on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain, count
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from exprgrad.errors import Where
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.dims import Shape, Size
from exprgrad.graph.dtype import DType
from exprgrad.graph.node import Node, Type, intern, walk
from exprgrad.graph.tensor import Constant, Tensor


class Scalar(Node):
    """A scalar inside a kernel, with what `free_axes`, `affine` and `offset` find first."""

    __slots__ = ("free", "place", "sum")
    args: tuple[Scalar, ...]
    free: frozenset[Axis]
    sum: Affine
    place: Affine


@dataclass(frozen=True, eq=False, slots=True)
class Axis:
    """A loop: its name in listings and the number of its iterations."""

    name: str
    extent: Size

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False, slots=True)
class Buffer:
    """Memory of a tensor. `role` says who owns it: input, state, constant, output (the
    caller receives it), temporary, or next (a state's new value).
    """

    name: str
    shape: Shape
    dtype: DType
    role: str
    source: Tensor | None = None
    number: int = field(default_factory=count().__next__)

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Store:
    """`for axes: buffer[index] = value`, or `+=` when it accumulates. Iterations of
    `ordered` axes depend on one another and run one after another.
    """

    buffer: Buffer
    axes: tuple[Axis, ...]
    index: tuple[Scalar, ...]
    value: Scalar
    accumulate: bool = False
    ordered: frozenset[Axis] = frozenset()
    view: Shape | None = None

    @property
    def shape(self) -> Shape:
        """The shape that `index` refers to: `view`, or the buffer's own where it is None."""
        return self.buffer.shape if self.view is None else self.view

    def place(self) -> Affine:
        """Where in its buffer the store falls, in elements."""
        if self not in _places:
            _places[self] = flat(self.shape, self.index)
        return _places[self]


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Kernel:
    """Stores, in the order in which each point of the shared axes performs them."""

    stores: tuple[Store, ...]

    @property
    def name(self) -> str:
        """Named after what it stores last."""
        return self.stores[-1].buffer.name

    def writes(self) -> Set[Buffer]:
        """The buffers stored to, in the order of the stores."""
        return {store.buffer: None for store in self.stores}.keys()

    def reads(self) -> Set[Buffer]:
        """The buffers read from, in the order in which they are met."""
        nodes = (node for node in scalars(self) if node.op == "read")
        return {node.params[0]: None for node in nodes}.keys()


_places: WeakKeyDictionary[Store, Affine] = WeakKeyDictionary()
_scalars: WeakKeyDictionary[Kernel | Store, Mapping[Scalar, None]] = WeakKeyDictionary()


def scalars(whole: Kernel | Store) -> Set[Scalar]:
    """Every scalar of a kernel or of a store, arguments before users."""
    if whole not in _scalars:
        if isinstance(whole, Store):
            nodes: Iterable[Scalar] = walk((*whole.index, whole.value))
        else:
            nodes = chain(*map(scalars, whole.stores))
        _scalars[whole] = dict.fromkeys(nodes)
    return _scalars[whole].keys()


# Making scalars


def scalar(
    op: str,
    args: tuple[Scalar, ...],
    params: tuple[Any, ...],
    dtype: DType,
    where: Where | None = None,
) -> Scalar:
    """The one scalar with these fields."""
    return intern(Scalar, op, args, params, Type((), dtype), where)


def axis_value(axis: Axis) -> Scalar:
    """The number of the current iteration of `axis`."""
    return scalar("axis", (), (axis,), dtypes.int64)


def number(value: int) -> Scalar:
    """An integer constant."""
    return scalar("constant", (), (Constant(value, dtypes.int64),), dtypes.int64)


def zero(dtype: DType) -> Scalar:
    """The number 0 of an element type."""
    return scalar("constant", (), (Constant(0, dtype),), dtype)


def size(value: Size) -> Scalar:
    """A size as a scalar: a constant, or known at run time."""
    if isinstance(value, int):
        return number(value)
    return scalar("size", (), (value,), dtypes.int64)


def read(
    buffer: Buffer, view: Shape, index: Sequence[Scalar], guard: Scalar | None = None
) -> Scalar:
    """`buffer`, seen under the shape `view`, at `index`; 0 where `guard` is false."""
    args = (*index, guard) if guard is not None else tuple(index)
    return scalar("read", args, (buffer, view), buffer.dtype)


def read_parts(node: Scalar) -> tuple[Buffer, Shape, tuple[Scalar, ...], Scalar | None]:
    """Buffer, view, index and guard of a read."""
    buffer, view = node.params
    rank = len(view)
    return buffer, view, node.args[:rank], node.args[rank] if len(node.args) > rank else None


def reduction(kind: str, args: tuple[Scalar, ...], axes: tuple[Axis, ...]) -> Scalar:
    """`args` combined over all iterations of `axes`; kinds: sum max min argmax.

    argmax takes a value and its position and gives the position of the first largest.
    A sum directly inside a sum is one sum over the axes of both.
    """
    (body, *_) = args
    if kind == "sum" and body.op == "reduce" and body.params[0] == "sum":
        return reduction("sum", body.args, (*axes, *body.params[1]))
    dtype = dtypes.int64 if kind == "argmax" else body.dtype
    return scalar("reduce", args, (kind, axes), dtype)


def condition_of(body: Scalar) -> tuple[Scalar | None, Scalar]:
    """`where(condition, value, 0)` as its condition and value; None where it is none."""
    if body.op == "where" and body.args[2] is zero(body.dtype):
        return body.args[0], body.args[1]
    return None, body


def summed_product(node: Scalar) -> Scalar | None:
    """The product that a sum adds up, under a condition or not; None if it is no sum
    of products.
    """
    if node.op != "reduce" or node.params[0] != "sum":
        return None
    _, value = condition_of(node.args[0])
    return value if value.op == "multiply" else None


def identity(kind: str, dtype: DType) -> float | int:
    """The value that a reduction of nothing has."""
    if kind == "sum":
        return 0
    if dtype.kind == "f":
        return float("inf") if kind == "min" else float("-inf")
    limits = np.iinfo(dtype.numpy)
    return int(limits.max if kind == "min" else limits.min)


def add(a: Scalar, b: Scalar) -> Scalar:
    """Sum of two integers, folded where it can be."""
    known_a, known_b = value_of(a), value_of(b)
    if known_a is not None and known_b is not None:
        return number(known_a + known_b)
    if known_a == 0 or known_b == 0:
        return b if known_a == 0 else a
    return scalar("add", (a, b), (), dtypes.int64)


def times(a: Scalar, factor: Size) -> Scalar:
    """Product of an integer and a size, folded where it can be."""
    known = value_of(a)
    if known is not None and isinstance(factor, int):
        return number(known * factor)
    if factor == 1 or known == 0:
        return a
    return scalar("multiply", (a, size(factor)), (), dtypes.int64)


def value_of(node: Scalar) -> int | None:
    """The value of an integer constant."""
    return int(node.params[0].array) if node.op == "constant" else None


def both(a: Scalar, b: Scalar) -> Scalar:
    """The condition that both hold."""
    if a is b:
        return a
    return scalar("logical_and", (a, b), (), dtypes.bool_)


def less_equal(a: Scalar, b: Scalar) -> Scalar:
    """The condition a <= b."""
    return scalar("less_equal", (a, b), (), dtypes.bool_)


# Reading scalars


def free_axes(node: Scalar) -> frozenset[Axis]:
    """The axes on which the value of `node` depends."""
    if not hasattr(node, "free"):
        for each in walk([node], lambda n: [a for a in n.args if not hasattr(a, "free")]):
            object.__setattr__(each, "free", _own_axes(each))
    return node.free


def _own_axes(node: Scalar) -> frozenset[Axis]:
    if node.op == "axis":
        return frozenset(node.params)
    inner = frozenset().union(*(a.free for a in node.args))
    return inner - set(node.params[1]) if node.op == "reduce" else inner


@dataclass(frozen=True, slots=True)
class Affine:
    """`sum of factor * atom, plus offset`; an atom is an axis or an opaque integer."""

    terms: tuple[tuple[Scalar, Size], ...] = ()
    offset: Size = 0

    def __add__(self, other: Affine) -> Affine:
        total = dict(self.terms)
        for atom, factor in other.terms:
            total[atom] = total.get(atom, 0) + factor
        kept = tuple((atom, factor) for atom, factor in total.items() if factor != 0)
        return Affine(kept, self.offset + other.offset)

    def __mul__(self, factor: Size) -> Affine:
        if factor in (0, 1):
            return self if factor else Affine()
        return Affine(tuple((a, f * factor) for a, f in self.terms), self.offset * factor)

    def same(self, other: Affine) -> bool:
        """Whether both are equal, whatever the order of their terms."""
        return self.offset == other.offset and set(self.terms) == set(other.terms)

    def factor_of(self, axis: Axis) -> Size | None:
        """By how much the value grows with `axis`; None when that is not constant."""
        total: Size = 0
        for atom, factor in self.terms:
            if atom.op == "axis" and atom.params[0] is axis:
                total = factor
            elif axis in free_axes(atom):
                return None
        return total


def affine(node: Scalar) -> Affine:
    """`node` as a sum of multiples of axes and of opaque integers."""
    if not hasattr(node, "sum"):
        for each in walk([node], lambda n: [a for a in n.args if not hasattr(a, "sum")]):
            object.__setattr__(each, "sum", _affine_of(each))
    return node.sum


def _affine_of(node: Scalar) -> Affine:
    if node.op == "constant" and node.dtype.kind == "i":
        return Affine((), int(node.params[0].array))
    if node.op == "size":
        return Affine((), node.params[0])
    if node.op == "add":
        return node.args[0].sum + node.args[1].sum
    if node.op == "multiply":
        left, right = (a.sum for a in node.args)
        if not right.terms:
            return left * right.offset
        if not left.terms:
            return right * left.offset
    return Affine(((node, 1),))


@lru_cache(1 << 12)
def strides(shape: Shape) -> tuple[Size, ...]:
    """How far apart in memory neighbours along each axis are, in elements."""
    steps: list[Size] = [1]
    for n in reversed(shape):
        steps.append(n * steps[-1])
    return tuple(steps[-2::-1])


def offset(node: Scalar) -> Affine:
    """Where in its buffer a read falls, in elements."""
    if not hasattr(node, "place"):
        _, view, index, _ = read_parts(node)
        object.__setattr__(node, "place", flat(view, index))
    return node.place


def flat(view: Shape, index: Sequence[Scalar]) -> Affine:
    """The row-major position of `index` in an array of shape `view`."""
    terms: dict[Scalar, Size] = {}
    total: Size = 0
    for each, step in zip(index, strides(view), strict=True):
        part = affine(each)
        total = part.offset * step + total
        for atom, factor in part.terms:
            terms[atom] = factor * step + terms.get(atom, 0)
    return Affine(tuple((atom, n) for atom, n in terms.items() if n != 0), total)


def substitute(node: Scalar, images: Mapping[Scalar, Scalar]) -> Scalar:
    """`node` with each key of `images` replaced by its value."""
    return substitute_all([node], images)[0]


def substitute_all(roots: Iterable[Scalar], images: Mapping[Scalar, Scalar]) -> list[Scalar]:
    """The same for several scalars at once."""
    roots = list(roots)
    image: dict[Scalar, Scalar] = {}
    for node in walk(roots):
        if node in images:
            image[node] = images[node]
            continue
        image[node] = rebuilt(node, tuple(image[a] for a in node.args))
    return [image[root] for root in roots]


def rebuilt(node: Scalar, args: tuple[Scalar, ...]) -> Scalar:
    """A scalar with other arguments, itself if they are its own."""
    if args == node.args:
        return node
    if node.op == "reduce":
        return reduction(node.params[0], args, node.params[1])
    return scalar(node.op, args, node.params, node.dtype, node.where)


def replaced(store: Store, images: Mapping[Scalar, Scalar], axes: Mapping[Axis, Axis]) -> Store:
    """A store after substitution in its index and its value, over renamed axes."""
    *index, value = substitute_all((*store.index, store.value), images)
    return replace(
        store,
        axes=tuple(axes.get(a, a) for a in store.axes),
        ordered=frozenset(axes.get(a, a) for a in store.ordered),
        index=tuple(index),
        value=value,
    )
