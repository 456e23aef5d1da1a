"""An expression as mathematics: LaTeX, with a line for each shared or large part."""

from __future__ import annotations

from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS
from exprgrad.graph.tensor import Tensor
from exprgrad.inspect.latex import LATEX, Latex, same

LONGEST = 160  # characters of LaTeX written in place
SHORT = 24  # a shared part up to this length is repeated, not named


def to_latex(tensor: Tensor, name: str | None = None) -> str:
    r"""An expression in LaTeX; what is used twice is named t and a number.

    `name` is put before the last line, as in "name = ...".

    >>> import exprgrad as eg
    >>> x, w = eg.input("x", ("n", 3)), eg.parameter("w1", (3,))
    >>> print(to_latex(eg.exp(x @ w) ** 2))
    \left(e^{x \, w_{1}}\right)^{2}
    """
    order = walk([tensor])
    uses = _uses(order)
    written: dict[Tensor, Latex] = {}
    lines: list[tuple[str, str]] = []
    for node in order:
        text = LATEX[node.op](node, *(written[a] for a in node.args))
        longest = SHORT if uses[node] > 1 else LONGEST
        if node is not tensor and len(text.text) > longest and _may_be_named(node):
            own = f"t_{{{len(lines) + 1}}}"
            lines.append((own, text.text))
            text = Latex(own)
        written[node] = text
    last = written[tensor].text
    if not lines:
        return f"{name} = {last}" if name else last
    rows = [f"{left} &= {right}" for left, right in [*lines, (name or "", last)]]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def repr_latex(tensor: Tensor) -> str:
    """The LaTeX that a notebook shows for an expression."""
    return f"$\\displaystyle {to_latex(tensor)}$"


def _may_be_named(node: Tensor) -> bool:
    return OPS[node.op].group != "leaf" and LATEX[node.op] is not same


def _uses(order: list[Tensor]) -> dict[Tensor, int]:
    """How often each node is read; what is not written counts its own readers."""
    uses = dict.fromkeys(order, 0)
    for node in reversed(order):
        silent = LATEX[node.op] is same
        for argument in node.args:
            uses[argument] += max(uses[node], 1) if silent else 1
    return uses
