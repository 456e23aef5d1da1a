"""The data, first weights and noise of a workload, from a seed: the same for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .workloads import Workload

Array = NDArray[Any]
Arrays = dict[str, Array]
TOKENS = 30


def arrays(w: Workload) -> tuple[tuple[Array, ...], Arrays]:
    """The inputs of a model, and its parameters by name. Weights of dense layers are
    `W...` (inputs, outputs), of convolutions `K...` (outputs, inputs, height, width).
    """
    rng = np.random.default_rng(sum(map(ord, w.name)))
    inputs, parameters = MADE[w.model](rng, w)
    cast = {k: v.astype(w.dtype) for k, v in parameters.items()}
    return tuple(x if x.dtype == np.int64 else x.astype(w.dtype) for x in inputs), cast


def orders(w: Workload) -> Iterator[NDArray[np.int64]]:
    """Of each epoch, the rows that its steps take: steps x batch."""
    rng = np.random.default_rng(1)
    while True:
        yield rng.permutation(w.rows)[: w.steps * w.batch].reshape(w.steps, w.batch)


def noise(w: Workload) -> list[Array]:
    """Uniform numbers for each step of an epoch, where a library's own are not to be
    used, so that losses can be compared.
    """
    rng = np.random.default_rng(2)
    return [rng.random((w.steps, *shape)).astype(w.dtype) for shape in w.noise]


# Inputs and parameters of each model

Made = tuple[tuple[Array, ...], Arrays]


def dense(rng: Generator, *sizes: int, first: int = 1) -> Arrays:
    """Weights by Glorot and Bengio, and biases of 0."""
    made: Arrays = {}
    for i, (n, m) in enumerate(pairwise(sizes), first):
        limit = np.sqrt(6 / (n + m))
        made[f"W{i}"], made[f"b{i}"] = rng.uniform(-limit, limit, (n, m)), np.zeros(m)
    return made


def classified(rng: Generator, w: Workload, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Noisy copies of one prototype for each class; about half of the numbers are 0."""
    labels = rng.integers(0, w.sizes[-1], w.rows)
    kinds = rng.standard_normal((min(w.sizes[-1], 50), *shape))
    x = kinds[labels % len(kinds)] + 0.8 * rng.standard_normal((w.rows, *shape))
    return np.clip(0.5 * x, 0, 1), labels


def full(names: str, values: tuple[float, ...], *sizes: int) -> Arrays:
    """For each name and each size, numbered from 1, an array that is all one value."""
    return {
        f"{name}{i}": np.full(n, value)
        for i, n in enumerate(sizes, 1)
        for name, value in zip(names.split(), values, strict=True)
    }


def mlp(rng: Generator, w: Workload) -> Made:
    return classified(rng, w, w.sizes[:1]), dense(rng, *w.sizes)


def layer_mlp(rng: Generator, w: Workload) -> Made:
    norms = full("g s", (1, 0), *w.sizes[1:3])
    return classified(rng, w, w.sizes[:1]), {**dense(rng, *w.sizes), **norms}


def normed_mlp(rng: Generator, w: Workload) -> Made:
    """No bias before a batch normalisation; `r...` are running statistics."""
    inputs, made = layer_mlp(rng, w)
    kept = {name: value for name, value in made.items() if name not in ("b1", "b2")}
    return inputs, {**kept, **full("rm rv", (0, 1), *w.sizes[1:3])}


def autoencoder(rng: Generator, w: Workload) -> Made:
    return classified(rng, w, w.sizes[:1])[:1], dense(rng, *w.sizes)


def rbm(rng: Generator, w: Workload) -> Made:
    seen, hidden = w.sizes
    (x, _) = classified(rng, w, (seen,))
    weights = 0.01 * rng.standard_normal((seen, hidden))
    return ((x > 0.2) * 1.0,), {"M": weights, "a": np.zeros(seen), "b": np.zeros(hidden)}


def logistic(rng: Generator, w: Workload) -> Made:
    x = rng.standard_normal((w.rows, w.sizes[0]))
    y = (x @ rng.standard_normal(w.sizes[0]) + rng.standard_normal(w.rows) > 0) * 1.0
    return (x, y), {"w": 0.01 * rng.standard_normal(w.sizes[0]), "b": np.zeros(())}


def lasso(rng: Generator, w: Workload) -> Made:
    x = rng.standard_normal((w.rows, w.sizes[0]))
    y = x[:, :5].sum(axis=1) + 0.1 * rng.standard_normal(w.rows)
    return (x, y), {"w": 0.01 * rng.standard_normal(w.sizes[0]), "b": np.zeros(())}


def convolutions(rng: Generator, side: int, *channels: int) -> Arrays:
    """Filters and biases of convolutions one after another."""
    made: Arrays = {}
    for i, (n, m) in enumerate(pairwise(channels), 1):
        limit = 1 / np.sqrt(n * side * side)
        made[f"K{i}"] = rng.uniform(-limit, limit, (m, n, side, side))
        made[f"c{i}"] = np.zeros(m)
    return made


def lenet(rng: Generator, w: Workload) -> Made:
    made = convolutions(rng, 5, 1, 6, 16)
    return classified(rng, w, (1, 28, 28)), {**made, **dense(rng, *w.sizes)}


def conv64(rng: Generator, w: Workload) -> Made:
    channels = w.sizes[0]
    made = convolutions(rng, 3, channels, channels, channels)
    return classified(rng, w, (channels, 16, 16)), {**made, **dense(rng, channels, 10)}


def embedding(rng: Generator, w: Workload) -> Made:
    words, width, classes = w.sizes
    labels = rng.integers(0, classes, w.rows)
    tokens = rng.integers(0, words // classes, (w.rows, TOKENS)) * classes + labels[:, None]
    table = 0.1 * rng.standard_normal((words, width))
    return (tokens, labels), {"E": table, **dense(rng, width, classes)}


def elementwise(rng: Generator, w: Workload) -> Made:
    x = rng.standard_normal(w.sizes[0], dtype=np.float32)
    y = 2 * x + 1 + rng.standard_normal(w.sizes[0], dtype=np.float32)
    return (x, y), {"a": np.zeros(()), "b": np.zeros(())}


def attention(rng: Generator, w: Workload) -> Made:
    places, width, _, inner = w.sizes
    x = rng.standard_normal((w.rows, places, width))
    made = dense(rng, width, inner, width) | full("g s", (1, 0), width, width)
    for name in "qkvo":
        made["W" + name], made["b" + name] = dense(rng, width, width).values()
    return (x, np.roll(x, 1, axis=1)), made


def update(rng: Generator, w: Workload) -> Made:
    gradient, first = (rng.standard_normal(w.sizes[0], dtype=np.float32) for _ in range(2))
    return (gradient,), {"w": first}


MADE: dict[str, Callable[[Generator, Workload], Made]] = {
    f.__name__: f
    for f in (
        mlp, layer_mlp, normed_mlp, autoencoder, rbm, logistic, lasso, lenet, conv64,
        embedding, elementwise, attention, update,
    )
}  # fmt: skip
