"""Code for processors that this machine is not: it is generated, and not run."""

from __future__ import annotations

import re

import llvmlite.binding as llvm
import pytest

import exprgrad as eg
from exprgrad.backend.program import emit_program
from exprgrad.backend.target import Target
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.cost import Machine
from tests.loop.stages import stages

TRIPLE = "aarch64-unknown-linux-gnu"
X, W = eg.input("x", (64, 784)), eg.input("w", (784, 256))
A = eg.input("a", ("n",))


@pytest.fixture(scope="module")
def neon() -> llvm.TargetMachine:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(TRIPLE).create_target_machine("neoverse-n1", opt=2)


def assembly(graph: Tensor, machine: llvm.TargetMachine) -> str:
    target = Target("neoverse-n1", "+neon", TRIPLE, str(machine.target_data))
    assert (target.vector_bits, target.registers) == (128, 32)
    made = stages([graph], machine=Machine(target.vector_bits // 8, target.registers))
    module = llvm.parse_assembly(emit_program(made.phases, target).text)
    module.verify()
    return str(machine.emit_assembly(module))


def test_a_contraction_keeps_its_accumulators(neon: llvm.TargetMachine) -> None:
    loops = re.findall(r"(?m)^(\.LBB\S+):.*\n((?:\t.*\n)+?)\tb\.\w+\t\1$", assembly(X @ W, neon))
    loop = max((body for _, body in loops), key=lambda body: body.count("fmla"))
    assert loop.count("fmla") == 24
    assert "sp" not in re.findall(r"\[(\w+)", loop)


@pytest.mark.parametrize(
    "graph",
    [
        eg.softmax(X),
        eg.exp(A) + eg.log(A) * eg.tanh(A) - eg.sigmoid(A) / eg.sqrt(A),
        eg.sin(A) ** 2 + eg.cos(A),
        eg.random.uniform((64, 784)) * X,
        eg.einsum("ik,jk->ij", X, X),
        X.T,
        eg.argmax(X, axis=1),
    ],
    ids=["softmax", "functions", "angles", "draws", "turned", "transposed", "argmax"],
)
def test_everything_has_code(graph: Tensor, neon: llvm.TargetMachine) -> None:
    code = assembly(graph, neon)
    assert re.search(r"v\d+\.4s", code)
    assert not re.search(r"[xyz]mm\d", code)
