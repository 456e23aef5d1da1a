"""The leaves of an expression: inputs, parameters, states, counters."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import numpy as np

from exprgrad.errors import DTypeError, GraphError, ShapeError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.dims import as_size
from exprgrad.graph.dtype import as_dtype
from exprgrad.graph.philox import OWN_KEYS
from exprgrad.graph.state import Cell, Initializer
from exprgrad.graph.tensor import Operand, Tensor, apply


def input(name: str, shape: Any = (), dtype: object = "float32") -> Tensor:
    """A tensor whose value is given when the compiled function is called.

    A size may be a name, such as "batch": it is then known at run time.

    >>> import exprgrad as eg
    >>> eg.input("x", ("batch", 64))
    x: f32[batch, 64]
    """
    sizes = tuple(as_size(n) for n in _tuple(shape))
    return apply("input", (), (sizes, as_dtype(dtype), _checked_name(name)))


def parameter(
    name: str,
    shape: Any = (),
    init: Initializer | Operand = 0.0,
    dtype: object = "float32",
    seed: int = 0,
) -> Tensor:
    """A tensor that training changes; `init` is an initialiser, a number or an array.

    Two parameters of the same name and seed start equal. The value is read and
    written through `.value`.

    >>> import exprgrad as eg
    >>> eg.parameter("b", (3,)).value
    array([0., 0., 0.], dtype=float32)
    """
    return _stored("parameter", name, shape, init, dtype, seed)


def state(
    name: str,
    shape: Any = (),
    init: Initializer | Operand = 0.0,
    dtype: object = "float32",
    seed: int = 0,
) -> Tensor:
    """A tensor that a step may update but that no gradient descends: a running mean,
    a velocity, a counter, a hyper-parameter. Its value is read through `.value`.

    >>> import exprgrad as eg
    >>> rate = eg.state("rate", init=0.1)
    >>> rate.value = 0.05
    """
    return _stored("state", name, shape, init, dtype, seed)


def _stored(
    op: str, name: str, shape: Any, init: Any, dtype: object, seed: int
) -> Tensor:
    exact = as_dtype(dtype)
    sizes = tuple(as_size(n) for n in _tuple(shape))
    fixed = tuple(n for n in sizes if isinstance(n, int))
    if len(fixed) != len(sizes):
        raise GraphError(f"{op} {name} needs sizes that are numbers, not {sizes}")
    make = _called if callable(init) else _filled
    first = make(f"{op} {name}", init, fixed)
    cell = Cell(_checked_name(name), fixed, exact, first, seed)
    return apply(op, (), (sizes, exact, name, cell))


def _called(what: str, init: Any, shape: tuple[int, ...]) -> Initializer:
    try:
        inspect.signature(init).bind(shape, None)
    except TypeError as error:
        raise GraphError(
            f"init of {what} is called with a shape and a random generator; an "
            f"initialiser is made by a call, such as eg.init.he_normal(): {error}"
        ) from error
    made: Initializer = init
    return made


def _filled(what: str, value: Any, shape: tuple[int, ...]) -> Initializer:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise DTypeError(
            f"{what} begins with numbers or an initialiser of eg.init, not {value!r}"
        )
    fits = array.ndim <= len(shape) and all(
        n in (1, m) for n, m in zip(array.shape[::-1], shape[::-1], strict=False)
    )
    if not fits:
        raise ShapeError(f"{what} has shape {shape}, but its init {array.shape}")

    def init(shape: tuple[int, ...], rng: np.random.Generator) -> Any:
        return np.broadcast_to(array, shape)

    return init


def _tuple(shape: Any) -> tuple[Any, ...]:
    return tuple(shape) if isinstance(shape, tuple | list) else (shape,)


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not name:
        raise GraphError(f"a name is a non-empty string, not {name!r}")
    return name


# The number of the current update, 0 before the first. A compiled function with updates
# adds one to it at each call; schedules and random numbers read it.
step = state("step", dtype=dtypes.int64, init=0)

# The number of the current epoch, 0 in the first, for schedules. A trainer counts it.
epoch = state("epoch", dtype=dtypes.int64, init=0)

# The seed of all random numbers that are not given another.
seed = state("seed", dtype=dtypes.int64, init=0)

_draws = itertools.count(OWN_KEYS)


def next_key() -> int:
    """A key for a draw that was given none, so that two draws differ."""
    return next(_draws)
