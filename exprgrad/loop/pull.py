"""The scalar that stands at an index of a tensor which has no memory of its own.

Such a tensor is pulled into its reader; movements only change the index:

    permute(x)[i, j]        ->  x[j, i]
    slice(x)[i]             ->  x[start + i * step]
    pad(x)[i]               ->  x[i - low] where 0 <= i - low < n, else 0
    window(x)[i, k]         ->  x[i * stride + k * dilation]
    unwindow(y)[i]          ->  sum over k: y[(i - k * dilation) / stride, k] where that exists
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field

from exprgrad.errors import CompileError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.dims import Shape, Size
from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS
from exprgrad.graph.philox import row_length
from exprgrad.graph.tensor import Tensor
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Buffer, Scalar
from exprgrad.loop.place import groups, is_apart

Index = tuple[Scalar, ...]
# Indices that may lie outside, each with the condition that it does not.
Guard = tuple[tuple[Scalar, Scalar], ...]
Request = tuple[Tensor, Index, Guard]
Rule = Generator[Request, Scalar, Scalar]


@dataclass(eq=False)
class Memory:
    """The tensors that have memory, and what has been pulled so far."""

    buffers: dict[Tensor, Buffer] = field(default_factory=dict)
    pulled: dict[Request, Scalar] = field(default_factory=dict)


def axes_of(shape: Sequence[Size], names: str = "ijklmnpqrst") -> tuple[Axis, ...]:
    """A new axis for each size."""
    return tuple(Axis(names[n % len(names)], extent) for n, extent in enumerate(shape))


def values_of(axes: Sequence[Axis]) -> Index:
    """The numbers of the current iterations of `axes`."""
    return tuple(ir.axis_value(axis) for axis in axes)


def computed(state: Memory, node: Tensor, index: Index) -> Scalar:
    """The scalar at `index` of a tensor that has memory, as its kernel computes it."""
    if node.op == "reshape":
        view = _view(state, node.args[0], node.shape, index, ())
        if view is not None:
            return view
    return _run(state, RULES[node.op](node, index, ()))


def pull(state: Memory, request: Request) -> Scalar:
    """The scalar that stands at an index of a tensor."""
    return _run(state, _answer(request))


def _answer(request: Request) -> Rule:
    return (yield request)


def _run(state: Memory, rule: Rule) -> Scalar:
    """Run a rule and the rules of all that it asks for, on a stack of our own."""
    stack: list[tuple[Request | None, Rule]] = [(None, rule)]
    answer: Scalar | None = None
    while True:
        request, current = stack[-1]
        try:
            asked = current.send(answer) if answer is not None else next(current)
        except StopIteration as stop:
            answer = stop.value
            stack.pop()
            if request is not None:
                state.pulled[request] = answer
            if not stack:
                return answer
            continue
        answer = state.pulled.get(asked) or _from_memory(state, asked)
        if answer is None:
            tensor, index, guard = asked
            stack.append((asked, RULES[tensor.op](tensor, index, guard)))


def _from_memory(state: Memory, request: Request) -> Scalar | None:
    """A read, where the tensor has memory or is a reshaped view of one that has."""
    tensor, index, guard = request
    return _view(state, tensor, tensor.shape, index, guard)


def _view(
    state: Memory, base: Tensor, shape: Shape, index: Index, guard: Guard
) -> Scalar | None:
    """A read of `base` under another shape of as many elements, if it has memory."""
    while base.op == "reshape" and base not in state.buffers:
        base = base.args[0]
    if base not in state.buffers:
        return None
    return ir.read(state.buffers[base], shape, index, _condition(index, guard))


def _condition(index: Index, guard: Guard) -> Scalar | None:
    """The condition that `index` lies inside; None when it always does."""
    return conjunction([holds for place, holds in guard if _contains(index, place)])


def _contains(index: Index, place: Scalar) -> bool:
    return any(node is place for node in walk(index))


def conjunction(conditions: Sequence[Scalar]) -> Scalar | None:
    """The condition that all of `conditions` hold; None when there are none."""
    whole: Scalar | None = None
    for condition in conditions:
        whole = condition if whole is None else ir.both(whole, condition)
    return whole


def _leaf(node: Tensor, index: Index, guard: Guard) -> Rule:
    raise CompileError(f"{node.op} has no memory", node.where)
    yield


def _constant(node: Tensor, index: Index, guard: Guard) -> Rule:
    return ir.scalar("constant", (), node.params, node.dtype)
    yield


def _size(node: Tensor, index: Index, guard: Guard) -> Rule:
    return ir.size(node.params[0])
    yield


def _iota(node: Tensor, index: Index, guard: Guard) -> Rule:
    return index[0]
    yield


def _elementwise(node: Tensor, index: Index, guard: Guard) -> Rule:
    args = []
    for argument in node.args:
        args.append((yield argument, index, guard))
    return ir.scalar(node.op, tuple(args), node.params, node.dtype, node.where)


def _bound(node: Tensor, index: Index, guard: Guard) -> Rule:
    """An index is checked where it is used, not where a guard puts a 0 in its place."""
    value = yield node.args[0], index, guard
    used = _condition(index, guard)
    args = (value,) if used is None else (value, used)
    return ir.scalar("bound", args, node.params, node.dtype, node.where)


def _same(node: Tensor, index: Index, guard: Guard) -> Rule:
    return (yield node.args[0], index, guard)


def _again(node: Tensor, index: Index, guard: Guard) -> Rule:
    """A value, and an element of what must be known before; `order` drops that."""
    value = yield node.args[0], index, guard
    known = yield node.args[1], (ir.number(0),) * len(node.args[1].shape), ()
    return ir.scalar("again", (value, known), (), node.dtype, node.where)


def _reduce(node: Tensor, index: Index, guard: Guard) -> Rule:
    (x,) = node.args
    axes = node.params[0]
    names = dict(zip(axes, axes_of([x.shape[a] for a in axes], "uvwxyz"), strict=True))
    rest = iter(index)
    inner = tuple(
        ir.axis_value(names[a]) if a in names else next(rest) for a in range(len(x.shape))
    )
    body = yield x, inner, guard
    kind = "argmax" if node.op == "argmax" else node.op
    over = tuple(names.values())
    place = _position(values_of(over), [axis.extent for axis in over])
    args = (body, place) if kind == "argmax" else (body,)
    return ir.reduction(kind, args, over)


def _position(index: Iterable[Scalar], shape: Iterable[Size]) -> Scalar:
    """The row-major position of an index in a shape."""
    total = ir.number(0)
    for i, n in zip(index, shape, strict=True):
        total = ir.add(ir.times(total, n), i)
    return total


def _dot(node: Tensor, index: Index, guard: Guard) -> Rule:
    a, b = node.args
    labels_a, labels_b, out = node.params
    known = dict(zip(out, index, strict=True))
    extents = dict(zip(labels_a + labels_b, a.shape + b.shape, strict=True))
    summed = [label for label in extents if label not in known]
    axes = axes_of([extents[label] for label in summed], "uvwxyz")
    known |= dict(zip(summed, values_of(axes), strict=True))
    left = yield a, tuple(known[label] for label in labels_a), guard
    right = yield b, tuple(known[label] for label in labels_b), guard
    product = ir.scalar("multiply", (left, right), (), node.dtype, node.where)
    return ir.reduction("sum", (product,), axes) if axes else product


def _reshape(node: Tensor, index: Index, guard: Guard) -> Rule:
    (x,) = node.args
    inner: list[Scalar] = []
    rest = list(index)
    for source, target in groups(x.shape, node.shape):
        position = _position([rest.pop(0) for _ in target], target)
        whole = [k for k, n in enumerate(source) if n != 1]
        inner += [position if [k] == whole else ir.number(0) for k in range(len(source))]
    return (yield x, tuple(inner), guard)


def _expand(node: Tensor, index: Index, guard: Guard) -> Rule:
    axes = node.params[1]
    inner = tuple(i for a, i in enumerate(index) if a not in axes)
    return (yield node.args[0], inner, guard)


def _permute(node: Tensor, index: Index, guard: Guard) -> Rule:
    at = dict(zip(node.params[0], index, strict=True))
    return (yield node.args[0], tuple(at[a] for a in range(len(index))), guard)


def _slice(node: Tensor, index: Index, guard: Guard) -> Rule:
    starts, steps, _ = node.params
    inner = tuple(
        ir.add(ir.times(i, step), ir.size(start))
        for i, start, step in zip(index, starts, steps, strict=True)
    )
    return (yield node.args[0], inner, guard)


def within(index: Scalar, n: Size) -> Scalar:
    """The condition 0 <= index < n."""
    above = ir.less_equal(ir.number(0), index)
    below = ir.scalar("less", (index, ir.size(n)), (), dtypes.bool_)
    return ir.both(above, below)


def _pad(node: Tensor, index: Index, guard: Guard) -> Rule:
    (x,) = node.args
    outside: Guard = ()
    inner = []
    for i, n, (low, high) in zip(index, x.shape, node.params[0], strict=True):
        inner.append(ir.add(i, ir.size(-low)))
        if low or high:
            outside += ((inner[-1], within(inner[-1], n)),)
    value = yield x, tuple(inner), guard + outside
    return or_zero([condition for _, condition in outside], value)


def or_zero(conditions: Sequence[Scalar], value: Scalar) -> Scalar:
    """`value` where all conditions hold, else 0; the choice moves into sums.

    A read that is guarded by them gives the 0 itself.
    """
    if value.op == "read":
        guard = ir.read_parts(value)[3]
        if guard is not None and set(conditions) <= set(walk([guard])):
            return value
    if value.op == "reduce" and value.params[0] == "sum":
        body = or_zero(conditions, value.args[0])
        return ir.reduction("sum", (body,), value.params[1])
    whole = conjunction(conditions)
    zero = ir.zero(value.dtype)
    if whole is None:
        return value
    if value.op == "where" and value.args[2] is zero:
        return _choose(ir.both(whole, value.args[0]), value.args[1], zero)
    return _choose(whole, value, zero)


def _concat(node: Tensor, index: Index, guard: Guard) -> Rule:
    (axis,) = node.params
    start: Size = 0
    value: Scalar | None = None
    for x in node.args:
        local = ir.add(index[axis], ir.times(ir.size(start), -1))
        inside = within(local, x.shape[axis])
        inner = (*index[:axis], local, *index[axis + 1 :])
        piece = yield x, inner, (*guard, (local, inside))
        value = piece if value is None else _choose(inside, piece, value)
        start = start + x.shape[axis]
    assert value is not None
    return value


def _choose(condition: Scalar, yes: Scalar, no: Scalar) -> Scalar:
    return ir.scalar("where", (condition, yes, no), (), yes.dtype)


def _window(node: Tensor, index: Index, guard: Guard) -> Rule:
    axis, _, stride, dilation = node.params
    *outer, tap = index
    outer[axis] = ir.add(ir.times(outer[axis], stride), ir.times(tap, dilation))
    return (yield node.args[0], tuple(outer), guard)


def _unwindow(node: Tensor, index: Index, guard: Guard) -> Rule:
    (y,) = node.args
    axis, _, stride, dilation = node.params
    if is_apart(node):
        return (yield from _apart(node, index, guard))
    (tap,) = axes_of([y.shape[-1]], "k")
    apart = ir.add(index[axis], ir.times(ir.axis_value(tap), -dilation))
    position, divides = _divided(apart, stride)
    inside = within(position, y.shape[axis])
    exists = inside if divides is None else ir.both(divides, inside)
    inner = (*index[:axis], position, *index[axis + 1 :], ir.axis_value(tap))
    body = yield y, inner, (*guard, (position, exists))
    return ir.reduction("sum", (or_zero([exists], body),), (tap,))


def _apart(node: Tensor, index: Index, guard: Guard) -> Rule:
    """Windows that do not overlap: each element comes from one tap of one window.

    unwindow(y)[i]  ->  y[i // stride, i % stride] where that exists
    """
    (y,) = node.args
    axis, n, stride, _ = node.params
    position, _ = _divided(index[axis], stride)
    size = y.shape[-1]
    tap = ir.scalar("remainder", (index[axis], ir.number(stride)), (), dtypes.int64)
    inner = (*index[:axis], position, *index[axis + 1 :], tap)
    if (n, size) == (y.shape[axis] * stride, stride):
        return (yield y, inner, guard)
    exists = ir.both(within(position, y.shape[axis]), within(tap, size))
    value = yield y, inner, (*guard, (position, exists), (tap, exists))
    return or_zero([exists], value)


def _divided(index: Scalar, stride: int) -> tuple[Scalar, Scalar | None]:
    """index / stride, and the condition that this is whole."""
    if stride == 1:
        return index, None
    step = ir.number(stride)
    rest = ir.scalar("remainder", (index, step), (), dtypes.int64)
    whole = ir.scalar("equal", (rest, ir.number(0)), (), dtypes.bool_)
    return ir.scalar("floor_divide", (index, step), (), dtypes.int64), whole


def _gather(node: Tensor, index: Index, guard: Guard) -> Rule:
    x, rows = node.args
    (axis,) = node.params
    end = axis + len(rows.shape)
    row = yield rows, index[axis:end], guard
    return (yield x, (*index[:axis], row, *index[end:]), guard)


def _random(node: Tensor, index: Index, guard: Guard) -> Rule:
    key, shape, _ = node.params
    args = []
    for argument in node.args:
        args.append((yield argument, (), ()))
    apart = (*shape[:-1], row_length(shape[-1])) if len(shape) > 1 else shape
    return ir.scalar("random", (_position(index, apart), *args), (key,), node.dtype, node.where)


RULES: dict[str, Callable[[Tensor, Index, Guard], Rule]] = {
    **{op: _elementwise for op, row in OPS.items() if row.group == "elementwise"},
    "bound": _bound,
    "input": _leaf,
    "parameter": _leaf,
    "state": _leaf,
    "constant": _constant,
    "size": _size,
    "iota": _iota,
    "sum": _reduce,
    "max": _reduce,
    "min": _reduce,
    "argmax": _reduce,
    "cumsum": _leaf,
    "dot": _dot,
    "reshape": _reshape,
    "expand": _expand,
    "permute": _permute,
    "pad": _pad,
    "slice": _slice,
    "concat": _concat,
    "window": _window,
    "unwindow": _unwindow,
    "gather": _gather,
    "scatter_add": _leaf,
    "random": _random,
    "stop_gradient": _same,
    "custom": _same,
    "checkpoint": _same,
    "again": _again,
}
