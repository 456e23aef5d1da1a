"""How long it takes until the first step has run: by model, and by number of nodes.

    python examples/benchmarks/compile_time.py            # the table of docs/compile_time.md
    python examples/benchmarks/compile_time.py lenet      # one model, in this process

Each time is that of a fresh process, from the first expression to the end of the first
training step (imports left out), in seconds of the processor, which other programs
disturb least: "cold" finds no compiled code on the disk, "warm" what a cold process has
left there. With one model the milliseconds of each stage are shown, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

import exprgrad as eg
import exprgrad.inspect.explain
import exprgrad.nn
import exprgrad.train.trainer
from exprgrad.graph.node import walk

REPEATS = 3
Step = Callable[[], object]


def trained(loss: eg.Tensor, optimizer: object, *shapes: tuple[int, ...]) -> eg.Trainer:
    """A trainer that has taken one step of 64 rows."""
    rng = np.random.default_rng(0)
    data = {"x": rng.random((64, *shapes[0]), np.float32)}
    if len(shapes) > 1:
        data["y"] = rng.integers(0, 10, 64).astype(np.int32)
    trainer = eg.Trainer(loss, optimizer)
    trainer.fit(data, epochs=1, batch_size=64)
    return trainer


def weight(name: str, *shape: int) -> eg.Tensor:
    return eg.parameter(name, shape, init=eg.init.glorot_uniform())


def dense(x: eg.Tensor, number: int, inputs: int, outputs: int) -> eg.Tensor:
    return x @ weight(f"W{number}", inputs, outputs) + eg.parameter(f"b{number}", (outputs,))


def cross_entropy(logits: eg.Tensor) -> eg.Tensor:
    labels = eg.input("y", ("batch",), dtype="int32")
    return eg.nn.cross_entropy(logits, labels).mean()


def mlp() -> eg.Trainer:
    """784-256-128-10, Adam."""
    x = eg.input("x", ("batch", 784))
    h = eg.relu(dense(x, 1, 784, 256))
    loss = cross_entropy(dense(eg.relu(dense(h, 2, 256, 128)), 3, 128, 10))
    return trained(loss, eg.optim.Adam(1e-3), (784,), ())


def lenet() -> eg.Trainer:
    """Two 5x5 convolutions with pooling and three layers, momentum."""
    h = eg.input("x", ("batch", 1, 28, 28))
    for number, (inputs, outputs, padding) in enumerate([(1, 6, 2), (6, 16, 0)], 1):
        kernel = weight(f"K{number}", outputs, inputs, 5, 5)
        bias = eg.parameter(f"c{number}", (outputs,))[:, None, None]
        h = eg.max_pool2d(eg.relu(eg.conv2d(h, kernel, padding=padding) + bias), 2)
    h = eg.relu(dense(h.reshape(-1, 400), 1, 400, 120))
    loss = cross_entropy(dense(eg.relu(dense(h, 2, 120, 84)), 3, 84, 10))
    return trained(loss, eg.optim.Momentum(1e-3), (1, 28, 28), ())


def rbm() -> eg.Trainer:
    """784 by 500 units, one step of contrastive divergence, momentum."""
    v = eg.input("x", ("batch", 784))
    w, bh, bv = weight("W", 784, 500), eg.parameter("bh", (500,)), eg.parameter("bv", (784,))

    def energy(v: eg.Tensor) -> eg.Tensor:
        return -(v @ bv) - eg.softplus(v @ w + bh).sum(axis=1)

    def draw(p: eg.Tensor) -> eg.Tensor:
        return (eg.random.uniform(p.shape) < p).astype("float32")

    hidden = draw(eg.sigmoid(v @ w + bh))
    sample = eg.stop_gradient(draw(eg.sigmoid(hidden @ w.T + bv)))
    loss = energy(v).mean() - energy(sample).mean()
    return trained(loss, eg.optim.Momentum(0.05), (784,))


def chain(nodes: int) -> eg.Function:
    """An elementwise operation of an elementwise operation of ..."""
    x = y = eg.input("x", ("n",))
    for n in range(nodes // 3):
        y = eg.sin(y) * 1.01 + n
    f = eg.function([x], y)
    f(np.ones(8, np.float32))
    return f


def layers(count: int) -> eg.Function:
    """A deep network of equal layers and a step of gradient descent."""
    x = h = eg.input("x", ("batch", 32))
    for number in range(count):
        h = eg.tanh(dense(h, number, 32, 32))
    loss = (h * h).mean()
    step = eg.function([x], loss, updates=eg.optim.SGD(0.1).updates(loss))
    step(np.ones((8, 32), np.float32))
    return step


MODELS: dict[str, Callable[[], object]] = {
    "mlp": mlp,
    "lenet": lenet,
    "rbm": rbm,
    **{f"chain{n}": (lambda n=n: chain(n)) for n in (1250, 2500, 5000, 10000)},
    **{f"layers{n}": (lambda n=n: layers(n)) for n in (25, 50, 100, 200)},
}


def measured(name: str) -> dict[str, float]:
    """Milliseconds of each stage, and seconds until the first step was done."""
    start = time.process_time()
    made = MODELS[name]()
    seconds = time.process_time() - start
    program = made.program if isinstance(made, eg.Trainer) else made
    outputs = program.outputs.values() if made is not program else [program.outputs]
    operations = len(walk([*outputs, *program.updates.values()]))
    return {**eg.explain(made).milliseconds, "operations": operations, "seconds": seconds}


def in_a_process(name: str, cache: str) -> dict[str, float]:
    """The same in a process of its own, with compiled code kept in a folder, or nowhere."""
    run = subprocess.run(
        [sys.executable, __file__, name, "json"],
        env={**os.environ, "EXPRGRAD_CACHE": cache, "EXPRGRAD_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(run.stdout)
    return found


def best(name: str, cache: str, repeats: int = REPEATS) -> dict[str, float]:
    runs = [in_a_process(name, cache) for _ in range(repeats)]
    return min(runs, key=lambda run: run["seconds"])


def table() -> None:
    """Cold and warm seconds of each model, and how they grow with the graph."""
    print("| program | operations | cold, s | a thousand operations, cold, s | warm, s |")
    print("|---" * 5 + "|")
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            cold = best(name, "0")
            in_a_process(name, folder)
            warm = best(name, folder)["seconds"]
        nodes, seconds = cold["operations"], cold["seconds"]
        each = 1e3 * seconds / nodes
        print(f"| {name} | {nodes:.0f} | {seconds:.2f} | {each:.2f} | {warm:.3f} |", flush=True)


if __name__ == "__main__":
    _, *asked = sys.argv
    if not asked:
        table()
    elif "json" in asked:
        print(json.dumps(measured(asked[0])))
    else:
        for stage, value in measured(asked[0]).items():
            print(f"{stage:10} {value:10.3f}")
