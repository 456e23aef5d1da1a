"""Loops over arrays around one elementwise spelling, to try it out."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from exprgrad.backend.jit import compile_module, host, named
from exprgrad.backend.spelling import spell
from exprgrad.backend.target import Target
from exprgrad.backend.text import Code, Function, Kind, Module
from exprgrad.graph.dtype import DType, as_dtype

HOST = host()
AVX2 = named("x86-64-v3", "+avx2,+fma")
BASELINE = named("x86-64", "+sse2")
Array = np.ndarray[Any, Any]


def loop_text(
    write: Callable[[Code, tuple[str, ...]], str],
    inputs: Sequence[DType],
    output: DType,
    lanes: int,
    target: Target,
) -> str:
    """IR of `void f(ptr out, ptr in..., i64 n)`, n a multiple of `lanes`."""
    module = Module(target=target)
    pointers = ", ".join(f"ptr %p{i}" for i in range(len(inputs)))
    arguments = f"ptr %out, {pointers}, i64 %n"
    function = Function(module, "f", arguments, target.attributes)
    code = Code(function)
    entry, head, body, done = code.block, *(function.block() for _ in range(3))
    code.jump(head)
    code.block = body
    values = tuple(_load(code, f"%p{i}", t, lanes) for i, t in enumerate(inputs))
    _store(code, write(code, values), output, lanes)
    following = code.op(f"add i64 %i, {lanes}")
    code.jump(head)
    head.lines.insert(
        0, f"%i = phi i64 [ 0, %{entry.label} ], [ {following}, %{code.block.label} ]"
    )
    code.block = head
    code.branch(code.op("icmp slt i64 %i, %n"), body, done)
    done.end = "ret void"
    return str(module)


def _memory(dtype: DType, lanes: int) -> Kind:
    kind = Kind.of(dtype, lanes)
    return kind.with_element("i8") if dtype.kind == "b" else kind


def _load(code: Code, pointer: str, dtype: DType, lanes: int) -> str:
    kind = _memory(dtype, lanes)
    place = code.op(f"getelementptr {kind.element}, ptr {pointer}, i64 %i")
    value = code.op(f"load {kind}, ptr {place}, align {dtype.size}")
    if dtype.kind != "b":
        return value
    return code.op(f"trunc {kind} {value} to {Kind.of(dtype, lanes)}")


def _store(code: Code, value: str, dtype: DType, lanes: int) -> None:
    kind = _memory(dtype, lanes)
    place = code.op(f"getelementptr {kind.element}, ptr %out, i64 %i")
    if dtype.kind == "b":
        value = code.op(f"zext {Kind.of(dtype, lanes)} {value} to {kind}")
    code.do(f"store {kind} {value}, ptr {place}, align {dtype.size}")


def run(text: str, output: DType, arrays: Sequence[Array], target: Target) -> Array:
    """The loop applied to arrays of one length."""
    library = compile_module(text, target)
    result = np.empty(arrays[0].shape, output.numpy)
    pointers = [ctypes.c_void_p] * (1 + len(arrays))
    native = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64)(library.address("f"))
    native(result.ctypes.data, *(a.ctypes.data for a in arrays), result.size)
    return result


def apply(
    op: str,
    *arrays: Array,
    lanes: int = 16,
    target: Target = HOST,
    dtype: DType | None = None,
    params: tuple[Any, ...] = (),
) -> Array:
    """`op` applied to arrays of one length, `lanes` elements at a time."""
    size = arrays[0].size
    padded = [np.concatenate([a, np.repeat(a[-1:], -size % lanes)]) for a in arrays]
    inputs = [as_dtype(a.dtype) for a in arrays]

    def write(code: Code, values: tuple[str, ...]) -> str:
        return spell(code, op, inputs[-1], lanes, values, params)

    output = dtype or inputs[-1]
    text = loop_text(write, inputs, output, lanes, target)
    return run(text, output, padded, target)[:size]
