"""The barrier between kernels: no thread passes before all have come.

A counter and a generation on cache lines of their own. The last thread to come resets
the counter and opens the next generation; the others spin, and hand the processor back
when that takes long, so that threads may outnumber the cores.
"""

from __future__ import annotations

from exprgrad.backend.text import Code, Function, Module

NAME = "barrier"
# Bytes the flags take, all zero at first
FLAGS_SIZE = 128
GENERATION_AT = 64
SPINS = 2000

# What a spinning processor is told, by the first letters of the target's triple
PAUSE = {"x86_64": "llvm.x86.sse2.pause"}


def emit_barrier(code: Code, flags: str, threads: str) -> None:
    """Wait here until all threads of the program have come here.

    `flags` names a pointer to FLAGS_SIZE zeroed bytes, the same for all threads, 64-byte
    aligned; `threads` names an int64. With one thread nothing is waited for.
    """
    module = code.function.module
    if all(function.name != NAME for function in module.functions):
        _define(module)
    code.do(f"call void @{NAME}(ptr {flags}, i64 {threads})")


def _define(module: Module) -> None:
    """
    arrive:  n = counter++;  last ? open : spin
    open:    counter = 0;  generation++
    spin:    until the generation differs: pause SPINS times, then yield each time
    """
    head = "noinline nounwind"
    function = Function(module, NAME, "ptr %flags, i64 %threads", head, "internal")
    code = Code(function)
    arrive, last, spin, wait, pause, give, done = (function.block() for _ in range(7))
    code.branch(code.op("icmp sgt i64 %threads, 1"), arrive, done)

    code.block = arrive
    place = code.op(f"getelementptr i8, ptr %flags, i64 {GENERATION_AT}")
    generation = code.op(f"load atomic i64, ptr {place} acquire, align 8")
    before = code.op("atomicrmw add ptr %flags, i64 1 acq_rel")
    missing = code.op("sub i64 %threads, 1")
    code.branch(code.op(f"icmp eq i64 {before}, {missing}"), last, spin)

    code.block = last
    code.do("store atomic i64 0, ptr %flags monotonic, align 8")
    following = code.op(f"add i64 {generation}, 1")
    code.do(f"store atomic i64 {following}, ptr {place} release, align 8")
    code.jump(done)

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
    done.end = "ret void"


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
