"""Calls of the C library, element by element, for what no short formula gets right."""

from __future__ import annotations

from collections.abc import Callable

from exprgrad.backend.text import Code, Kind
from exprgrad.backend.value import Value

# The functions whose name has an "f" at its end in single precision.
SUFFIX = {"float": "f", "double": ""}


def each_lane(function: str, *arguments: Value) -> Value:
    """The C library's `function` applied to each lane on its own."""
    first = arguments[0]
    name = function + SUFFIX[first.kind.element]
    if first.kind.lanes == 1:
        return Value(first.code, first.kind, _call(name, arguments))
    result = "poison"
    for lane in range(first.kind.lanes):
        one = _call(name, [_extract(value, lane) for value in arguments])
        element = f"{first.kind.element} {one}"
        result = first.code.op(
            f"insertelement {first.kind} {result}, {element}, i32 {lane}"
        )
    return Value(first.code, first.kind, result)


def _extract(value: Value, lane: int) -> Value:
    text = f"extractelement {value.kind} {value.name}, i32 {lane}"
    return value.make(text, Kind(value.kind.element))


def _call(name: str, arguments: list[Value] | tuple[Value, ...]) -> str:
    code, kind = arguments[0].code, arguments[0].kind
    code.function.module.declare(kind, name, ", ".join([str(kind)] * len(arguments)))
    given = ", ".join(f"{value.kind} {value.name}" for value in arguments)
    # A cold call leaves the registers of the common way alone.
    return code.op(f"call {kind} @{name}({given}) cold")


def rarely(condition: Value, usual: Value, otherwise: Callable[[], Value]) -> Value:
    """`usual`, or `otherwise()` where the condition holds for some lane.

    `otherwise` gives all lanes; the code goes on in a new block.
    """
    code = condition.code
    usual_from, other, after = code.block, code.function.block(), code.function.block()
    code.branch(any_lane(condition), other, after)
    code.block = other
    value = otherwise()
    other_from = code.block
    code.jump(after)
    code.block = after
    pairs = ((usual, usual_from), (value, other_from))
    incoming = ", ".join(f"[ {v.name}, %{block.label} ]" for v, block in pairs)
    return usual.make(f"phi {usual.kind} {incoming}")


def any_lane(condition: Value) -> str:
    """Whether the condition holds for some lane."""
    code: Code = condition.code
    if condition.kind.lanes == 1:
        return condition.name
    name = f"llvm.vector.reduce.or.{condition.kind.mangled}"
    return code.call("i1", name, (condition.kind, condition.name))
