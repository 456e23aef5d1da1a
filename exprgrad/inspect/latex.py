"""How each operation is written in LaTeX: one row per op, in the order of `graph.ops`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import sympy

from exprgrad.graph.dims import Size
from exprgrad.graph.tensor import Tensor

# How tightly a text is bound: an argument looser than its place gets parentheses.
TRUTH, RELATION, SUM, PRODUCT, POWER, ATOM = range(6)


class Latex(NamedTuple):
    """A piece of LaTeX and how tightly it is bound."""

    text: str
    level: int = ATOM

    def at(self, level: int) -> str:
        """The text for a place that needs `level`."""
        return self.text if self.level >= level else rf"\left({self.text}\right)"


Rule = Callable[..., Latex]  # (node, *arguments)


def row(template: str, level: int = ATOM, *needs: int) -> Rule:
    """A rule that puts argument i, bound at least as `needs[i]`, at `{i}`."""

    def write(node: Tensor, *arguments: Latex) -> Latex:
        wanted = (*needs, *(TRUTH for _ in arguments[len(needs) :]))
        texts = [a.at(n) for a, n in zip(arguments, wanted, strict=True)]
        return Latex(template.format(*texts), level)

    return write


def called(name: str) -> Rule:
    """A rule that writes a function and its arguments, the parameters below the name."""

    def write(node: Tensor, *arguments: Latex) -> Latex:
        inside = ", ".join(a.text for a in arguments)
        return Latex(rf"{name}\left({inside}\right)")

    return write


def symbol(name: str) -> str:
    """A name as mathematics: W1 is W with index 1, alpha is Greek, words are upright."""
    plain = name.rstrip("'")
    text: str = sympy.latex(sympy.Symbol(plain))
    upright = rf"\mathrm{{{text}}}" if text == plain and len(plain) > 1 else text
    return upright + name[len(plain) :]


def size(n: Size) -> str:
    """A size as mathematics."""
    return str(n) if isinstance(n, int) else rf"\mathrm{{{str(n).replace('*', ' ')}}}"


def number(node: Tensor) -> Latex:
    """A constant: a number in decimal, an array by its type."""
    if node.ndim:
        return Latex(rf"\mathbf{{c}}_{{[{', '.join(map(size, node.shape))}]}}")
    digits, _, exponent = str(node.params[0].array[()]).partition("e")
    text = digits.removesuffix(".0")
    text = text if not exponent else rf"{text} \cdot 10^{{{int(exponent)}}}"
    return Latex(NUMBERS.get(text, text), SUM if text.startswith("-") else ATOM)


NUMBERS = {
    "inf": r"\infty",
    "-inf": r"-\infty",
    "nan": r"\mathrm{NaN}",
    "True": r"\mathrm{true}",
    "False": r"\mathrm{false}",
}


def named(node: Tensor) -> Latex:
    """A leaf by its name."""
    return Latex(symbol(node.name))


def same(node: Tensor, *arguments: Latex) -> Latex:
    """What mathematics does not write: repetition, conversion, checks."""
    return arguments[0]


def multiply(node: Tensor, a: Latex, b: Latex) -> Latex:
    """A number stands in front; tensors have the sign of the elementwise product."""
    scalar = [x.op == "expand" and x.args[0].ndim == 0 for x in node.args]
    left, right = (b, a) if scalar == [False, True] else (a, b)
    sign = r"\," if any(scalar) or not node.ndim else r"\odot"
    return Latex(f"{left.at(PRODUCT)} {sign} {right.at(PRODUCT)}", PRODUCT)


def over_axes(name: str, level: int, need: int) -> Rule:
    """A reduction with its axes below it, none when it is over all of them."""

    def write(node: Tensor, x: Latex) -> Latex:
        axes = ",".join(map(str, node.params[0])) if node.ndim else ""
        below = rf"_{{{axes}}}" if axes else ""
        return Latex(rf"{name}{below} {x.at(need)}", level)

    return write


def dot(node: Tensor, a: Latex, b: Latex) -> Latex:
    """A product of matrices where it is one, else a sum over indices."""
    la, lb, out = node.params
    product = PRODUCTS.get(_renamed(la, lb, out))
    if product:
        return Latex(product.format(a.at(PRODUCT + 1), b.at(PRODUCT + 1)), PRODUCT)
    summed = "".join(dict.fromkeys(c for c in la + lb if c not in out))
    over = rf"\sum_{{{summed}}} " if summed else ""
    return Latex(f"{over}{{{a.at(ATOM)}}}_{{{la}}} {{{b.at(ATOM)}}}_{{{lb}}}", SUM)


def _renamed(*labels: str) -> str:
    """Labels in the order in which they are met: "bk,kj,bj" is "ab,bc,ac"."""
    letters = dict.fromkeys("".join(labels))
    name = dict(zip(letters, "abcdefghijklmnopqrstuvwxyz", strict=False))
    return ",".join("".join(name[c] for c in label) for label in labels)


PRODUCTS = {
    "ab,bc,ac": r"{0} \, {1}",
    "ab,cb,ac": r"{0} \, {1}^{{\top}}",
    "ab,ac,bc": r"{0}^{{\top}} \, {1}",
    "ab,ca,bc": r"{0}^{{\top}} \, {1}^{{\top}}",
    "ab,bc,ca": r"{1}^{{\top}} \, {0}^{{\top}}",
    "ab,ca,cb": r"{1} \, {0}",
    "ab,cb,ca": r"{1} \, {0}^{{\top}}",
    "ab,ac,cb": r"{1}^{{\top}} \, {0}",
    "ab,b,a": r"{0} \, {1}",
    "ab,a,b": r"{0}^{{\top}} \, {1}",
    "a,ab,b": r"{1}^{{\top}} \, {0}",
    "a,ba,b": r"{1} \, {0}",
    "a,a,": r"{0} \cdot {1}",
    "a,b,ab": r"{0} \, {1}^{{\top}}",
    "a,b,ba": r"{1} \, {0}^{{\top}}",
}


def reshape(node: Tensor, x: Latex) -> Latex:
    """Silent when only axes of size 1 come or go."""
    real = [[n for n in t.shape if n != 1] for t in (node, node.args[0])]
    return x if real[0] == real[1] else called(r"\operatorname{reshape}")(node, x)


def permute(node: Tensor, x: Latex) -> Latex:
    """The transpose of a matrix has its sign."""
    if node.ndim == 2:
        return Latex(rf"{x.at(ATOM)}^{{\top}}", POWER)
    axes = ",".join(map(str, node.params[0]))
    return called(rf"\operatorname{{permute}}_{{{axes}}}")(node, x)


def slice(node: Tensor, x: Latex) -> Latex:
    """The bounds of each axis below: start to stop by step."""
    starts, steps, shape = node.params
    axes = zip(starts, steps, shape, node.args[0].shape, strict=True)
    return Latex(rf"{x.at(ATOM)}_{{[{', '.join(_bounds(*axis) for axis in axes)}]}}")


def _bounds(start: Size, step: int, n: Size, whole: Size) -> str:
    if (start, step, n) == (0, 1, whole):
        return ":"
    by = "" if step == 1 else f":{step}"
    stop = start + (n - 1) * step + (1 if step > 0 else -1)
    return f"{size(start)}:{size(stop)}{by}"


def concat(node: Tensor, *parts: Latex) -> Latex:
    """The parts side by side."""
    return Latex(rf"\left[{', '.join(part.text for part in parts)}\right]")


def gather(node: Tensor, x: Latex, index: Latex) -> Latex:
    """The index below, at its axis."""
    before = ":, " * int(node.params[0])
    return Latex(rf"{x.at(ATOM)}_{{[{before}{index.text}]}}")


def _function(name: str) -> Rule:
    return called(rf"\{name}")


def _operator(name: str) -> Rule:
    return called(rf"\operatorname{{{name}}}")


LATEX: dict[str, Rule] = {
    # leaves
    "input": named,
    "parameter": named,
    "state": named,
    "constant": number,
    "size": lambda node: Latex(size(node.params[0])),
    "iota": lambda node: Latex(rf"(0, \dots, {size(node.params[0])} - 1)"),
    # elementwise
    "add": row("{0} + {1}", SUM, SUM, SUM),
    "subtract": row("{0} - {1}", SUM, SUM, PRODUCT),
    "multiply": multiply,
    "divide": row(r"\frac{{{0}}}{{{1}}}", PRODUCT),
    "floor_divide": row(r"\left\lfloor \frac{{{0}}}{{{1}}} \right\rfloor"),
    "remainder": row(r"{0} \bmod {1}", RELATION, POWER, POWER),
    "pow": row("{0}^{{{1}}}", POWER, ATOM),
    "maximum": _function("max"),
    "minimum": _function("min"),
    "negative": row("-{0}", SUM, PRODUCT),
    "abs": row(r"\left|{0}\right|"),
    "sign": _operator("sign"),
    "floor": row(r"\left\lfloor {0} \right\rfloor"),
    "exp": row("e^{{{0}}}", POWER),
    "expm1": row("e^{{{0}}} - 1", SUM),
    "log": _function("log"),
    "log1p": row(r"\log\left(1 + {0}\right)", ATOM, SUM),
    "sqrt": row(r"\sqrt{{{0}}}"),
    "rsqrt": row(r"\frac{{1}}{{\sqrt{{{0}}}}}", PRODUCT),
    "tanh": _function("tanh"),
    "sigmoid": _function("sigma"),
    "softplus": _operator("softplus"),
    "erf": _operator("erf"),
    "sin": _function("sin"),
    "cos": _function("cos"),
    "bfloat16": _operator("bf16"),
    "equal": row("{0} = {1}", RELATION, SUM, SUM),
    "not_equal": row(r"{0} \neq {1}", RELATION, SUM, SUM),
    "less": row("{0} < {1}", RELATION, SUM, SUM),
    "less_equal": row(r"{0} \leq {1}", RELATION, SUM, SUM),
    "logical_and": row(r"{0} \land {1}", TRUTH, RELATION, RELATION),
    "logical_or": row(r"{0} \lor {1}", TRUTH, RELATION, RELATION),
    "logical_not": row(r"\lnot {0}", RELATION, SUM),
    "where": row(
        r"\begin{{cases}} {1} & \text{{if }} {0} \\ {2} & \text{{otherwise}} \end{{cases}}"
    ),
    "cast": same,
    "bound": same,
    # reductions
    "sum": over_axes(r"\sum", SUM, PRODUCT),
    "max": over_axes(r"\max", PRODUCT, POWER),
    "min": over_axes(r"\min", PRODUCT, POWER),
    "argmax": over_axes(r"\operatorname{arg\,max}", PRODUCT, POWER),
    "cumsum": _operator("cumsum"),
    "dot": dot,
    # movement
    "reshape": reshape,
    "expand": same,
    "permute": permute,
    "pad": _operator("pad"),
    "slice": slice,
    "concat": concat,
    "window": _operator("window"),
    "unwindow": _operator("unwindow"),
    "gather": gather,
    "scatter_add": _operator("scatter"),
    # special
    "random": lambda node, *arguments: Latex(r"\mathcal{U}(0, 1)"),
    "stop_gradient": _operator("stop"),
    "custom": same,
    "checkpoint": same,
    "again": same,
}

