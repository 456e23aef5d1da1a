"""How long parts of a program take: the processor's counter, read before and after.

Each thread adds what it has measured to a row of its own, so that no thread waits for
another one's memory.
"""

from __future__ import annotations

from exprgrad.backend.text import Code, Function

# The intrinsic that reads a counter of constant rate, by the first letters of a triple.
COUNTERS = {
    "x86_64": "llvm.readcyclecounter",
    "i686": "llvm.readcyclecounter",
    "aarch64": "llvm.readsteadycounter",
    "arm64": "llvm.readsteadycounter",
}


def now(code: Code) -> str:
    """The counter's value, 0 on a processor that has none which programs may read."""
    target = code.function.module.target
    triple = target.triple if target else ""
    for start, name in COUNTERS.items():
        if triple.startswith(start):
            return code.call("i64", name)
    return "0"


def add_since(code: Code, start: str, row: str, slot: int) -> None:
    """row[slot] += now - start"""
    elapsed = code.op(f"sub i64 {now(code)}, {start}")
    place = code.op(f"getelementptr i64, ptr {row}, i64 {slot}")
    before = code.op(f"load i64, ptr {place}")
    code.do(f"store i64 {code.op(f'add i64 {before}, {elapsed}')}, ptr {place}")


def define_now(function: Function) -> None:
    """Make `function`, which has no arguments, return the counter's value."""
    code = Code(function)
    code.block.end = f"ret i64 {now(code)}"
