"""Calling a compiled expression: arrays in, arrays out, states updated in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from exprgrad.errors import DTypeError, GraphError, InputError, ShapeError
from exprgrad.graph.check import demands
from exprgrad.graph.elementwise import as_tensor
from exprgrad.graph.leaves import step
from exprgrad.graph.node import walk
from exprgrad.graph.precision import decided
from exprgrad.graph.show import listing, new_values
from exprgrad.graph.tensor import Tensor
from exprgrad.runtime.arguments import (
    as_array,
    bind,
    line_of,
    require_demands,
    require_finite,
    require_known_names,
)
from exprgrad.runtime.footprint import Footprint
from exprgrad.runtime.program import Array, Call, compile_graph
from exprgrad.runtime.report import Stage

Outputs = Any  # a Tensor, a list, a tuple or a dict of them, or None
Updates = Mapping[Tensor, Any]


class Function:
    """A compiled expression, made by `function`; any number of threads may call it.

    `inputs`, `outputs` and `updates` are the expressions it was made of.
    """

    def __init__(
        self,
        inputs: Sequence[Tensor],
        outputs: Outputs,
        updates: dict[Tensor, Tensor],
        training: bool,
        check_finite: bool,
        precision: str,
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = outputs
        self.updates = updates
        self.training = training
        self.check_finite = check_finite
        self._names = tuple(node.name for node in self.inputs)
        flat, self._rebuild = _flattened(outputs)
        roots = [*flat, *updates.values()]
        image = decided(roots, training, precision)
        results = [image[node] for node in flat]
        changes = {state: image[new] for state, new in updates.items()}
        self._demands = demands([*results, *changes.values()])
        self._program = compile_graph(self.inputs, results, changes)
        self._last: tuple[Any, dict[str, int]] = (None, {})

    @property
    def program(self) -> Call:
        """The compiled program, which `eg.explain` asks for its stages."""
        return self._program

    @property
    def notes(self) -> list[str]:
        """What the user should know: slower ways taken, and why."""
        return self._program.notes

    def report(self) -> list[Stage]:
        """The stages of its making: what was written, then what the compiler made."""
        _, *made = self._program.report()
        written = [Stage("graph", 0.0, lambda: listing(self._named()))]
        if self.updates:
            changes = new_values(self.updates)
            written.append(Stage("updates", 0.0, lambda: listing(changes)))
        return [*written, *made]

    def memory(self) -> Footprint:
        """The bytes that a call holds, as formulas of the sizes of its inputs; known
        before the first call: `f.memory().bytes(batch=64)`.
        """
        return self._program.memory()

    def _named(self) -> Mapping[str, Tensor] | list[Tensor]:
        return self.outputs if isinstance(self.outputs, Mapping) else _flattened(self.outputs)[0]

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Run once. Arguments stand in the order of `inputs`, or bear their names."""
        arrays, dims = self.bound(*values, **named)
        if self.check_finite:
            for name, array in zip(self._names, arrays, strict=True):
                require_finite(f"input {name}", array)
        results = self._program.run(arrays, dims)
        if self.check_finite:
            for i, array in enumerate(results):
                require_finite(f"output {i}", array)
        return self._rebuild(
            [array[()] if not array.ndim else array for array in results]
        )

    def bound(self, *values: Any, **named: Any) -> tuple[list[Array], dict[str, int]]:
        """The arguments of a call as arrays in the order of `inputs`, and the sizes that
        they give to named dimensions. Raises `InputError` where they do not fit.
        """
        if named or len(values) != len(self.inputs):
            values = self._ordered(values, named)
        arrays = list(map(as_array, self.inputs, values))
        shapes = tuple([array.shape for array in arrays])
        known, dims = self._last  # read once: another thread may call with other shapes
        if known != shapes:  # shapes that were right once are right
            dims = bind(self.inputs, arrays)
            require_demands(self._demands, dims)
            self._last = shapes, dims
        return arrays, dims

    def _ordered(self, values: Sequence[Any], named: Mapping[str, Any]) -> tuple[Any, ...]:
        if len(values) > len(self.inputs):
            raise InputError(
                f"{self} takes {len(self.inputs)} input{'s'[len(self.inputs) == 1:]} "
                f"({', '.join(self._names)}), but {len(values)} were given"
            )
        given = dict(zip(self._names, values, strict=False))
        for name, value in named.items():
            if name not in self._names:
                known = ", ".join(self._names) or "none"
                raise InputError(f"{self} has no input {name}; its inputs are: {known}")
            if name in given:
                raise InputError(f"input {name} was given twice, by place and by name")
            given[name] = value
        for node in self.inputs:
            if node.name not in given:
                raise InputError(f"{self} misses input {line_of(node)}")
        return tuple(given[name] for name in self._names)

    def __repr__(self) -> str:
        results = ", ".join(_types(self._named())) or "nothing"
        inputs = ", ".join(f"{node.name}: {node.type}" for node in self.inputs)
        changed = ", ".join(node.name for node in self.updates)
        return f"<function ({inputs}) -> {results}{changed and f', updates {changed}'}>"


