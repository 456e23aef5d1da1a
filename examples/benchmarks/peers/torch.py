"""PyTorch: `eager` with torch.optim, fused where it can be, and `compile`, a whole step
(loss, gradients, update) as one graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import optim

from .. import models
from ..data import Array, Arrays
from ..ops import torch as ops
from ..rules import SLOTS, corrections, updated
from ..workloads import Workload

VARIANTS = ("eager", "compile")
SMALL = 1 << 18  # bytes of data that are put in order as a whole, before they are cut
RULES = {
    "sgd": lambda p, h: optim.SGD(p, h["lr"], fused=True),
    "momentum": lambda p, h: optim.SGD(p, h["lr"], h["mu"], fused=True),
    "nesterov": lambda p, h: optim.SGD(p, h["lr"], h["mu"], nesterov=True, fused=True),
    "adam": lambda p, h: optim.Adam(p, h["lr"], (h["b1"], h["b2"]), h["eps"], fused=True),
    "rmsprop": lambda p, h: optim.RMSprop(p, h["lr"], h["rho"], h["eps"], foreach=True),
}


class Peer:
    """Dense weights lie as nn.Linear has them, images with their channels last."""

    def __init__(
        self, w: Workload, inputs: tuple[Array, ...], parameters: Arrays,
        variant: str, threads: int, noise: list[Array] | None,
    ) -> None:  # fmt: skip
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.w, self.done = w, 0
        self.data = [_tensor(x) for x in inputs]
        self.p = {k: _tensor(v.T if k.startswith("W") else v) for k, v in parameters.items()}
        self.noise = [torch.from_numpy(u) for u in noise or []]
        self.trained = {name: self.p[name] for name in models.trained(self.p)}
        slots = range(SLOTS[w.rule])
        self.slots = {k: [torch.zeros_like(v) for _ in slots] for k, v in self.trained.items()}
        self.step = self._functional() if variant == "compile" else self._eager()

    def epoch(self, order: Array | None) -> Array:
        losses = [self.step(noise, *batch) for noise, batch in self._batches(order)]
        return torch.stack(losses).numpy() if losses[0] is not None else np.zeros(0)

    def _batches(self, order: Array | None) -> Iterator[tuple[Any, Any]]:
        if order is None:
            yield from ((None, self.data) for _ in range(self.w.steps))
            return
        rows = torch.from_numpy(order)
        if self.data[0].nbytes < SMALL:
            cut = [x.index_select(0, rows.flatten()).split(self.w.batch) for x in self.data]
            yield from ((None, batch) for batch in zip(*cut, strict=True))
            return
        for n, index in enumerate(rows):
            yield [u[n] for u in self.noise] or None, [x.index_select(0, index) for x in self.data]

    def _loss(self, p: Any, noise: Any, *batch: Any) -> Any:
        u = None if noise is None else lambda i, shape: noise[i]
        found = models.LOSSES[self.w.model](ops, self.w, p, u, *batch)
        return found[0] if isinstance(found, tuple) else found

    def _by_hand(self, noise: Any, *batch: Any) -> Any:
        u = None if noise is None else lambda i, shape: noise[i]
        with torch.no_grad():
            return models.GRADIENTS[self.w.model](ops, self.w, self.p, u, *batch)

    def _eager(self) -> Any:
        optimizer = RULES[self.w.rule](list(self.trained.values()), self.w.hyper)
        if self.w.model in models.GRADIENTS:

            def by_hand(noise: Any, *batch: Any) -> Any:
                loss, slopes = self._by_hand(noise, *batch)
                for name, g in slopes.items():
                    self.p[name].grad = g
                optimizer.step()
                return loss

            return by_hand
        for p in self.trained.values():
            p.requires_grad_()

        def step(noise: Any, *batch: Any) -> Any:
            loss = self._loss(self.p, noise, *batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    def _functional(self) -> Any:
        by_hand = self.w.model in models.GRADIENTS

        def step(p: Any, slots: Any, c: Any, noise: Any, *batch: Any) -> Any:
            if by_hand:
                loss, slopes = self._by_hand(noise, *batch)
            else:
                of_trained = lambda t: self._loss({**self.p, **t}, noise, *batch)  # noqa: E731
                slopes, loss = torch.func.grad_and_value(of_trained)(p)
            for name, g in slopes.items():
                new, *own = updated(self.w.rule, self.w.hyper, p[name], g, slots[name], c, torch)
                for before, after in zip([p[name], *slots[name]], [new, *own], strict=True):
                    before.copy_(after)
            return loss

        compiled = torch.compile(step, fullgraph=True)
        kind = next(iter(self.p.values())).dtype

        def run(noise: Any, *batch: Any) -> Any:
            self.done += 1
            found = corrections(self.w.rule, self.w.hyper, self.done, np)
            c = tuple(torch.tensor(float(x), dtype=kind) for x in found)
            return compiled(self.trained, self.slots, c, noise, *batch)

        return run


def _tensor(x: Array) -> Any:
    t = torch.from_numpy(np.array(x, order="C"))
    return t.to(memory_format=torch.channels_last) if t.ndim == 4 else t
