"""Random numbers that depend on seed, update and place alone (`graph/philox.py`).

Each call of a function below is a draw of its own. Within one update a draw has one
value, wherever it is read; the next update (`eg.step`) has another. The seed is the
state `eg.random.seed`: set its value before a run to have other numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from exprgrad.errors import DTypeError, GraphError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph import leaves
from exprgrad.graph.dims import as_size
from exprgrad.graph.dtype import DType, as_dtype
from exprgrad.graph.elementwise import as_tensor, astype, cos, less, log1p, sqrt
from exprgrad.graph.mode import rebuilt
from exprgrad.graph.node import intern, transform, walk
from exprgrad.graph.philox import OWN_KEYS
from exprgrad.graph.tensor import Operand, Tensor, apply

seed = leaves.seed


def uniform(
    shape: Any = (),
    low: Operand = 0.0,
    high: Operand = 1.0,
    dtype: object = "float32",
    step: Operand = None,
    seed: Operand = None,
    key: int | None = None,
) -> Tensor:
    """Numbers spread evenly over [low, high); shape as in `eg.input`.

    Two draws of equal `key`, `step` and `seed` are equal. `step` is the update's number
    and `seed` the state `eg.random.seed` when not given; every draw has its own key. A
    key that is given lies below 2**31, else `GraphError`.
    (Philox 4x32-10: Salmon et al. 2011, section 3.3.)

    >>> import exprgrad as eg
    >>> eg.random.uniform(("batch", 4)).type.shape
    (batch, 4)
    """
    width = high if _is_number(low, 0) else high - low
    return _moved(_draw(shape, as_dtype(dtype), step, seed, key), low, width)


def normal(
    shape: Any = (),
    mean: Operand = 0.0,
    scale: Operand = 1.0,
    dtype: object = "float32",
    step: Operand = None,
    seed: Operand = None,
    key: int | None = None,
) -> Tensor:
    """Numbers of the normal distribution of `mean` and standard deviation `scale`.

    Box and Muller (1958): sqrt(-2 log(1 - u)) cos(2 pi v) of two uniform draws, whose
    keys are `key` and `key + 1`; 1 - u is never 0.

    >>> import exprgrad as eg
    >>> eg.random.normal((3,), scale=0.1).type.shape
    (3,)
    """
    exact = as_dtype(dtype)
    u = _draw(shape, exact, step, seed, key)
    v = _draw(shape, exact, step, seed, None if key is None else int(key) + 1)
    standard = sqrt(-2.0 * log1p(-u)) * cos(2 * math.pi * v)
    return _moved(standard, mean, scale)


def bernoulli(
    p: Operand,
    shape: Any = (),
    dtype: object = "float32",
    step: Operand = None,
    seed: Operand = None,
    key: int | None = None,
) -> Tensor:
    """1 with probability `p`, else 0; `p` is a number or an expression.

    >>> import exprgrad as eg
    >>> keep = eg.state("keep", init=0.9)
    >>> eg.random.bernoulli(keep, ("batch", 4)).type.shape
    (batch, 4)
    """
    drawn = dtypes.float64 if _is_float64(p) else dtypes.float32
    return astype(less(_draw(shape, drawn, step, seed, key), p), dtype)


def numbered(roots: Iterable[Tensor]) -> dict[Tensor, Tensor]:
    """Every node of `roots` with the draws that were given no key numbered anew, in the
    order in which they are met: the same lines then draw the same, whatever was written
    before them.
    """
    nodes = walk(roots)
    met = dict.fromkeys(n.params[0] for n in nodes if n.op == "random" and _is_own(n))
    keys = {key: OWN_KEYS + number for number, key in enumerate(met)}

    def visit(node: Tensor, args: tuple[Tensor, ...]) -> Tensor:
        if node.op != "random" or not _is_own(node):
            return rebuilt(node, args)
        params = (keys[node.params[0]], *node.params[1:])
        return intern(Tensor, "random", args, params, node.type, node.where)

    return transform(roots, visit)


def _is_own(draw: Tensor) -> bool:
    return bool(draw.params[0] >= OWN_KEYS)


def _moved(x: Tensor, offset: Operand, scale: Operand) -> Tensor:
    scaled = x if _is_number(scale, 1) else x * scale
    return scaled if _is_number(offset, 0) else scaled + offset


def _is_number(value: Operand, number: int) -> bool:
    return isinstance(value, int | float) and value == number


def _is_float64(p: Operand) -> bool:
    return isinstance(p, Tensor) and p.dtype == dtypes.float64


def _draw(shape: Any, dtype: DType, step: Any, seed: Any, key: int | None) -> Tensor:
    if dtype.kind != "f":
        raise DTypeError(f"random numbers are floating-point, not {dtype}")
    whole = isinstance(key, int | np.integer) and not isinstance(key, bool)
    if key is not None and not (whole and 0 <= key < OWN_KEYS):
        raise GraphError(
            f"the key of a draw is an integer from 0 to 2**31 - 1 (for normal numbers, "
            f"which take the next key, too, - 2), not {key!r}"
        )
    sizes = tuple(
        as_size(n) for n in (shape if isinstance(shape, tuple | list) else (shape,))
    )
    counters = (
        leaves.step if step is None else step,
        leaves.seed if seed is None else seed,
    )
    args = tuple(astype(as_tensor(c), dtypes.int64) for c in counters)
    return apply(
        "random", args, (leaves.next_key() if key is None else int(key), sizes, dtype)
    )
