"""Long vector code that a kernel needs many times, as functions that it calls.

The same code stands in a kernel where it is needed a few times and behind a call where
it is needed often: the bits are equal, and compiling takes time in proportion to the
number of calls, not to what they do.
"""

from __future__ import annotations

from collections import Counter

from exprgrad.backend.spelling import spell
from exprgrad.backend.text import Code, Function, Kind, Module
from exprgrad.graph.dtype import DType
from exprgrad.loop import ir
from exprgrad.loop.ir import Kernel

# How often an operation stands in one kernel before it is called.
OFTEN = 6
LONG = {
    "pow", "exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus", "erf", "sin", "cos",
}  # fmt: skip


def called_in(kernel: Kernel) -> set[str]:
    """The operations that the kernel calls instead of holding their code."""
    counts = Counter(node.op for node in ir.scalars(kernel) if node.op in LONG)
    return {op for op, count in counts.items() if count > OFTEN}


def call(code: Code, op: str, dtype: DType, lanes: int, names: tuple[str, ...]) -> str:
    """Call the function for `op` on such vectors; it is defined on the way."""
    kind = Kind.of(dtype, lanes)
    name = f"{op}.{kind.mangled}"
    module = code.function.module
    if all(function.name != name for function in module.functions):
        _define(module, name, op, dtype, kind, len(names))
    arguments = ", ".join(f"{kind} {argument}" for argument in names)
    return code.op(f"call {kind} @{name}({arguments})")


def _define(
    module: Module, name: str, op: str, dtype: DType, kind: Kind, count: int
) -> None:
    names = tuple(f"%a{n}" for n in range(count))
    arguments = ", ".join(f"{kind} {argument}" for argument in names)
    attributes = module.target.attributes if module.target else ""
    function = Function(module, name, arguments, f"noinline {attributes}", "internal", str(kind))
    code = Code(function)
    result = spell(code, op, dtype, kind.lanes, names)
    code.block.end = f"ret {kind} {result}"
