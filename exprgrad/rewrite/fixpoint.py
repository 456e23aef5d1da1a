"""The driver: rules applied from the leaves up until none applies.

Each node is finished once and remembered, so that the work is linear in the number of
nodes and of rewrites. A rule that loops is an error that names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

from exprgrad.errors import CompileError, lines_of
from exprgrad.graph.mode import rebuilt
from exprgrad.graph.tensor import Tensor
from exprgrad.rewrite.match import COMMUTATIVE, Kinds, Rule, kinds

# A node is rewritten a handful of times. More than this, one after another, is a loop.
MOST_REWRITES = 200


class Rules:
    """Rules by the operation and by the kinds of arguments of the nodes they are for."""

    def __init__(self, table: Iterable[Rule]) -> None:
        self.table = tuple(table)
        self._fitting: dict[tuple[str, Kinds], list[Rule]] = {}

    def of(self, node: Tensor) -> list[Rule]:
        """Those that may apply to `node`, in their order."""
        key = (node.op, kinds(node))
        found = self._fitting.get(key)
        if found is None:
            found = [r for r in self.table if r.op == node.op and r.fits(key[1])]
            self._fitting[key] = found
        return found


def fixpoint(outputs: Sequence[Tensor], rules: Rules) -> list[Tensor]:
    """`outputs` rewritten by `rules` until none applies.

    Of several rules for a node the first of the table wins. Raises `CompileError`
    naming the rules when they do not come to an end.
    """
    search = Search(rules)
    return [search.finish(output) for output in outputs]


class Search:
    """What is known of each node: its final form, or what it was rewritten to."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.rewrites = 0
        self._final: dict[Tensor, Tensor] = {}
        self._waits: dict[Tensor, tuple[Tensor, Rule | None]] = {}  # for this, by that
        self._depth: dict[Tensor, int] = {}
        self._order: dict[tuple[str, frozenset[int]], Tensor] = {}

    def finish(self, root: Tensor) -> Tensor:
        """The form of `root` to which no rule applies."""
        stack = [root]
        while stack:
            node = stack[-1]
            if node in self._final:
                stack.pop()
                continue
            following = self._advance(node)
            if not following:
                stack.pop()
            stack.extend(following)
        return self._final[root]

    def _advance(self, node: Tensor) -> list[Tensor]:
        """One step towards the final form of `node`; what must be finished before."""
        depth = self._depth.setdefault(node, 0)
        if node in self._waits:
            following = self._waits[node][0]
            if following not in self._final:
                self._refuse(node)
            self._final[node] = self._final[following]
            del self._waits[node]
            return []
        pending = [arg for arg in node.args if arg not in self._final]
        if pending:
            for arg in pending:
                self._depth.setdefault(arg, depth)
            return pending[::-1]
        return self._rewrite(node, depth)

    def _rewrite(self, node: Tensor, depth: int) -> list[Tensor]:
        following: Tensor = self._rebuilt(node)
        rule: Rule | None = None
        if following is node:
            following, rule = self._step(node)
        if following is node:
            self._final[node] = node
            return []
        if following in self._final:
            self._final[node] = self._final[following]
            return []
        return self._wait(node, following, rule, depth + (rule is not None))

    def _rebuilt(self, node: Tensor) -> Tensor:
        """`node` on the final forms of its arguments, in the order first met."""
        args = tuple(self._final[arg] for arg in node.args)
        node = rebuilt(node, args)
        if node.op in COMMUTATIVE:
            key = (node.op, frozenset(map(id, args)))
            node = self._order.setdefault(key, node)
        return node

    def _step(self, node: Tensor) -> tuple[Tensor, Rule | None]:
        """What the first rule that applies makes of `node`, with its line."""
        with lines_of(node.where):
            for rule in self.rules.of(node):
                result = rule.rewrite(node)
                if result is not None and result is not node:
                    self.rewrites += 1
                    return result, rule
        return node, None

    def _wait(
        self, node: Tensor, following: Tensor, rule: Rule | None, depth: int
    ) -> list[Tensor]:
        self._waits[node] = (following, rule)
        if following in self._waits or depth > MOST_REWRITES:
            self._refuse(following)
        self._depth.setdefault(following, depth)
        return [following]

    def _refuse(self, node: Tensor) -> NoReturn:
        rules = [rule for _, rule in self._waits.values() if rule is not None]
        names = "; ".join(dict.fromkeys(rule.name for rule in rules[-MOST_REWRITES:]))
        raise CompileError(
            f"simplify: these rules undo one another: {names}", node.where
        )
