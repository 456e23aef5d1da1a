"""Kernels as text: the loops, how each runs, and the scalars as infix formulas.

A reduction, and what is used more than once, gets a line and a name of its own, in the
outermost loop where it can be computed:

    for i < 64 (parallel):
        for j < 32 (vectors):
            s1 = sum over u < n: d[u, j] * x[u, i]
            t1 = 0.9 * m[i, j] + 0.1 * s1
            m[i, j] = t1
            W[i, j] = W[i, j] - rate * t1
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, groupby

from exprgrad.graph.node import walk
from exprgrad.graph.philox import key_text
from exprgrad.graph.spelling import SIGN, SPELLINGS, SUM, Text, size_text
from exprgrad.graph.tensor import Tensor
from exprgrad.loop import ir
from exprgrad.loop.cost import COSTS
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store
from exprgrad.loop.lower import Target, lower
from exprgrad.loop.schedule import SERIAL, Scheduled

LONGEST = 60  # of a formula that is written in place
SHORT = 16  # a shared formula up to this length is repeated, unless it is dear
DEAR = 8  # additions that take as long
INDENT = "    "
MARK = re.compile(r"\b[st]#\d+")


def show_kernels(kernels: Sequence[Scheduled]) -> str:
    """All kernels, in the order in which they run."""
    return "\n\n".join(show_kernel(kernel) for kernel in kernels)


def show_passes(
    outputs: Sequence[Tensor], *passes: Callable[[Sequence[Kernel]], list[Kernel]]
) -> str:
    """The kernels of expressions after some passes: what the passes' examples print."""
    buffers = [Buffer(f"y{n}", y.shape, y.dtype, "output") for n, y in enumerate(outputs, 1)]
    kernels, _ = lower(list(zip(outputs, map(Target, buffers), strict=True)))
    for each in passes:
        kernels = each(kernels)
    return show_kernels([Scheduled(kernel, {}, 1) for kernel in kernels])


def show_kernel(scheduled: Scheduled) -> str:
    """A kernel as nested loops; at each point all values come before all stores."""
    kernel = scheduled.kernel
    scope = _Scope(scheduled, [r for s in kernel.stores for r in (*s.index, s.value)])
    _nest(kernel.stores, 0, scope)
    text = _numbered("\n".join(_indented(scope.lines)), _buffer_names(scheduled))
    return f"kernel {kernel.name}\n{text}"


class _Scope:
    """The inside of a loop or of a reduction: its lines, and the names they define."""

    def __init__(
        self,
        scheduled: Scheduled,
        roots: Sequence[Scalar],
        axes: Sequence[Axis] = (),
        outer: _Scope | None = None,
    ) -> None:
        self.scheduled = scheduled
        self.axes = axes
        self.outer = outer
        self.lines: list[str] = []
        self.names: dict[Scalar, Text] = {}
        self.uses = _uses(roots)
        self.marks: Iterator[int] = outer.marks if outer else count(1)
        self.shown: dict[Axis, str] = dict(outer.shown) if outer else {}
        for axis in axes:
            self.shown[axis] = _unlike(axis.name, set(self.shown.values()))

    def inside(self, roots: Sequence[Scalar], axes: Sequence[Axis]) -> _Scope:
        """A scope within this one."""
        return _Scope(self.scheduled, roots, axes, self)

    def home(self, node: Scalar) -> _Scope:
        """The outermost scope in which `node` has a value."""
        scope, free = self, ir.free_axes(node)
        while scope.outer is not None and free.isdisjoint(scope.axes):
            scope = scope.outer
        return scope

    def loop(self, axis: Axis) -> str:
        """`i < 10 (vectors)`."""
        how = self.scheduled.of(axis)
        manner = "" if how == SERIAL else f" ({how})"
        return f"{self.shown[axis]} < {axis.extent}{manner}"

    def define(self, node: Scalar, lines: list[str]) -> Text:
        """Give a formula, which may be a block of several lines, a name."""
        name = f"{'s' if node.op == 'reduce' else 't'}#{next(self.marks)}"
        self.lines += [f"{name} = {lines[0]}", *lines[1:]]
        self.names[node] = Text(name)
        return self.names[node]


def _nest(stores: Sequence[Store], depth: int, scope: _Scope) -> None:
    for axis, run in groupby(stores, key=lambda s: s.axes[depth] if s.axes[depth:] else None):
        inside = list(run)
        if axis is None:
            _point(inside, scope)
            continue
        roots = [r for s in inside for r in (*s.index, s.value)]
        inner = scope.inside(roots, (axis,))
        _nest(inside, depth + 1, inner)
        scope.lines += [f"for {inner.loop(axis)}:", *_indented(inner.lines)]


def _point(stores: Sequence[Store], scope: _Scope) -> None:
    """Every value of a point, then every store."""
    lines = []
    overwritten: set[object] = set()
    for store in stores:
        apart = {n for n in walk([store.value]) if n.op == "read" and n.params[0] in overwritten}
        index = [_formula(i, scope, apart).text for i in store.index]
        value = _statement(store.value, scope, apart)
        sign = "+=" if store.accumulate else "="
        lines += [f"{_place(store.buffer.name, index)} {sign} {value[0]}", *value[1:]]
        overwritten.add(store.buffer)
    scope.lines += lines


