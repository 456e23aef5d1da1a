"""The chain rule of each operation: one row per op, in the order of `graph.ops.OPS`.

A row is `rule(cotangent, node, *args)`: from the cotangent of a node the cotangents of
its arguments, None where there is none. A row of None passes no gradient at all.

Where a derivative does not exist or is not finite, these are the choices:

- max, min over axes: the first extreme element in row-major order gets all.
- maximum, minimum of two equal operands: half each, as in PyTorch and JAX. (So
  maximum(x, 0) has slope 1/2 at 0; relu is spelled with where and has slope 0.)
- abs: 0 at 0. sign, floor, floor_divide: 0 everywhere. remainder: 1 for the dividend,
  -floor(a / b) for the divisor, also at the jumps.
- sqrt: inf at 0; log: inf at 0; rsqrt: -inf at 0. Hence sqrt(sum(x * x)) has
  NaN at 0; `norm` is spelled so that it has 0 there.
- pow for the base: y * x**(y - 1), and 0 where y = 0, even at x = 0. For the exponent:
  x**y * log(x) where x > 0, else 0. A constant exponent makes no logarithm.
- where: the branch that is not taken gets exactly 0, whatever the cotangent (inf, NaN).
  What lies behind that branch multiplies this 0 by its own slope: where that is inf,
  the result is NaN, so the argument of the branch must be made harmless too.
- cast: through floating-point types only; integers and booleans carry no gradient.
- bfloat16: slope 1, as if nothing were rounded. A product of rounded factors has a
  gradient whose products are of rounded factors too.
- gather: repeated indices add up. An index, a condition, a draw: no gradient.
- stop_gradient: none. custom: what the user's pullback says, the value is not entered.
- again: that of its first argument; the second only says when it is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from math import pi, sqrt

from exprgrad.graph.dims import Shape, Size, count
from exprgrad.graph.elementwise import (
    astype,
    bfloat16,
    cos,
    equal,
    exp,
    floor_divide,
    less,
    like,
    log,
    sigmoid,
    sign,
    sin,
    where,
)
from exprgrad.graph.movement import (
    expand_dims,
    flip,
    iota,
    permute_dims,
    reshape,
    strided_slice,
)
from exprgrad.graph.tensor import Tensor, apply

Cotangents = tuple[Tensor | None, ...]
Rule = Callable[..., Cotangents]


def literal(x: Tensor) -> float | None:
    """The number that all elements of `x` are, when that can be seen."""
    base = x.args[0] if x.op == "expand" else x
    known = base.op == "constant" and base.ndim == 0
    return float(base.params[0].array) if known else None


def times(g: Tensor, factor: Tensor) -> Tensor:
    """g * factor, which is `factor` when g is the seed of a gradient."""
    return factor if literal(g) == 1 else g * factor


def total(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The sum of `x` over `axes`, the transpose of `expand`."""
    return apply("sum", (x,), (axes,)) if axes else x


def stretch(x: Tensor, shape: Shape, axes: tuple[int, ...]) -> Tensor:
    """`x` repeated along new axes, the transpose of `total`."""
    return apply("expand", (x,), (shape, axes)) if axes else x


