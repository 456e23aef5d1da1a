"""exprgrad: an epoch is one native call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import exprgrad as eg
from exprgrad.graph.mode import in_mode
from exprgrad.inspect.roofline import costs_of
from exprgrad.runtime.step import Epoch, Steps

from .. import models
from ..data import Array, Arrays
from ..ops import exprgrad as ops
from ..workloads import Workload

VARIANTS = ("",)
RULES = {
    "sgd": lambda h: eg.optim.SGD(h["lr"]),
    "momentum": lambda h: eg.optim.Momentum(h["lr"], h["mu"]),
    "nesterov": lambda h: eg.optim.Nesterov(h["lr"], h["mu"]),
    "adam": lambda h: eg.optim.Adam(h["lr"], h["b1"], h["b2"], h["eps"]),
    "rmsprop": lambda h: eg.optim.RMSprop(h["lr"], h["rho"], h["eps"]),
}


class Peer:
    """The step as an expression, compiled to an epoch of steps."""

    def __init__(
        self, w: Workload, inputs: tuple[Array, ...], parameters: Arrays,
        variant: str, threads: int, noise: list[Array] | None,
    ) -> None:  # fmt: skip
        os.environ["EXPRGRAD_THREADS"] = str(threads)
        self.w, self.threads = w, threads
        self.arrays = {f"x{i}": x for i, x in enumerate(inputs)}
        p = {k: eg.parameter(k, v.shape, v, str(v.dtype)) for k, v in parameters.items()}
        given = [u.reshape(-1, *u.shape[2:]) for u in noise or []]
        self.noise = {f"u{i}": u for i, u in enumerate(given)}
        places = [self._input(name, array) for name, array in (self.arrays | self.noise).items()]
        drawn = places[len(inputs) :]

        def u(i: int, shape: Any) -> Any:
            return drawn[i] if drawn else eg.random.uniform(shape, dtype=w.dtype)

        loss, objective, changes = _objective(w, p, u, places[: len(inputs)])
        trained = [p[name] for name in models.trained(p)]
        updates = RULES[w.rule](w.hyper).updates(objective, trained)
        updates |= {p[name]: new for name, new in changes.items()} | {eg.step: eg.step + 1}
        outputs = {} if loss is None else {"loss": loss}
        mode = in_mode([*outputs.values(), *updates.values()], True)
        outputs = {name: mode[node] for name, node in outputs.items()}
        updates = {state: mode[new] for state, new in updates.items()}
        with _no_cache():
            self.compiled = Epoch(places, outputs, updates, "batch")
        self.steps: Steps | None = None

    def _input(self, name: str, array: Array) -> Any:
        shape = ("batch", *array.shape[1:]) if self.w.rows else array.shape
        return eg.input(name, shape, str(array.dtype))

    def epoch(self, order: Array | None) -> Array:
        rows = np.arange(self.w.steps) if order is None else order.reshape(-1)
        if self.noise:  # which belongs to steps, so the other rows are put in their order
            data = {name: x[rows] for name, x in self.arrays.items()} | self.noise
            self.steps, rows = self._over(data, rows), np.arange(rows.size)
        elif self.steps is None:
            self.steps = self._over(self.arrays, rows)
        found = self.steps.run(rows, 0, self.w.steps)
        return found["loss"] if found else np.zeros(0)

    def _over(self, data: Arrays, rows: Array) -> Steps:
        return self.compiled.over(data, rows.size, self.w.batch or 1)

    def least(self) -> float:
        """Seconds of a step at the machine's limits, as `eg.explain` estimates them."""
        assert self.steps is not None
        dims = self.steps.dims
        rows = costs_of(self.compiled.program.compiled, dims, self.threads)
        return sum(row.limit for row in rows)


@contextmanager
def _no_cache() -> Iterator[None]:
    """What is compiled within is neither found on disk nor kept there."""
    before = os.environ.get("EXPRGRAD_CACHE", "")
    os.environ["EXPRGRAD_CACHE"] = "0"
    yield
    os.environ["EXPRGRAD_CACHE"] = before


def _objective(w: Workload, p: Any, u: Any, inputs: list[Any]) -> tuple[Any, Any, Any]:
    """The loss that is shown, the one whose gradient is taken, and new statistics."""
    if w.model in models.GRADIENTS:
        loss, slopes = models.GRADIENTS[w.model](ops, w, p, u, *inputs)
        objective = sum((p[k] * eg.stop_gradient(g)).sum() for k, g in slopes.items())
        return loss, objective, {}
    found = models.LOSSES[w.model](ops, w, p, u, *inputs)
    loss, changes = found if isinstance(found, tuple) else (found, {})
    return loss, loss, changes
