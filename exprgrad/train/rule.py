"""What an optimizer is made of: hyper-parameters, slots, and one update rule."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, dataclass_transform

import numpy as np

from exprgrad.errors import GraphError, Where, user_line
from exprgrad.grad import grad
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.dtype import DType
from exprgrad.graph.elementwise import astype
from exprgrad.graph.leaves import state, step
from exprgrad.graph.mode import replaced
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor

# The type of a field of an optimizer: a number, or an expression of `step`.
Hyper = Annotated[Any, "hyper-parameter"]
Updates = dict[Tensor, Tensor]


class _Field:
    """A hyper-parameter as an attribute: read as an expression, written as a number."""

    def __init__(self, name: str, default: Any) -> None:
        self.name = name
        self.default = default

    def __get__(self, optimizer: Optimizer | None, owner: type) -> Any:
        if optimizer is None:
            return self.default
        return optimizer.rounded(optimizer.exact(self.name))

    def __set__(self, optimizer: Optimizer, value: Any) -> None:
        optimizer._assign(self.name, value)


@dataclass_transform()
class Optimizer:
    """Base of optimizers: name the hyper-parameters, write one `update`.

    A field annotated `Hyper` is an argument of the constructor, in the order of the
    class. A number becomes a scalar in memory: setting it later, as in
    `optimizer.learning_rate = 0.1`, acts on the next step and compiles nothing. An
    expression of `eg.step` is a schedule; there, `step` is the number of updates that
    this optimizer has made.

    >>> class Plain(Optimizer):
    ...     rate: Hyper = 0.5
    ...     def update(self, parameter, gradient):
    ...         return {parameter: parameter - self.rate * gradient}
    >>> Plain(rate=0.1)
    Plain(rate=0.1)
    """

    fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        """Turn the annotated fields into arguments and run-time scalars."""
        found = [n for n, a in inspect.get_annotations(cls).items() if _is_hyper(a)]
        cls.fields = tuple(dict.fromkeys([*cls.fields, *found]))
        for name in found:
            field = _Field(name, cls.__dict__.get(name, inspect.Parameter.empty))
            setattr(cls, name, field)
        parameters = [
            inspect.Parameter(
                name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=getattr(cls, name),
            )
            for name in cls.fields
        ]
        cls.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        bound = self._bound(args, kwargs)
        self._where: Where = user_line()
        self._count = state("updates", dtype=dtypes.int64, init=0, seed=0)
        self._hypers: dict[str, Tensor] = {}
        self._slots: dict[tuple[Tensor | None, str], Tensor] = {}
        self._dtype: DType | None = None
        for name, value in bound.arguments.items():
            self._assign(name, value)

    def _bound(self, args: Any, kwargs: Any) -> inspect.BoundArguments:
        try:
            bound = inspect.signature(type(self)).bind(*args, **kwargs)
        except TypeError as error:
            name, known = type(self).__name__, ", ".join(self.fields) or "none"
            raise GraphError(f"{name}: {error}; its hyper-parameters: {known}") from error
        bound.apply_defaults()
        return bound

    @property
    def count(self) -> Tensor:
        """How many updates this optimizer has made, an int64 state."""
        return self._count

    @property
    def slots(self) -> tuple[Tensor, ...]:
        """The states made by `state`, in the order of their making."""
        return tuple(self._slots.values())

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """The new value of `parameter` and of this optimizer's states for it."""
        raise NotImplementedError(f"{type(self).__name__} needs an update rule")

    def updates(
        self, loss: Tensor, parameters: Sequence[Tensor] | None = None
    ) -> Updates:
        """New values for one step down the gradient of `loss`, for `eg.function`.

        `parameters` are all that the loss depends on, when not given. Raises
        `GraphError` when there are none or the loss is not a scalar.

        >>> import exprgrad as eg
        >>> from exprgrad.train.optim import SGD
        >>> w = eg.parameter("w", init=3.0)
        >>> f = eg.function([], w * w, SGD(0.25).updates(w * w))
        >>> float(f()), float(w.value)
        (9.0, 1.5)
        """
        chosen = parameters_of(loss) if parameters is None else list(parameters)
        gradients = grad(loss, chosen)
        found: Updates = {}
        for parameter, gradient in zip(chosen, gradients, strict=True):
            with self._working_in(parameter.dtype):
                found.update(self.update(parameter, gradient))
        found[self._count] = self._count + 1
        return found

    def state(self, name: str, like: Tensor | None = None, init: float = 0.0) -> Tensor:
        """A state of this optimizer, of the shape and dtype of `like`, else a scalar.

        It is made once for each `like` and name; later calls give the same.
        """
        key = (like, name)
        if key not in self._slots:
            shape = like.shape if like is not None else ()
            exact = like.dtype if like is not None else self._dtype or dtypes.float32
            full = f"{like.name}.{name}" if like is not None else name
            self._slots[key] = state(full, shape, init, exact)
        return self._slots[key]

    def exact(self, name: str) -> Tensor:
        """A hyper-parameter in float64; "t" is the number of this update, from 1."""
        if name == "t":
            return astype(self._count + 1, dtypes.float64)
        return self._hypers[name]

    def rounded(self, scalar: Tensor) -> Tensor:
        """`scalar` in the dtype of the parameter that is being updated."""
        return astype(scalar, self._dtype) if self._dtype else scalar

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and not hasattr(type(self), name):
            known = ", ".join(self.fields) or "none"
            raise GraphError(
                f"{type(self).__name__} has no hyper-parameter {name}; it has: {known}"
            )
        super().__setattr__(name, value)

    def _assign(self, name: str, value: Any) -> None:
        known = self._hypers.get(name)
        if isinstance(value, Tensor):
            self._require_unset(name, known)
            expression = astype(value, dtypes.float64)
            image = replaced([expression], {step: self._count})
            self._hypers[name] = image[expression]
        elif np.ndim(value) or np.asarray(value).dtype.kind not in "biuf":
            raise GraphError(
                f"{name} of {type(self).__name__} is a number or an expression of "
                f"eg.step, not {value!r}"
            )
        elif known is None:
            self._hypers[name] = state(name, (), float(value), dtypes.float64)
        elif known.op != "state":
            self._require_unset(name, known)
        else:
            known.value = value

    def _require_unset(self, name: str, known: Tensor | None) -> None:
        if known is not None:
            raise GraphError(
                f"{name} of {type(self).__name__} is compiled into the step; only a "
                f"number can be set, in place of a number. Make the optimizer with the "
                f"schedule ({self._where})"
            )

    @contextmanager
    def _working_in(self, dtype: DType) -> Iterator[None]:
        before, self._dtype = self._dtype, dtype
        try:
            yield
        finally:
            self._dtype = before

    def __repr__(self) -> str:
        shown = ", ".join(f"{n}={_shown(self._hypers[n])}" for n in self.fields)
        return f"{type(self).__name__}({shown})"


def parameters_of(expression: Tensor) -> list[Tensor]:
    """The parameters that an expression depends on, in the order of their making.

    Raises `GraphError` when there are none.
    """
    found = [node for node in walk([expression]) if node.op == "parameter"]
    if not found:
        raise GraphError("the loss depends on no parameter; make one with eg.parameter")
    return sorted(found, key=lambda node: node.cell.number)


def _is_hyper(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return annotation.rpartition(".")[2].strip("\"'") == "Hyper"
    return bool(annotation == Hyper)


def _shown(hyper: Tensor) -> str:
    return repr(hyper.value.item()) if hyper.op == "state" else str(hyper)
