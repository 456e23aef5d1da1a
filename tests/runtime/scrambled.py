"""Prints a digest of the code of several programs, compiled where sets of nodes, buffers
and loops are iterated in an order of their own: `python -m tests.runtime.scrambled SEED`.
"""

from __future__ import annotations

import hashlib
import sys
from contextlib import suppress

import numpy as np

import exprgrad as eg
from exprgrad.backend.jit import named
from exprgrad.backend.target import Target
from exprgrad.graph.node import Node
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.ir import Axis, Buffer, Kernel, Store
from exprgrad.runtime import compile as compiler

Model = tuple[eg.nn.Layers, eg.Tensor]
PROCESSORS = {
    "512 bits": named("skylake-avx512", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx2,+fma"),
    "256 bits": named("haswell", "+avx2,+fma"),
    "128 bits": named("x86-64", "+sse2"),
}


def scramble(seed: int) -> None:
    """Give each record a hash that depends on its address and on `seed`."""
    factor = 2 * 2654435761 * seed + 1

    def number(thing: object) -> int:
        return (id(thing) * factor ^ id(thing) * factor >> 17) % (1 << 60)

    for record in (Node, Tensor, Axis, Buffer, Store, Kernel):
        record.__hash__ = number  # type: ignore[method-assign, assignment]


def convolutions() -> Model:
    """Three convolutions, normalised over the batch, pooled."""
    net, h = eg.nn.Layers(), eg.input("x", ("batch", 1, 8, 8))
    for channels in (8, 16, 32):
        h = net.conv2d(h, channels, 3, padding="same", bias=False)
        h = eg.max_pool2d(eg.relu(net.batch_norm(h)), 2)
    return net, eg.nn.cross_entropy(net.dense(eg.nn.flatten(h), 10), labels()).mean()


def attention() -> Model:
    """Softmax over places, and what it weighs."""
    net, x = eg.nn.Layers(), eg.input("x", ("batch", 16, 32))
    query, key, value = (net.dense(x, 32) for _ in range(3))
    weights = eg.softmax(query @ eg.permute_dims(key, (0, 2, 1)) / 32**0.5)
    h = net.layer_norm(x + weights @ value)
    return net, eg.nn.cross_entropy(net.dense(h.mean(axis=1), 10), labels()).mean()


def elementwise() -> Model:
    """A long chain, of which the gradient reads much again."""
    net, h = eg.nn.Layers(), eg.input("x", ("batch", 24))
    for _ in range(3):
        h = net.dense(h, 24)
        h = eg.nn.dropout(h + eg.tanh(h) * eg.exp(-h * h) + eg.sqrt(1 + h * h), 0.3)
    return net, eg.nn.cross_entropy(net.dense(h, 10), labels()).mean()


def labels() -> eg.Tensor:
    return eg.input("y", ("batch",), dtype="int64")


MODELS = {convolutions: (64, 1, 8, 8), attention: (64, 16, 32), elementwise: (64, 24)}


class _Written(Exception):
    """The code is written; no machine code is needed."""


def code(model: Model, shape: tuple[int, ...], processor: Target) -> str:
    """What LLVM would be given to train on rows of this shape."""
    net, loss = model
    trainer = eg.Trainer(loss, eg.optim.Adam(0.01), updates=net.updates)
    given = []

    def keep(text: str, _: Target) -> None:
        given.append(text)
        raise _Written

    compiler.compile_module = keep  # type: ignore[assignment]
    compiler.host = lambda: processor  # type: ignore[assignment]
    data = {"x": np.zeros(shape, np.float32), "y": np.zeros(shape[0], np.int64)}
    with suppress(_Written):
        trainer.fit(data, epochs=1)
    return given[0]


if __name__ == "__main__":
    scramble(int(sys.argv[1]))
    for make, shape in MODELS.items():
        model = make()
        for name, processor in PROCESSORS.items():
            digest = hashlib.sha256(code(model, shape, processor).encode()).hexdigest()
            print(f"{make.__name__}, {name}: {digest[:16]}")
