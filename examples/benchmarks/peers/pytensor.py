"""PyTensor with Numba: shared variables and their updates, a call of a function a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.tensor.random.utils import RandomStream

from .. import models
from ..data import Array, Arrays
from ..ops import pytensor as ops
from ..rules import SLOTS, corrections, updated
from ..workloads import Workload

VARIANTS = ("",)


class Peer:
    """All data are shared variables; a step is given the numbers of its rows."""

    def __init__(
        self, w: Workload, inputs: tuple[Array, ...], parameters: Arrays,
        variant: str, threads: int, noise: list[Array] | None,
    ) -> None:  # fmt: skip
        pytensor.config.floatX = w.dtype
        self.w, self.noise = w, noise or []
        self.p = {name: _shared(value, name) for name, value in parameters.items()}
        rows = pt.tensor("rows", dtype="int64", shape=(w.batch,))
        data = [_shared(x, "data") for x in inputs]
        batch = [x[rows] for x in data] if w.rows else data
        shapes = [u.shape[1:] for u in self.noise]
        given = [pt.tensor(f"u{i}", dtype=w.dtype, shape=s) for i, s in enumerate(shapes)]
        stream = RandomStream(0)

        def u(i: int, shape: Any) -> Any:
            return given[i] if given else stream.uniform(0, 1, size=shape, dtype=w.dtype)

        loss, changes, slopes = self._slopes(u, batch)
        updates = self._updates(slopes, parameters) + [(self.p[k], v) for k, v in changes.items()]
        listed = ([rows] if w.rows else []) + given
        self.step = pytensor.function(
            listed, loss, updates=updates, mode="NUMBA", on_unused_input="ignore"
        )

    def epoch(self, order: Array | None) -> Array:
        losses = []
        for n in range(self.w.steps):
            rows = [] if order is None else [order[n]]
            losses.append(self.step(*rows, *(u[n] for u in self.noise)))
        return np.array(losses) if self.w.model != "update" else np.zeros(0)

    def _slopes(self, u: Any, batch: Any) -> Any:
        """The loss, new statistics and the gradients."""
        w, p = self.w, self.p
        if w.model in models.GRADIENTS:
            loss, slopes = models.GRADIENTS[w.model](ops, w, p, u, *batch)
            return loss, {}, slopes
        loss = models.LOSSES[w.model](ops, w, p, u, *batch)
        loss, changes = loss if isinstance(loss, tuple) else (loss, {})
        names = models.trained(p)
        slopes = pytensor.grad(loss, [p[name] for name in names])
        return loss, changes, dict(zip(names, slopes, strict=True))

    def _updates(self, slopes: Any, parameters: Arrays) -> list[tuple[Any, Any]]:
        w = self.w
        done = _shared(np.zeros((), w.dtype), "done")
        c = corrections(w.rule, w.hyper, done + 1, pt)
        updates = [(done, done + 1)]
        for name, g in slopes.items():
            slots = [_shared(np.zeros_like(parameters[name]), name) for _ in range(SLOTS[w.rule])]
            new = updated(w.rule, w.hyper, self.p[name], g, slots, c, pt)
            before = (self.p[name], *slots)
            updates += [(a, b.astype(w.dtype)) for a, b in zip(before, new, strict=True)]
        return updates


def _shared(value: Array, name: str) -> Any:
    return pytensor.shared(np.array(value), name=name, borrow=True, shape=value.shape)
