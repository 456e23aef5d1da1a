"""Greedy layer-wise training: each layer learns the codes of the layers below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from exprgrad.errors import GraphError
from exprgrad.graph.leaves import input
from exprgrad.graph.tensor import Tensor
from exprgrad.nn.autoencoder import Autoencoder
from exprgrad.nn.rbm import RBM
from exprgrad.train.history import History
from exprgrad.train.rule import Optimizer
from exprgrad.train.trainer import Array, Trainer

Layer = Autoencoder | RBM


def _own_objective(layer: Layer, x: Tensor) -> Tensor:
    return layer.objective(x)


def pretrain(
    layers: Sequence[Layer],
    rows: Array,
    optimizer: Callable[[], Optimizer],
    objective: Callable[[Any, Tensor], Tensor] = _own_objective,
    seed: int = 0,
    **fit: Any,
) -> list[History]:
    """Train the layers of a `nn.Stack`, lowest first, and give each one's history.

    The first sees `rows[n, visible]`, each other one the codes that those below it
    give them. `optimizer()` makes an optimizer for each layer, `objective(layer, x)`
    its loss, `layer.objective(x)` when not given; `fit` are arguments of `Trainer.fit`.
    One step is compiled for each layer. Train the whole stack afterwards. Raises
    `GraphError` for an optimizer in place of what makes one.

    Hinton, Osindero and Teh 2006, A fast learning algorithm for deep belief nets;
    Bengio et al. 2007, Greedy layer-wise training of deep networks.

    >>> import exprgrad as eg
    >>> def layer(n, visible, hidden):
    ...     W = eg.parameter(f"W{n}", (visible, hidden), eg.init.glorot_uniform())
    ...     b, c = eg.parameter(f"b{n}", visible), eg.parameter(f"c{n}", hidden)
    ...     return eg.nn.Autoencoder(W, b, c)
    >>> rows = np.random.default_rng(0).uniform(size=(50, 6))
    >>> both = [layer(1, 6, 4), layer(2, 4, 2)]
    >>> [h.epochs for h in pretrain(both, rows, eg.optim.Adam, epochs=3)]
    [[1, 2, 3], [1, 2, 3]]
    """
    if not callable(optimizer):
        raise GraphError(
            f"each layer has an optimizer of its own, so give what makes one, as lambda: "
            f"Adam(1e-3), not {optimizer!r}"
        )
    histories, codes = [], np.asarray(rows)
    for layer in layers:
        x = input("x", ("batch", *layer.weight.shape[:1]), layer.weight.dtype)
        trainer = Trainer(objective(layer, x), optimizer(), seed=seed)
        histories.append(trainer.fit({"x": codes}, **fit))
        codes = trainer.predict(layer.encode(x), {"x": codes})
    return histories
