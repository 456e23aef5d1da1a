"""Where the value of a parameter or a state lives, outside the immutable graph."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from exprgrad.errors import GraphError, ShapeError
from exprgrad.graph.dtype import DType
from exprgrad.graph.turn import Turn

Array = NDArray[np.generic]
# Bytes of a line of the cache, and of a page of memory.
LINE, PAGE = 64, 4096
CHUNK = 1 << 20
_numbers = itertools.count()


class Initializer(Protocol):
    """A function from shape and random generator to first values."""

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """First values of `shape`."""


class Arena:
    """Hands out aligned arrays, one after another, from large chunks of memory.

    Parameters made one after another lie one after another. A chunk is freed when no
    array in it is alive.
    """

    def __init__(self) -> None:
        self._chunk = np.empty(0, np.uint8)
        self._used = 0

    def take(self, shape: tuple[int, ...], dtype: DType) -> Array:
        """A zeroed array that begins with a line of the cache, a vector of more than a page
        with the last line of one.

        A processor tells by the last twelve bits of two addresses whether a read needs what
        was stored just before. Vectors are gone through side by side, with arrays of NumPy's
        among them, which begin 16 bytes behind the beginning of a page when they are large:
        one that is written should begin at the same place as those, or a little before.
        """
        nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.size
        step = PAGE if len(shape) == 1 and nbytes > PAGE else LINE
        start = self._begin(step)
        if start + nbytes > self._chunk.size:
            self._chunk, self._used = np.zeros(max(CHUNK, nbytes + step), np.uint8), 0
            start = self._begin(step)
        self._used = start + nbytes
        return self._chunk[start : start + nbytes].view(dtype.numpy).reshape(shape)

    def _begin(self, step: int) -> int:
        """The next place that lies a line before a multiple of `step`."""
        address = self._chunk.ctypes.data + self._used
        return self._used + (-LINE - address) % step


_arena = Arena()


class Cell:
    """The memory of one parameter or state; made when first needed."""

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: DType,
        init: Initializer,
        seed: int,
    ) -> None:
        self.name = name
        self.number = next(_numbers)
        self._make: Callable[..., Array] = lambda *anew: init(
            shape, _generator(name, seed, *anew)
        )
        self._shape = shape
        self._dtype = dtype
        self._array: Array | None = None
        # Held by a program that updates states while it reads or writes this one.
        self.turn = Turn()
        # What gave a loss of this state and its update, which belong together.
        self.moved_by: str | None = None

    @property
    def array(self) -> Array:
        """The value itself, not a copy: compiled steps write to this memory."""
        if self._array is None:
            first = self._first()
            array = _arena.take(self._shape, self._dtype)
            array[...] = first
            self._array = array
        return self._array

    def assign(self, value: object) -> None:
        """Overwrite the value in place; the shape must be the same."""
        given = np.asarray(value)
        if given.shape != self._shape:
            raise ShapeError(
                f"{self.name} has shape {self._shape}, and {given.shape} was assigned"
            )
        self.array[...] = given

    def reset(self, seed: int | None = None) -> None:
        """Give the cell its first value again, or with `seed` another first draw."""
        self.array[...] = self._first(*([] if seed is None else [seed]))

    def _first(self, *anew: int) -> Array:
        made = self._make(*anew)
        if callable(made):
            raise GraphError(
                f"init of {self.name} gave a function where it gives an array; an "
                f"initialiser is called once to be made, as in eg.init.he_normal()"
            )
        first = np.asarray(made, self._dtype.numpy)
        if first.shape != self._shape:
            raise ShapeError(
                f"{self.name} has shape {self._shape}, but its init gave {first.shape}"
            )
        return first


def _generator(name: str, *seeds: int) -> np.random.Generator:
    first, *anew = seeds
    return np.random.default_rng([first, zlib.crc32(name.encode()), *anew])
