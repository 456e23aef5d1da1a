"""The one record of the whole compiler: an interned, immutable node.

Nodes with the same op, arguments, parameters and type are the same object, so that
common subexpressions are shared from the start and equality is identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from exprgrad.errors import Where
from exprgrad.graph.dims import Shape, show
from exprgrad.graph.dtype import DType


@dataclass(frozen=True, slots=True)
class Type:
    """Shape and element type."""

    shape: Shape
    dtype: DType

    def __str__(self) -> str:
        return self.dtype.short + (show(self.shape) if self.shape else "")


class Node:
    """An operation applied to arguments.

    `op` names a row of the tables, `params` are static and hashable, `where` is the
    user's line (not part of identity). Made by `intern`, never by the constructor.
    """

    __slots__ = ("op", "args", "params", "type", "where", "__weakref__")

    op: str
    args: tuple[Node, ...]
    params: tuple[Any, ...]
    type: Type
    where: Where | None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a node is immutable; {name} cannot be set")

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.type.dtype

    def __reduce__(self) -> str:
        raise TypeError("expressions are not pickled: save the program that made them")


N = TypeVar("N", bound=Node)
_interned: WeakValueDictionary[tuple[Any, ...], Node] = WeakValueDictionary()


def intern(
    cls: type[N],
    op: str,
    args: tuple[Node, ...],
    params: tuple[Any, ...],
    type: Type,
    where: Where | None,
) -> N:
    """The one node of class `cls` with these fields."""
    key = (cls, op, tuple(map(id, args)), params, type)
    found = _interned.get(key)
    if found is not None:
        return found  # type: ignore[return-value]
    node = object.__new__(cls)
    fields = {"op": op, "args": args, "params": params, "type": type, "where": where}
    for name, value in fields.items():
        object.__setattr__(node, name, value)
    _interned[key] = node
    return node


def walk(
    roots: Iterable[N], into: Callable[[N], Iterable[Any]] = attrgetter("args")
) -> list[N]:
    """Every node that `roots` depend on, arguments before users, each once.

    `into` chooses the arguments of a node that are walked into.
    """
    order: dict[N, None] = {}
    for root in roots:
        stack = [root]
        while stack:
            node = stack[-1]
            pending = [a for a in into(node) if a not in order] if node not in order else ()
            if pending:
                stack += reversed(pending)
                continue
            stack.pop()
            order[node] = None
    return list(order)


def transform(roots: Iterable[N], visit: Callable[[N, tuple[N, ...]], N]) -> dict[N, N]:
    """Every node's image under `visit(node, images of its arguments)`."""
    image: dict[N, N] = {}
    for node in walk(roots):
        image[node] = visit(node, tuple(image[a] for a in node.args))  # type: ignore[index]
    return image


def users(roots: Iterable[N]) -> dict[N, list[N]]:
    """The nodes that use each node, in order."""
    found: dict[N, list[N]] = {}
    for node in walk(roots):
        found.setdefault(node, [])
        for argument in dict.fromkeys(node.args):
            found[argument].append(node)  # type: ignore[index]
    return found
