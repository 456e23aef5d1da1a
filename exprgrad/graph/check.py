"""The checker of expressions, and the demands they make of run-time sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exprgrad.errors import CompileError, ExprgradError, ShapeError
from exprgrad.graph.dims import Size, evaluate, names
from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS, type_of
from exprgrad.graph.tensor import Constant, Tensor


def check(outputs: Iterable[Tensor]) -> None:
    """Raise `CompileError` naming the first node that is not well formed.

    Each node's op is in the table with as many parameters, all hashable; its type is
    the one that its arguments' types give.

    >>> import exprgrad as eg
    >>> check([eg.input("x", (3,)) + 1])
    """
    for node in walk(outputs):
        fault = _fault(node)
        if fault:
            raise CompileError(
                f"{node.op}: {node.type} is malformed: {fault}", node.where
            )


def _fault(node: Tensor) -> str | None:
    if node.op not in OPS:
        return "there is no such operation"
    if len(node.params) != len(OPS[node.op].params):
        return f"{OPS[node.op].params} is required of parameters {node.params}"
    try:
        hash(node.params)
        inferred = type_of(node.op, tuple(a.type for a in node.args), node.params)
    except (ExprgradError, TypeError, ValueError, IndexError) as error:
        return str(error)
    if inferred != node.type:
        return f"its arguments give {inferred}"
    return _constant_fault(node)


def _constant_fault(node: Tensor) -> str | None:
    if node.op != "constant":
        return None
    value = node.params[0]
    if not isinstance(value, Constant) or value.array.dtype != node.dtype.numpy:
        return f"a constant of {node.dtype} is required"
    return None


Demand = tuple[Size, Tensor, str]


def demands(outputs: Iterable[Tensor]) -> list[Demand]:
    """What must not be negative when the program runs: (size, node, rule), each once.

    Slices of a named dimension lie inside it, windows fit it, and no size is negative.
    A compiled function checks these before it runs.

    >>> import exprgrad as eg
    >>> x = eg.input("x", ("batch",))
    >>> [(size, rule) for size, _, rule in demands([x[2:]])]
    [(batch - 2, 'a size is not negative')]
    """
    found: dict[Size, Demand] = {}
    for node in walk(outputs):
        for size in node.shape:
            found.setdefault(size, (size, node, "a size is not negative"))
        for size in _slice_demands(node):
            found.setdefault(size, (size, node, "a slice lies inside its axis"))
        for size in _reduce_demands(node):
            found.setdefault(
                size, (size, node, f"{node.op} of no elements is not defined")
            )
    return [d for d in found.values() if not _surely_holds(d[0])]


def _surely_holds(size: Size) -> bool:
    if isinstance(size, int):
        return size >= 0
    atoms = [atom for monomial, _ in size.terms for atom in monomial]
    quotients = [atom for atom in atoms if not isinstance(atom, str)]
    return all(n > 0 for _, n in size.terms) and all(_surely_holds(q.top) for q in quotients)


def _slice_demands(node: Tensor) -> list[Size]:
    """First and last element of each axis, counted from both its ends."""
    if node.op != "slice":
        return []
    starts, steps, shape = node.params
    edges: list[Size] = []
    for start, step, n, size in zip(
        starts, steps, shape, node.args[0].shape, strict=True
    ):
        if n != 0:
            last = start + (n - 1) * step
            low, high = (start, last) if step > 0 else (last, start)
            # an empty slice reads nothing: the factor takes its ends out of account
            factor: Size = 1 if isinstance(n, int) else n
            ends = (e for e in (low, size - 1 - high) if not _surely_holds(e))
            edges += [end * factor for end in ends]
    return edges


def _reduce_demands(node: Tensor) -> list[Size]:
    if node.op not in ("max", "min", "argmax"):
        return []
    return [node.args[0].shape[a] - 1 for a in node.params[0]]


def check_demands(outputs: Iterable[Tensor], dims: Mapping[str, int]) -> None:
    """Raise `ShapeError` at the user's line of a node whose demand `dims` do not meet."""
    for size, node, rule in demands(outputs):
        if evaluate(size, dims) < 0:
            given = ", ".join(f"{name} = {dims[name]}" for name in sorted(names(size)))
            raise ShapeError(
                f"{node.op}: {rule}: {size} is negative when {given}", node.where
            )
