"""Sizes of axes: plain integers, and named dimensions that are known at run time.

A `Dim` is a polynomial with integer coefficients over atoms; an atom is a name or a
floor division. Plain integers never become a `Dim`, so that most shapes are tuples of
int. (SymPy would do this too, at half a second of import for every program.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from exprgrad.errors import ShapeError


@dataclass(frozen=True, slots=True)
class FloorDiv:
    """The atom `top // bottom`."""

    top: Dim
    bottom: int

    def __str__(self) -> str:
        top = str(self.top)
        return f"({top if top.isidentifier() else f'({top})'} // {self.bottom})"


Atom = str | FloorDiv
Monomial = tuple[Atom, ...]


@dataclass(frozen=True, slots=True)
class Dim:
    """A size that is known at run time, such as `batch` or `2*batch + 1`."""

    terms: tuple[tuple[Monomial, int], ...]

    @staticmethod
    def named(name: str) -> Dim:
        """The dimension called `name`."""
        return Dim((((name,), 1),))

    def __add__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):
            return NotImplemented
        return self if other == 0 else _collect([*self.terms, *_terms(other)])

    def __mul__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):
            return NotImplemented
        if isinstance(other, int):
            return Dim(tuple((m, n * other) for m, n in self.terms)) if other else 0
        return _collect(
            [
                (tuple(sorted(a + b, key=str)), m * n)
                for a, m in self.terms
                for b, n in other.terms
            ]
        )

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):
            return NotImplemented
        return self + other * -1

    def __rsub__(self, other: int) -> Size:
        return self * -1 + other

    def __floordiv__(self, other: int) -> Size:
        if all(n % other == 0 for _, n in self.terms):
            return _collect([(m, n // other) for m, n in self.terms])
        return Dim((((FloorDiv(self, other),), 1),))

    __radd__ = __add__
    __rmul__ = __mul__

    def __str__(self) -> str:
        parts = [
            "*".join([*([str(n)] if n != 1 or not m else []), *map(str, m)])
            for m, n in self.terms
        ]
        return " + ".join(parts).replace("+ -", "- ")

    __repr__ = __str__


Size = int | Dim
Shape = tuple[Size, ...]


def _terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    return size.terms if isinstance(size, Dim) else (((), size),)


def _collect(terms: list[tuple[Monomial, int]]) -> Size:
    total: dict[Monomial, int] = {}
    for monomial, n in terms:
        total[monomial] = total.get(monomial, 0) + n
    kept = tuple(sorted(((m, n) for m, n in total.items() if n), key=_printing_order))
    if all(not m for m, _ in kept):
        return sum(n for _, n in kept)
    return Dim(kept)


def _printing_order(term: tuple[Monomial, int]) -> tuple[bool, str]:
    return not term[0], str(term[0])


def as_size(size: object) -> Size:
    """The size meant by an integer, a `Dim`, or a name."""
    if isinstance(size, Dim):
        return size
    if isinstance(size, str) and size.isidentifier():
        return Dim.named(size)
    try:
        n = int(size.__index__())  # type: ignore[attr-defined]
    except AttributeError:
        raise ShapeError(f"a size is an integer or a name, not {size!r}") from None
    if n < 0:
        raise ShapeError(f"a size is not negative, but {n} was given")
    return n


def names(size: Size) -> set[str]:
    """The names that `size` depends on."""
    found: set[str] = set()
    for monomial, _ in size.terms if isinstance(size, Dim) else ():
        for atom in monomial:
            found |= {atom} if isinstance(atom, str) else names(atom.top)
    return found


def evaluate(size: Size, dims: Mapping[str, int]) -> int:
    """The integer that `size` is when each name has its value of `dims`."""
    if isinstance(size, int):
        return size
    return sum(
        n * prod(_atom_value(atom, dims) for atom in monomial)
        for monomial, n in size.terms
    )


def _atom_value(atom: Atom, dims: Mapping[str, int]) -> int:
    if isinstance(atom, str):
        return dims[atom]
    return evaluate(atom.top, dims) // atom.bottom


def count(shape: Shape) -> Size:
    """The number of elements of an array of `shape`."""
    total: Size = 1
    for size in shape:
        total = total * size
    return total


def show(shape: Shape) -> str:
    """A shape as listings print it.

    >>> show((Dim.named("batch"), 64))
    '[batch, 64]'
    """
    return "[" + ", ".join(map(str, shape)) + "]"
