"""The barrier between kernels: no thread passes before all have come.

A counter and a generation on cache lines of their own. The last thread to come resets
the counter and opens the next generation; the others spin, and hand the processor back
when that takes long, so that threads may outnumber the cores.
"""

from __future__ import annotations

from collections.abc import Callable

from exprgrad.backend.text import Code, Function, Module

# Bytes the flags take, all zero at first
FLAGS_SIZE = 128
GENERATION_AT = 64
SPINS = 2000
ATTRIBUTES = "noinline nounwind"

# What a spinning processor is told, by the first letters of the target's triple
PAUSE = {"x86_64": "llvm.x86.sse2.pause"}


def emit_barrier(code: Code, flags: str, threads: str) -> None:
    """Wait here until all threads of the program have come here.

    `flags` names a pointer to FLAGS_SIZE zeroed bytes, the same for all threads, 64-byte
    aligned; `threads` names an int64. With one thread nothing is waited for.
    """
    _define(code.function.module)
    code.do(f"call void @barrier(ptr {flags}, i64 {threads})")


def emit_section(
    code: Code, flags: str, threads: str, section: Callable[[], None]
) -> None:
    """The same, and the last thread to come runs what `section` writes before it lets
    the others go on.
    """
    _define(code.function.module)
    last = code.op(f"call i1 @arrive(ptr {flags}, i64 {threads})")
    inside, after = code.function.block("section"), code.function.block("after")
    code.branch(last, inside, after)
    code.block = inside
    section()
    code.do(f"call void @open(ptr {flags})")
    code.jump(after)
    code.block = after


def _define(module: Module) -> None:
    if any(function.name == "barrier" for function in module.functions):
        return
    _define_arrive(module)
    _define_open(module)
    arguments = "ptr %flags, i64 %threads"
    function = Function(module, "barrier", arguments, ATTRIBUTES, "internal")
    code = Code(function)
    emit_section(code, "%flags", "%threads", lambda: None)
    code.block.end = "ret void"


def _define_open(module: Module) -> None:
    """counter = 0;  generation++"""
    function = Function(module, "open", "ptr %flags", ATTRIBUTES, "internal")
    code = Code(function)
    code.do("store atomic i64 0, ptr %flags monotonic, align 8")
    place = code.op(f"getelementptr i8, ptr %flags, i64 {GENERATION_AT}")
    generation = code.op(f"load atomic i64, ptr {place} monotonic, align 8")
    following = code.op(f"add i64 {generation}, 1")
    code.do(f"store atomic i64 {following}, ptr {place} release, align 8")
    code.block.end = "ret void"


def _define_arrive(module: Module) -> None:
    """
    arrive:  n = counter++;  true to the last, else spin
    spin:    until the generation differs: pause SPINS times, then yield each time; false
    """
    arguments = "ptr %flags, i64 %threads"
    function = Function(module, "arrive", arguments, ATTRIBUTES, "internal", "i1")
    code = Code(function)
    arrive, last, spin, wait, pause, give, done = (function.block() for _ in range(7))
    code.branch(code.op("icmp sgt i64 %threads, 1"), arrive, last)
    last.end = "ret i1 true"

    code.block = arrive
    place = code.op(f"getelementptr i8, ptr %flags, i64 {GENERATION_AT}")
    generation = code.op(f"load atomic i64, ptr {place} acquire, align 8")
    before = code.op("atomicrmw add ptr %flags, i64 1 acq_rel")
    missing = code.op("sub i64 %threads, 1")
    code.branch(code.op(f"icmp eq i64 {before}, {missing}"), last, spin)

    code.block = spin
    start = f"[ 0, %{arrive.label} ]"
    again = f"[ %more, %{pause.label} ], [ %more, %{give.label} ]"
    tries = code.op(f"phi i64 {start}, {again}")
    now = code.op(f"load atomic i64, ptr {place} acquire, align 8")
    code.branch(code.op(f"icmp ne i64 {now}, {generation}"), done, wait)

    code.block = wait
    code.do(f"%more = add i64 {tries}, 1")
    code.branch(code.op(f"icmp ult i64 {tries}, {SPINS}"), pause, give)
    _relax(Code(function, pause))
    _yield(Code(function, give))
    pause.end = give.end = f"br label %{spin.label}"
    done.end = "ret i1 false"


def _triple(code: Code) -> str:
    target = code.function.module.target
    return target.triple if target else ""


def _relax(code: Code) -> None:
    triple = _triple(code)
    for start, name in PAUSE.items():
        if triple.startswith(start):
            code.call_void(name)
            return


def _yield(code: Code) -> None:
    name = "SwitchToThread" if "windows" in _triple(code) else "sched_yield"
    code.call("i32", name)
