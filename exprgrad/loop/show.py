"""Kernels as text: the loops, how each runs, and the scalars as infix formulas."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from exprgrad.loop import ir
from exprgrad.loop.ir import Scalar, Store
from exprgrad.loop.schedule import Scheduled

INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "floor_divide": "//",
    "remainder": "%", "equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=",
    "logical_and": "and", "logical_or": "or",
}  # fmt: skip
LONGEST = 60


def show_kernels(kernels: Sequence[Scheduled]) -> str:
    """All kernels, in the order in which they run."""
    return "\n\n".join(show_kernel(kernel) for kernel in kernels)


def show_kernel(scheduled: Scheduled) -> str:
    """A kernel as nested loops."""
    lines = [f"kernel {scheduled.kernel.name}"]
    _nest(scheduled, scheduled.kernel.stores, 0, lines)
    return "\n".join(lines)


def _nest(
    scheduled: Scheduled, stores: Sequence[Store], depth: int, lines: list[str]
) -> None:
    runs = groupby(stores, key=lambda s: s.axes[depth] if s.axes[depth:] else None)
    indent = "    " * (depth + 1)
    for axis, run in runs:
        inside = list(run)
        if axis is not None:
            how = scheduled.of(axis)
            lines.append(f"{indent}for {axis} < {axis.extent} ({how}):")
            _nest(scheduled, inside, depth + 1, lines)
            continue
        for store in inside:
            index = ", ".join(show_scalar(i, lines, indent) for i in store.index)
            value = show_scalar(store.value, lines, indent)
            sign = "+=" if store.accumulate else "="
            lines.append(f"{indent}{store.buffer.name}[{index}] {sign} {value}")


def show_scalar(root: Scalar, lines: list[str], indent: str = "") -> str:
    """A scalar as a formula; long parts get a line and a name of their own."""
    text: dict[Scalar, str] = {}
    order: list[Scalar] = []
    seen: set[Scalar] = set()
    stack: list[tuple[Scalar, bool]] = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(a, False) for a in reversed(node.args)]
    for node in order:
        text[node] = _formula(node, [text[a] for a in node.args])
        if len(text[node]) > LONGEST and node is not root and node.op != "reduce":
            name = f"t{sum(line.lstrip().startswith('t') for line in lines) + 1}"
            lines.append(f"{indent}{name} = {text[node]}")
            text[node] = name
    return text[root]


def _formula(node: Scalar, args: list[str]) -> str:
    match node.op:
        case "axis" | "size":
            return str(node.params[0])
        case "constant":
            return f"{node.params[0].array.item():.6g}"
        case "read":
            buffer, view, _, guard = ir.read_parts(node)
            index = ", ".join(args[: len(view)])
            where = f" where {args[-1]} else 0" if guard is not None else ""
            return f"{buffer.name}[{index}]{where}"
        case "reduce":
            kind, axes = node.params
            over = ", ".join(f"{axis} < {axis.extent}" for axis in axes)
            return f"({kind} over {over}: {args[0]})"
    if node.op in INFIX:
        return f"({args[0]} {INFIX[node.op]} {args[1]})"
    if node.op == "cast":
        return f"{node.params[0].short}({args[0]})"
    return f"{node.op}({', '.join(args)})"
