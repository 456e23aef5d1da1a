"""LLVM IR as text: types, constants, blocks with an open end, functions, modules.

A block is a list of lines to which instructions may be appended at any time before it
is closed: a value that does not depend on an inner loop is put into the block before
that loop, even when the inner loop is being written already.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass, field

import numpy as np

from exprgrad.backend.target import Target
from exprgrad.graph.dtype import DType

ELEMENTS = {"bool": "i1", "int32": "i32", "int64": "i64", "float32": "float", "float64": "double"}
BITS = {"i1": 1, "i8": 8, "i32": 32, "i64": 64, "float": 32, "double": 64}
MANGLED = {"float": "f32", "double": "f64"}


@functools.cache
def _as_text(element: str, lanes: int) -> str:
    return f"<{lanes} x {element}>" if lanes > 1 else element


@dataclass(frozen=True, slots=True)
class Kind:
    """The LLVM type of a value: an element, or a vector of `lanes` elements."""

    element: str
    lanes: int = 1

    @staticmethod
    @functools.cache
    def of(dtype: DType, lanes: int = 1) -> Kind:
        """The type of a value (not of memory: there a bool is an i8)."""
        return Kind(ELEMENTS[dtype.name], lanes)

    def __str__(self) -> str:
        return _as_text(self.element, self.lanes)

    @property
    def mangled(self) -> str:
        """The type as it stands in the names of intrinsics: v16f32, f64, v8i1."""
        element = MANGLED.get(self.element, self.element)
        return f"v{self.lanes}{element}" if self.lanes > 1 else element

    @property
    def bits(self) -> int:
        """Bits of one element."""
        return BITS[self.element]

    def with_element(self, element: str) -> Kind:
        """As many lanes of another element."""
        return Kind(element, self.lanes)

    def splat(self, value: float | int | bool) -> str:
        """The constant all of whose lanes are `value`.

        >>> Kind("i8", 16).splat(3)
        'splat (i8 3)'
        """
        one = literal(self.element, value)
        return one if self.lanes == 1 else f"splat ({self.element} {one})"


def literal(element: str, value: float | int | bool) -> str:
    """A constant of one element; floats are written by their bits."""
    if element in MANGLED:
        exact = float(np.float32(value)) if element == "float" else float(value)
        return f"0x{struct.unpack('<Q', struct.pack('<d', exact))[0]:016X}"
    if element == "i1":
        return "true" if value else "false"
    return str(int(value))


@dataclass(eq=False, slots=True)
class Block:
    """A label, its instructions, and the jump that ends it."""

    label: str
    lines: list[str] = field(default_factory=list)
    end: str | None = None


class Module:
    """Functions and the declarations of what they call, for a machine if one is given."""

    def __init__(self, header: str = "", target: Target | None = None) -> None:
        self.header = header or (target.header if target else "")
        self.target = target
        self.declarations: dict[str, str] = {}
        self.functions: list[Function] = []

    def declare(self, result: Kind | str, name: str, arguments: str) -> None:
        """Make the external function or intrinsic `name` known."""
        self.declarations[name] = f"declare {result} @{name}({arguments})"

    def __str__(self) -> str:
        parts = [self.header, *self.declarations.values(), *map(str, self.functions)]
        return "\n".join(parts) + "\n"


class Function:
    """A function whose blocks are written one after another."""

    def __init__(
        self,
        module: Module,
        name: str,
        arguments: str,
        attributes: str = "",
        linkage: str = "",
        result: str = "void",
    ) -> None:
        self.module = module
        self.name = name
        self.head = f"define {linkage} {result} @{name}({arguments}) {attributes}"
        self.blocks = [Block("entry")]
        self._count = 0
        module.functions.append(self)

    def fresh(self, stem: str = "v") -> str:
        """A name not used yet in this function."""
        self._count += 1
        return f"{stem}{self._count}"

    def block(self, stem: str = "b") -> Block:
        """A new empty block, placed after all others."""
        self.blocks.append(Block(self.fresh(stem)))
        return self.blocks[-1]

    def __str__(self) -> str:
        body = "\n".join(
            "\n".join([f"{b.label}:", *("  " + line for line in b.lines), f"  {b.end}"])
            for b in self.blocks
        )
        return f"{self.head} {{\n{body}\n}}"


class Code:
    """A place in a function where instructions are appended."""

    def __init__(self, function: Function, block: Block | None = None) -> None:
        self.function = function
        self.block = block or function.blocks[-1]

    def op(self, text: str) -> str:
        """Append `%new = text` and give the name of its value."""
        name = "%" + self.function.fresh()
        self.block.lines.append(f"{name} = {text}")
        return name

    def do(self, text: str) -> None:
        """Append an instruction that has no value."""
        self.block.lines.append(text)

    def call(self, result: Kind | str, name: str, *arguments: tuple[Kind | str, str]) -> str:
        """Call an external function or an intrinsic, declaring it on the way."""
        self._declare(result, name, arguments)
        given = ", ".join(f"{kind} {value}" for kind, value in arguments)
        return self.op(f"call {result} @{name}({given})")

    def call_void(self, name: str, *arguments: tuple[Kind | str, str]) -> None:
        """Call something that gives no value."""
        self._declare("void", name, arguments)
        given = ", ".join(f"{kind} {value}" for kind, value in arguments)
        self.do(f"call void @{name}({given})")

    def _declare(
        self, result: Kind | str, name: str, arguments: tuple[tuple[Kind | str, str], ...]
    ) -> None:
        kinds = ", ".join(str(kind) for kind, _ in arguments)
        self.function.module.declare(result, name, kinds)

    def jump(self, target: Block) -> None:
        """End this block by going to `target`."""
        self.block.end = f"br label %{target.label}"

    def branch(self, condition: str, yes: Block, no: Block) -> None:
        """End this block by going to `yes` or `no`."""
        self.block.end = f"br i1 {condition}, label %{yes.label}, label %{no.label}"

    # Arithmetic on int64, folded where both operands are known

    def iadd(self, a: str, b: str) -> str:
        """a + b"""
        if _known(a) and _known(b):
            return str(int(a) + int(b))
        if a == "0" or b == "0":
            return b if a == "0" else a
        return self.op(f"add nsw i64 {a}, {b}")

    def isub(self, a: str, b: str) -> str:
        """a - b"""
        if _known(a) and _known(b):
            return str(int(a) - int(b))
        return a if b == "0" else self.op(f"sub nsw i64 {a}, {b}")

    def imul(self, a: str, b: str) -> str:
        """a * b"""
        if _known(a) and _known(b):
            return str(int(a) * int(b))
        if "0" in (a, b):
            return "0"
        if "1" in (a, b):
            return b if a == "1" else a
        return self.op(f"mul nsw i64 {a}, {b}")


def _known(value: str) -> bool:
    return value.lstrip("-").isdigit()
