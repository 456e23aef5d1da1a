"""Subnormal numbers count as zeros while steps of training run.

A velocity that no gradient feeds shrinks until it is subnormal, and stays there: 0.9 times
the smallest number is rounded to it. Many processors take a hundred cycles for each
operation on such a number, so that a step would run several times slower from then on.
Each thread sets its own mode, and has its old one back in the end.
"""

from __future__ import annotations

from exprgrad.backend.text import Code

# Of x86's control word: results that are subnormal are 0, and so are operands.
X86 = 0x8040
# The same of AArch64's, for both.
AARCH64 = 1 << 24


def flush(code: Code) -> str:
    """From here on subnormal numbers are zeros; gives what `restore` needs."""
    if _is(code, "x86_64"):
        old, new = (code.op("alloca i32, align 4") for _ in range(2))
        code.call_void("llvm.x86.sse.stmxcsr", ("ptr", old))
        mode = code.op(f"or i32 {code.op(f'load i32, ptr {old}')}, {X86}")
        code.do(f"store i32 {mode}, ptr {new}")
        code.call_void("llvm.x86.sse.ldmxcsr", ("ptr", new))
        return old
    if _is(code, "aarch64") or _is(code, "arm64"):
        before = code.call("i64", "llvm.aarch64.get.fpcr")
        mode = code.op(f"or i64 {before}, {AARCH64}")
        code.call_void("llvm.aarch64.set.fpcr", ("i64", mode))
        return before
    return ""


def restore(code: Code, before: str) -> None:
    """The mode that `flush` found."""
    if _is(code, "x86_64"):
        code.call_void("llvm.x86.sse.ldmxcsr", ("ptr", before))
    elif before:
        code.call_void("llvm.aarch64.set.fpcr", ("i64", before))


def _is(code: Code, processor: str) -> bool:
    target = code.function.module.target
    return target is not None and target.triple.startswith(processor)
