"""Rules as pairs of expressions in the user's own language, and their matching.

A row `(log(sigmoid(x)), -softplus(-x))` matches whatever shape and dtype `x` has; its
right side is built at the shape and dtype of the node that it replaces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from exprgrad.graph.dims import Dim, Shape
from exprgrad.graph.dtype import DType, bool_, float64
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Constant, Tensor, apply

Bound = Mapping[Any, Any]
Condition = Callable[[Bound], bool]
Goal = tuple[Tensor, Tensor]

COMMUTATIVE = frozenset(
    {"add", "multiply", "maximum", "minimum"}
    | {"equal", "not_equal", "logical_and", "logical_or"}
)
REDUCTIONS = frozenset(("sum", "max", "min"))


def _variable(name: str, shape: Shape, dtype: DType) -> Tensor:
    return apply("input", (), (shape, dtype, name))


ROW = (Dim.named("n"),)

# Pattern variables: x, y, z match any node; a, b, c constants whose elements are all
# equal; p, q bool nodes. v, w stand for a node beside one that is reduced over some of
# its axes: the pattern's axis 0 means those axes, whichever they are.
x, y, z = (_variable(name, (), float64) for name in "xyz")
a, b, c = (_variable(name, (), float64) for name in "abc")
p, q = (_variable(name, (), bool_) for name in "pq")
v, w = (_variable(name, ROW, float64) for name in "vw")

CONSTANTS = frozenset((a, b, c))
VARIABLES = frozenset((x, y, z, a, b, c, p, q, v, w))


# What is seen of an argument at a glance: its operation, and whether it is one number.
Kind = tuple[str, bool]
Kinds = tuple[Kind, ...]


def kinds(node: Tensor) -> Kinds:
    """The kinds of the arguments of `node`."""
    return tuple((arg.op, uniform(arg) is not None) for arg in node.args)


def _any(given: Kinds) -> bool:
    return True


@dataclass(frozen=True, eq=False)
class Rule:
    """A rewrite of nodes whose operation is `op`; None where it does not apply, as
    everywhere where `fits` is false of the kinds of the arguments.
    """

    op: str
    rewrite: Callable[[Tensor], Tensor | None]
    label: str | Callable[[], str]
    fits: Callable[[Kinds], bool] = _any

    @cached_property
    def name(self) -> str:
        """What an error calls the rule."""
        return self.label if isinstance(self.label, str) else self.label()


@dataclass(frozen=True, eq=False)
class Row:
    """`left` becomes `right` where `when` holds of what the variables are bound to."""

    left: Tensor
    right: Tensor
    when: Condition | None = None

    def __str__(self) -> str:
        condition = f" where {self.when.__name__}" if self.when else ""
        return f"{self.left!r} -> {self.right!r}{condition}"

    def rule(self) -> Rule:
        """The row as a rule."""
        return Rule(self.left.op, self._rewrite, self.__str__, self._fits)

    def _fits(self, given: Kinds) -> bool:
        """Whether arguments of these kinds may match, as far as a glance tells."""
        wanted = [_wanted(arg) for arg in self.left.args]
        orders = (given, given[::-1]) if self.left.op in COMMUTATIVE else (given,)
        return any(all(map(_meets, wanted, order)) for order in orders)

    def _rewrite(self, node: Tensor) -> Tensor | None:
        bound = match(self.left, node)
        if bound is None or (self.when is not None and not self.when(bound)):
            return None
        return instantiate(self.right, self.left, node, bound)


NUMBER = "a number"


def _wanted(pattern: Tensor) -> str | None:
    """The operation that a pattern asks for, a number, or None where it takes any node."""
    inner = pattern.args[0] if pattern.op == "expand" else pattern
    if inner in CONSTANTS or uniform(pattern) is not None:
        return NUMBER
    return None if pattern in VARIABLES else pattern.op


def _meets(wanted: str | None, given: Kind) -> bool:
    op, number = given
    return wanted in (None, op) or (wanted == NUMBER and number)


def uniform(node: Tensor) -> bool | int | float | None:
    """The number that all elements of a constant are, also when it is expanded."""
    while node.op in ("expand", "reshape"):
        node = node.args[0]
    if node.op != "constant" or node.shape:
        return None
    constant: Constant = node.params[0]
    value: bool | int | float = constant.array.item()
    return value


def match(pattern: Tensor, node: Tensor) -> Bound | None:
    """What the variables of `pattern` are when it is `node`; None when it is not.

    Arguments of commutative operations match in either order.
    """
    return _solve(((pattern, node),), {})


def _solve(goals: tuple[Goal, ...], bound: Bound) -> Bound | None:
    if not goals:
        return bound
    (pattern, node), *rest = goals
    if pattern.op == "expand" and pattern.args[0] in CONSTANTS:
        pattern = pattern.args[0]  # a constant is the same number in every shape
    if pattern in VARIABLES:
        more = _bind(pattern, node, bound)
        return None if more is None else _solve(tuple(rest), more)
    value = uniform(pattern)
    if value is not None:
        return _solve(tuple(rest), bound) if uniform(node) == value else None
    more = _bind_params(pattern, node, bound)
    if more is None:
        return None
    for args in _orders(node):
        found = _solve((*zip(pattern.args, args, strict=True), *rest), more)
        if found is not None:
            return found
    return None


def _orders(node: Tensor) -> Iterator[tuple[Tensor, ...]]:
    yield node.args
    if node.op in COMMUTATIVE and node.args[0] is not node.args[1]:
        yield node.args[::-1]


def _bind(variable: Tensor, node: Tensor, bound: Bound) -> Bound | None:
    if variable in bound:
        return bound if bound[variable] is node else None
    if variable in CONSTANTS and uniform(node) is None:
        return None
    if (variable.dtype is bool_) != (node.dtype is bool_):
        return None
    return {**bound, variable: node}


def _bind_params(pattern: Tensor, node: Tensor, bound: Bound) -> Bound | None:
    if pattern.op != node.op or len(pattern.args) != len(node.args):
        return None
    if pattern.op in REDUCTIONS:
        axes = node.params[0]
    elif pattern.op == "expand":
        axes = node.params[1]
    else:
        return bound if pattern.params == node.params else None
    if bound.get("axes", axes) != axes:
        return None
    return {**bound, "axes": axes}


def instantiate(right: Tensor, left: Tensor, node: Tensor, bound: Bound) -> Tensor:
    """`right` with its variables replaced, at the shapes and the dtype of `node`."""
    shapes = _shapes(left, node, bound)
    dtype = _float_type(left, node, bound)
    image: dict[Tensor, Tensor] = {}
    for part in walk([right]):
        value = uniform(part)
        if part in CONSTANTS:
            image[part] = _number(bound[part], shapes[part.shape])
        elif part in VARIABLES:
            image[part] = bound[part]
        elif value is not None:
            exact = bool_ if part.dtype is bool_ else dtype
            image[part] = like_shape(shapes[part.shape], value, exact)
        else:
            args = tuple(image[arg] for arg in part.args)
            image[part] = apply(part.op, args, _params(part, shapes, bound))
    return image[right]


def _number(node: Tensor, shape: Shape) -> Tensor:
    value = uniform(node)
    assert value is not None
    return like_shape(shape, value, node.dtype)


def like_shape(shape: Shape, value: bool | int | float, dtype: DType) -> Tensor:
    """A constant of `shape` whose elements are all `value`."""
    scalar = apply("constant", (), (Constant(value, dtype),))
    if not shape:
        return scalar
    return apply("expand", (scalar,), (shape, tuple(range(len(shape)))))


def _shapes(left: Tensor, node: Tensor, bound: Bound) -> dict[Shape, Shape]:
    if "axes" not in bound:
        return {(): node.shape, ROW: node.shape}
    whole = bound[v].shape
    reduced = tuple(n for i, n in enumerate(whole) if i not in bound["axes"])
    return {ROW: whole, (): reduced}


def _float_type(left: Tensor, node: Tensor, bound: Bound) -> DType:
    """The type that float64 of the pattern stands for."""
    if left.dtype is not bool_:
        return node.dtype
    numbers = [t.dtype for t in bound.values() if isinstance(t, Tensor)]
    return next((dtype for dtype in numbers if dtype is not bool_), node.dtype)


def _params(
    part: Tensor, shapes: Mapping[Shape, Shape], bound: Bound
) -> tuple[Any, ...]:
    if part.op in REDUCTIONS:
        return (bound["axes"],)
    if part.op == "expand":
        return (shapes[part.shape], bound["axes"])
    return part.params
