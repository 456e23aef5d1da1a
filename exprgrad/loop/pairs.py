"""Sums whose products are of bfloat16 numbers, where a processor takes two at a time.

    sum over k: a[i, k] * b[k, j]    ->    sum over k (pairs): a[i, k] * b[k, j]

where a and b hold bfloat16(...). A step of the sum then adds the products at k and at
k + 1; the last one of an odd number of steps stands alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from exprgrad.graph.dtype import float32
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar


def rounded(kernels: Iterable[Kernel]) -> frozenset[Buffer]:
    """The temporaries that hold bfloat16 numbers only, by kernels in their order."""
    found: dict[Buffer, bool] = {}
    for kernel in kernels:
        for store in kernel.stores:
            known = {buffer for buffer, holds in found.items() if holds}
            fresh = store.buffer.role == "temporary" and not store.accumulate
            before = found.get(store.buffer, fresh)
            found[store.buffer] = before and fresh and _is_rounded(store.value, known)
    return frozenset(buffer for buffer, holds in found.items() if holds)


def _is_rounded(value: Scalar, known: Collection[Buffer]) -> bool:
    if value.op == "where":
        return all(_is_rounded(branch, known) for branch in value.args[1:])
    if value.op == "negative":
        return _is_rounded(value.args[0], known)
    is_read = value.op == "read" and value.params[0] in known
    return value.op == "bfloat16" or is_read or value is ir.zero(float32)


def paired(
    kernel: Kernel, vectors: Collection[Axis], known: Collection[Buffer]
) -> Iterator[Axis]:
    """The summed axes whose products may be taken in pairs, where stores run along
    `vectors` and the buffers `known` hold bfloat16 numbers.
    """
    sums = [node for node in ir.scalars(kernel) if node.op == "reduce"]
    for axis in dict.fromkeys(node.params[1][-1] for node in sums):
        over = [node for node in sums if axis in node.params[1]]
        if axis not in vectors and all(_takes(n, axis, vectors, known) for n in over):
            yield axis


def _takes(
    node: Scalar, axis: Axis, vectors: Collection[Axis], known: Collection[Buffer]
) -> bool:
    product = node.args[0]
    return (
        product is ir.summed_product(node)
        and product.dtype is float32
        and node.params[1][-1] is axis
        and not ir.free_axes(node).isdisjoint(vectors)
        and all(_is_rounded(factor, known) for factor in product.args)
    )
