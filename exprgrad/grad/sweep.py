"""The derivatives that a user asks for.

Every result is an ordinary expression, so that each function here takes what another
one made: derivatives have any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from exprgrad.errors import GraphError, lines_of
from exprgrad.grad.batch import batched
from exprgrad.grad.jvp import JVP
from exprgrad.grad.reverse import active_nodes, applied, reverse, stand_in
from exprgrad.graph.dims import Size, count
from exprgrad.graph.elementwise import astype, constant, equal, like
from exprgrad.graph.movement import iota, permute_dims, reshape
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor, apply

S = TypeVar("S", Tensor, Sequence[Tensor], Mapping[str, Tensor])


def grad(loss: Tensor, wrt: S) -> Any:
    """The gradient of a scalar: for each tensor of `wrt` one of the same shape.

    `wrt` is a tensor, a sequence or a mapping of tensors, at any place of the
    expression; the result is a tensor, a list or a dict. What the loss does not depend
    on has a gradient of zeros. Raises `GraphError` when `loss` is not a floating-point
    scalar. Reverse accumulation: Griewank and Walther, Evaluating Derivatives, ch. 3.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> grad((x * x * x).sum(), x).shape
    (3,)
    """
    _check_scalar("grad", loss)
    return vjp(loss, wrt, constant(1.0, loss.dtype))


def value_and_grad(loss: Tensor, wrt: S) -> tuple[Tensor, Any]:
    """The loss itself and `grad(loss, wrt)`, which share what they have in common."""
    return loss, grad(loss, wrt)


def vjp(outputs: S, wrt: Any, cotangents: Any) -> Any:
    """The sum over all outputs of cotangent times Jacobian, for each of `wrt`.

    `cotangents` has the structure and the shapes of `outputs`. The result has the
    structure of `wrt`. Raises `GraphError` where they differ or are not floating-point.

    >>> import exprgrad as eg
    >>> x, c = eg.input("x", (3,)), eg.input("c", (3,))
    >>> vjp(eg.sin(x), x, c).shape
    (3,)
    """
    ends, starts = _floats("outputs", outputs), _floats("wrt", wrt)
    seeds = _matching("cotangent", cotangents, ends)
    found = reverse(list(zip(ends, seeds, strict=True)), starts)
    return like_structure(wrt, [found.get(x, like(x, 0.0)) for x in starts])


def jvp(outputs: S, wrt: Any, tangents: Any) -> Any:
    """The Jacobian times the tangents: how outputs change when `wrt` moves along them.

    `tangents` has the structure and the shapes of `wrt`. The result has the structure
    of `outputs`.

    >>> import exprgrad as eg
    >>> x, t = eg.input("x", (3,)), eg.input("t", (3,))
    >>> jvp(eg.sin(x).sum(), x, t).shape
    ()
    """
    ends, starts = _floats("outputs", outputs), _floats("wrt", wrt)
    seeds = _matching("tangent", tangents, starts)
    found = _forward(ends, dict(zip(starts, seeds, strict=True)))
    return like_structure(outputs, [found.get(y, like(y, 0.0)) for y in ends])


def hvp(loss: Tensor, wrt: Any, vectors: Any) -> Any:
    """The Hessian of a scalar times `vectors`, at the cost of a few gradients.

    Forward over reverse: Pearlmutter 1994, Fast exact multiplication by the Hessian.

    >>> import exprgrad as eg
    >>> x, v = eg.input("x", (3,)), eg.input("v", (3,))
    >>> hvp((x * x * x).sum(), x, v).shape
    (3,)
    """
    return jvp(grad(loss, wrt), wrt, vectors)


def jacobian(y: Tensor, x: Tensor) -> Tensor:
    """All derivatives of y by x, of shape `y.shape + x.shape`; sizes may be named.

    One sweep along an axis of all directions: forward where `x` is known to have no
    more elements than `y`, else in reverse.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> jacobian(eg.stack([x[0] * x[1], x[2]]), x).shape
    (2, 3)
    """
    _floats("jacobian", [y, x])
    if _forward_is_cheaper(count(x.shape), count(y.shape)):
        direction = stand_in(x)
        columns = batched(jvp(y, x, direction), direction, _basis(x))
        last = permute_dims(columns, (*range(1, y.ndim + 1), 0))
        return reshape(last, y.shape + x.shape)
    direction = stand_in(y)
    rows = batched(vjp(y, x, direction), direction, _basis(y))
    return reshape(rows, y.shape + x.shape)


def hessian(loss: Tensor, x: Tensor) -> Tensor:
    """All second derivatives of a scalar, of shape `x.shape + x.shape`.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> hessian((x * x * x).sum(), x).shape
    (3, 3)
    """
    return jacobian(grad(loss, x), x)


def _forward_is_cheaper(columns: Size, rows: Size) -> bool:
    if isinstance(columns, int) and isinstance(rows, int):
        return columns <= rows
    return isinstance(columns, int)


def _basis(x: Tensor) -> Tensor:
    """The tensors like x that are 1 in one place, along a leading axis."""
    n = count(x.shape)
    row = apply("expand", (iota(n),), ((n, n), (0,)))
    column = apply("expand", (iota(n),), ((n, n), (1,)))
    return reshape(astype(equal(row, column), x.dtype), (n, *x.shape))


def _forward(
    outputs: list[Tensor], seeds: dict[Tensor, Tensor]
) -> dict[Tensor, Tensor]:
    """Tangents of all nodes that lie between the seeded nodes and `outputs`.

    A seeded node that depends on other seeded nodes moves by its own seed besides.
    """
    order = walk(outputs)
    active = active_nodes(order, seeds, JVP)
    found: dict[Tensor, Tensor] = {}
    for node in order:
        if node in active:
            moved = _push(node, found)
            parts = [t for t in (moved, seeds.get(node)) if t is not None]
            if parts:
                found[node] = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    return found


def _push(node: Tensor, found: dict[Tensor, Tensor]) -> Tensor | None:
    rule = JVP[node.op]
    tangents = [found.get(a) for a in node.args]
    if rule is None or all(t is None for t in tangents):
        return None
    with lines_of(node.where):
        tangent: Tensor = applied("tangent", rule, node, tangents, node, *node.args)
        return tangent


def _check_scalar(what: str, loss: Tensor) -> None:
    if not isinstance(loss, Tensor):
        raise GraphError(f"{what} takes an expression as its loss, not {loss!r}")
    if loss.shape != () or loss.dtype.kind != "f":
        raise GraphError(
            f"{what} takes a floating-point scalar as its loss, not {loss.type}; "
            "make it one with .sum() or .mean()"
        )


def _floats(what: str, given: Any) -> list[Tensor]:
    """The tensors of a structure, each of floating-point type."""
    members = flat(given)
    for x in members:
        if not isinstance(x, Tensor):
            raise GraphError(f"{what}: an expression is required, not {x!r}")
        if x.dtype.kind != "f":
            raise GraphError(
                f"{what}: a floating-point tensor is required, not {x.type}"
            )
    return members


def _matching(what: str, given: Any, of: list[Tensor]) -> list[Tensor]:
    """The tensors of a structure, each of the type of its partner in `of`."""
    members = _floats(what, given)
    if len(members) != len(of):
        raise GraphError(f"{len(of)} {what}s are required, {len(members)} are given")
    for x, partner in zip(members, of, strict=True):
        if x.type != partner.type:
            raise GraphError(f"{what} {x.type} is given for {partner.type}")
    return members


def flat(given: Any) -> list[Any]:
    """The members of a structure: a mapping, a sequence, or one alone."""
    if isinstance(given, Mapping):
        return list(given.values())
    return list(given) if isinstance(given, list | tuple) else [given]


def like_structure(structure: Any, results: list[Tensor]) -> Any:
    """`results` in the form of `structure`."""
    if isinstance(structure, Mapping):
        return dict(zip(structure, results, strict=True))
    return results if isinstance(structure, list | tuple) else results[0]
