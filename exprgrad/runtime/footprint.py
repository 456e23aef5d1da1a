"""What a compiled program holds in memory, known before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exprgrad.errors import InputError
from exprgrad.loop.memory import plan
from exprgrad.loop.peak import Bytes, peak, together
from exprgrad.runtime.linked import Tables


@dataclass(frozen=True)
class Footprint:
    """The bytes of a program, by what they are for, as formulas of its run-time sizes.

    `temporaries` lie in one arena, which is made by the first call and kept for the
    next; results of a function are fresh in each call. Inputs are used in place where
    dtype and layout fit, else a copy of their size is added while the call runs. The
    compiler's own memory, the machine code, and what copies of factors take of each thread's
    stack, little more than a megabyte, are not counted.

    >>> import exprgrad as eg
    >>> x, w = eg.input("x", ("batch", 64)), eg.parameter("w", (64, 64))
    >>> footprint = eg.function([x], eg.tanh(x @ w) @ w).memory()
    >>> print(footprint)
    temporaries             256*batch
    parameters and states   16384
    results                 256*batch
    >>> footprint.bytes(batch=1000)
    528384
    """

    parts: Mapping[str, Bytes]
    tables: Tables

    def bytes(self, **dims: int) -> int:
        """All bytes for given sizes. Raises `InputError` for a size that is missing."""
        total = sum(formula.at(self._known(dims)) for formula in self.parts.values())
        temporaries = plan(self.tables.needed, self._known(dims)).nbytes
        return total - self.parts["temporaries"].at(dims) + temporaries

    def _known(self, dims: Mapping[str, int]) -> Mapping[str, int]:
        names = set().union(*(formula.names() for formula in self.parts.values()))
        if names != set(dims):
            wanted = ", ".join(sorted(names)) or "no size"
            given = ", ".join(sorted(dims)) or "none"
            raise InputError(f"the memory depends on {wanted}; given: {given}")
        return dims

    def __str__(self) -> str:
        width = max(map(len, self.parts)) + 3
        shown = {name: str(formula) for name, formula in self.parts.items()}
        lines = [f"{name:<{width}}{text}" for name, text in shown.items() if text != "0"]
        return "\n".join(lines) or "nothing"

    __repr__ = __str__


def footprint(tables: Tables, more: Mapping[str, Bytes]) -> Footprint:
    """What a program holds, and what is held `more` besides while it runs."""
    used = {buffer for table in tables.buffers for buffer in table}
    parts = {
        "temporaries": peak(tables.needed),
        "parameters and states": together(b for b in used if b.role == "state"),
        "constants": together(b for b in used if b.role == "constant"),
    }
    return Footprint({**parts, **more}, tables)
