"""The expression that a user writes: a node with operators."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from exprgrad.errors import GraphError, user_line
from exprgrad.graph.dims import Shape
from exprgrad.graph.dtype import DType
from exprgrad.graph.node import Node, intern
from exprgrad.graph.ops import OPS, type_of
from exprgrad.graph.state import Cell

Operand = Any  # a Tensor, a number, or whatever NumPy makes an array of


class Constant:
    """An array as a hashable parameter: equal when type, shape and bytes are equal."""

    __slots__ = ("array", "dtype", "_key")

    def __init__(self, array: object, dtype: DType) -> None:
        self.array: NDArray[Any] = np.array(array, dtype.numpy, order="C")
        self.array.flags.writeable = False
        self.dtype = dtype
        # A digest stands for the bytes, so that a large array is not kept twice.
        digest = blake2b(self.array.tobytes()).digest()
        self._key = (dtype, self.array.shape, digest)

    @property
    def digest(self) -> str:
        """What stands for the bytes of the array."""
        return self._key[2].hex()

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self._key == other._key

    def __repr__(self) -> str:
        return repr(self.array.item()) if self.array.ndim == 0 else repr(self.array)


# The functions behind the operators and methods below, by name; `graph/__init__.py`
# enters them once all of them are defined (they need this class, and it needs them).
FUNCTIONS: dict[str, Callable[..., Tensor]] = {}


class Tensor(Node):
    """A symbolic tensor: `shape`, `dtype`, operators, methods named as NumPy's.

    >>> import exprgrad as eg
    >>> x = eg.input("x", ("batch", 3))
    >>> (2 * x + 1).shape
    (batch, 3)
    """

    __slots__ = ()
    __array_priority__ = 1000
    args: tuple[Tensor, ...]

    @property
    def shape(self) -> Shape:
        """Sizes of the axes: integers and named dimensions."""
        return self.type.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.type.shape)

    @property
    def T(self) -> Tensor:  # noqa: N802
        """The tensor with its axes in reverse order."""
        return self.permute_dims(tuple(reversed(range(self.ndim))))

    @property
    def name(self) -> str:
        """The name of an input, a parameter or a state."""
        if "name" not in OPS[self.op].params:
            raise GraphError(
                f"inputs, parameters and states have names, {self.op} has none"
            )
        return str(self.params[2])

    @property
    def cell(self) -> Cell:
        """The memory of a parameter or a state."""
        if "cell" not in OPS[self.op].params:
            raise GraphError(f"only a parameter or a state has a value, not {self.op}")
        cell: Cell = self.params[3]
        return cell

    @property
    def value(self) -> NDArray[Any]:
        """The value of a parameter or a state: its own memory, not a copy."""
        return self.cell.array

    @value.setter
    def value(self, value: object) -> None:
        self.cell.assign(value)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "value":
            self.cell.assign(value)
        else:
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> NoReturn:
        hint = f"; write eg.{name}(x)" if name in FUNCTIONS else ""
        raise AttributeError(f"an expression has no attribute {name!r}{hint}")

    # Operators

    def __add__(self, other: Operand) -> Tensor:
        return FUNCTIONS["add"](self, other)

    def __radd__(self, other: Operand) -> Tensor:
        return FUNCTIONS["add"](other, self)

    def __sub__(self, other: Operand) -> Tensor:
        return FUNCTIONS["subtract"](self, other)

    def __rsub__(self, other: Operand) -> Tensor:
        return FUNCTIONS["subtract"](other, self)

    def __mul__(self, other: Operand) -> Tensor:
        return FUNCTIONS["multiply"](self, other)

    def __rmul__(self, other: Operand) -> Tensor:
        return FUNCTIONS["multiply"](other, self)

    def __truediv__(self, other: Operand) -> Tensor:
        return FUNCTIONS["divide"](self, other)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return FUNCTIONS["divide"](other, self)

    def __floordiv__(self, other: Operand) -> Tensor:
        return FUNCTIONS["floor_divide"](self, other)

    def __rfloordiv__(self, other: Operand) -> Tensor:
        return FUNCTIONS["floor_divide"](other, self)

    def __mod__(self, other: Operand) -> Tensor:
        return FUNCTIONS["remainder"](self, other)

    def __rmod__(self, other: Operand) -> Tensor:
        return FUNCTIONS["remainder"](other, self)

    def __pow__(self, other: Operand) -> Tensor:
        return FUNCTIONS["pow"](self, other)

    def __rpow__(self, other: Operand) -> Tensor:
        return FUNCTIONS["pow"](other, self)

    def __matmul__(self, other: Operand) -> Tensor:
        return FUNCTIONS["matmul"](self, other)

    def __rmatmul__(self, other: Operand) -> Tensor:
        return FUNCTIONS["matmul"](other, self)

    def __neg__(self) -> Tensor:
        return FUNCTIONS["negative"](self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return FUNCTIONS["abs"](self)

    def __eq__(self, other: Operand) -> Tensor:  # type: ignore[override]
        return FUNCTIONS["equal"](self, other)

    def __ne__(self, other: Operand) -> Tensor:  # type: ignore[override]
        return FUNCTIONS["not_equal"](self, other)

    def __lt__(self, other: Operand) -> Tensor:
        return FUNCTIONS["less"](self, other)

    def __le__(self, other: Operand) -> Tensor:
        return FUNCTIONS["less_equal"](self, other)

    def __gt__(self, other: Operand) -> Tensor:
        return FUNCTIONS["less"](other, self)

    def __ge__(self, other: Operand) -> Tensor:
        return FUNCTIONS["less_equal"](other, self)

    def __and__(self, other: Operand) -> Tensor:
        return FUNCTIONS["both"](self, other)

    def __rand__(self, other: Operand) -> Tensor:
        return FUNCTIONS["both"](other, self)

    def __or__(self, other: Operand) -> Tensor:
        return FUNCTIONS["either"](self, other)

    def __ror__(self, other: Operand) -> Tensor:
        return FUNCTIONS["either"](other, self)

    def __invert__(self) -> Tensor:
        return FUNCTIONS["invert"](self)

    def __getitem__(self, index: Any) -> Tensor:
        return FUNCTIONS["getitem"](self, index)

    __hash__ = Node.__hash__

    # Methods

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Sum over `axis` (all axes when None)."""
        return FUNCTIONS["sum"](self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Mean over `axis` (all axes when None)."""
        return FUNCTIONS["mean"](self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Maximum over `axis` (all axes when None)."""
        return FUNCTIONS["max"](self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Minimum over `axis` (all axes when None)."""
        return FUNCTIONS["min"](self, axis=axis, keepdims=keepdims)

    def var(
        self, axis: Any = None, correction: float = 0, keepdims: bool = False
    ) -> Tensor:
        """Variance over `axis` (all axes when None)."""
        return FUNCTIONS["var"](self, axis, correction, keepdims)

    def std(
        self, axis: Any = None, correction: float = 0, keepdims: bool = False
    ) -> Tensor:
        """Standard deviation over `axis` (all axes when None)."""
        return FUNCTIONS["std"](self, axis, correction, keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Product over `axis` (all axes when None)."""
        return FUNCTIONS["prod"](self, axis, keepdims)

    def argmax(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Index of the first largest element over `axis` (all axes when None)."""
        return FUNCTIONS["argmax"](self, axis, keepdims)

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in row-major order under another shape; one -1 is inferred."""
        return FUNCTIONS["reshape"](self, shape[0] if len(shape) == 1 else shape)

    def permute_dims(self, axes: Any) -> Tensor:
        """The axes in another order."""
        return FUNCTIONS["permute_dims"](self, axes)

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in another order; reversed when none is given."""
        given = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return FUNCTIONS["permute_dims"](self, given) if axes else self.T

    def astype(self, dtype: Any) -> Tensor:
        """The elements converted to `dtype`."""
        return FUNCTIONS["astype"](self, dtype)

    def to_networkx(self) -> Any:
        """The graph of this expression as a `networkx.MultiDiGraph`."""
        return _upstairs("interop.graphs", "to_networkx")(self)

    def show(self) -> Any:
        """A picture of the graph, which a notebook draws and `save` writes."""
        return _upstairs("inspect.picture", "show")(self)

    def _repr_svg_(self) -> str | None:
        svg: str | None = _upstairs("inspect.picture", "repr_svg")(self)
        return svg

    def _repr_latex_(self) -> str:
        return str(_upstairs("inspect.math", "repr_latex")(self))

    # Python asks these of a value, which an expression does not have yet

    def __bool__(self) -> NoReturn:
        raise GraphError(
            "an expression has no truth value yet; choose with eg.where(...)"
        )

    def __iter__(self) -> NoReturn:
        raise GraphError("an expression is not iterated; take x[i] or x.shape[0] times")

    def __len__(self) -> NoReturn:
        raise GraphError("an expression has no len(); read x.shape[0]")

    def __float__(self) -> NoReturn:
        raise GraphError("an expression has no value yet; evaluate it with eg.function")

    __int__ = __index__ = __complex__ = __float__

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise GraphError("an expression has no value yet; evaluate it with eg.function")

    def __array_ufunc__(
        self, ufunc: Any, method: str, *args: Any, **kwargs: Any
    ) -> Tensor:
        return FUNCTIONS["ufunc"](ufunc, method, args, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return FUNCTIONS["array_function"](func, args, kwargs)

    def __repr__(self) -> str:
        return str(FUNCTIONS["show"](self))


def _upstairs(module: str, name: str) -> Callable[..., Any]:
    """A function of a higher room, which is loaded when the user asks for a view."""
    function: Callable[..., Any] = getattr(
        importlib.import_module(f"exprgrad.{module}"), name
    )
    return function


def apply(op: str, args: tuple[Tensor, ...], params: tuple[Any, ...] = ()) -> Tensor:
    """The node `op(*args)`, its type inferred, bearing the user's line."""
    type = type_of(op, tuple(a.type for a in args), params)
    return intern(Tensor, op, args, params, type, user_line())
