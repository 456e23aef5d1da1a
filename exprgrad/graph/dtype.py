"""Element types and the table that says which type two operands meet in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exprgrad.errors import DTypeError


@dataclass(frozen=True, slots=True)
class DType:
    """An element type: its name, its kind ("b", "i" or "f") and its size in bytes."""

    name: str
    kind: str
    size: int

    @property
    def numpy(self) -> np.dtype:
        """The same type as NumPy names it."""
        return np.dtype(self.name)

    @property
    def short(self) -> str:
        """The short name that listings use: f32, i64, bool."""
        return "bool" if self.kind == "b" else f"{self.kind}{8 * self.size}"

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)  # each type is one object, when it is read back too


bool_ = DType("bool", "b", 1)
int32 = DType("int32", "i", 4)
int64 = DType("int64", "i", 8)
float32 = DType("float32", "f", 4)
float64 = DType("float64", "f", 8)

DTYPES = (bool_, int32, int64, float32, float64)
BY_NAME = {dtype.name: dtype for dtype in DTYPES}

# The type in which a row's and a column's type meet. An integer meets a float in the
# float, as in PyTorch and JAX (NumPy would widen int32 with float32 to float64).
PROMOTION = {
    "": ("bool", "int32", "int64", "float32", "float64"),
    "bool": ("bool", "int32", "int64", "float32", "float64"),
    "int32": ("int32", "int32", "int64", "float32", "float64"),
    "int64": ("int64", "int64", "int64", "float32", "float64"),
    "float32": ("float32", "float32", "float32", "float32", "float64"),
    "float64": ("float64", "float64", "float64", "float64", "float64"),
}


def as_dtype(dtype: object) -> DType:
    """The `DType` meant by a `DType`, a name, or a NumPy type.

    >>> as_dtype("float32")
    float32
    """
    if isinstance(dtype, DType):
        return dtype
    try:
        name = np.dtype(dtype).name  # type: ignore[call-overload]
    except TypeError:
        name = str(dtype)
    if name not in BY_NAME:
        raise DTypeError(f"dtype is one of {', '.join(BY_NAME)}, not {dtype!r}")
    return BY_NAME[name]


def promote(*dtypes: DType) -> DType:
    """The type in which all of `dtypes` meet.

    >>> promote(int64, float32)
    float32
    """
    result = dtypes[0]
    for dtype in dtypes[1:]:
        column = PROMOTION[""].index(dtype.name)
        result = BY_NAME[PROMOTION[result.name][column]]
    return result


def weak(value: bool | int | float, like: DType) -> DType:
    """The type of a Python number beside an operand of type `like`.

    The number takes the operand's type when its kind allows, else the smallest default
    of its own kind: an integer becomes int64, a float becomes float32.
    """
    kind = "b" if isinstance(value, bool) else "i" if isinstance(value, int) else "f"
    if "bif".index(kind) <= "bif".index(like.kind):
        return like
    return int64 if kind == "i" else float32


def convert(array: NDArray[Any], dtype: DType) -> NDArray[Any]:
    """`array` as `dtype`: a float drops its fraction and is held inside an integer's range.

    NaN becomes 0. (NumPy and C leave these two undefined.)
    """
    if array.dtype.kind != "f" or dtype.kind != "i":
        return array.astype(dtype.numpy)
    limits = np.iinfo(dtype.numpy)
    inside = (array >= float(limits.min)) & (array < float(limits.max))
    exact = np.where(inside, array, 0).astype(dtype.numpy)
    above = np.where(array >= float(limits.max), limits.max, limits.min)
    return np.where(inside | np.isnan(array), exact, above.astype(dtype.numpy))
