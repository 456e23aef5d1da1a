"""From LLVM IR to machine code in this process.

    text --parse--> module --verify--> module --codegen--> object --load--> addresses

Vectors and register tiles are written out by the emitter, so that LLVM's own passes
would find nothing to do but take their time: only its code generator runs. The object
is what the disk cache keeps, and both a new and a kept one are loaded the same way.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import llvmlite.binding as llvm

from exprgrad.backend import cache
from exprgrad.backend.caches import own_cache
from exprgrad.backend.target import Target
from exprgrad.errors import CompileError

LOCK = threading.RLock()


@functools.cache
def _start() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()


@functools.cache
def host() -> Target:
    """The processor this process runs on.

    >>> host().vector_bits in (128, 256, 512)
    True
    """
    features = llvm.get_host_cpu_features().flatten()
    return replace(named(llvm.get_host_cpu_name(), features), cache_bytes=own_cache())


def named(cpu: str, features: str = "") -> Target:
    """A processor of the host's family by LLVM's name, for tests and for export.

    `features` has to list those that decide the vector width ("+avx2,+fma"): LLVM does
    not tell which features a name implies.
    """
    with LOCK:
        _start()
        triple = llvm.get_process_triple()
        machine = _machine(cpu, features, triple, 2)
        return Target(cpu, features, triple, str(machine.target_data))


def _machine(cpu: str, features: str, triple: str, codegen: int) -> llvm.TargetMachine:
    family = llvm.Target.from_triple(triple)
    return family.create_target_machine(
        cpu=cpu, features=features, opt=codegen, jit=True
    )


@dataclass(eq=False)
class Library:
    """Machine code in memory; it stays there as long as this object lives. `key` is the
    name under which the disk keeps it.
    """

    ir: str
    target: Target
    codegen: int
    key: str
    names: frozenset[str]
    milliseconds: dict[str, float] = field(default_factory=dict)
    from_cache: bool = False
    _engine: llvm.ExecutionEngine = None

    def address(self, name: str) -> int:
        """Where the function `name` begins.

        Raises `CompileError` when the module defines no such function.
        """
        if name not in self.names:
            raise CompileError(f"jit: the module defines no function {name!r}")
        with LOCK:
            return int(self._engine.get_function_address(name))

    @functools.cached_property
    def assembly(self) -> str:
        """The machine code as the processor's assembly language."""
        with LOCK:
            machine = _machine_of(self)
            return str(machine.emit_assembly(_parse(self.ir)))


def compile_module(
    text: str, target: Target | None = None, codegen: int = 2
) -> Library:
    """Machine code of an LLVM module; `codegen` is LLVM's level, 0 to 3.

    Raises `CompileError` with LLVM's words when the text is not a valid module.

    >>> library = compile_module("define i64 @one() { ret i64 1 }")
    >>> library.address("one") != 0
    True
    """
    exact = target or host()
    key = cache.key(text, exact, codegen, llvm.llvm_version_info)
    names = frozenset(re.findall(r"^define [^@]*@([\w.$]+)\(", text, re.MULTILINE))
    library = Library(text, exact, codegen, key, names)
    with LOCK:
        _start()
        with _timed(library, "cache"):
            stored = cache.load(key)
        library.from_cache = stored is not None
        machine_code = stored if stored is not None else _generate(library)
        with _timed(library, "load"):
            library._engine = _load(machine_code, library)
    if stored is None:
        with _timed(library, "keep"):
            cache.store(key, machine_code)
    return library


def kept_module(key: str, names: frozenset[str], target: Target) -> Library | None:
    """The machine code that is kept under `key` and defines `names`, if it still is."""
    stored = cache.load(key)
    if stored is None:
        return None
    library = Library("", target, 2, key, names, from_cache=True)
    with LOCK, _timed(library, "load"):
        _start()
        library._engine = _load(stored, library)
    return library


def _generate(library: Library) -> bytes:
    with _timed(library, "parse"):
        module = _parse(library.ir)
    with _timed(library, "verify"):
        _verify(module)
    with _timed(library, "codegen"):
        return bytes(_machine_of(library).emit_object(module))


def _machine_of(library: Library) -> llvm.TargetMachine:
    target = library.target
    return _machine(target.cpu, target.features, target.triple, library.codegen)


def _parse(text: str) -> llvm.ModuleRef:
    try:
        return llvm.parse_assembly(text)
    except RuntimeError as error:
        raise CompileError(f"jit: {error}") from error


def _verify(module: llvm.ModuleRef) -> None:
    try:
        module.verify()
    except RuntimeError as error:
        raise CompileError(f"jit: {error}") from error


def _load(machine_code: bytes, library: Library) -> llvm.ExecutionEngine:
    # An engine is made of a module; an empty one has the object beside it.
    empty = llvm.parse_assembly(library.target.header)
    engine = llvm.create_mcjit_compiler(empty, _machine_of(library))
    engine.add_object_file(llvm.ObjectFileRef.from_data(machine_code))
    engine.finalize_object()
    return engine


@contextmanager
def _timed(library: Library, stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    library.milliseconds[stage] = 1e3 * (time.perf_counter() - start)
