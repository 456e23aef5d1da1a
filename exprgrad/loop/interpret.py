"""What kernels mean, in plain Python: one point after another. Slow, and an oracle.

At each point of a nest all values of stores over the same axes are computed first and
then stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, product
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exprgrad.graph import dims as sizes
from exprgrad.graph.dims import Dim
from exprgrad.graph.meaning import MEANING
from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS
from exprgrad.graph.philox import drawn
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store

Memory = Mapping[Buffer, NDArray[Any]]
Dims = Mapping[str, int]
Point = dict[Axis, int]


def interpret(kernels: Sequence[Kernel], memory: Memory, dims: Dims) -> None:
    """Run `kernels` on flat views of `memory`."""
    for kernel in kernels:
        _stores(list(kernel.stores), 0, {}, memory, dims)


def _stores(stores: list[Store], depth: int, point: Point, memory: Memory, dims: Dims) -> None:
    """Run stores that share their first `depth` loops, which stand at `point`."""
    for axis, run in groupby(stores, key=lambda s: s.axes[depth] if s.axes[depth:] else None):
        inside = list(run)
        if axis is None:
            _store(inside, point, memory, dims)
            continue
        for i in range(sizes.evaluate(axis.extent, dims)):
            _stores(inside, depth + 1, {**point, axis: i}, memory, dims)


def _store(stores: list[Store], point: Point, memory: Memory, dims: Dims) -> None:
    values = Values(memory, dims)
    done = [(values.position(s.place(), point), values.of(s.value, point)) for s in stores]
    for store, (place, value) in zip(stores, done, strict=True):
        array = memory[store.buffer].reshape(-1)
        array[place] = array[place] + value if store.accumulate else value


class Values:
    """Evaluates scalars at a point of the loops."""

    def __init__(self, memory: Memory, dims: Dims) -> None:
        self.memory = memory
        self.dims = dims

    def of(self, root: Scalar, point: Point) -> Any:
        """The value of `root` at `point`."""
        known: dict[Scalar, Any] = {}
        for node in walk([root], _outside_reductions):
            known[node] = self._value(node, known, point)
        return known[root]

    def _value(self, node: Scalar, known: Mapping[Scalar, Any], point: Point) -> Any:
        if node.op == "axis":
            return np.int64(point[node.params[0]])
        if node.op == "size":
            return np.int64(sizes.evaluate(node.params[0], self.dims))
        if node.op == "read":
            return self._read(node, known, point)
        if node.op == "reduce":
            return self._reduce(node, point)
        if node.op == "again":
            return known[node.args[0]]
        args = [np.asarray(known[a]) for a in node.args]
        if node.op == "bound":
            used = all(args[1:])
            return self._meaning(node, args[:1]) if used else np.int64(0)
        return self._meaning(node, args)

    def _meaning(self, node: Scalar, args: list[NDArray[Any]]) -> Any:
        """An operation of the language by its row in the table of NumPy meanings."""
        if node.op == "random":
            element, step, seed = (int(a) for a in args)
            (key,) = node.params
            if element < 0:  # behind a guard, where the number is not used
                return node.dtype.numpy.type(0)
            return drawn(np.asarray(element), node.dtype.numpy, key, step, seed)[()]
        named = zip(OPS[node.op].params, node.params, strict=True)
        sized = {
            name: sizes.evaluate(p, self.dims) if isinstance(p, Dim) else p for name, p in named
        }
        row = SimpleNamespace(**{**sized, "where": node.where})
        return np.asarray(MEANING[node.op](row, *args)).astype(node.dtype.numpy)[()]

    def _read(self, node: Scalar, known: Mapping[Scalar, Any], point: Point) -> Any:
        buffer, _, _, guard = ir.read_parts(node)
        if guard is not None and not known[guard]:
            return buffer.dtype.numpy.type(0)
        return self.memory[buffer].reshape(-1)[self.position(ir.offset(node), point)]

    def position(self, place: ir.Affine, point: Point) -> int:
        """The element that an index falls on."""
        total = sizes.evaluate(place.offset, self.dims)
        for atom, factor in place.terms:
            total += int(self.of(atom, point)) * sizes.evaluate(factor, self.dims)
        return total

    def _reduce(self, node: Scalar, point: Point) -> Any:
        kind, axes = node.params
        values = [
            [self.of(a, inner) for a in node.args] for inner in self._points(axes, point)
        ]
        first = np.array([v[0] for v in values], node.args[0].dtype.numpy)
        if kind == "argmax":
            return values[int(np.argmax(first))][1]
        start = first.dtype.type(ir.identity(kind, node.dtype))
        return KINDS[kind](first, initial=start).astype(node.dtype.numpy)[()]

    def _points(self, axes: Sequence[Axis], point: Point) -> Iterator[Point]:
        ranges = [range(sizes.evaluate(axis.extent, self.dims)) for axis in axes]
        for place in product(*ranges):
            yield {**point, **dict(zip(axes, place, strict=True))}


KINDS: dict[str, Callable[..., Any]] = {"sum": np.sum, "max": np.max, "min": np.min}


def _outside_reductions(node: Scalar) -> tuple[Scalar, ...]:
    """The arguments that have a value at the point itself."""
    if node.op == "again":
        return node.args[:1]
    return () if node.op == "reduce" else node.args
