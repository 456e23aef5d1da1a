"""The innermost loop of a contraction: all of its accumulators stay in registers."""

from __future__ import annotations

import re

import pytest

import exprgrad as eg
from exprgrad.backend.jit import named
from exprgrad.backend.target import Target
from exprgrad.graph.tensor import Tensor
from exprgrad.runtime.compile import Request, compile_request

AVX512 = named("x86-64-v4", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+fma")
AVX2 = named("x86-64-v3", "+avx2,+fma")
X, W = eg.input("x", (64, 784)), eg.input("w", (784, 256))
MANY = eg.input("many", ("batch", 784))
BIAS = eg.input("bias", (256,))
LABEL = re.compile(r"^(\S+):")
JUMP = re.compile(r"^\s+j\w+\s+(\S+)$")
STORE = re.compile(r"\tv?mov\w+\t.*mm\d+, .*\(")
VECTOR = re.compile(r"[xyz]mm\d")


def innermost_loops(assembly: str) -> list[list[str]]:
    """The lines of each basic block that ends in a jump to its own beginning."""
    loops: list[list[str]] = []
    name, lines = "", []
    for line in assembly.splitlines():
        if label := LABEL.match(line):
            name, lines = label[1], []
        elif jump := JUMP.match(line):
            loops += [lines] if jump[1] == name else []
            name, lines = "", []
        else:
            lines.append(line)
    return loops


def hottest(graph: Tensor, target: Target) -> list[str]:
    """The innermost loop with the most fused multiplications and additions, the last of
    them: the first rows also write what all others read from panels.
    """
    compiled = compile_request(Request([graph], {}), target)
    return max(reversed(innermost_loops(compiled.library.assembly)), key=multiplications)


def multiplications(lines: list[str]) -> int:
    return sum("\tvfmadd" in line for line in lines)


@pytest.mark.parametrize(
    "graph",
    [X @ W, eg.relu(X @ W + BIAS), MANY @ W, eg.tanh(MANY @ W + BIAS)],
    ids=["plain", "epilogue", "named batch", "epilogue of a named batch"],
)
@pytest.mark.parametrize(("target", "tile"), [(AVX512, 24), (AVX2, 12)], ids=["512", "256"])
def test_no_accumulator_is_spilled(graph: Tensor, target: Target, tile: int) -> None:
    loop = hottest(graph, target)
    assert multiplications(loop) == tile * target.steps
    assert [line for line in loop if "rsp" in line and VECTOR.search(line)] == []
    assert [line for line in loop if STORE.search(line)] == []


def test_rows_of_the_tile_share_what_is_loaded() -> None:
    loop = hottest(X @ W, AVX512)
    whole = [line for line in loop if re.search(r"\tvmov[au]p.\t", line)]
    assert len(whole) == 4 * AVX512.steps


def test_addresses_move_on_and_llvm_is_asked_for_one_of_each_buffer() -> None:
    loop = hottest(X @ W, AVX512)
    assert [line for line in loop if re.search(r"\t(imul|lea)", line)] == []
    text = compile_request(Request([X @ W], {}), AVX512).library.ir
    kernel = text[: text.index("@run(")]
    moved = re.findall(r"(%\w+) = getelementptr inbounds float, ptr %\w+, i64 %", kernel)
    hidden = re.findall(r"@llvm\.strip\.invariant\.group\.p0\(ptr (%\w+)\)", kernel)
    assert moved
    assert moved == hidden
