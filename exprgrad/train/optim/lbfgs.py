"""L-BFGS: Newton's direction, by what the last steps told of the curvature."""

# ruff: noqa: RUF002, RUF003 - the papers' Greek letters

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from exprgrad.errors import GraphError
from exprgrad.graph.dtype import float64
from exprgrad.graph.elementwise import abs, astype, both, equal, maximum, where
from exprgrad.graph.reduction import sum as total
from exprgrad.graph.tensor import Tensor
from exprgrad.train.hyper import Hyper, Option
from exprgrad.train.rule import Optimizer, Updates

Vector = list[Tensor]  # a tensor for each parameter; all of them are one vector


@dataclass(frozen=True)
class Pair:
    """A step s, the change y of the gradient along it, and ρ = 1 / s·y.

    Where all three are 0, as in states at first, the pair changes no direction.
    """

    s: Vector
    y: Vector
    rho: Tensor


# New values of the states, the pairs among them from the newest on, and γ = s·y / y·y.
_Memory = tuple[Updates, list[Pair], Tensor]


class LBFGS(Optimizer):
    """Steps along -H g, where the last m steps make H, which is near the inverse Hessian.

    Nocedal and Wright 2006, Numerical optimization, algorithms 7.4 and 7.5 (Liu and
    Nocedal 1989, On the limited memory BFGS method), at a fixed rate in place of a search
    along the line: 1 is Newton's, a loss far from a quadratic needs less. As PyTorch's
    with `max_iter=1`, without its tolerances: the first rate is η min(1, 1/‖g‖₁), and a
    pair whose s·y is not above ε is left out. Parameters of whatever shapes are one
    vector of n elements; the states are 2 m + 2 such vectors.

    For `batch_size=None`: gradients of different batches differ by more than the step
    between them, y is noise, γ falls to nothing, and the walk stands still far from a
    minimum. Raises `GraphError` unless m, the `history_size`, is an integer of at least 1.

    >>> import exprgrad as eg
    >>> w = eg.parameter("w", (2,), init=[3.0, 1.0])
    >>> loss = (w * w).sum()
    >>> step = eg.function([], loss, LBFGS(history_size=3).updates(loss))
    >>> [round(float(step()), 6) for _ in range(3)]
    [10.0, 5.625, 0.0]
    """

    learning_rate: Hyper = 1.0
    epsilon: Hyper = 1e-10
    history_size: Option = 10

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        size = self.history_size
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise GraphError(
                f"history_size of LBFGS, the number of steps that it remembers, is an "
                f"integer of at least 1, not {size!r}"
            )

    def changes(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], loss: Tensor
    ) -> Updates:
        """θ' = θ - η H' g"""
        theta, g = list(parameters), list(gradients)
        before = [self.state("before", like=p) for p in theta]
        slope = [self.state("slope", like=p) for p in theta]
        states, pairs, gamma = self._remembered(
            theta, minus(theta, before), minus(g, slope)
        )
        step = scaled(self._rate(g), two_loops(g, pairs, gamma))
        states |= zip([*before, *slope], [*theta, *g], strict=True)
        states |= zip(theta, minus(theta, step), strict=True)
        return states | {self._count: self._count + 1}

    def _rate(self, gradient: Vector) -> Tensor:
        """η, at the first step η min(1, 1/‖g‖₁)."""
        first = equal(self.exact("t"), 1.0)
        shortened = 1 / maximum(summed([abs(part) for part in gradient]), 1.0)
        return self.exact("learning_rate") * where(first, shortened, 1.0)

    def _remembered(self, theta: Vector, s: Vector, y: Vector) -> _Memory:
        """The memory after step s, which is left out unless s·y is above ε."""
        held = [self._held(i, theta) for i in range(1, self.history_size + 1)]
        gamma = self.state("gamma", init=1.0, dtype=float64)
        curvature = dot(s, y)
        curved = both(self.exact("t") > 1, curvature > self.exact("epsilon"))
        newest = Pair(s, y, 1 / curvature)
        pairs = [chosen(curved, *two) for two in pairwise([newest, *held])]
        states: Updates = {gamma: where(curved, curvature / dot(y, y), gamma)}
        for old, new in zip(held, pairs, strict=True):
            states |= zip(parts(old), parts(new), strict=True)
        return states, pairs, states[gamma]

    def _held(self, i: int, theta: Vector) -> Pair:
        """The states of the i-th pair from the newest."""
        return Pair(
            [self.state(f"s{i}", like=p) for p in theta],
            [self.state(f"y{i}", like=p) for p in theta],
            self.state(f"rho{i}", dtype=float64),
        )


def two_loops(gradient: Vector, pairs: Sequence[Pair], gamma: Tensor) -> Vector:
    """H g, where H is γ times the identity, corrected by each pair; newest first."""
    found, alphas = gradient, []
    for pair in pairs:
        alphas.append(pair.rho * dot(pair.s, found))
        found = minus(found, scaled(alphas[-1], pair.y))
    found = scaled(gamma, found)
    for pair, alpha in zip(reversed(pairs), reversed(alphas), strict=True):
        beta = pair.rho * dot(pair.y, found)
        found = plus(found, scaled(alpha - beta, pair.s))
    return found


def chosen(condition: Tensor, a: Pair, b: Pair) -> Pair:
    """Pair `a` where the condition holds, else `b`."""
    s, y = (
        [where(condition, *two) for two in zip(left, right, strict=True)]
        for left, right in ((a.s, b.s), (a.y, b.y))
    )
    return Pair(s, y, where(condition, a.rho, b.rho))


def parts(pair: Pair) -> Vector:
    """All tensors of a pair."""
    return [*pair.s, *pair.y, pair.rho]


def plus(a: Vector, b: Vector) -> Vector:
    """a + b"""
    return [x + y for x, y in zip(a, b, strict=True)]


def minus(a: Vector, b: Vector) -> Vector:
    """a - b"""
    return [x - y for x, y in zip(a, b, strict=True)]


def scaled(factor: Tensor, a: Vector) -> Vector:
    """c a, where c is rounded to the dtype of each part."""
    return [astype(factor, x.dtype) * x for x in a]


def dot(a: Vector, b: Vector) -> Tensor:
    """The inner product of two vectors, a float64."""
    return summed([x * y for x, y in zip(a, b, strict=True)])


def summed(a: Vector) -> Tensor:
    """The sum of all elements of a vector, a float64."""
    sums = [astype(total(x), float64) for x in a]
    return sum(sums[1:], start=sums[0])
