"""Programs on disk: a graph that was compiled before is not rewritten, lowered and
emitted again, not even to learn which machine code is its own.

An entry holds the tables of a program and the name of its machine code. It is found by
the user's graph as it was written, and by all that has a say in what becomes of it: the
compiler's own sources, LLVM, NumPy and the processor.
"""

from __future__ import annotations

import functools
import hashlib
import io
import pickle
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from exprgrad import config
from exprgrad.backend import cache
from exprgrad.backend.jit import host, kept_module
from exprgrad.errors import Where
from exprgrad.graph.identity import Identity, identity
from exprgrad.graph.tensor import Constant, Tensor, apply
from exprgrad.rewrite.simplify import erase
from exprgrad.runtime.compile import Compiled, Request, compile_request
from exprgrad.runtime.linked import Linked
from exprgrad.runtime.report import Stage

PACKAGE = Path(__file__).parent.parent
ENTRIES = frozenset({"run", "alone"})


@dataclass(eq=False)
class Kept:
    """A program from the disk. What only views of it need is compiled when asked for."""

    request: Request
    linked: Linked
    milliseconds: float

    @functools.cached_property
    def whole(self) -> Compiled:
        """All that the compiler makes of the same request."""
        return compile_request(self.request)

    @property
    def stages(self) -> list[Stage]:
        """The stages, none of which took any time, and how long the reading took."""
        graph, *rest = (replace(stage, milliseconds=0.0) for stage in self.whole.stages)
        return [graph, Stage("cache", self.milliseconds, lambda: ""), *rest]


def recall(request: Request) -> Compiled | Kept:
    """The program that a request was compiled to before, or is compiled to now.

    With EXPRGRAD_CHECK every program is compiled, for its stages are to be checked.
    """
    if config.CHECK() or config.CACHE() is None:
        return compile_request(request)
    start = time.perf_counter()
    found = _identity(request)
    name = cache.key(found.text + _origin(), host(), 2, llvm.llvm_version_info)
    linked = _load(name, found)
    if linked is not None:
        return Kept(request, linked, 1e3 * (time.perf_counter() - start))
    compiled = compile_request(request)
    cache.store(name, _dumped(compiled.linked, found))
    return compiled


def _identity(request: Request) -> Identity:
    results = erase([*request.outputs, *request.updates.values()])
    found = identity([*results, *request.updates])
    found.text += f"\n{len(request.outputs)} outputs, {request.slices}"
    return found


@functools.cache
def _origin() -> str:
    """What a program depends on besides its graph and the processor."""
    sources = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        sources.update(path.name.encode() + path.read_bytes())
    return f"\n{sources.hexdigest()} numpy {np.__version__}"


def _load(name: str, found: Identity) -> Linked | None:
    entry = cache.load(name)
    if entry is None:
        return None
    code, tables = _Reader(io.BytesIO(entry), found).load()
    library = kept_module(code, ENTRIES, host())
    return Linked(library, tables) if library is not None else None


def _dumped(linked: Linked, found: Identity) -> bytes:
    buffer = io.BytesIO()
    _Writer(buffer, found).dump((linked.library.key, linked.tables))
    return buffer.getvalue()


# Nodes and lines of the user's graph stand in an entry by their numbers


class _Writer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, found: Identity) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.found = found

    def persistent_id(self, thing: Any) -> tuple[str, int | None] | None:
        """The number of a node or a line; of a temporary's node none is needed."""
        if isinstance(thing, Where) and thing in self.found.lines:
            return "line", self.found.lines[thing]
        if not isinstance(thing, Tensor):
            return None
        number = self.found.nodes.get(thing)
        return None if number is None and thing.op == "constant" else ("node", number)

    def reducer_override(self, thing: Any) -> Any:
        """A constant that the compiler has computed is written with its elements."""
        if isinstance(thing, Tensor):
            return _constant, (thing.params[0].array, thing.dtype)
        return NotImplemented


def _constant(array: Any, dtype: Any) -> Tensor:
    return apply("constant", (), (Constant(array, dtype),))


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, found: Identity) -> None:
        super().__init__(file)
        self.things: Mapping[str, list[Any]] = {
            "node": list(found.nodes),
            "line": list(found.lines),
        }

    def persistent_load(self, pid: tuple[str, int | None]) -> Any:
        """The node or the line that has a number in the graph at hand."""
        kind, number = pid
        return None if number is None else self.things[kind][number]
