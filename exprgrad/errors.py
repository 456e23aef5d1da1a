"""The errors a user can meet: each states the rule, the values and the user's line."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

PACKAGE = str(Path(__file__).parent)


@dataclass(frozen=True, slots=True)
class Where:
    """A line of the user's program."""

    file: str
    line: int

    def __str__(self) -> str:
        text = linecache.getline(self.file, self.line).strip()
        place = f"{Path(self.file).name}:{self.line}"
        return f"{place}: {text}" if text else place


_origin: ContextVar[Where | None] = ContextVar("origin", default=None)


@contextmanager
def lines_of(where: Where | None) -> Iterator[None]:
    """Nodes and errors made within bear the line `where` (the caller's when None)."""
    token = _origin.set(where)
    try:
        yield
    finally:
        _origin.reset(token)


def user_line() -> Where:
    """The innermost line of the call stack that lies outside this package.

    Within `lines_of(where)` it is `where`.
    """
    origin = _origin.get()
    if origin is not None:
        return origin
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame):
        frame = frame.f_back
    return Where(frame.f_code.co_filename, frame.f_lineno)


def _is_ours(frame: FrameType) -> bool:
    """Code of this package, or the `__init__` that Python wrote for a dataclass of it."""
    file = frame.f_code.co_filename
    module = str(frame.f_globals.get("__name__"))
    return file.startswith(PACKAGE) or (
        file == "<string>" and module.startswith("exprgrad.")
    )


class ExprgradError(Exception):
    """Base of all errors raised by exprgrad. `where` is the user's line."""

    def __init__(self, rule: str, where: Where | None = None) -> None:
        self.rule = rule
        self.where = where or user_line()
        super().__init__(f"{rule}   ({self.where})")


class ShapeError(ExprgradError, ValueError):
    """Operands whose dimensions do not fit the operation."""


class DTypeError(ExprgradError, TypeError):
    """An element type that the operation does not take."""


class GraphError(ExprgradError, ValueError):
    """An expression that cannot mean what was asked of it."""


class InputError(ExprgradError, ValueError):
    """Arrays given at run time that do not fit the compiled function."""


class IndexOutOfRange(ExprgradError, IndexError):
    """A gather or scatter met an index outside its axis."""


def out_of_range(
    index: int, size: int, wraps: bool, where: Where | None = None
) -> IndexOutOfRange:
    """The error for an index of an axis, or, where none `wraps`, for a class number."""
    rule = f"index {index} is outside an axis of {size}"
    if not wraps:
        rule = f"class {index} is none of the {size} classes, which begin with 0"
    return IndexOutOfRange(rule, where)


class NonFiniteError(ExprgradError, ArithmeticError):
    """A NaN or an infinity where finite numbers were asked for."""


class CompileError(ExprgradError, RuntimeError):
    """The compiler could not finish; the message names the stage and the node."""