def as_factor(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """`x` as it enters products with `a` or `b`: rounded where these two are."""
    return bfloat16(x) if is_rounded(a) and is_rounded(b) else x


def is_rounded(x: Tensor) -> bool:
    """Whether all elements of `x` are seen to be bfloat16's."""
    while x.op in _KEEP_VALUES:
        x = x.args[0]
    return x.op == "bfloat16"


_KEEP_VALUES = frozenset("reshape expand permute pad slice window negative".split())


# Elementwise


def divide(g: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Cotangents:
    """d(a / b) = da / b - y / b db"""
    return g / b, -times(g, y / b)


def power(g: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Cotangents:
    """d(a ** b) = b a**(b - 1) da + y log(a) db"""
    positive = less(like(a, 0.0), a)
    log_a = log(where(positive, a, 1.0))
    return _power_of_base(g, a, b), times(g, y * log_a)


def _power_of_base(g: Tensor, a: Tensor, b: Tensor) -> Tensor | None:
    """b a**(b - 1), its exponent made 1 where b = 0: then 0 * a, not 0 * inf."""
    known = literal(b)
    if known is None:
        return times(g, b * a ** where(equal(b, like(b, 0.0)), 1.0, b - 1.0))
    if known == 0:
        return None
    if known in (1, 2):
        return g if known == 1 else times(g, b * a)
    return times(g, b * a ** (known - 1))


def maximum(g: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Cotangents:
    """All to the larger, half to each of two equals."""
    shared = where(equal(a, b), 0.5 * g, g)
    return where(less(a, b), 0.0, shared), where(less(b, a), 0.0, shared)


# Reductions


def first_extreme(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Where x is the largest over `axes`, at the first such place in row-major order."""
    inner = tuple(x.shape[a] for a in axes)
    outer = tuple(a for a in range(x.ndim) if a not in axes)
    best = stretch(apply("argmax", (x,), (axes,)), x.shape, axes)
    place = reshape(iota(count(inner)), inner)
    return equal(best, stretch(place, x.shape, outer))


def extreme(g: Tensor, y: Tensor, x: Tensor, larger: Tensor) -> Tensor:
    """All of it to the place where `larger` is largest."""
    (axes,) = y.params
    return where(first_extreme(larger, axes), stretch(g, x.shape, axes), 0.0)


def cumsum(g: Tensor, y: Tensor, x: Tensor) -> Cotangents:
    """y_i = sum of x_j for j <= i, hence dx_j = sum of dy_i for i >= j."""
    (axis,) = y.params
    return (flip(apply("cumsum", (flip(g, axis),), (axis,)), axis),)


def dot(g: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Cotangents:
    """The contraction with its labels exchanged: "ik,kj->ij" gives "ij,kj->ik"; g is
    rounded where a and b are.
    """
    la, lb, out = y.params
    g = as_factor(g, a, b)
    return _contracted(g, out, b, lb, a, la), _contracted(g, out, a, la, b, lb)


def _contracted(g: Tensor, lg: str, a: Tensor, la: str, x: Tensor, lx: str) -> Tensor:
    """The cotangent of x; it is constant along axes that x alone has (they were summed)."""
    alone = tuple(i for i, c in enumerate(lx) if c not in lg + la)
    kept = "".join(c for i, c in enumerate(lx) if i not in alone)
    return stretch(apply("dot", (g, a), (lg, la, kept)), x.shape, alone)


# Movement


def permute(g: Tensor, y: Tensor, x: Tensor) -> Cotangents:
    """By the inverse permutation."""
    order: list[int] = list(y.params[0])
    return (permute_dims(g, [order.index(a) for a in range(x.ndim)]),)


def pad(g: Tensor, y: Tensor, x: Tensor) -> Cotangents:
    """The part inside the padding."""
    starts = tuple(low for low, _ in y.params[0])
    return (strided_slice(g, starts, (1,) * x.ndim, x.shape),)


def slice(g: Tensor, y: Tensor, x: Tensor) -> Cotangents:
    """Each element back in its place, zeros around and between.

    A negative step is a flip, a step s puts s - 1 zeros between (UNWINDOW of one tap).
    """
    starts, steps, shape = y.params
    if 0 in shape:
        return (None,)
    back = [a for a, step in enumerate(steps) if step < 0 and shape[a] != 1]
    g = flip(g, back) if back else g
    widths = []
    for axis, (start, step, m) in enumerate(zip(starts, steps, shape, strict=True)):
        reach = (m - 1) * abs(step) + 1
        low = start if step > 0 else start + (m - 1) * step
        g = _spread(g, axis, reach, abs(step)) if reach != m else g
        widths.append((low, x.shape[axis] - low - reach))
    inside = all(pair == (0, 0) for pair in widths)
    return (g if inside else apply("pad", (g,), (tuple(widths),)),)


def _spread(g: Tensor, axis: int, n: Size, step: int) -> Tensor:
    return apply("unwindow", (expand_dims(g, -1),), (axis, n, step, 1))


def concat(g: Tensor, y: Tensor, *parts: Tensor) -> Cotangents:
    """Each part's own slice."""
    (axis,) = y.params
    ends: Iterator[Size] = accumulate((p.shape[axis] for p in parts), initial=0)
    return tuple(
        _part(g, axis, start, p) for start, p in zip(ends, parts, strict=False)
    )


def _part(g: Tensor, axis: int, start: Size, part: Tensor) -> Tensor:
    starts = tuple(start if a == axis else 0 for a in range(part.ndim))
    return strided_slice(g, starts, (1,) * part.ndim, part.shape)


def window(g: Tensor, y: Tensor, x: Tensor) -> Cotangents:
    """Each tap added to the element that it was read from."""
    axis, _, stride, dilation = y.params
    return (apply("unwindow", (g,), (axis, x.shape[axis], stride, dilation)),)


def unwindow(g: Tensor, y: Tensor, x: Tensor) -> Cotangents:
    """The windows of g; as many as there were, if g has room for more."""
    axis, _, stride, dilation = y.params
    taps = apply("window", (g,), (axis, x.shape[-1], stride, dilation))
    return (strided_slice(taps, (0,) * x.ndim, (1,) * x.ndim, x.shape),)


def gather(g: Tensor, y: Tensor, x: Tensor, index: Tensor) -> Cotangents:
    """Each element added back at its index."""
    (axis,) = y.params
    return apply("scatter_add", (g, index), (axis, x.shape[axis])), None


def custom(g: Tensor, y: Tensor, value: Tensor, *inputs: Tensor) -> Cotangents:
    """The user's own rule; `value` is not entered."""
    found = y.params[0](g, *inputs)
    return (None, *(found if isinstance(found, tuple | list) else (found,)))


VJP: dict[str, Rule | None] = {
    # leaves
    "input": None,
    "parameter": None,
    "state": None,
    "constant": None,
    "size": None,
    "iota": None,
    # elementwise
    "add": lambda g, y, a, b: (g, g),
    "subtract": lambda g, y, a, b: (g, -g),
    "multiply": lambda g, y, a, b: (times(g, b), times(g, a)),
    "divide": divide,
    "floor_divide": None,
    "remainder": lambda g, y, a, b: (g, -times(g, floor_divide(a, b))),
    "pow": power,
    "maximum": maximum,
    "minimum": lambda g, y, a, b: maximum(g, y, b, a),
    "negative": lambda g, y, x: (-g,),
    "abs": lambda g, y, x: (times(g, sign(x)),),
    "sign": None,
    "floor": None,
    "exp": lambda g, y, x: (times(g, y),),
    "expm1": lambda g, y, x: (times(g, y + 1.0),),
    "log": lambda g, y, x: (g / x,),
    "log1p": lambda g, y, x: (g / (1.0 + x),),
    "sqrt": lambda g, y, x: (times(g, 0.5 / y),),
    "rsqrt": lambda g, y, x: (times(g, -0.5 * y * y * y),),
    "tanh": lambda g, y, x: (times(g, 1.0 - y * y),),
    "sigmoid": lambda g, y, x: (times(g, y * (1.0 - y)),),
    "softplus": lambda g, y, x: (times(g, sigmoid(x)),),
    "erf": lambda g, y, x: (times(g, 2.0 / sqrt(pi) * exp(-x * x)),),
    "sin": lambda g, y, x: (times(g, cos(x)),),
    "cos": lambda g, y, x: (-times(g, sin(x)),),
    "bfloat16": lambda g, y, x: (g,),
    "equal": None,
    "not_equal": None,
    "less": None,
    "less_equal": None,
    "logical_and": None,
    "logical_or": None,
    "logical_not": None,
    "where": lambda g, y, c, a, b: (None, where(c, g, 0.0), where(c, 0.0, g)),
    "cast": lambda g, y, x: (astype(g, x.dtype),),
    "bound": None,
    # reductions
    "sum": lambda g, y, x: (stretch(g, x.shape, y.params[0]),),
    "max": lambda g, y, x: (extreme(g, y, x, x),),
    "min": lambda g, y, x: (extreme(g, y, x, -x),),
    "argmax": None,
    "cumsum": cumsum,
    "dot": dot,
    # movement
    "reshape": lambda g, y, x: (reshape(g, x.shape),),
    "expand": lambda g, y, x: (total(g, y.params[1]),),
    "permute": permute,
    "pad": pad,
    "slice": slice,
    "concat": concat,
    "window": window,
    "unwindow": unwindow,
    "gather": gather,
    "scatter_add": lambda g, y, x, i: (apply("gather", (g, i), y.params[:1]), None),
    # special
    "random": None,
    "stop_gradient": None,
    "custom": custom,
    "checkpoint": lambda g, y, x: (g,),
    "again": lambda g, y, x, after: (g, None),
}
