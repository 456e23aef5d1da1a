"""NumPy, derivatives by hand; in float64 the reference of all losses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .. import models
from ..data import Array, Arrays
from ..ops import numpy as ops
from ..rules import SLOTS, corrections, updated
from ..workloads import Workload

VARIANTS = ("",)
SLOW = {"lenet", "conv64", "attention", "layer_mlp", "elementwise", "update"}
DTYPE = {"reference": "float64"}


class Peer:
    """One step after another."""

    def __init__(
        self, w: Workload, inputs: tuple[Array, ...], parameters: Arrays,
        variant: str, threads: int, noise: list[Array] | None,
    ) -> None:  # fmt: skip
        if variant != "reference" and w.model in SLOW:
            raise NotImplementedError("what is written for exactness is too slow to be timed")
        dtype = DTYPE.get(variant, w.dtype)
        self.w = replace(w, dtype=dtype)
        self.inputs = [x if x.dtype == np.int64 else x.astype(dtype) for x in inputs]
        self.p = {k: v.astype(dtype) for k, v in parameters.items()}
        self.slots = {k: [np.zeros_like(v)] * SLOTS[w.rule] for k, v in self.p.items()}
        self.noise, self.rng, self.done = noise, np.random.default_rng(0), 0

    def epoch(self, order: Array | None) -> Array:
        rows = [None] * self.w.steps if order is None else list(order)
        losses = [self.step(n, each) for n, each in enumerate(rows)]
        return np.array([loss for loss in losses if loss is not None])

    def step(self, number: int, rows: Array | None) -> Any:
        """The loss of one step, and the parameters after it."""
        w, p = self.w, {name: ops.Var(value) for name, value in self.p.items()}
        batch = [ops.Var(x if rows is None else x[rows]) for x in self.inputs]
        loss, slopes = self._slopes(p, batch, number)
        self.done += 1
        c = corrections(w.rule, w.hyper, self.done, np)
        for name, g in slopes.items():
            slots = self.slots[name]
            new, *slots = updated(w.rule, w.hyper, self.p[name], g, slots, c, np)
            self.p[name], self.slots[name] = new.astype(w.dtype), slots
        return loss

    def _slopes(self, p: dict[str, ops.Var], batch: list[ops.Var], number: int) -> Any:
        w = self.w

        def u(i: int, shape: tuple[int, ...]) -> Array:
            return self.noise[i][number] if self.noise else self.rng.random(shape, np.float32)

        if w.model in models.GRADIENTS:
            loss, found = models.GRADIENTS[w.model](ops, w, p, u, *batch)
            return None if loss is None else loss.value, {k: g.value for k, g in found.items()}
        loss = models.LOSSES[w.model](ops, w, p, u, *batch)
        loss, changes = loss if isinstance(loss, tuple) else (loss, {})
        self.p |= {name: new.value.astype(w.dtype) for name, new in changes.items()}
        wanted = {name: p[name] for name in models.trained(p)}
        return loss.value, ops.gradients(loss, wanted)
