"""What L-BFGS remembers: pairs of a step and the change of the gradient along it."""

# ruff: noqa: RUF002 - the papers' Greek letters

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from exprgrad.graph.dtype import float64
from exprgrad.graph.elementwise import astype, where
from exprgrad.graph.reduction import sum as total
from exprgrad.graph.tensor import Tensor

Vector = list[Tensor]  # a tensor for each parameter; all of them are one vector


@dataclass(frozen=True)
class Pair:
    """A step s, the change y of the gradient along it, and ρ = 1 / s·y.

    Where ρ is 0, as in states at first, the pair changes no direction.
    """

    s: Vector
    y: Vector
    rho: Tensor

    @property
    def tensors(self) -> Vector:
        """All tensors of the pair, in one row."""
        return [*self.s, *self.y, self.rho]

    def instead(self, condition: Tensor, other: Pair) -> Pair:
        """This pair where the condition holds, else the other."""
        s, y = chosen(condition, self.s, other.s), chosen(condition, self.y, other.y)
        return Pair(s, y, where(condition, self.rho, other.rho))


@dataclass(frozen=True)
class Memory:
    """Pairs from the newest on, and γ = s·y / y·y of the newest, at first 1."""

    pairs: list[Pair]
    gamma: Tensor

    @property
    def tensors(self) -> Vector:
        """All tensors of the memory, in one row."""
        return [self.gamma, *(x for pair in self.pairs for x in pair.tensors)]

    def after(self, condition: Tensor, s: Vector, y: Vector, least: Tensor) -> Memory:
        """With the pair of step s, where the condition holds and s·y is above `least`."""
        curvature = dot(s, y)
        curved = condition & (curvature > least)
        newest = Pair(s, y, 1 / curvature)
        pairs = [new.instead(curved, p) for new, p in pairwise([newest, *self.pairs])]
        return Memory(pairs, where(curved, curvature / dot(y, y), self.gamma))

    def without(self, condition: Tensor) -> Memory:
        """With no pair, where the condition holds."""
        pairs = [Pair(p.s, p.y, where(condition, 0.0, p.rho)) for p in self.pairs]
        return Memory(pairs, where(condition, 1.0, self.gamma))


def two_loops(gradient: Vector, memory: Memory) -> Vector:
    """H g, where H is γ times the identity, corrected by each pair."""
    found, alphas = gradient, []
    for pair in memory.pairs:
        alphas.append(pair.rho * dot(pair.s, found))
        found = minus(found, scaled(alphas[-1], pair.y))
    found = scaled(memory.gamma, found)
    for pair, alpha in zip(reversed(memory.pairs), reversed(alphas), strict=True):
        beta = pair.rho * dot(pair.y, found)
        found = plus(found, scaled(alpha - beta, pair.s))
    return found


def chosen(condition: Tensor, a: Vector, b: Vector) -> Vector:
    """Vector `a` where the condition holds, else `b`."""
    return [where(condition, x, y) for x, y in zip(a, b, strict=True)]


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
