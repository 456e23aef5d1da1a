"""Small arithmetic on sizes and masks while code is written; what is known is folded."""

from __future__ import annotations

from collections.abc import Callable

from exprgrad.backend.text import Code, Kind

INDEX = Kind("i64")


def known(name: str) -> int | None:
    """The number that a constant's name spells, if it is an integer."""
    return int(name) if name.lstrip("-").isdigit() else None


def iota(lanes: int) -> str:
    """The constant vector 0, 1, 2, ..."""
    return "<" + ", ".join(f"i64 {n}" for n in range(lanes)) + ">"


def splat(code: Code, kind: Kind, name: str, lanes: int) -> str:
    """One number in all lanes."""
    wide = Kind(kind.element, lanes)
    if lanes == 1:
        return name
    if (number := known(name)) is not None:
        return wide.splat(number)
    one = code.op(f"insertelement {wide} poison, {kind} {name}, i64 0")
    zeros = f"<{lanes} x i32> zeroinitializer"
    return code.op(f"shufflevector {wide} {one}, {wide} poison, {zeros}")


def select(code: Code, kind: Kind, condition: str, a: str, b: str) -> str:
    """Lane by lane `a` where the condition holds, else `b`."""
    flags = kind.with_element("i1")
    return code.op(f"select {flags} {condition}, {kind} {a}, {kind} {b}")


def reverse(code: Code, kind: Kind, name: str) -> str:
    """The lanes of a vector, the last first."""
    places = ", ".join(f"i32 {n}" for n in reversed(range(kind.lanes)))
    both = f"{kind} {name}, {kind} poison"
    return code.op(f"shufflevector {both}, <{kind.lanes} x i32> <{places}>")


def both(code: Code, lanes: int, a: str | None, b: str | None) -> str | None:
    """The lanes in both masks; None stands for all lanes."""
    if a is None or b is None:
        return a if b is None else b
    return code.op(f"and {Kind('i1', lanes)} {a}, {b}")


def fixed_mask(lanes: int, count: int) -> str:
    """The mask of the first `count` lanes."""
    flags = ("true" if n < count else "false" for n in range(lanes))
    return "<" + ", ".join(f"i1 {flag}" for flag in flags) + ">"


def run_mask(code: Code, n: str, start: str, lanes: int) -> str:
    """The mask of the lanes, from `start` on, that are below `n`."""
    limit = splat(code, INDEX, code.op(f"sub i64 {n}, {start}"), lanes)
    return code.op(f"icmp slt <{lanes} x i64> {iota(lanes)}, {limit}")


def floor_div(code: Code, a: str, b: int) -> str:
    """a // b, rounded down."""
    number = known(a)
    if number is not None:
        return str(number // b)
    if b == 1:
        return a
    below = code.op(f"icmp slt i64 {code.op(f'srem i64 {a}, {b}')}, 0")
    quotient = code.op(f"sdiv i64 {a}, {b}")
    return select(code, INDEX, below, code.op(f"add i64 {quotient}, -1"), quotient)


def quotient(code: Code, a: str, b: str) -> str:
    """a / b, neither of them negative."""
    x, y = known(a), known(b)
    if x is not None and y is not None:
        return str(x // y)
    return code.op(f"sdiv i64 {a}, {b}")


def whole(code: Code, n: str, block: int) -> str:
    """The largest multiple of `block` that is at most `n`."""
    return n if block == 1 else code.imul(floor_div(code, n, block), str(block))


def least(code: Code, a: str, b: str) -> str:
    """The smaller of two sizes."""
    return _extreme(code, min, "smin", a, b)


def most(code: Code, a: str, b: str) -> str:
    """The larger of two sizes, neither of them negative."""
    return b if a == "0" else a if b == "0" else _extreme(code, max, "smax", a, b)


def is_empty(code: Code, start: str, stop: str) -> str:
    """A flag that is set where start < stop does not hold: a constant where that is known."""
    first, last = known(start), known(stop)
    if first is not None and last is not None:
        return "true" if first >= last else "false"
    return code.op(f"icmp sge i64 {start}, {stop}")


def _extreme(code: Code, fold: Callable[[int, int], int], name: str, a: str, b: str) -> str:
    x, y = known(a), known(b)
    if a == b or (x is not None and y is not None):
        return a if x is None or y is None else str(fold(x, y))
    return code.call("i64", f"llvm.{name}.i64", ("i64", a), ("i64", b))
