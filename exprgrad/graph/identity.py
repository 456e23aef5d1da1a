"""What makes two graphs the same program, in whatever process they were written.

Nodes, memory cells and lines stand for themselves by the order in which they are met,
so that neither an address nor a line number is part of it: a program that was moved
down its file, or started again, is the same program.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from exprgrad.errors import Where
from exprgrad.graph.node import walk
from exprgrad.graph.state import Cell
from exprgrad.graph.tensor import Constant, Tensor


@dataclass(eq=False)
class Identity:
    """The text that equal graphs share, and the number by which it calls each node and
    each line of the user's program.
    """

    text: str = ""
    nodes: dict[Tensor, int] = field(default_factory=dict)
    lines: dict[Where | None, int] = field(default_factory=dict)


def identity(roots: Sequence[Tensor]) -> Identity:
    """What tells the graph of `roots` from others.

    >>> import exprgrad as eg
    >>> x, y = eg.input("x", (3,)), eg.input("y", (3,))
    >>> identity([x + y]).text == identity([x + y]).text != identity([y + x]).text
    True
    """
    found, cells = Identity(), _Numbers()
    rows = []
    for node in walk(roots):
        args = [found.nodes[argument] for argument in node.args]
        params = ", ".join(_word(param, cells) for param in node.params)
        line = found.lines.setdefault(node.where, len(found.lines))
        found.nodes[node] = len(found.nodes)
        rows.append(f"{node.op} {args} ({params}) line {line}")
    rows.append(f"roots {[found.nodes[root] for root in roots]}")
    found.text = "\n".join(rows)
    return found


class _Numbers(dict[Hashable, int]):
    """Numbers in the order in which they are asked for."""

    def __missing__(self, key: Hashable) -> int:
        self[key] = number = len(self)
        return number


def _word(param: Any, cells: _Numbers) -> str:
    if isinstance(param, Constant):
        return f"{param.dtype}{param.array.shape} {param.digest}"
    if isinstance(param, Cell):
        return f"cell {cells[param]}"
    return repr(param)
