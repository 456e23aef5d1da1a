"""Programs compiled for a test, run as they are, and held to the oracle of NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from exprgrad.backend.target import Target
from exprgrad.graph import dims as sizes
from exprgrad.graph.evaluate import dims_of, evaluate
from exprgrad.graph.tensor import Tensor
from exprgrad.loop import phases
from exprgrad.runtime.compile import Request, compile_request
from exprgrad.runtime.program import Program

Array = NDArray[Any]
Values = Mapping[Tensor, Any]
FRESH = 77  # what memory holds before a program writes to it
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


@contextmanager
def settings(*, parallel: bool = False, claims: bool = False) -> Iterator[None]:
    """Nothing is kept on disk; with `parallel` threads divide even the least work, with
    `claims` they take parts of it one after another.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPRGRAD_CACHE", "0")
        patch.setenv("EXPRGRAD_CHECK", "1")
        limits = {"PARALLEL_WORK": parallel, "CLAIMED_WORK": claims, "MANY": claims}
        for limit in (name for name, is_lifted in limits.items() if is_lifted):
            patch.setattr(phases, limit, 0)
        yield


def compiled(
    outputs: Sequence[Tensor],
    updates: Mapping[Tensor, Tensor] | None = None,
    target: Target | None = None,
    parallel: bool = False,
    claims: bool = False,
) -> Program:
    """The native program of `outputs` and `updates`."""
    with settings(parallel=parallel, claims=claims):
        return Program(compile_request(Request(outputs, updates or {}), target))


def as_arrays(values: Values) -> dict[Tensor, Array]:
    """Values as contiguous arrays of their tensor's type."""
    return {
        node: np.require(value, node.dtype.numpy, ["C"])
        for node, value in values.items()
    }


def native(
    program: Program,
    values: Values,
    dims: Mapping[str, int] | None = None,
    threads: int = 1,
) -> list[Array]:
    """What a run of the program gives."""
    arrays = as_arrays(values)
    known = {**dims_of(arrays), **(dims or {})}
    outputs = [
        np.full([sizes.evaluate(n, known) for n in b.shape], FRESH, b.dtype.numpy)
        for b in program.compiled.outputs
    ]
    inputs = [arrays[node] for node in program.inputs]
    program.run(inputs, known, outputs, threads=threads)
    return outputs


def stepped(
    program: Program,
    states: Sequence[Tensor],
    values: Values,
    dims: Mapping[str, int] | None = None,
    threads: int = 1,
) -> list[Array]:
    """Outputs of a run and the new values of `states`, which get their old ones back."""
    before = [np.array(state.value) for state in states]
    outputs = native(program, values, dims, threads)
    after = [np.array(state.value) for state in states]
    for state, value in zip(states, before, strict=True):
        state.value = value
    return [*outputs, *after]


def assert_close(
    found: Array, expected: Array, scale: float = 1, what: str = ""
) -> None:
    """Equal type and shape; equal values, floats up to the tolerance of their type."""
    assert found.dtype == expected.dtype, what
    assert found.shape == expected.shape, what
    tolerance = scale * TOLERANCE.get(str(expected.dtype), 0)
    np.testing.assert_allclose(found, expected, tolerance, tolerance, err_msg=what)


def assert_same_bits(first: Sequence[Array], second: Sequence[Array]) -> None:
    """Equal to the last bit, zeros' signs and NaN included."""
    for n, (a, b) in enumerate(zip(first, second, strict=True)):
        assert a.tobytes() == b.tobytes(), f"result {n} differs in its bits"


def assert_right(
    outputs: Sequence[Tensor],
    values: Values,
    updates: Mapping[Tensor, Tensor] | None = None,
    dims: Mapping[str, int] | None = None,
    scale: float = 1,
) -> None:
    """Compiled for one thread and for many, run by one and by two: NumPy's values."""
    changes = dict(updates or {})
    expected = evaluate([*outputs, *changes.values()], values, dims)
    for parallel in (False, True):
        program = compiled(outputs, changes, parallel=parallel)
        results = [stepped(program, list(changes), values, dims, n) for n in (1, 2)]
        assert_same_bits(*results)
        for n, (found, wanted) in enumerate(zip(results[0], expected, strict=True)):
            assert_close(found, wanted, scale, f"result {n}")