def function(
    inputs: Tensor | Sequence[Tensor],
    outputs: Outputs = None,
    updates: Updates | None = None,
    *,
    training: bool | None = None,
    check_finite: bool = False,
    precision: str = "float32",
) -> Function:
    """Compile expressions to a native function of `inputs`.

    The result has the structure of `outputs`: a tensor, a list, a tuple, a dict, or
    None. Each call also gives every key of `updates`, a state or a parameter, its new
    value; all of them read the old values. Where `step` or a random number is read and
    `updates` are given, `step` counts the calls. `training` chooses the meaning of
    dropout and batch normalisation: training where there are updates, else inference.
    With `precision` "bfloat16" all products of float32 that are summed (matmul, einsum,
    convolution) are of factors rounded to bfloat16, added in float32.

    Arrays of the right dtype and layout are used in place; integers become floats and
    float64 becomes float32, but a float never becomes an integer. Results are fresh.

    Raises `GraphError` for an input that is used but not listed, `InputError` from the
    call where arrays do not fit, and `NonFiniteError` with `check_finite`.

    >>> import exprgrad as eg
    >>> x = eg.input("x", ("batch",))
    >>> f = eg.function([x], {"total": eg.sum(x)})
    >>> f.inputs
    (x: f32[batch],)
    """
    listed = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    flat, rebuild = _flattened(outputs)
    kept = rebuild([_expression(node) for node in flat])
    flat, _ = _flattened(kept)
    changes = _checked_updates(updates or {})
    roots = [*flat, *changes.values()]
    if changes and step not in changes and _counts(roots):
        changes[step] = step + 1
    _require_inputs(listed, roots)
    require_known_names(listed, roots)
    mode = bool(changes) if training is None else training
    return Function(listed, kept, changes, mode, check_finite, precision)


def _flattened(
    outputs: Outputs,
) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The tensors in `outputs`, and how to give a list of as many its structure."""
    if outputs is None:
        return [], lambda results: None
    if isinstance(outputs, Mapping):
        keys = list(outputs)
        return list(outputs.values()), lambda results: dict(
            zip(keys, results, strict=True)
        )
    if isinstance(outputs, list | tuple):
        # A named tuple is made of a list by a method of its own.
        return list(outputs), getattr(outputs, "_make", type(outputs))
    return [outputs], lambda results: results[0]


def _types(outputs: Mapping[str, Tensor] | list[Tensor]) -> list[str]:
    if isinstance(outputs, Mapping):
        return [f"{name}: {node.type}" for name, node in outputs.items()]
    return [str(node.type) for node in outputs]


def _expression(value: Any) -> Tensor:
    if isinstance(value, Tensor | np.ndarray | np.generic | bool | int | float):
        return as_tensor(value)
    raise GraphError(f"an output is an expression, not {type(value).__name__}")


def _checked_updates(updates: Updates) -> dict[Tensor, Tensor]:
    return {state: checked_update(state, new) for state, new in updates.items()}


def checked_update(state: Tensor, new: Any) -> Tensor:
    """`new` as an expression that fits the memory of `state`.

    Raises `GraphError`, `ShapeError` or `DTypeError`, which name the state.
    """
    if not isinstance(state, Tensor) or state.op not in ("state", "parameter"):
        given = state.op if isinstance(state, Tensor) else type(state).__name__
        raise GraphError(f"updates are of states and parameters, not of {given}")
    value = as_tensor(new, state)
    about = f"the update of {line_of(state)}"
    if value.shape != state.shape:
        raise ShapeError(f"{about} has its shape, but the expression is {value.type}")
    if value.dtype != state.dtype:
        raise DTypeError(
            f"{about} has its dtype, but the expression is {value.type}; use eg.astype"
        )
    return value


def _counts(roots: Sequence[Tensor]) -> bool:
    """Whether the value of `step` matters to `roots`."""
    return any(node is step or node.op == "random" for node in walk(roots))


def _require_inputs(inputs: Sequence[Tensor], roots: Sequence[Tensor]) -> None:
    seen: set[str] = set()
    for node in inputs:
        if not isinstance(node, Tensor) or node.op != "input":
            given = node.op if isinstance(node, Tensor) else type(node).__name__
            raise GraphError(
                f"inputs of a function are made by eg.input, not by {given}"
            )
        if node.name in seen:
            raise GraphError(f"input {node.name} is listed twice; names differ")
        seen.add(node.name)
    listed = set(inputs)
    for node in walk(roots):
        if node.op == "input" and node not in listed:
            raise GraphError(
                f"input {line_of(node)} is used by the outputs or the updates, but is "
                f"not among the inputs ({', '.join(sorted(seen)) or 'none'})"
            )
