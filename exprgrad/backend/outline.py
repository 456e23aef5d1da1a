"""Long code that a kernel needs many times, or outside of its loops, as functions.

The same code stands in a loop where little of it is written and behind a call where
it would be much: the bits are equal, and compiling takes time in proportion to the
instructions that are written, each of which is run all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import prod

from exprgrad.backend.cover import written
from exprgrad.backend.text import Code, Function, Kind, Module
from exprgrad.loop import ir
from exprgrad.loop.ir import Scalar
from exprgrad.loop.schedule import Scheduled

# Instructions of one operation that may be written out in a kernel.
MOST = 1000
# About how many instructions a vector's worth of each operation is.
LENGTHS = {
    "exp": 18, "sigmoid": 25, "tanh": 25, "expm1": 25, "log": 35, "log1p": 45, "erf": 45,
    "softplus": 60, "sin": 60, "cos": 60, "pow": 100, "random": 240,
}  # fmt: skip

Arguments = Sequence[tuple[Kind, str]]


def called_in(scheduled: Scheduled) -> set[str]:
    """The operations that the kernel's loops call instead of holding their code."""
    lengths: Counter[str] = Counter()
    for node in ir.scalars(scheduled.kernel):
        if node.op in LENGTHS:
            copies = prod(written(scheduled, axis) for axis in ir.free_axes(node))
            lengths[node.op] += LENGTHS[node.op] * copies
    return {op for op, length in lengths.items() if length > MOST}


def is_once(node: Scalar) -> bool:
    """Whether an operation stands outside of all loops, where a call costs nothing; other
    kernels may hold the same, as each update by Adam has the powers of its decays.
    """
    return node.op in LENGTHS and node.op != "random" and not ir.free_axes(node)


def call(
    code: Code,
    op: str,
    result: Kind,
    arguments: Arguments,
    write: Callable[[Code, tuple[str, ...]], str],
) -> str:
    """Call the function for `op` of these arguments; `write` writes its body once."""
    name = f"{op}.{result.mangled}"
    module = code.function.module
    if all(function.name != name for function in module.functions):
        _define(module, name, result, [kind for kind, _ in arguments], write)
    given = ", ".join(f"{kind} {value}" for kind, value in arguments)
    return code.op(f"call {result} @{name}({given})")


def _define(
    module: Module,
    name: str,
    result: Kind,
    kinds: Sequence[Kind],
    write: Callable[[Code, tuple[str, ...]], str],
) -> None:
    names = tuple(f"%a{n}" for n in range(len(kinds)))
    pairs = zip(kinds, names, strict=True)
    arguments = ", ".join(f"{kind} {argument}" for kind, argument in pairs)
    attributes = module.target.attributes if module.target else ""
    function = Function(module, name, arguments, f"noinline {attributes}", "internal", str(result))
    code = Code(function)
    value = write(code, names)
    code.block.end = f"ret {result} {value}"
