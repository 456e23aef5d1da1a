"""The programs by which the machine is measured, written as the compiler writes its own.

Each is `name(ptr context, i64 thread, i64 threads)`, as programs are, and runs the number
of iterations that stands first in its context; `read` finds there an address and a size
besides.
"""

from __future__ import annotations

import ctypes

import numpy as np

from exprgrad.backend import clock
from exprgrad.backend.level import Bound, Level, Loop, open_loop
from exprgrad.backend.target import Target
from exprgrad.backend.text import Code, Function, Kind, Module
from exprgrad.loop.ir import Axis

ELEMENTS = {"float32": "float", "float64": "double"}
SIDE_BY_SIDE = 12  # accumulators: more than a multiply-add takes cycles on any machine
LOADS = 8  # vectors that one iteration of a sum reads
STEP = LOADS * 64  # a multiple of the bytes of these, whatever the vectors' width
NOW = ctypes.CFUNCTYPE(ctypes.c_int64)

ARGUMENTS = "ptr %context, i64 %thread, i64 %threads"


def probes(target: Target) -> str:
    """The module with all of them: peak_float32, peak_float64, latency, read, now."""
    module = Module(target=target)
    for dtype in ELEMENTS:
        _chains(module, f"peak_{dtype}", _vector(dtype, target), SIDE_BY_SIDE)
    _chains(module, "latency", _vector("float32", target), 1)
    _sums(module, _vector("float32", target))
    clock.define_now(Function(module, "now", "", target.attributes, result="i64"))
    return str(module)


def lanes(dtype: str, target: Target) -> int:
    """Elements of a vector."""
    return target.lanes(np.dtype(dtype).itemsize)


def _vector(dtype: str, target: Target) -> Kind:
    return Kind(ELEMENTS[dtype], lanes(dtype, target))


def _chains(module: Module, name: str, kind: Kind, count: int) -> None:
    """for i < iterations: each of `count` values = value * 1 + 0"""
    outer = _begun(module, name)
    loop = _loop(outer, _field(outer.code, 0, "i64"), "1", kind, count)
    code = loop.level.code
    one, zero = ((kind, kind.splat(number)) for number in (1.0, 0.0))
    call = f"llvm.fma.{kind.mangled}"
    values = [code.call(kind, call, (kind, name), one, zero) for name in loop.names]
    _ended(outer, kind, loop.close(values))


def _sums(module: Module, kind: Kind) -> None:
    """for i < iterations: for the thread's part of an array: values += what stands there"""
    outer = _begun(module, "read")
    size = _field(outer.code, 2, "i64")
    start = outer.code.imul("%thread", size)
    memory = outer.code.op(f"getelementptr i8, ptr {_field(outer.code, 1, 'ptr')}, i64 {start}")
    loop = _loop(outer, _field(outer.code, 0, "i64"), "1", kind, LOADS)
    nbytes = kind.lanes * kind.bits // 8
    inner = _loop(loop.level, size, str(LOADS * nbytes), kind, LOADS, loop.names)
    code, sums = inner.level.code, []
    for number, before in enumerate(inner.names):
        at = code.iadd(inner.variable, str(number * nbytes))
        where = code.op(f"getelementptr i8, ptr {memory}, i64 {at}")
        loaded = code.op(f"load {kind}, ptr {where}, align {nbytes}")
        sums.append(code.op(f"fadd {kind} {before}, {loaded}"))
    _ended(outer, kind, loop.close(inner.close(sums)))


def _begun(module: Module, name: str) -> Level:
    target = module.target
    assert target is not None
    return Level(Code(Function(module, name, ARGUMENTS, target.attributes)))


def _loop(
    outer: Level, stop: str, step: str, kind: Kind, count: int, first: list[str] | None = None
) -> Loop:
    values = first or [kind.splat(float(n)) for n in range(count)]
    carried = [(str(kind), value) for value in values]
    return open_loop(outer, Axis("i", 0), ("0", stop, int(step)), Bound(""), carried)


def _field(code: Code, number: int, kind: str) -> str:
    where = code.op(f"getelementptr i64, ptr %context, i64 {number}")
    return code.op(f"load {kind}, ptr {where}")


def _ended(level: Level, kind: Kind, values: list[str]) -> None:
    """Use the values, so that none is left out: a store that a NaN alone would cause."""
    code, total = level.code, values[0]
    for value in values[1:]:
        total = code.op(f"fadd {kind} {total}, {value}")
    first = code.op(f"extractelement {kind} {total}, i64 0")
    strange = code.op(f"fcmp uno {kind.element} {first}, {first}")
    keep, leave = code.function.block("keep"), code.function.block("leave")
    code.branch(strange, keep, leave)
    keep.lines.append("store i64 0, ptr %context")
    keep.end = f"br label %{leave.label}"
    leave.end = "ret void"
