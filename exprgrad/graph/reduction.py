"""Sums, maxima, contractions: functions that combine elements along axes."""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import reduce
from typing import Any

from exprgrad.errors import ShapeError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.dims import count
from exprgrad.graph.elementwise import as_tensor, astype, size_value, sqrt, where
from exprgrad.graph.movement import as_axes, as_axis, concat, permute_dims, reshape
from exprgrad.graph.precision import as_factor
from exprgrad.graph.tensor import Operand, Tensor, apply

Axis = int | Sequence[int] | None


def _numeric(x: Operand) -> Tensor:
    x = as_tensor(x)
    return astype(x, dtypes.int64) if x.dtype.kind == "b" else x


def _reduce(op: str, x: Operand, axis: Axis, keepdims: bool) -> Tensor:
    x = _numeric(x)
    axes = as_axes(axis, x.ndim)
    if op != "sum" and any(x.shape[a] == 0 for a in axes):
        raise ShapeError(f"{op} of no elements is not defined: axis {axes} of {x.type}")
    result = apply(op, (x,), (axes,)) if axes else x
    return kept(result, x, axes) if keepdims else result


def kept(result: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """`result`, a reduction of `x` over `axes`, with these axes put back as units."""
    return reshape(result, tuple(1 if a in axes else n for a, n in enumerate(x.shape)))


def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis` (all axes when None); the sum of booleans is an int64 count.

    >>> import exprgrad as eg
    >>> eg.sum(eg.input("x", ("batch", 3)), axis=0).shape
    (3,)
    """
    return _reduce("sum", x, axis, keepdims)


def max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Maximum over `axis`; NaN where one element is NaN."""
    return _reduce("max", x, axis, keepdims)


def min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Minimum over `axis`; NaN where one element is NaN."""
    return _reduce("min", x, axis, keepdims)


def argmax(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Index of the first largest element; of several axes, in row-major order."""
    x = _numeric(x)
    axes = as_axes(axis, x.ndim)
    if any(x.shape[a] == 0 for a in axes):
        raise ShapeError(
            f"argmax of no elements is not defined: axis {axes} of {x.type}"
        )
    result = apply("argmax", (x,), (axes,))
    return kept(result, x, axes) if keepdims else result


def argmin(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Index of the first smallest element; of several axes, in row-major order."""
    x = _numeric(x)
    reverse = -x if x.dtype.kind == "f" else -1 - x  # -x of the least integer is itself
    return argmax(reverse, axis, keepdims)


def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over `axis` (all axes when None).

    >>> import exprgrad as eg
    >>> eg.mean(eg.input("x", ("batch",)))
    sum(x) / batch
    """
    x = as_tensor(x)
    x = x if x.dtype.kind == "f" else astype(x, dtypes.float32)
    axes = as_axes(axis, x.ndim)
    n = count(tuple(x.shape[a] for a in axes))
    result = sum(x, axes) / astype(size_value(n), x.dtype)
    return kept(result, x, axes) if keepdims else result


def var(
    x: Operand, axis: Axis = None, correction: float = 0, keepdims: bool = False
) -> Tensor:
    """Variance over `axis`: the mean of (x - mean)**2, with n - `correction` for n."""
    x = as_tensor(x)
    axes = as_axes(axis, x.ndim)
    squares = (x - mean(x, axes, keepdims=True)) ** 2
    if not correction:
        return mean(squares, axes, keepdims)
    n = astype(size_value(count(tuple(x.shape[a] for a in axes))), squares.dtype)
    result = sum(squares, axes) / (n - correction)
    return kept(result, x, axes) if keepdims else result


def std(
    x: Operand, axis: Axis = None, correction: float = 0, keepdims: bool = False
) -> Tensor:
    """Standard deviation over `axis`: the square root of `var`."""
    return sqrt(var(x, axis, correction, keepdims))


def norm(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Euclidean length over `axis`; its gradient at the zero vector is zero."""
    x = as_tensor(x)
    squares = sum(x * x, axis, keepdims)
    zero = squares == 0
    return where(zero, 0.0, sqrt(where(zero, 1.0, squares)))


def cumulative_sum(x: Operand, axis: int = -1) -> Tensor:
    """Sums of the elements up to and with each, along `axis`."""
    x = _numeric(x)
    return apply("cumsum", (x,), (as_axis(axis, x.ndim),))


def prod(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Product over `axis`, whose size is a number.

    Halves are multiplied pairwise, so that the gradient is right where an element is 0.
    """
    x = _numeric(x)
    axes = as_axes(axis, x.ndim)
    rest = [a for a in range(x.ndim) if a not in axes]
    sizes = tuple(x.shape[a] for a in rest)
    flat = reshape(permute_dims(x, (*axes, *rest)), (-1, *sizes)) if axes else x
    result = _product(flat) if axes else x
    return kept(result, x, axes) if keepdims else result


def _product(x: Tensor) -> Tensor:
    n = x.shape[0]
    if not isinstance(n, int):
        raise ShapeError(f"prod needs an axis whose size is a number, not {n}")
    if n == 0:
        return as_tensor(1, x) * sum(x, 0) + 1
    while isinstance(n, int) and n > 1:
        half = n // 2
        pairs = x[:half] * x[half : 2 * half]
        x = concat([pairs, x[2 * half :]]) if n % 2 else pairs
        n = x.shape[0]
    return x[0]


def einsum(spec: str, *operands: Operand, precision: str = "float32") -> Tensor:
    """Sum of products by Einstein's convention, as in NumPy: `"ik,kj->ij"`.

    Axes of equal label are multiplied together; labels missing after the arrow are
    summed over. `...` stands for leading axes that broadcast. With `precision`
    "bfloat16" factors are rounded to bfloat16 (8 bits) and products added in float32.

    >>> import exprgrad as eg
    >>> a, b = eg.input("a", (3, 4)), eg.input("b", (4, 5))
    >>> eg.einsum("ik,kj->ij", a, b).shape
    (3, 5)
    """
    tensors = [_numeric(t) for t in operands]
    meeting = dtypes.promote(*(t.dtype for t in tensors))
    tensors = [astype(t, meeting) for t in tensors]
    inputs, out = _labels(spec, tensors)
    terms = [_without_repeats(spec, t, i) for t, i in zip(tensors, inputs, strict=True)]
    while len(terms) > 1:
        (a, la), (b, lb), *terms = terms
        later = set(out).union(*(set(i) for _, i in terms))
        kept = "".join(dict.fromkeys(i for i in la + lb if i in later)) if terms else out
        factors = as_factor(a, precision), as_factor(b, precision)
        terms.insert(0, (apply("dot", factors, (la, lb, kept)), kept))
    result, labels = terms[0]
    result = sum(result, tuple(i for i, x in enumerate(labels) if x not in out))
    labels = "".join(x for x in labels if x in out)
    return permute_dims(result, tuple(labels.index(x) for x in out))


def _labels(spec: str, tensors: list[Tensor]) -> tuple[list[str], str]:
    left, arrow, out = spec.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(tensors):
        raise ShapeError(
            f'einsum "{spec}" names {len(inputs)} operands, not {len(tensors)}'
        )
    free = [c for c in string.ascii_uppercase if c not in spec]
    ranks = [
        t.ndim - len(i.replace("...", "")) for t, i in zip(tensors, inputs, strict=True)
    ]
    dots = "".join(free[: reduce(lambda a, b: a if a > b else b, ranks, 0)])
    inputs = [
        i.replace("...", dots[len(dots) - r :]) if r else i.replace("...", "")
        for i, r in zip(inputs, ranks, strict=True)
    ]
    if not arrow:
        letters = "".join(inputs)
        once = sorted({c for c in letters if letters.count(c) == 1} - set(dots))
        out = ("..." if dots else "") + "".join(once)
    out = out.replace("...", dots)
    for i, t in zip(inputs, tensors, strict=True):
        if len(i) != t.ndim or not set(out) <= set("".join(inputs)):
            raise ShapeError(f'einsum "{spec}" does not fit {t.type}')
    return inputs, out


def _without_repeats(spec: str, x: Tensor, labels: str) -> tuple[Tensor, str]:
    if len(set(labels)) != len(labels):
        raise ShapeError(f'einsum "{spec}" repeats a label within an operand: {labels}')
    return x, labels


def matmul(a: Operand, b: Operand, precision: str = "float32") -> Tensor:
    """Matrix product over the last axis of `a` and the last but one of `b`.

    Vectors are taken as a row or a column; leading axes broadcast as batches.
    With `precision` "bfloat16" both are rounded to bfloat16 (8 bits), and products
    added in float32; the gradient's products are of that kind too.
    Raises `ShapeError` naming both operands when the sizes differ.

    >>> import exprgrad as eg
    >>> (eg.input("x", ("batch", 3)) @ eg.input("W", (3, 4))).shape
    (batch, 4)
    """
    a, b = as_tensor(a), as_tensor(b)
    if not a.ndim or not b.ndim:
        raise ShapeError(
            f"matmul takes tensors of one axis or more, not {a.type}, {b.type}"
        )
    row = "k" if a.ndim == 1 else "ik"
    column = "k" if b.ndim == 1 else "kj"
    if a.ndim <= 2 and b.ndim <= 2:
        return einsum(f"{row},{column}->{row[:-1]}{column[1:]}", a, b, precision=precision)
    batch_a, batch_b = a.shape[: -len(row)], b.shape[: -len(column)]
    a, b = as_factor(a, precision), as_factor(b, precision)
    return _batched(a, b, batch_a, batch_b, row, column)


def _batched(
    a: Tensor, b: Tensor, batch_a: Any, batch_b: Any, row: str, col: str
) -> Tensor:
    """Batch axes of size 1 are dropped from the operand, so that nothing is copied."""
    rank = len(batch_a) if len(batch_a) > len(batch_b) else len(batch_b)
    letters = string.ascii_uppercase[:rank]
    a, la = _squeezed(a, batch_a, letters)
    b, lb = _squeezed(b, batch_b, letters)
    present = "".join(c for c in letters if c in la + lb)
    result = einsum(f"{la}{row},{lb}{col}->{present}{row[:-1]}{col[1:]}", a, b)
    if present == letters:
        return result
    sizes = iter(result.shape)
    lead = tuple(next(sizes) if c in present else 1 for c in letters)
    return reshape(result, (*lead, *sizes))


def _squeezed(x: Tensor, batch: Any, letters: str) -> tuple[Tensor, str]:
    labels = letters[len(letters) - len(batch) :]
    kept = tuple(n != 1 for n in batch)
    shape = (
        *(n for n, k in zip(batch, kept, strict=True) if k),
        *x.shape[len(batch) :],
    )
    return reshape(x, shape), "".join(c for c, k in zip(labels, kept, strict=True) if k)


def tensordot(a: Operand, b: Operand, axes: int = 2) -> Tensor:
    """Sum of products over the last `axes` axes of `a` and the first `axes` of `b`."""
    a, b = as_tensor(a), as_tensor(b)
    letters = string.ascii_lowercase
    la = letters[: a.ndim]
    lb = la[a.ndim - axes :] + letters[a.ndim : a.ndim + b.ndim - axes]
    return einsum(f"{la},{lb}->{la[: a.ndim - axes]}{lb[axes:]}", a, b)
