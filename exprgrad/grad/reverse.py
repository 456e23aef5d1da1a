"""The reverse sweep: cotangents from the outputs back to where they are asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from exprgrad.errors import ExprgradError, GraphError, lines_of
from exprgrad.grad.recompute import Copies
from exprgrad.grad.vjp import VJP
from exprgrad.graph.leaves import input
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor

_numbers = itertools.count()


def stand_in(x: Tensor) -> Tensor:
    """An input like `x` that no other expression has."""
    return input(f"stand-in {next(_numbers)}", x.shape, x.dtype)


def reverse(
    seeds: list[tuple[Tensor, Tensor]], wrt: list[Tensor]
) -> dict[Tensor, Tensor]:
    """Cotangents of all nodes that lie between `wrt` and the seeded nodes.

    Users are swept in one fixed order, so that sums of cotangents are always the same.
    """
    order = walk([y for y, _ in seeds])
    active = active_nodes(order, wrt, VJP)
    found: dict[Tensor, Tensor] = {}
    copies = Copies()
    for y, seed in seeds:
        _accumulate(found, y, seed)
    for node in reversed(order):
        if node in active and node in found and node.args:
            if node.op == "checkpoint":
                copies.enter(node, found[node])
            _pull(node, found[node], active, found, copies)
    return found


def _pull(
    node: Tensor,
    g: Tensor,
    active: set[Tensor],
    found: dict[Tensor, Tensor],
    copies: Copies,
) -> None:
    rule = VJP[node.op]
    if rule is None or not any(a in active for a in node.args):
        return
    with lines_of(node.where):
        read = copies.of((node, *node.args))
        parts = applied("gradient", rule, node, g, *read)
        check_cotangents(node, parts)
        for argument, part in zip(node.args, parts, strict=True):
            if argument in active and part is not None:
                _accumulate(found, argument, part)


def _accumulate(found: dict[Tensor, Tensor], node: Tensor, part: Tensor) -> None:
    found[node] = found[node] + part if node in found else part


def active_nodes(
    order: list[Tensor], wrt: Iterable[Tensor], table: Mapping[str, Any]
) -> set[Tensor]:
    """The nodes through which `wrt` moves the value smoothly."""
    starts = set(wrt)
    active: set[Tensor] = set()
    for node in order:
        passes = table[node.op] is not None and any(a in active for a in node.args)
        if node in starts or (passes and node.dtype.kind == "f"):
            active.add(node)
    return active


def applied(what: str, rule: Callable[..., Any], node: Tensor, *args: Any) -> Any:
    """`rule(*args)`; an error in it names the node and its line."""
    try:
        return rule(*args)
    except ExprgradError as error:
        raise GraphError(f"{what} of {node.op}: {error.rule}", node.where) from error
    except Exception as error:
        error.add_note(f"raised by the {what} of {node.op}   ({node.where})")
        raise


def check_cotangents(node: Tensor, parts: Sequence[Tensor | None]) -> None:
    """One for each argument, of its type: a user's own rule may be wrong."""
    if len(parts) != len(node.args):
        raise GraphError(
            f"gradient of {node.op}: {len(node.args)} arguments and {len(parts)} "
            "cotangents",
            node.where,
        )
    for i, (argument, part) in enumerate(zip(node.args, parts, strict=True)):
        if (
            part is not None
            and argument.dtype.kind == "f"
            and part.type != argument.type
        ):
            raise GraphError(
                f"gradient of {node.op}: the cotangent of argument {i} is {part.type} "
                f"and the argument is {argument.type}",
                node.where,
            )
