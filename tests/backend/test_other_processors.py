"""Code for AArch64, where this machine is none: what it is, and what it computes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend.program import Emitted, emit_program
from exprgrad.backend.target import Target
from exprgrad.graph import dims as sizes
from exprgrad.graph.evaluate import dims_of, evaluate
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.cost import Machine
from exprgrad.loop.ir import Buffer
from tests.backend import emulated
from tests.compiled import FRESH, Array, assert_close
from tests.loop.stages import Stages, stages

TRIPLE = "aarch64-unknown-linux-gnu"
X, W = eg.input("x", (64, 784)), eg.input("w", (784, 256))
A = eg.input("a", ("n",))
B = eg.input("b", ("batch", 50))
V = eg.input("v", (50, 37))
IMAGES, KERNELS = eg.input("images", (3, 5, 9, 9)), eg.input("kernels", (7, 5, 3, 3))
DOUBLE = eg.input("double", ("batch", 19), "float64")
LABELS = eg.input("labels", ("batch",), "int64")


@dataclass(frozen=True)
class Made:
    """Outputs compiled for a Neoverse N1."""

    outputs: Sequence[Tensor]
    updates: Mapping[Tensor, Tensor]

    @cached_property
    def machine(self) -> llvm.TargetMachine:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        return llvm.Target.from_triple(TRIPLE).create_target_machine("neoverse-n1", opt=2)

    @cached_property
    def stages(self) -> Stages:
        target = self.target
        machine = Machine(target.vector_bits // 8, target.registers)
        return stages(self.outputs, self.updates, machine)

    @property
    def target(self) -> Target:
        return Target("neoverse-n1", "+neon", TRIPLE, str(self.machine.target_data))

    @cached_property
    def emitted(self) -> Emitted:
        return emit_program(self.stages.phases, self.target)

    @cached_property
    def module(self) -> llvm.ModuleRef:
        module = llvm.parse_assembly(self.emitted.text)
        module.verify()
        return module

    def run(self, values: Mapping[Tensor, Array]) -> list[Array]:
        """The outputs, and the new values of the states, which keep their old ones."""
        dims = dims_of(values)
        used = dict.fromkeys(buffer for table in self.emitted.tables for buffer in table)
        arrays = {buffer: _memory(buffer, values, dims) for buffer in used}
        code = self.machine.emit_object(self.module)
        emulated.run(code, self.emitted, arrays, dims)
        states = {buffer.source: array for buffer, array in arrays.items()}
        return [*(arrays[b] for b in self.stages.outputs), *(states[s] for s in self.updates)]


def _memory(buffer: Buffer, values: Mapping[Tensor, Array], dims: Mapping[str, int]) -> Array:
    if buffer.role == "input":
        return np.array(values[buffer.source])
    if buffer.role == "state":
        return np.array(buffer.source.value)
    if buffer.role == "constant":
        return np.array(buffer.source.params[0].array)
    shape = [sizes.evaluate(n, dims) for n in buffer.shape]
    return np.full(shape, FRESH, buffer.dtype.numpy)


def drawn(outputs: Sequence[Tensor], **named: int) -> dict[Tensor, Array]:
    """Numbers for all inputs."""
    rng = np.random.default_rng(0)

    def draw(node: Tensor) -> Array:
        shape = [n if isinstance(n, int) else named[str(n)] for n in node.shape]
        if node.dtype.kind == "i":
            return rng.integers(0, 10, shape)
        return rng.uniform(0.1, 1, shape).astype(node.dtype.numpy)

    return {node: draw(node) for node in walk(outputs) if node.op == "input"}


def test_the_target_is_one_of_short_vectors() -> None:
    target = Made([A], {}).target
    assert (target.vector_bits, target.registers) == (128, 32)


def test_a_contraction_keeps_its_accumulators() -> None:
    made = Made([X @ W], {})
    code = str(made.machine.emit_assembly(made.module))
    loops = re.findall(r"(?m)^(\.LBB\S+):.*\n((?:\t.*\n)+?)\tb\.\w+\t\1$", code)
    loop = max((body for _, body in loops), key=lambda body: body.count("fmla"))
    assert loop.count("fmla") == 24
    assert "sp" not in re.findall(r"\[(\w+)", loop)


GRAPHS: dict[str, Any] = {
    "softmax": [eg.softmax(X)],
    "functions": [eg.exp(A) + eg.log(A) * eg.tanh(A) - eg.sigmoid(A) / eg.sqrt(A)],
    "erf": [eg.erf(A * 4 - 2)],
    "angles": [eg.sin(A) ** 2 + eg.cos(A), eg.sin(A * 1e6), eg.cos(A * 1e6)],
    "draws": [eg.random.uniform((64, 784)) * X],
    "turned": [eg.einsum("ik,jk->ij", X, X)],
    "transposed": [X.T],
    "argmax": [eg.argmax(X, axis=1)],
    "product": [eg.tanh(B @ V)],
    "gradient": [B.T @ eg.exp(B @ V)],
    "double": [DOUBLE.T @ DOUBLE, eg.cumulative_sum(DOUBLE, axis=0), eg.log1p(DOUBLE)],
    "pooled": [eg.max_pool2d(eg.conv2d(IMAGES, KERNELS, padding=1), 2)],
    "convolution": eg.grad((eg.conv2d(IMAGES, KERNELS) ** 2).sum(), [IMAGES, KERNELS]),
    "rows": [eg.take(B, LABELS)],
    "integers": [LABELS // 3 * 2 - LABELS % 4],
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("batch", [1, 33])
def test_values_are_those_of_numpy(name: str, batch: int) -> None:
    outputs = list(GRAPHS[name])
    values = drawn(outputs, n=7 * batch, batch=batch + 10)
    made = Made(outputs, {})
    assert not re.search(r"[xyz]mm\d", str(made.machine.emit_assembly(made.module)))
    for found, wanted in zip(made.run(values), evaluate(outputs, values), strict=True):
        assert_close(found, wanted, 10)


@pytest.mark.parametrize("batch", [1, 19, 600])
def test_a_training_step_is_that_of_numpy(batch: int) -> None:
    """Of 600 rows the sums of the gradient run in blocks."""
    hidden, weight = eg.parameter("hidden", (50, 37)), eg.parameter("weight", (37, 10))
    loss = eg.nn.cross_entropy(eg.relu(B @ hidden) @ weight, LABELS).mean()
    updates = eg.optim.Adam(1e-2).updates(loss, [hidden, weight])
    outputs = [loss, *updates.values()]
    values = drawn(outputs, batch=batch)
    found = Made([loss], updates).run(values)
    for each, wanted in zip(found, evaluate(outputs, values), strict=True):
        assert_close(each, wanted, 10)
