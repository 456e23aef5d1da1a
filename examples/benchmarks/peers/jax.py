"""JAX: `jit` of one step whose state is donated, and `scan`, an epoch of them in a call."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import models
from ..data import Array, Arrays
from ..ops import jax as ops
from ..rules import SLOTS, corrections, updated
from ..workloads import Workload

VARIANTS = ("jit", "scan")


class Peer:
    """The state is (parameters, slots, number of steps, key of the random numbers)."""

    def __init__(
        self, w: Workload, inputs: tuple[Array, ...], parameters: Arrays,
        variant: str, threads: int, noise: list[Array] | None,
    ) -> None:  # fmt: skip
        if w.dtype == "float64":
            jax.config.update("jax_enable_x64", True)
        self.w, self.variant = w, variant
        p = {name: jnp.asarray(v) for name, v in parameters.items()}
        count = range(SLOTS[w.rule])
        slots = {k: tuple(jnp.zeros_like(p[k]) for _ in count) for k in models.trained(p)}
        self.state = (p, slots, jnp.zeros((), w.dtype), jax.random.key(0))
        self.data = tuple(jnp.asarray(_known(x)) for x in inputs)
        self.noise = tuple(jnp.asarray(u) for u in noise or [])
        self.one = jax.jit(self._step, donate_argnums=0)
        self.all = jax.jit(self._epoch, donate_argnums=0)

    def epoch(self, order: Array | None) -> Array:
        rows = None if order is None else order.astype(np.int32)
        losses: Any = []
        if self.variant == "scan":
            self.state, losses = self.all(self.state, self.data, rows, self.noise)
        else:
            for n in range(self.w.steps):
                own = None if rows is None else rows[n]
                noise = tuple(u[n] for u in self.noise)
                self.state, loss = self.one(self.state, self.data, own, noise)
                losses.append(loss)
        jax.block_until_ready(self.state)
        shown = self.w.model != "update"
        return np.asarray(jax.device_get(losses)) if shown else np.zeros(0)

    def _epoch(self, state: Any, data: Any, rows: Any, noise: Any) -> Any:
        body = lambda s, each: self._step(s, data, *each)  # noqa: E731
        return jax.lax.scan(body, state, (rows, noise), length=self.w.steps)

    def _step(self, state: Any, data: Any, rows: Any, noise: Any) -> Any:
        w, (p, slots, done, key) = self.w, state
        if rows is not None:
            data = [x.at[rows].get(mode="promise_in_bounds") for x in data]
        if images(w):
            data = (data[0].transpose(0, 2, 3, 1), *data[1:])
        key, *keys = jax.random.split(key, 1 + len(w.noise)) if w.noise else (key,)

        def u(i: int, shape: Any) -> Any:
            return noise[i] if noise else jax.random.uniform(keys[i], shape, w.dtype)

        loss, changes, slopes = self._slopes(p, u, data)
        done = done + 1
        c = corrections(w.rule, w.hyper, done, jnp)
        new, kept = {}, {}
        for name, g in slopes.items():
            new[name], *own = updated(w.rule, w.hyper, p[name], g, slots[name], c, jnp)
            kept[name] = tuple(own)
        return ({**p, **changes, **new}, kept, done, key), loss

    def _slopes(self, p: Any, u: Any, data: Any) -> Any:
        """The loss, new statistics and the gradients."""
        w = self.w
        if w.model in models.GRADIENTS:
            loss, slopes = models.GRADIENTS[w.model](ops, w, p, u, *data)
            return jnp.zeros(()) if loss is None else loss, {}, slopes

        def loss_of(trained: Any) -> Any:
            found = models.LOSSES[w.model](ops, w, {**p, **trained}, u, *data)
            return found if isinstance(found, tuple) else (found, {})

        trained = {name: p[name] for name in models.trained(p)}
        (loss, changes), slopes = jax.value_and_grad(loss_of, has_aux=True)(trained)
        return loss, changes, slopes


def images(w: Workload) -> bool:
    return w.model in ("lenet", "conv64")


def _known(x: Array) -> Array:
    return x.astype(np.int32) if x.dtype == np.int64 else x
