"""Random expressions for hypothesis: shapes, views, reductions and contractions mixed."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

import exprgrad as eg

SIZES = (1, 2, 3)

UNARY = [
    eg.negative,
    eg.abs,
    eg.sign,
    eg.tanh,
    eg.sigmoid,
    eg.softplus,
    eg.sin,
    lambda x: eg.exp(eg.sin(x)),
    lambda x: eg.log(1 + x * x),
    lambda x: x**2,
    lambda x: x * 2.0,
    lambda x: 1 - x,
    lambda x: x / 4,
    lambda x: 1 / (1 + eg.exp(-x)),
    eg.stop_gradient,
]
BINARY = [
    eg.add,
    eg.subtract,
    eg.multiply,
    eg.maximum,
    lambda a, b: eg.where(a < b, a, b),
    lambda a, b: a / (2 + eg.abs(b)),
    lambda a, b: -a * -b,
]


@st.composite
def expressions(draw, steps: int = 8):
    """A float64 expression and the values of its inputs."""
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    nodes, values = [], {}
    for i in range(3):
        names = [draw(st.sampled_from((*SIZES, "batch"))) for _ in range(2)]
        shape = tuple(4 if n == "batch" else n for n in names)
        x = eg.input(f"x{i}", tuple(names), "float64")
        values[x] = rng.normal(size=shape)
        nodes.append(x)
    nodes.append(eg.constant(rng.integers(-2, 3, (2, 1)).astype(float)))
    for _ in range(steps):
        nodes.append(_step(draw, nodes))
    return nodes[-1], values


def _step(draw, nodes):
    x = draw(st.sampled_from(nodes[-4:] + nodes[:2]))
    y = draw(st.sampled_from(nodes))
    kind = draw(st.sampled_from(("unary", "binary", "move", "reduce", "dot")))
    if kind == "unary":
        return draw(st.sampled_from(UNARY))(x)
    if kind == "binary":
        try:
            return draw(st.sampled_from(BINARY))(x, y)
        except eg.errors.ShapeError:
            return eg.exp(-(x * x))
    if kind == "reduce" and x.ndim:
        axis = draw(st.integers(0, x.ndim - 1))
        reduce = draw(st.sampled_from((eg.sum, eg.mean, eg.max, eg.min)))
        return reduce(x, axis, keepdims=draw(st.booleans()))
    if kind == "dot" and x.ndim == y.ndim == 2:
        spec = draw(st.sampled_from(("ik,kj->ij", "ki,kj->ij", "ik,jk->ji", "ij,ij->i")))
        try:
            return eg.einsum(spec, x, y)
        except eg.errors.ShapeError:
            return x
    return _moved(draw, x)


def _moved(draw, x):
    choice = draw(st.sampled_from(("permute", "unsqueeze", "flip", "pad", "slice", "flat", "grow")))
    if choice == "permute":
        return x.permute_dims(draw(st.permutations(range(x.ndim))))
    if choice == "unsqueeze" and x.ndim < 3:
        return eg.expand_dims(x, draw(st.integers(0, x.ndim)))
    if choice == "flip":
        return eg.flip(x)
    if choice == "pad":
        widths = st.tuples(st.integers(0, 1), st.integers(0, 1))
        return eg.pad(x, [draw(widths) for _ in x.shape])
    if choice == "slice" and x.ndim and x.shape[0] in (2, 3):
        return x[1:] if draw(st.booleans()) else x[:1]
    if choice == "flat":
        return x.reshape((-1,))
    if choice == "grow" and x.ndim < 3:
        return eg.broadcast_to(x, (2, *x.shape))
    return eg.concat([x, x], 0) if x.ndim else x
