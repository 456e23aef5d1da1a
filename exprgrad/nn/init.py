"""First values of parameters: each function here gives one that draws them.

A weight of two axes is (in, out); one of three or more is (out, in, taps...), as a
convolution has it. The fan-in is the number of inputs that one output sums over.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import numpy as np

from exprgrad.errors import GraphError, ShapeError
from exprgrad.graph.state import Array, Initializer

Shape = tuple[int, ...]


def zeros() -> Initializer:
    """Zeros."""
    return constant(0.0)


def ones() -> Initializer:
    """Ones."""
    return constant(1.0)


def constant(value: float) -> Initializer:
    """`value` in every place.

    >>> constant(2.0)((2,), np.random.default_rng(0))
    array([2., 2.])
    """
    return lambda shape, rng: np.full(shape, value, np.float64)


def uniform(low: float = -0.05, high: float = 0.05) -> Initializer:
    """Numbers drawn evenly from [low, high)."""
    return lambda shape, rng: rng.uniform(low, high, shape)


def normal(mean: float = 0.0, std: float = 0.05) -> Initializer:
    """Numbers of a normal distribution."""
    return lambda shape, rng: rng.normal(mean, std, shape)


def truncated_normal(mean: float = 0.0, std: float = 0.05) -> Initializer:
    """A normal distribution whose draws beyond two `std` are drawn again.

    `std` is that of the whole distribution; what is left has 0.88 of it.
    """

    def init(shape: Shape, rng: np.random.Generator) -> Array:
        draws = rng.normal(size=shape)
        while (outside := np.abs(draws) > 2).any():
            draws[outside] = rng.normal(size=int(outside.sum()))
        return np.asarray(mean + std * draws)

    return init


def log_odds(rows: Array, smallest: float = 0.01) -> Initializer:
    """log(p / (1 - p)) of p, the mean of each column of `rows[row, unit]`.

    p is kept from `smallest` to 1 - `smallest`. For the bias of binary units: Hinton
    2010, A practical guide to training restricted Boltzmann machines, section 8.1.
    Raises `ShapeError` for rows of another width than the parameter's.

    >>> log_odds(np.array([[0.0, 1.0], [0.0, 0.0]]), 0.25)((2,), None).round(1)
    array([-1.1,  0. ])
    """

    def init(shape: Shape, rng: np.random.Generator) -> Array:
        p = np.clip(np.asarray(rows, np.float64).mean(0), smallest, 1 - smallest)
        if p.shape != shape:
            raise ShapeError(f"log_odds of rows of {p.shape} fills no {shape}")
        return np.asarray(np.log(p) - np.log1p(-p))

    return init


def fans(shape: Shape) -> tuple[int, int]:
    """Fan-in and fan-out of a weight.

    Raises `ShapeError` for fewer than two axes.

    >>> fans((64, 10)), fans((16, 3, 5, 5))
    ((64, 10), (75, 400))
    """
    if len(shape) < 2:
        raise ShapeError(f"a fan needs a weight of two axes or more, not {shape}")
    if len(shape) == 2:
        return shape
    taps = prod(shape[2:])
    return shape[1] * taps, shape[0] * taps


def _fan_in(shape: Shape) -> float:
    return fans(shape)[0]


def _fan_mean(shape: Shape) -> float:
    return sum(fans(shape)) / 2


def _scaled(
    distribution: str, scale: float, fan: Callable[[Shape], float]
) -> Initializer:
    """Draws of mean 0 and variance `scale / fan`."""

    def init(shape: Shape, rng: np.random.Generator) -> Array:
        std = sqrt(scale / max(fan(shape), 1))
        if distribution == "normal":
            return rng.normal(0.0, std, shape)
        return rng.uniform(-sqrt(3) * std, sqrt(3) * std, shape)

    return init


def glorot_uniform(gain: float = 1.0) -> Initializer:
    """Uniform, of variance 2 gain² / (fan-in + fan-out).

    Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward
    neural networks, equation 16.

    >>> abs(glorot_uniform()((8, 8), np.random.default_rng(0))).max() < (6 / 16) ** 0.5
    np.True_
    """
    return _scaled("uniform", gain**2, _fan_mean)


def glorot_normal(gain: float = 1.0) -> Initializer:
    """Normal, of variance 2 gain² / (fan-in + fan-out); Glorot and Bengio 2010, eq. 12."""
    return _scaled("normal", gain**2, _fan_mean)


def he_uniform(slope: float = 0.0) -> Initializer:
    """Uniform, of variance 2 / ((1 + slope²) fan-in): `he_normal`'s."""
    return _scaled("uniform", 2 / (1 + slope**2), _fan_in)


def he_normal(slope: float = 0.0) -> Initializer:
    """Normal, of variance 2 / ((1 + slope²) fan-in), for rectifiers.

    `slope` is a leaky rectifier's below zero. He et al. 2015, Delving deep into
    rectifiers, equations 10 and 15.
    """
    return _scaled("normal", 2 / (1 + slope**2), _fan_in)


def lecun_normal() -> Initializer:
    """Normal, of variance 1 / fan-in. LeCun et al. 1998, Efficient BackProp, 4.6."""
    return _scaled("normal", 1.0, _fan_in)


def lecun_uniform() -> Initializer:
    """Uniform, of variance 1 / fan-in. LeCun et al. 1998, Efficient BackProp, 4.6."""
    return _scaled("uniform", 1.0, _fan_in)


def orthogonal(gain: float = 1.0) -> Initializer:
    """A random matrix whose rows or columns, the fewer, are orthogonal, of length `gain`.

    A weight (in, out) is taken as it is, one (out, in, taps...) as (out, in * taps).
    Saxe et al. 2014, Exact solutions to the nonlinear dynamics of learning; the factor
    Q of a normal matrix, its signs fixed, is uniform (Mezzadri 2007).
    """

    def init(shape: Shape, rng: np.random.Generator) -> Array:
        if len(shape) < 2:
            raise ShapeError(f"orthogonal needs two axes or more, not {shape}")
        rows, columns = shape[0], prod(shape[1:])
        tall = rng.normal(size=(max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q = q * np.sign(np.diagonal(r))
        return np.asarray(gain * (q if rows >= columns else q.T).reshape(shape))

    return init


def sparse(connections: int = 15, std: float = 1.0) -> Initializer:
    """Zeros but for `connections` normal numbers among the inputs of each unit.

    Martens 2010, Deep learning via Hessian-free optimization, section 5; Sutskever et
    al. 2013, section 3.1. The weight is (in, out).

    >>> (sparse(3)((20, 4), np.random.default_rng(0)) != 0).sum(0)
    array([3, 3, 3, 3])
    """
    if connections < 1:
        raise GraphError(f"sparse: connections is at least 1, not {connections}")

    def init(shape: Shape, rng: np.random.Generator) -> Array:
        if len(shape) != 2:
            raise ShapeError(f"sparse fills a weight (in, out), not {shape}")
        weight = np.zeros(shape)
        for unit in range(shape[1]):
            rows = rng.permutation(shape[0])[:connections]
            weight[rows, unit] = rng.normal(0.0, std, rows.size)
        return weight

    return init
