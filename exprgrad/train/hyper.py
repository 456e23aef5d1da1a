"""What rules of training hold: hyper-parameters, options, variants, states, a counter."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Self, dataclass_transform

import numpy as np

from exprgrad.errors import GraphError, Where, user_line
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.dtype import DType
from exprgrad.graph.elementwise import astype
from exprgrad.graph.leaves import state, step
from exprgrad.graph.mode import replaced
from exprgrad.graph.show import definitions
from exprgrad.graph.tensor import Tensor

# The type of a field that is a number, an expression of `step`, or None: left out.
Hyper = Annotated[Any, "hyper-parameter"]
# The same, where a number is from 0 on; and where it is from 0 to below 1.
Amount = Annotated[Any, "hyper-parameter from 0"]
Fading = Annotated[Any, "hyper-parameter from 0 to below 1"]
# The type of a field that chooses between formulas, and is compiled into the step.
Option = Annotated[Any, "option"]

# Names of sources, and what each sets; the first is the default.
Variants = Mapping[str, Mapping[str, Any]]

_KINDS = {"Hyper": Hyper, "Amount": Amount, "Fading": Fading, "Option": Option}
# The numbers that a kind may be: in words, the least, and what they are below.
_RANGES = {
    "Amount": ("from 0 on", 0.0, math.nan),
    "Fading": ("from 0 to below 1", 0.0, 1.0),
}


class _Field:
    """A field as an attribute: a number is read as an expression, an option as it is."""

    def __init__(self, name: str, kind: str, default: Any) -> None:
        self.name = name
        self.kind = kind
        self.default = default

    def __get__(self, part: Part | None, owner: type) -> Any:
        if part is None:
            return self.default
        if self.kind == "Option":
            return part._options[self.name]
        held = part._hypers[self.name]
        return None if held is None else part.rounded(held)

    def __set__(self, part: Part, value: Any) -> None:
        part._assign(self.name, value)


@dataclass_transform()
class Part:
    """Base of optimizers and of what stands beside them in a chain.

    A field annotated `Hyper` is an argument, in the order of the class. A number becomes
    a scalar in memory: setting it later acts on the next step and compiles nothing. An
    expression of `eg.step` is a schedule; there, `step` is the number of updates that
    this part has made. None, where the class says so, leaves a term out of the formula.

    A field annotated `Amount` or `Fading` is one whose number is from 0 on, or from 0 to
    below 1. `Option` is an argument by name that chooses between formulas.
    `variants` names sources and what they set: `Adam(variant="keras")`.
    """

    fields: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[tuple[str, ...]] = ()
    variants: ClassVar[Variants] = {}

    def __init_subclass__(cls) -> None:
        """Turn the annotated fields into arguments and run-time scalars."""
        for name, annotation in inspect.get_annotations(cls).items():
            kind = _kind(annotation)
            if kind:
                default = cls.__dict__.get(name, inspect.Parameter.empty)
                setattr(cls, name, _Field(name, kind, default))
                known = "options" if kind == "Option" else "fields"
                setattr(cls, known, tuple(dict.fromkeys([*getattr(cls, known), name])))
        cls.__signature__ = _signature(cls)  # type: ignore[attr-defined]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = self._given(args, kwargs)
        self._where: Where = user_line()
        self._count = state("updates", dtype=dtypes.int64, init=0, seed=0)
        self._hypers: dict[str, Tensor | None] = {}
        self._options = {name: given.pop(name) for name in self.options}
        self._slots: dict[tuple[Tensor | None, str], Tensor] = {}
        self._dtype: DType | None = None
        self._variant = given.pop("variant", None)
        for name, value in given.items():
            self._assign(name, value)

    def _given(self, args: Any, kwargs: Any) -> dict[str, Any]:
        """The value of each field: as given, else of the variant, else of the class."""
        signature = inspect.signature(type(self))
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            name, known = type(self).__name__, ", ".join(signature.parameters) or "none"
            raise GraphError(
                f"{name}: {error}; its hyper-parameters: {known}"
            ) from error
        given = dict(bound.arguments)
        bound.apply_defaults()
        variant = bound.arguments.get("variant")
        return {**bound.arguments, **self._row(variant), **given}

    def _row(self, variant: str | None) -> Mapping[str, Any]:
        if not self.variants:
            return {}
        if variant is None or variant not in self.variants:
            known = ", ".join(map(repr, self.variants))
            raise GraphError(
                f"{type(self).__name__} has no variant {variant!r}; it has: {known}"
            )
        return self.variants[variant]

    @property
    def count(self) -> Tensor:
        """How many updates this part has made, an int64 state."""
        return self._count

    @property
    def hypers(self) -> Mapping[str, Tensor | None]:
        """Each hyper-parameter: a state, the expression of a schedule, or None."""
        return self._hypers

    @property
    def slots(self) -> tuple[Tensor, ...]:
        """The states made by `state`, in the order of their making."""
        return tuple(self._slots.values())

    def state(
        self,
        name: str,
        like: Tensor | None = None,
        init: float = 0.0,
        dtype: DType | None = None,
    ) -> Tensor:
        """A state of this part, of the shape and dtype of `like`, else a scalar.

        It is made once for each `like` and name; later calls give the same.
        """
        key = (like, name)
        if key not in self._slots:
            shape = like.shape if like is not None else ()
            own = like.dtype if like is not None else self._dtype
            exact = dtype or own or dtypes.float32
            full = f"{like.name}.{name}" if like is not None else name
            self._slots[key] = state(full, shape, init, exact)
        return self._slots[key]

    def exact(self, name: str) -> Tensor:
        """A hyper-parameter in float64; "t" is the number of this update, from 1."""
        if name == "t":
            return astype(self._count + 1, dtypes.float64)
        held = self._hypers[name]
        if held is None:
            raise GraphError(f"{name} of {type(self).__name__} is None: left out")
        return held

    def rounded(self, scalar: Tensor) -> Tensor:
        """`scalar` in the dtype of the parameter that is being updated."""
        return astype(scalar, self._dtype) if self._dtype else scalar

    def blended(self, name: str, old: Tensor, new: Tensor) -> Tensor:
        """h old + (1 - h) new, where h is the hyper-parameter `name`."""
        rest = self.rounded(1 - self.exact(name))
        return self.rounded(self.exact(name)) * old + rest * new

    def forgetful(self) -> Self:
        """The same rule and numbers, without the states of any parameter."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, _slots={})
        return twin

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and not hasattr(type(self), name):
            known = ", ".join(self.fields) or "none"
            raise GraphError(
                f"{type(self).__name__} has no hyper-parameter {name}; it has: {known}"
            )
        super().__setattr__(name, value)

    def _assign(self, name: str, value: Any) -> None:
        if isinstance(value, Tensor):
            self._require_new(name)
            expression = astype(value, dtypes.float64)
            image = replaced([expression], {step: self._count})
            self._hypers[name] = image[expression]
        elif value is None and self._may_be_left_out(name):
            self._require_new(name)
            self._hypers[name] = None
        elif np.ndim(value) or np.asarray(value).dtype.kind not in "biuf":
            raise GraphError(
                f"{name} of {type(self).__name__} is a number or an expression of "
                f"eg.step, not {value!r}"
            )
        else:
            self._assign_number(name, value)

    def _assign_number(self, name: str, value: float) -> None:
        known = self._hypers.get(name)
        if name in self.fields:
            self._require_in_range(name, value)
        if known is not None and known.op == "state":
            known.value = value
        else:
            self._require_new(name)
            self._hypers[name] = state(name, (), float(value), dtypes.float64)

    def _require_in_range(self, name: str, value: float) -> None:
        kind = inspect.getattr_static(type(self), name).kind
        if kind in _RANGES:
            words, least, below = _RANGES[kind]
            if not value >= least or value >= below:
                raise GraphError(
                    f"{name} of {type(self).__name__} is a number {words}, not {value!r}"
                )

    def _may_be_left_out(self, name: str) -> bool:
        rows = [row[name] for row in self.variants.values() if name in row]
        return None in (getattr(type(self), name), *rows)

    def _require_new(self, name: str) -> None:
        if name in self._hypers or name not in self.fields:
            raise GraphError(
                f"{name} of {type(self).__name__} is compiled into the step; only a "
                f"number can be set, in place of a number. Make the optimizer with "
                f"what you want instead ({self._where})"
            )

    @contextmanager
    def _working_in(self, dtype: DType) -> Iterator[None]:
        before, self._dtype = self._dtype, dtype
        try:
            yield
        finally:
            self._dtype = before

    def __repr__(self) -> str:
        hypers = {n: h for n, h in self._hypers.items() if h is not None}
        shown = [f"{name}={self._shown(hyper)}" for name, hyper in hypers.items()]
        row = self._row(self._variant)
        for name, value in self._options.items():
            if value != row.get(name, getattr(type(self), name)):
                shown.append(f"{name}={value!r}")
        if self._variant != next(iter(self.variants), None):
            shown.append(f"variant={self._variant!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _shown(self, hyper: Tensor) -> str:
        """A hyper-parameter in one line, its own number of updates being `step`."""
        if hyper.op == "state":
            return repr(hyper.value.item())
        image = replaced([hyper], {self._count: step})[hyper]
        *shared, (_, text) = definitions({"": image})
        return "; ".join([*(f"{name} = {part}" for name, part in shared), text])


def _kind(annotation: Any) -> str | None:
    if isinstance(annotation, str):
        name = annotation.rpartition(".")[2].strip("\"'")
        return name if name in _KINDS else None
    return next((kind for kind, type in _KINDS.items() if annotation == type), None)


def _signature(cls: type[Part]) -> inspect.Signature:
    """Hyper-parameters by place or name; options and the variant by name."""
    place, name = (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    )
    arguments = [
        *(inspect.Parameter(n, place, default=getattr(cls, n)) for n in cls.fields),
        *(inspect.Parameter(n, name, default=getattr(cls, n)) for n in cls.options),
    ]
    if cls.variants:
        first = next(iter(cls.variants))
        arguments.append(inspect.Parameter("variant", name, default=first))
    return inspect.Signature(arguments)
