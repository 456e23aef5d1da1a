"""The most bytes that live at one time, as a formula of run-time sizes.

Each phase needs the sum of the buffers that live in it, a polynomial; the most of all
phases is the largest polynomial, or several of which the sizes decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exprgrad.graph import dims as sizes
from exprgrad.graph.dims import Dim, Size, count
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.ir import Buffer
from exprgrad.loop.memory import Life


@dataclass(frozen=True, slots=True)
class Bytes:
    """The largest of some polynomials of run-time sizes."""

    of: tuple[Size, ...]

    def at(self, dims: Mapping[str, int]) -> int:
        """The number that it is for sizes."""
        return max((sizes.evaluate(size, dims) for size in self.of), default=0)

    def names(self) -> set[str]:
        """The sizes that it depends on."""
        return set().union(*map(sizes.names, self.of))

    def __str__(self) -> str:
        if len(self.of) > 1:
            return f"max({', '.join(map(str, self.of))})"
        return str(self.of[0]) if self.of else "0"


def together(arrays: Iterable[Buffer | Tensor]) -> Bytes:
    """The bytes of arrays that live at the same time."""
    return Bytes((_sum(arrays),))


def peak(needed: Sequence[Life]) -> Bytes:
    """The most bytes that temporaries hold at one time."""
    ends = {life.last for life in needed}
    found: list[Size] = []
    for phase in sorted(ends):
        total = _sum(life.buffer for life in needed if life.first <= phase <= life.last)
        if not any(_at_least(other, total) for other in found):
            found = [other for other in found if not _at_least(total, other)]
            found.append(total)
    return Bytes(tuple(found))


def _sum(arrays: Iterable[Buffer | Tensor]) -> Size:
    total: Size = 0
    for array in arrays:
        total = total + count(array.shape) * array.dtype.size
    return total


def _at_least(a: Size, b: Size) -> bool:
    """Whether a >= b however the sizes are, each 1 or more."""
    rest = a - b
    if not isinstance(rest, Dim):
        return rest >= 0
    constant = sum(n for monomial, n in rest.terms if not monomial)
    grows = [n for monomial, n in rest.terms if monomial]
    plain = all(isinstance(atom, str) for monomial, _ in rest.terms for atom in monomial)
    return min(grows) >= 0 and constant + (sum(grows) if plain else 0) >= 0
