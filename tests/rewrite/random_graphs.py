"""Random expressions for hypothesis: shapes, views, reductions and contractions mixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

import exprgrad as eg
from exprgrad.errors import ShapeError
from exprgrad.graph.show import listing

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


@dataclass
class Case:
    """Expressions, and the values of their inputs."""

    outputs: list
    values: dict

    def __repr__(self):
        return listing(self.outputs)


def expressions():
    """Cases of a few steps or many; fewer steps of the same seed are a smaller case."""
    return st.builds(build, st.integers(0, 10**6), st.sampled_from((3, 10, 10, 20)))


def build(seed, steps, more=(), dtype="float64"):
    """A case of `steps` random steps; `more` are kinds of step beside the usual ones."""
    rng = np.random.default_rng(seed)
    values = {}
    for i in range(3):
        names = tuple(rng.choice((1, 2, 3, 3, "batch"), 2).tolist())
        sizes = tuple(n if n == "batch" else int(n) for n in names)
        x = eg.input(f"x{i}", sizes, dtype)
        values[x] = rng.normal(size=[4 if n == "batch" else n for n in sizes])
    few = rng.integers(-2, 3, (3, 1)).astype(float)
    nodes = [*values, eg.constant(few, dtype)]
    for _ in range(steps):
        nodes.append(_step(rng, nodes, more))
    return Case(nodes[-3:], values)


def _pick(rng, items):
    return items[int(rng.integers(len(items)))]


def _step(rng, nodes, more):
    x, y = _pick(rng, nodes[-3:] + nodes[:3]), _pick(rng, nodes)
    try:
        return _pick(rng, (*STEPS, *more))(rng, x, y)
    except ShapeError:
        return _unary(rng, x, y)


def _unary(rng, x, y):
    return _pick(rng, UNARY)(x)


def _binary(rng, x, y):
    return _pick(rng, BINARY)(x, y)


def _reduce(rng, x, y):
    axis = int(rng.integers(x.ndim)) if x.ndim else None
    reduce = _pick(rng, (eg.sum, eg.sum, eg.mean, eg.max, eg.min))
    return reduce(x, axis, keepdims=bool(rng.integers(2)))


def _dot(rng, x, y):
    spec = _pick(
        rng, ("ik,kj->ij", "ki,kj->ij", "ik,jk->ji", "ij,ij->i", "ij,ij->", "ik,jl->lj")
    )
    products = (
        lambda: eg.einsum(spec, x, y),
        lambda: eg.sum(eg.expand_dims(x, 1) * eg.expand_dims(x, 0), -1),
        lambda: x @ x.T,
    )
    return _pick(rng, products)()


def _move(rng, x, y):
    move = _pick(
        rng, (_permute, _unsqueeze, _flip, _pad, _slice, _flat, _grow, _concat)
    )
    return move(rng, x) if x.ndim in (1, 2, 3) else x * 1


def _permute(rng, x):
    return x.permute_dims(rng.permutation(x.ndim).tolist())


def _unsqueeze(rng, x):
    return eg.expand_dims(x, int(rng.integers(x.ndim + 1)))


def _flip(rng, x):
    return eg.flip(x, int(rng.integers(x.ndim)))


def _pad(rng, x):
    return eg.pad(x, rng.integers(0, 2, (x.ndim, 2)).tolist())


def _slice(rng, x):
    short = isinstance(x.shape[-1], int) and x.shape[-1] > 1
    return _pick(rng, (x[..., 1:], x[..., :1], x[..., ::-2])) if short else x[:1]


def _flat(rng, x):
    return x.reshape((-1,))


def _grow(rng, x):
    return eg.broadcast_to(x, (2, *x.shape))


def _concat(rng, x):
    return eg.concat([x, -x], int(rng.integers(x.ndim)))


STEPS = (_unary, _binary, _move, _move, _reduce, _dot)
