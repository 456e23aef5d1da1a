"""How each operation is written as text: one row an operation, in the order of OPS.

A row turns a node and the texts of its arguments into text and how tightly it binds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from exprgrad.graph.dims import Dim, Shape, Size, show
from exprgrad.graph.philox import key_text
from exprgrad.graph.tensor import Constant, Tensor

# How tightly an expression binds, as in Python. Chains of * and / alone are set apart from
# those with @, // or %, which bind alike there: a * (b @ c) is not a * b @ c.
COMPARE, OR, AND, SUM, MIXED, PRODUCT, SIGN, POWER, ATOM = range(9)


class Text(NamedTuple):
    """Source text and how tightly its outermost operator binds."""

    text: str
    binds: int = ATOM

    def inside(self, least: int) -> str:
        """The text, in parentheses when it binds less than `least`."""
        return self.text if self.binds >= least else f"({self.text})"


Spelling = Callable[[Tensor, list[Text]], Text]


def _infix(symbol: str, binds: int, left: int = 0, right: int = 0) -> Spelling:
    """An operator; `left` and `right` say how much tighter its operands must bind."""

    def spell(node: Tensor, args: list[Text]) -> Text:
        a, b = args[0].inside(binds + left), args[1].inside(binds + right)
        return Text(f"{a} {symbol} {b}", binds)

    return spell


def _product(symbol: str, right: int) -> Spelling:
    """A multiplication or division, whose right side has to bind so tightly."""

    def spell(node: Tensor, args: list[Text]) -> Text:
        a, b = args[0].inside(MIXED), args[1].inside(right)
        return Text(f"{a} {symbol} {b}", min(max(args[0].binds, MIXED), PRODUCT))

    return spell


def _prefix(symbol: str) -> Spelling:
    return lambda node, args: Text(symbol + args[0].inside(SIGN), SIGN)


def _call(name: str) -> Spelling:
    return lambda node, args: Text(f"{name}({', '.join(a.text for a in args)})")


def _name(node: Tensor, args: list[Text]) -> Text:
    return Text(node.name)


def _with(name: str, *parameters: str) -> Spelling:
    """A call whose static parameters follow by keyword."""

    def spell(node: Tensor, args: list[Text]) -> Text:
        given = zip(parameters, node.params, strict=False)
        rest = [f"{key}={_value(value)}" for key, value in given if key]
        return Text(f"{name}({', '.join([*(a.text for a in args), *rest])})")

    return spell


def _random(node: Tensor, args: list[Text]) -> Text:
    key, shape, _ = node.params
    given = [*(a.text for a in args), key_text(key), f"shape={show(shape)}"]
    return Text(f"random({', '.join(given)})")


def _value(value: Any) -> str:
    is_shape = isinstance(value, tuple) and all(isinstance(v, int | Dim) for v in value)
    return show(value) if is_shape else str(value)


def _constant(node: Tensor, args: list[Text]) -> Text:
    constant: Constant = node.params[0]
    array = constant.array
    if array.ndim == 0:
        text = str(array[()])
        return Text(text, SIGN if text.startswith("-") else ATOM)
    if array.size <= 6:
        return Text(np.array2string(array, separator=", ", max_line_width=10_000))
    return Text(f"constant({node.type})")


def size_text(size: Size) -> Text:
    """A size, such as `2*batch + 1`, as text."""
    if isinstance(size, int):
        return Text(str(size))
    single = len(size.terms) == 1
    simple = single and size.terms[0][1] == 1 and len(size.terms[0][0]) == 1
    text = str(size)
    product = MIXED if "//" in text else PRODUCT
    binds = ATOM if simple and "/" not in text else product if single else SUM
    return Text(text, binds)


def _axes(axes: tuple[int, ...]) -> str:
    return str(axes[0]) if len(axes) == 1 else str(axes)


def _reduce(name: str) -> Spelling:
    def spell(node: Tensor, args: list[Text]) -> Text:
        axes = node.params[0]
        which = "" if len(axes) == node.args[0].ndim else f", axis={_axes(axes)}"
        return Text(f"{name}({args[0].text}{which})")

    return spell


def _dot(node: Tensor, args: list[Text]) -> Text:
    """`a @ b` where that says the same, else the einsum."""
    la, lb, out = node.params
    shared = [c for c in la if c in lb and c in out]
    batch = "".join(shared)
    a, b = la.removeprefix(batch), lb.removeprefix(batch)
    leads = la.startswith(batch) and lb.startswith(batch) and out.startswith(batch)
    vector = len(a) == 1 or len(b) == 1
    plain = 1 <= len(a) <= 2 and 1 <= len(b) <= 2 and a[-1] == b[0]
    if leads and plain and out == batch + a[:-1] + b[1:] and not (batch and vector):
        return Text(
            f"{args[0].inside(MIXED)} @ {args[1].inside(SIGN)}", MIXED
        )
    return Text(f'einsum("{la},{lb}->{out}", {args[0].text}, {args[1].text})')


def _reshape(node: Tensor, args: list[Text]) -> Text:
    """Unit axes put in are written `[:, None]`, those taken out `[:, 0]`."""
    old, new = node.args[0].shape, node.shape
    put_in, taken_out = _units(new, old), _units(old, new)
    if put_in:
        return _indexed(args[0], ["None" if u else ":" for u in put_in])
    if taken_out and node.args[0].op == "slice" and args[0].text.endswith("]"):
        return _element(node.args[0], args[0], taken_out)
    if taken_out:
        return _indexed(args[0], ["0" if u else ":" for u in taken_out])
    return Text(f"reshape({args[0].text}, {show(new)})")


def _units(longer: Shape, shorter: Shape) -> list[bool]:
    """Which axes of `longer` are units that `shorter` lacks; empty when more differs."""
    marks: list[bool] = []
    rest = list(shorter)
    for n in longer:
        same = bool(rest) and rest[0] == n
        if not same and n != 1:
            return []
        marks.append(not same)
        rest = rest[1:] if same else rest
    return [] if rest else marks


def _indexed(source: Text, marks: list[str]) -> Text:
    while marks[-1] == ":" and len(marks) > 1:
        marks = marks[:-1]
    return Text(f"{source.inside(ATOM)}[{', '.join(marks)}]")


def inserted(source: Text, ndim: int, axes: tuple[int, ...]) -> Text:
    """`source` with axes of size 1 at `axes` of `ndim`; those in front need no mention."""
    lead = 0
    while lead in axes:
        lead += 1
    marks = ["None" if a in axes else ":" for a in range(lead, ndim)]
    return _indexed(source, marks) if "None" in marks else source


def _expand(node: Tensor, args: list[Text]) -> Text:
    source = inserted(args[0], node.ndim, node.params[1])
    return Text(f"broadcast_to({source.text}, {show(node.shape)})")


def _permute(node: Tensor, args: list[Text]) -> Text:
    (axes,) = node.params
    if axes == (1, 0):
        return Text(f"{args[0].inside(ATOM)}.T")
    return Text(f"permute_dims({args[0].text}, {axes})")


def _slice(node: Tensor, args: list[Text]) -> Text:
    """A slice with its start, stop and step as in Python."""
    starts, steps, shape = node.params
    ranges = zip(starts, steps, shape, node.args[0].shape, strict=True)
    return _indexed(args[0], [_range(*r) for r in ranges])


def _element(node: Tensor, sliced: Text, taken_out: list[bool]) -> Text:
    """`x[2, :3]` for `x[2:3, :3][0]`."""
    starts, steps, shape = node.params
    ranges = zip(starts, steps, shape, node.args[0].shape, taken_out, strict=True)
    marks = [str(r[0]) if one else _range(*r) for *r, one in ranges]
    return _indexed(Text(sliced.text[: sliced.text.rindex("[")]), marks)


def _range(start: Size, step: int, n: Size, size: Size) -> str:
    stop = start + n * step
    first = "" if start == (0 if step > 0 else size - 1) else str(start)
    whole = stop == size if step > 0 else isinstance(stop, int) and stop < 0
    last = "" if whole else str(stop)
    return f"{first}:{last}" + ("" if step == 1 else f":{step}")


def _concat(node: Tensor, args: list[Text]) -> Text:
    return Text(f"concat([{', '.join(a.text for a in args)}], axis={node.params[0]})")


SPELLINGS: dict[str, Spelling] = {
    # leaves
    "input": _name,
    "parameter": _name,
    "state": _name,
    "constant": _constant,
    "size": lambda node, args: size_text(node.params[0]),
    "iota": lambda node, args: Text(f"arange({node.params[0]})"),
    # elementwise
    "add": _infix("+", SUM),
    "subtract": _infix("-", SUM, right=1),
    "multiply": _product("*", PRODUCT),
    "divide": _product("/", SIGN),
    "floor_divide": _infix("//", MIXED, right=SIGN - MIXED),
    "remainder": _infix("%", MIXED, right=SIGN - MIXED),
    "pow": _infix("**", POWER, left=1, right=-1),
    "maximum": _call("maximum"),
    "minimum": _call("minimum"),
    "negative": _prefix("-"),
    "abs": _call("abs"),
    "sign": _call("sign"),
    "floor": _call("floor"),
    "exp": _call("exp"),
    "expm1": _call("expm1"),
    "log": _call("log"),
    "log1p": _call("log1p"),
    "sqrt": _call("sqrt"),
    "rsqrt": _call("rsqrt"),
    "tanh": _call("tanh"),
    "sigmoid": _call("sigmoid"),
    "softplus": _call("softplus"),
    "erf": _call("erf"),
    "sin": _call("sin"),
    "cos": _call("cos"),
    "bfloat16": _call("bfloat16"),
    "equal": _infix("==", COMPARE, left=1, right=1),
    "not_equal": _infix("!=", COMPARE, left=1, right=1),
    "less": _infix("<", COMPARE, left=1, right=1),
    "less_equal": _infix("<=", COMPARE, left=1, right=1),
    "logical_and": _infix("&", AND),
    "logical_or": _infix("|", OR),
    "logical_not": _prefix("~"),
    "where": _call("where"),
    "cast": lambda node, args: Text(f"astype({args[0].text}, {node.dtype})"),
    "bound": lambda node, args: Text(f"bound({args[0].text}, {node.params[0]})"),
    # reductions
    "sum": _reduce("sum"),
    "max": _reduce("max"),
    "min": _reduce("min"),
    "argmax": _reduce("argmax"),
    "cumsum": _with("cumulative_sum", "axis"),
    "dot": _dot,
    # movement
    "reshape": _reshape,
    "expand": _expand,
    "permute": _permute,
    "pad": _with("pad", "widths"),
    "slice": _slice,
    "concat": _concat,
    "window": _with("sliding_window", "axis", "size", "stride", "dilation"),
    "unwindow": _with("unwindow", "axis", "n", "stride", "dilation"),
    "gather": _with("take", "axis"),
    "scatter_add": _with("scatter_add", "axis", "n"),
    # special
    "random": _random,
    "stop_gradient": _call("stop_gradient"),
    "custom": _call("custom"),
    "checkpoint": _call("checkpoint"),
    "again": _call("again"),
}
