"""The scalar that stands at an index of a tensor which has no memory of its own.

Such a tensor is pulled into its reader; movements only change the index:

    permute(x)[i, j]        ->  x[j, i]
    slice(x)[i]             ->  x[start + i * step]
    pad(x)[i]               ->  x[i - low] where 0 <= i - low < n, else 0
    window(x)[i, k]         ->  x[i * stride + k * dilation]
    unwindow(y)[i]          ->  sum over k: y[(i - k * dilation) / stride, k] where that exists
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from exprgrad.errors import CompileError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.dims import Shape, Size
from exprgrad.graph.ops import OPS
from exprgrad.graph.tensor import Tensor
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Buffer, Scalar
from exprgrad.loop.place import groups

Index = tuple[Scalar, ...]
Request = tuple[Tensor, Index, Scalar | None]
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
        view = _view(state, node.args[0], node.shape, index, None)
        if view is not None:
            return view
    return _run(state, RULES[node.op](node, index, None))


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
    state: Memory, base: Tensor, shape: Shape, index: Index, guard: Scalar | None
) -> Scalar | None:
    """A read of `base` under another shape of as many elements, if it has memory."""
    while base.op == "reshape" and base not in state.buffers:
        base = base.args[0]
    if base not in state.buffers:
        return None
    return ir.read(state.buffers[base], shape, index, guard)


def _leaf(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    raise CompileError(f"{node.op} has no memory", node.where)
    yield


def _constant(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    return ir.scalar("constant", (), node.params, node.dtype)
    yield


def _size(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    return ir.size(node.params[0])
    yield


def _iota(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    return index[0]
    yield


def _elementwise(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    args = []
    for argument in node.args:
        args.append((yield argument, index, guard))
    return ir.scalar(node.op, tuple(args), node.params, node.dtype, node.where)


def _same(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    return (yield node.args[0], index, guard)


def _reduce(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    (x,) = node.args
    axes = node.params[0]
    names = dict(zip(axes, axes_of([x.shape[a] for a in axes], "uvwxyz"), strict=True))
    rest = iter(index)
    inner = tuple(
        ir.axis_value(names[a]) if a in names else next(rest) for a in range(len(x.shape))
    )
    body = yield x, inner, guard
    kind = "argmax" if node.op == "argmax" else node.op
    args = (body, _position(tuple(names.values()))) if kind == "argmax" else (body,)
    return ir.reduction(kind, args, tuple(names.values()))


def _position(axes: tuple[Axis, ...]) -> Scalar:
    total = ir.number(0)
    for axis in axes:
        total = ir.add(ir.times(total, axis.extent), ir.axis_value(axis))
    return total


def _dot(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
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


def _reshape(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    (x,) = node.args
    inner: list[Scalar] = []
    rest = list(index)
    for source, target in groups(x.shape, node.shape):
        position = ir.number(0)
        for n in target:
            position = ir.add(ir.times(position, n), rest.pop(0))
        whole = [k for k, n in enumerate(source) if n != 1]
        inner += [position if [k] == whole else ir.number(0) for k in range(len(source))]
    return (yield x, tuple(inner), guard)


def _expand(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    axes = node.params[1]
    inner = tuple(i for a, i in enumerate(index) if a not in axes)
    return (yield node.args[0], inner, guard)


def _permute(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    at = dict(zip(node.params[0], index, strict=True))
    return (yield node.args[0], tuple(at[a] for a in range(len(index))), guard)


def _slice(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    starts, steps, _ = node.params
    inner = tuple(
        ir.add(ir.times(i, step), ir.size(start))
        for i, start, step in zip(index, starts, steps, strict=True)
    )
    return (yield node.args[0], inner, guard)


def _within(index: Scalar, n: Size) -> Scalar:
    """The condition 0 <= index < n."""
    above = ir.less_equal(ir.number(0), index)
    below = ir.scalar("less", (index, ir.size(n)), (), dtypes.bool_)
    return ir.scalar("logical_and", (above, below), (), dtypes.bool_)


def _pad(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    (x,) = node.args
    inside: Scalar | None = None
    inner = []
    for i, n, (low, high) in zip(index, x.shape, node.params[0], strict=True):
        inner.append(ir.add(i, ir.number(-low)))
        if low or high:
            inside = ir.both(inside, _within(inner[-1], n))
    value = yield x, tuple(inner), ir.both(guard, inside)
    return _or_zero(inside, value)


def _or_zero(condition: Scalar | None, value: Scalar) -> Scalar:
    """`value` where the condition holds, else 0. A guarded read gives the 0 itself."""
    if condition is None or value.op == "read":
        return value
    return ir.scalar("where", (condition, value, ir.zero(value.dtype)), (), value.dtype)


def _concat(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    (axis,) = node.params
    start: Size = 0
    value: Scalar | None = None
    for x in node.args:
        local = ir.add(index[axis], ir.times(ir.size(start), -1))
        inside = _within(local, x.shape[axis])
        inner = (*index[:axis], local, *index[axis + 1 :])
        piece = yield x, inner, ir.both(guard, inside)
        value = piece if value is None else _choose(inside, piece, value)
        start = start + x.shape[axis]
    assert value is not None
    return value


def _choose(condition: Scalar, yes: Scalar, no: Scalar) -> Scalar:
    return ir.scalar("where", (condition, yes, no), (), yes.dtype)


def _window(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    axis, _, stride, dilation = node.params
    *outer, tap = index
    outer[axis] = ir.add(ir.times(outer[axis], stride), ir.times(tap, dilation))
    return (yield node.args[0], tuple(outer), guard)


def _unwindow(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    (y,) = node.args
    axis, _, stride, dilation = node.params
    (tap,) = axes_of([y.shape[-1]], "k")
    apart = ir.add(index[axis], ir.times(ir.axis_value(tap), -dilation))
    position, divides = _divided(apart, stride)
    exists = ir.both(divides, _within(position, y.shape[axis]))
    inner = (*index[:axis], position, *index[axis + 1 :], ir.axis_value(tap))
    body = yield y, inner, ir.both(guard, exists)
    return ir.reduction("sum", (_or_zero(exists, body),), (tap,))


def _divided(index: Scalar, stride: int) -> tuple[Scalar, Scalar | None]:
    """index / stride, and the condition that this is whole."""
    if stride == 1:
        return index, None
    step = ir.number(stride)
    rest = ir.scalar("remainder", (index, step), (), dtypes.int64)
    whole = ir.scalar("equal", (rest, ir.number(0)), (), dtypes.bool_)
    return ir.scalar("floor_divide", (index, step), (), dtypes.int64), whole


def _gather(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    x, rows = node.args
    (axis,) = node.params
    end = axis + len(rows.shape)
    row = yield rows, index[axis:end], guard
    return (yield x, (*index[:axis], row, *index[end:]), guard)


def _random(node: Tensor, index: Index, guard: Scalar | None) -> Rule:
    key, shape, _ = node.params
    args = []
    for argument in node.args:
        args.append((yield argument, (), None))
    element = ir.number(0)
    for i, n in zip(index, shape, strict=True):
        element = ir.add(ir.times(element, n), i)
    return ir.scalar("random", (element, *args), (key,), node.dtype, node.where)


RuleOf = Callable[[Tensor, Index, Scalar | None], Rule]
RULES: dict[str, RuleOf] = {
    **{op: _elementwise for op, row in OPS.items() if row.group == "elementwise"},
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
}
