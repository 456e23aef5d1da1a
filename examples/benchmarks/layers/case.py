"""A small program as both libraries spell it, and functions of arrays made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

import numpy as np
from numpy.typing import NDArray

import exprgrad as eg

Array = NDArray[Any]
Shape = tuple[Any, ...]
Run = Callable[..., Sequence[Any]]


@dataclass(frozen=True)
class Case:
    """`ours(*tensors)` and `theirs(torch, *tensors)` are the same of arrays of `shapes`.

    A size "rows" is named in ours, and `rows` in the arrays. Where `below` has a number,
    the array holds integers below it. Of a block `ours` is a loss, and the gradient is
    that of the arrays from number `first` on, its parameters.
    """

    name: str
    shapes: tuple[Shape, ...]
    ours: Callable[..., eg.Tensor]
    theirs: Callable[..., Any]
    below: tuple[int | None, ...] = ()
    rows: int = 0
    first: int = 0
    scale: float = 1.0

    def inputs(self) -> list[eg.Tensor]:
        """An input for each array."""
        kinds = ["int64" if n else "float32" for n in self._below()]
        made = zip(ascii_lowercase, self.shapes, kinds, strict=False)
        return [eg.input(name, shape, kind) for name, shape, kind in made]

    def arrays(self) -> list[Array]:
        """Random values, the same at each call."""
        rng = np.random.default_rng(0)
        shapes = [tuple(self.rows if n == "rows" else n for n in s) for s in self.shapes]
        return [
            rng.integers(0, below, shape)
            if below
            else (self.scale * rng.normal(size=shape)).astype(np.float32)
            for shape, below in zip(shapes, self._below(), strict=True)
        ]

    def varied(self) -> list[int]:
        """The numbers of the arrays with respect to which a gradient is taken."""
        return [n for n, below in enumerate(self._below()) if not below and n >= self.first]

    def _below(self) -> tuple[int | None, ...]:
        return self.below or (None,) * len(self.shapes)


def ours(case: Case) -> tuple[Run, Run]:
    """The value, and its gradient: of a loss, or of the sum of the value's cubes."""
    inputs = case.inputs()
    value = case.ours(*inputs)
    slopes = eg.grad(_total(value), [inputs[n] for n in case.varied()])
    return eg.function(inputs, [value]), eg.function(inputs, slopes)


def theirs(case: Case, compiled: bool) -> tuple[Run, Run]:
    """The same by PyTorch, eager or by `torch.compile`."""
    import torch

    def spelled(*tensors: Any) -> Any:
        return case.theirs(torch, *tensors)

    if compiled:
        torch.compiler.reset()  # or it gives up at the ninth program
    forward = torch.compile(spelled) if compiled else spelled

    def value(*arrays: Array) -> Sequence[Any]:
        with torch.no_grad():
            return [forward(*map(torch.from_numpy, arrays))]

    def gradient(*arrays: Array) -> Sequence[Any]:
        tensors = [torch.from_numpy(array) for array in arrays]
        varied = [tensors[n].requires_grad_() for n in case.varied()]
        slopes: Sequence[Any] = torch.autograd.grad(_total(forward(*tensors)), varied)
        return slopes

    return value, gradient


def _total(value: Any) -> Any:
    """A loss as it is; else the sum of the cubes, to which each element adds its own slope."""
    return (value * value * value).sum() if len(value.shape) else value