def _statement(root: Scalar, scope: _Scope, apart: set[Scalar]) -> list[str]:
    """The lines of what is stored; a reduction that is used here only stands in place."""
    home = scope.home(root)
    here = home is scope and root not in home.names
    if root.op == "reduce" and here and home.uses[root] == 1:
        return _reduction(root, scope)
    return [_formula(root, scope, apart).text]


def _formula(root: Scalar, scope: _Scope, apart: Iterable[Scalar] = ()) -> Text:
    """`root` as a formula, after lines for those of its parts that have names."""
    texts: dict[Scalar, Text] = {}
    for node in _unnamed(root, scope):
        home = scope.home(node)
        if node in home.names:
            texts[node] = home.names[node]
        elif node.op == "reduce":
            texts[node] = home.define(node, _reduction(node, home))
        else:
            args = [_hoisted(a, texts[a], home, scope) for a in node.args]
            text = _spelled(node, args, scope)
            long = _needs_name(node, text, home.uses[node], node is root)
            named = long or node in apart
            texts[node] = home.define(node, [text.text]) if named else text
    return texts[root]


def _hoisted(node: Scalar, text: Text, user: _Scope, scope: _Scope) -> Text:
    """An argument's text: its name where it is computed outside its user's loop."""
    home = scope.home(node)
    if home is user or not _is_large(node, text):
        return text
    return home.names.get(node) or home.define(node, [text.text])


def _unnamed(root: Scalar, scope: _Scope) -> list[Scalar]:
    """The scalars under `root`, arguments first, down to names and reductions."""

    def into(node: Scalar) -> tuple[Scalar, ...]:
        known = node.op == "reduce" or node in scope.home(node).names
        return () if known else node.args

    return walk([root], into)


def _reduction(node: Scalar, scope: _Scope) -> list[str]:
    """`sum over u < 10: body`, or a block where the body has lines of its own.

    The position that argmax gives is not shown where it is that of the loop.
    """
    kind, axes = node.params
    inner = scope.inside(node.args, axes)
    shown = node.args[:1] if node.args[-1].op == "axis" else node.args
    body = ", ".join(_formula(a, inner).text for a in shown)
    head = f"{kind} over {', '.join(inner.loop(axis) for axis in axes)}:"
    if inner.lines:
        return [head, *_indented([*inner.lines, body])]
    return [f"{head} {body}"]


def _needs_name(node: Scalar, text: Text, uses: int, is_root: bool) -> bool:
    if uses == 1:
        return not is_root and _may_be_named(node) and len(text.text) > LONGEST
    return _is_large(node, text)


def _is_large(node: Scalar, text: Text) -> bool:
    """Whether a formula is worth a line, where it would be written or run again."""
    dear = node.dtype.kind == "f" and COSTS.get(node.op, 1) >= DEAR
    return (dear or len(text.text) > SHORT) and _may_be_named(node)


def _may_be_named(node: Scalar) -> bool:
    if node.op == "read":
        return ir.read_parts(node)[3] is not None
    return node.op not in ("axis", "size", "constant")


def _spelled(node: Scalar, args: list[Text], scope: _Scope) -> Text:
    match node.op:
        case "axis":
            return Text(scope.shown[node.params[0]])
        case "size":
            return size_text(node.params[0])
        case "constant":
            number = f"{node.params[0].array.item():.6g}"
            return Text(number, SIGN) if number.startswith("-") else Text(number)
        case "read":
            buffer, view, _, guard = ir.read_parts(node)
            place = _place(buffer.name, [a.text for a in args[: len(view)]])
            return Text(place if guard is None else f"where({args[-1].text}, {place}, 0)")
        case "cast":
            return Text(f"{node.dtype.short}({args[0].text})")
        case "random":
            numbers = ", ".join(a.text for a in args)
            return Text(f"random({numbers}, {key_text(node.params[0])})")
        case "add" if args[1].text.startswith("-") and node.args[1].op == "constant":
            return Text(f"{args[0].text} - {args[1].text[1:]}", SUM)
    return SPELLINGS[node.op](node, args)  # type: ignore[arg-type]


def _place(name: str, index: list[str]) -> str:
    return f"{name}[{', '.join(index)}]" if index else name


def _uses(roots: Sequence[Scalar]) -> Counter[Scalar]:
    """How often each scalar is written where everything shared has a name."""
    uses = Counter(roots)
    for node in walk(roots):
        uses.update(node.args)
    return uses


def _numbered(text: str, taken: set[str]) -> str:
    """`text` with the marks of names, such as `t#7`, as t1, t2, ... in their order."""
    names: dict[str, str] = {}
    free = {letter: _free(letter, taken) for letter in "st"}
    for mark in MARK.findall(text):
        if mark not in names:
            names[mark] = next(free[mark[0]])
    return MARK.sub(lambda found: names[found[0]], text)


def _free(letter: str, taken: set[str]) -> Iterator[str]:
    return (f"{letter}{n}" for n in count(1) if f"{letter}{n}" not in taken)


def _buffer_names(scheduled: Scheduled) -> set[str]:
    return {b.name for b in scheduled.kernel.reads() | scheduled.kernel.writes()}


def _unlike(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    return name


def _indented(lines: Iterable[str]) -> list[str]:
    return [INDENT + line for line in lines]
