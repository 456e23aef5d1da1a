"""The update rule of an optimizer as mathematics, read from the rule itself.

The rule is asked for the step of a parameter θ with gradient g; hyper-parameters and
states bear the letters of the papers, and a prime is the value after the step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sympy import Symbol, pretty

from exprgrad.errors import GraphError
from exprgrad.graph.dims import Shape
from exprgrad.graph.dtype import float64
from exprgrad.graph.elementwise import expm1, log, pow
from exprgrad.graph.leaves import input, parameter
from exprgrad.graph.mode import replaced
from exprgrad.graph.show import definitions
from exprgrad.graph.tensor import Tensor
from exprgrad.inspect.latex import symbol
from exprgrad.inspect.math import to_latex
from exprgrad.rewrite.fixpoint import Rules, fixpoint
from exprgrad.rewrite.match import Row, x, y
from exprgrad.train.hyper import Part
from exprgrad.train.optim import Chain
from exprgrad.train.rule import Optimizer, Updates
from exprgrad.train.transform import GradientTransform

# The letters of hyper-parameters and states; what has none keeps its name.
LETTERS = {
    "learning_rate": "eta",
    "momentum": "mu",
    "dampening": "tau",
    "weight_decay": "lambda",
    "momentum_decay": "psi",
    "limit": "c",
    "velocity": "v",
    "total": "G",
    "squares": "r",
    "deltas": "D",
    "mean": "m",
    "first": "m",
    "second": "v",
    "largest": "w",
    "norm": "u",
    "product": "Pi",
    "average": "a",
    "way": "d",
    "rate": "alpha",
}
# What a rule spells for the sake of rounding or speed, and how papers write it.
PLAIN = Rules(
    Row(left, right).rule()
    for left, right in (
        (-expm1(x * log(y)), 1 - pow(y, x)),
        (1 - (1 - x), x),
        (x * (1 / y), x / y),
    )
)
GREEK = r"\b(theta|eta|mu|tau|rho\d*|alpha|beta1|beta2|gamma|epsilon|lambda|psi|Pi)\b"


@dataclass(frozen=True)
class Formula:
    """The lines of an update rule: prints as text, shows as LaTeX in a notebook.

    `lines` maps each symbol to the expression of its value after the step; `point` is
    where the gradient g is taken, None where that is θ.
    """

    point: Tensor | None
    lines: Mapping[str, Tensor]

    @property
    def latex(self) -> str:
        """The lines in LaTeX, aligned."""
        rows = [(symbol(name), to_latex(line)) for name, line in self.lines.items()]
        if self.point is not None:
            rows.insert(0, ("g", rf"\nabla J\left({to_latex(self.point)}\right)"))
        text = " \\\\\n".join(f"{left} &= {right}" for left, right in rows)
        return f"\\begin{{aligned}}\n{text}\n\\end{{aligned}}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"

    def __str__(self) -> str:
        rows = definitions(self.lines)
        if self.point is not None:
            ((_, point),) = definitions({"g": self.point})
            rows.insert(0, ("g", f"∇J({point})"))
        return "\n".join(_lettered(f"{left} = {right}") for left, right in rows)

    def __repr__(self) -> str:
        return str(self)


def formula(optimizer: Optimizer, shape: tuple[int, ...] = ()) -> Formula:
    r"""The update rule of `optimizer`, symbolically: print it, or take its `latex`.

    θ is a parameter of `shape`, θ' its value after the step, g the gradient of the loss
    J, t the number of the update, from 1. Raises `GraphError` for what has no rule of
    its own.

    >>> import exprgrad as eg
    >>> rule = eg.formula(eg.optim.Momentum())
    >>> print(rule)
    v' = μ * v + g
    θ' = θ - η * v'
    >>> print(rule.latex)
    \begin{aligned}
    v' &= \mu \, v + g \\
    \theta' &= \theta - \eta \, v'
    \end{aligned}
    """
    if not isinstance(optimizer, Optimizer):
        raise GraphError(f"formula takes an optimizer, not {optimizer!r}")
    rule = optimizer.forgetful()
    parts = rule.parts if isinstance(rule, Chain) else (rule,)
    letters = {node: letter for part in parts for node, letter in _letters(part)}
    theta, gradient = parameter("theta", shape, dtype=float64), _letter("g", shape)
    loss = _letter("J")
    lines: dict[str, Tensor] = {}
    for part in parts:
        if isinstance(part, GradientTransform):
            (changed,) = part.gradients([theta], [gradient])
            gradient = _letter(f"{gradient.name}'", shape)
            lines[gradient.name] = _written(changed, letters)
    rest = Chain(*(p for p in parts if not isinstance(p, GradientTransform)))
    points, updates = rule.points([theta]), rest.changes([theta], [gradient], loss)
    for part in parts:
        updates.pop(part.count, None)
    letters |= {n: _letter(_short(n.name), n.shape) for n in updates if n is not theta}
    point = _written(points[theta], letters) if points else None
    return Formula(point, {**lines, **_updated(updates, theta, letters)})


def _updated(updates: Updates, theta: Tensor, letters: Updates) -> dict[str, Tensor]:
    """The new value of each state and of θ, in which earlier ones are letters."""
    lines: dict[str, Tensor] = {}
    known = dict(letters)
    for node, new in updates.items():
        name = f"{letters.get(node, theta).name}'"
        lines[name] = _written(new, known)
        if new.args:  # a state that remembers θ or g is no other letter for it
            known[new] = _letter(name, node.shape)
    return lines


def _letters(part: Part) -> Iterator[tuple[Tensor, Tensor]]:
    """The letter of each hyper-parameter, and t."""
    yield part.exact("t"), _letter("t")
    for name, node in part.hypers.items():
        if node is not None and node.op != "constant":
            yield node, _letter(LETTERS.get(name, name))


def _letter(name: str, shape: Shape = ()) -> Tensor:
    return input(name, shape, float64)


def _short(name: str) -> str:
    own = name.rpartition(".")[2]
    return LETTERS.get(own, own)


def _written(expression: Tensor, known: Updates) -> Tensor:
    """An expression in letters, as papers write it."""
    (found,) = fixpoint([replaced([expression], known)[expression]], PLAIN)
    return found


def _lettered(text: str) -> str:
    """The names of Greek letters as these letters: beta1 is β₁."""
    return re.sub(GREEK, lambda name: str(pretty(Symbol(name[0]), use_unicode=True)), text)
