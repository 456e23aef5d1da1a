"""Values that the chain rule reads where the user asked for less memory.

    h = checkpoint(f(x)); y = h(h)    ->    dx = (df at f(again(x, dh))) * dh

The sweep goes over the nodes that the user wrote. Once it has the cotangent of a mark,
the rules of all nodes before that mark read copies in their place: the same operations,
from the marks and inputs before it on. `again` is the identity that keeps a copy apart
from its original and says that it is not computed before the cotangent is known.
"""

from __future__ import annotations

from collections.abc import Sequence

from exprgrad.graph.mode import rebuilt
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor, apply

# What has memory of its own; nothing large depends on parameters alone.
KEPT = {"checkpoint", "input", "state"}


class Copies:
    """The copy that stands for each node, where one does."""

    def __init__(self) -> None:
        self._copy: dict[Tensor, Tensor] = {}

    def of(self, nodes: Sequence[Tensor]) -> list[Tensor]:
        """What a rule reads in the place of `nodes`."""
        return [self._copy.get(node, node) for node in nodes]

    def enter(self, mark: Tensor, cotangent: Tensor) -> None:
        """From here on, read copies of what lies between `mark` and those before it."""
        self._copy.setdefault(mark.args[0], mark.args[0])
        for node in walk(mark.args, lambda n: () if n.op in KEPT else n.args):
            if node in self._copy:
                continue
            if node.op in KEPT:
                self._copy[node] = apply("again", (node, cotangent))
            else:
                self._copy[node] = rebuilt(node, tuple(self.of(node.args)))
