"""Which tensors get memory of their own; all others are computed where they are read."""

from __future__ import annotations

from collections.abc import Iterable

from exprgrad.graph.dims import Shape, Size
from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.cost import COSTS
from exprgrad.loop.keep import VIEWS, keep, values

CHEAP = 2
# Scalars of one kernel. Longer expressions are stored on the way, which costs little beside
# computing them, so that all stages and LLVM take time in proportion to their length.
MOST_SCALARS = 400

# Reductions that may be computed where they are read.
SUMS = {"sum", "dot", "unwindow"}
# What reads each element of a sum once at most, so that the sum needs no memory.
PARTS = {"unwindow", "slice"}
HAVE_MEMORY = {"input", "parameter", "state"}


def place(outputs: Iterable[Tensor]) -> set[Tensor]:
    """The tensors that are stored: outputs, reductions, what is read more than once and
    costs more than a few additions to compute again, parts of long expressions, and what
    `keep` puts in the place of reductions.
    """
    outputs = list(outputs)
    nodes = walk(outputs)
    readers = _readers(nodes)
    placed = {t for t in outputs if not _is_memory(t)}
    cost: dict[Tensor, int] = {}
    length: dict[Tensor, int] = {}
    for node in nodes:
        for argument in _read_freely(node):
            base = _under_views(argument, placed)
            if not _is_memory(base) and cost[base] > 0:
                placed.add(base)
        if node.op == "scatter_add" and not _is_memory(node.args[1]):
            placed.add(node.args[1])  # checked before anything is added in place
        cost[node] = _cost(node, placed, cost)
        length[node] = 1 + sum(length[a] for a in node.args if a not in placed)
        if length[node] > MOST_SCALARS and OPS[node.op].group == "elementwise":
            placed.add(node)
        shared = _under_views(node, placed) if len(readers[node]) > 1 else node
        if _needs_memory(shared, readers[node], cost[node]):
            placed.add(shared)
        if node.op == "slice" and _is_inside(node.args[0], placed):
            placed.add(node)
        if node.op == "reshape" and not is_split(node.args[0].shape, node.shape):
            placed |= {a for a in node.args if not _is_memory(a)}
    return placed | keep(nodes, {t for t in placed if OPS[t.op].group != "reduce"})


def _readers(nodes: list[Tensor]) -> dict[Tensor, list[Tensor]]:
    """The nodes that read the value of each."""
    found: dict[Tensor, list[Tensor]] = {node: [] for node in nodes}
    for node in nodes:
        for argument in dict.fromkeys(values(node)):
            found[argument].append(node)
    return found


def _is_memory(node: Tensor) -> bool:
    return node.op in HAVE_MEMORY or (node.op == "constant" and bool(node.shape))


def _cost(node: Tensor, placed: set[Tensor], cost: dict[Tensor, int]) -> int:
    """What one element costs when it is computed where it is read."""
    if _is_memory(node) or _under_views(node, placed) in placed:
        return 0
    own = COSTS.get(node.op, 1 if OPS[node.op].group == "elementwise" else 0)
    args = values(node)
    return own + sum(0 if _under_views(a, placed) in placed else cost[a] for a in args)


def _needs_memory(node: Tensor, readers: list[Tensor], cost: int) -> bool:
    if _is_memory(node) or (not node.shape and OPS[node.op].group == "leaf"):
        return False
    if OPS[node.op].group == "reduce" and not is_apart(node):
        return not (node.op in SUMS and len(readers) == 1 and readers[0].op in PARTS)
    if _has_whole_rows(node) and all(r.op == "dot" and _meets_once(r, node) for r in readers):
        return False  # a copy would be read as often as it is written
    return len(readers) > 1 and cost > CHEAP and bool(node.shape)


def _has_whole_rows(node: Tensor) -> bool:
    """Whether what is gathered lies side by side."""
    return node.op == "gather" and node.params[0] + node.args[1].ndim < node.ndim


def _read_freely(node: Tensor) -> tuple[Tensor, ...]:
    """The arguments that are read at many places, or more often than once each."""
    if node.op == "dot":
        return tuple(a for a in node.args if not _meets_once(node, a))
    if node.op == "expand" and _repeats_inside(node):
        return node.args
    return node.args[:1] if node.op in ("window", "gather", "scatter_add") else ()


def _meets_once(product: Tensor, factor: Tensor) -> bool:
    """Whether each element of a factor meets a single one of the other."""
    labels = product.params[:2]
    sides = zip(product.args, labels, reversed(labels), strict=True)
    return all(set(other) <= set(own) for arg, own, other in sides if arg is factor)


def _repeats_inside(node: Tensor) -> bool:
    """Whether a loop inside the repeated axis would compute the argument again."""
    shape, axes = node.params
    kept = [a for a in range(len(shape)) if a not in axes]
    return bool(kept) and any(axis < kept[-1] for axis in axes)


def _under_views(node: Tensor, placed: set[Tensor]) -> Tensor:
    while node.op in VIEWS and node not in placed:
        node = node.args[0]
    return node


def _is_inside(node: Tensor, placed: set[Tensor]) -> bool:
    """Whether a sum is computed where it is read."""
    return node.op in SUMS and node not in placed and not is_apart(node)


def is_apart(node: Tensor) -> bool:
    """Whether a node puts windows in their places that do not overlap: nothing is summed."""
    if node.op != "unwindow":
        return False
    taps, (_, _, stride, dilation) = node.args[0].shape[-1], node.params
    return dilation == 1 and isinstance(taps, int) and taps <= stride


def is_split(source: Shape, target: Shape) -> bool:
    """Whether each axis of `target` other than units is a factor of one source axis.

    Then the source's index is a sum of multiples of the target's, with no division.
    """
    return all(len([n for n in group if n != 1]) <= 1 for group, _ in groups(source, target))


def groups(source: Shape, target: Shape) -> list[tuple[Shape, Shape]]:
    """The shortest runs of axes on both sides that hold equally many elements."""
    result: list[tuple[Shape, Shape]] = []
    left: list[Size] = []
    right: list[Size] = []
    todo_left, todo_right = list(source), list(target)
    product_left: Size = 1
    product_right: Size = 1
    while todo_left or todo_right:
        grow_left = todo_left and (not todo_right or _behind(product_left, product_right, left))
        if grow_left:
            left.append(todo_left.pop(0))
            product_left = left[-1] * product_left
        else:
            right.append(todo_right.pop(0))
            product_right = right[-1] * product_right
        if product_left == product_right and left and right:
            result.append((tuple(left), tuple(right)))
            left, right = [], []
            product_left = product_right = 1
    if left or right:
        result.append((tuple(left), tuple(right)))
    return result


def _behind(left: Size, right: Size, taken: list[Size]) -> bool:
    if not taken:
        return True
    if isinstance(left, int) and isinstance(right, int):
        return left <= right
    return isinstance(left, int)
