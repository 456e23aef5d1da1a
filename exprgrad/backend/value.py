"""Values of the code being written, with operators: `a * b + c` emits two instructions.

Only for formulas that are easier to read as formulas; nothing is folded or rearranged,
one operator is one instruction. A number beside a value stands for its splat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from exprgrad.backend.text import Code, Kind

Number = float | int | bool


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A scalar or a vector: where it is written, its type, its name."""

    code: Code
    kind: Kind
    name: str

    @property
    def is_float(self) -> bool:
        """Whether the elements are floating-point numbers."""
        return self.kind.element in ("float", "double")

    def make(self, text: str, kind: Kind | None = None) -> Value:
        """The value of one instruction."""
        return Value(self.code, kind or self.kind, self.code.op(text))

    def splat(self, number: Number) -> Value:
        """A constant of the same type."""
        return Value(self.code, self.kind, self.kind.splat(number))

    def like(self, other: Value | Number) -> Value:
        """`other`, or the splat of a number."""
        return other if isinstance(other, Value) else self.splat(other)

    def _binary(self, floating: str, whole: str, a: Value, b: Value) -> Value:
        op = floating if self.is_float else whole
        return self.make(f"{op} {self.kind} {a.name}, {b.name}")

    def __add__(self, other: Value | Number) -> Value:
        return self._binary("fadd", "add", self, self.like(other))

    def __radd__(self, other: Number) -> Value:
        return self._binary("fadd", "add", self.splat(other), self)

    def __sub__(self, other: Value | Number) -> Value:
        return self._binary("fsub", "sub", self, self.like(other))

    def __rsub__(self, other: Number) -> Value:
        return self._binary("fsub", "sub", self.splat(other), self)

    def __mul__(self, other: Value | Number) -> Value:
        return self._binary("fmul", "mul", self, self.like(other))

    def __rmul__(self, other: Number) -> Value:
        return self._binary("fmul", "mul", self.splat(other), self)

    def __truediv__(self, other: Value | Number) -> Value:
        return self._binary("fdiv", "sdiv", self, self.like(other))

    def __rtruediv__(self, other: Number) -> Value:
        return self._binary("fdiv", "sdiv", self.splat(other), self)

    def __and__(self, other: Value | Number) -> Value:
        return self._binary("", "and", self, self.like(other))

    def __or__(self, other: Value | Number) -> Value:
        return self._binary("", "or", self, self.like(other))

    def __xor__(self, other: Value | Number) -> Value:
        return self._binary("", "xor", self, self.like(other))

    def __lshift__(self, count: Value | int) -> Value:
        return self._binary("", "shl", self, self.like(count))

    def __rshift__(self, count: Value | int) -> Value:
        return self._binary("", "ashr", self, self.like(count))

    def logical_right(self, count: Value | int) -> Value:
        """Shifted right, zeros coming in."""
        return self._binary("", "lshr", self, self.like(count))

    def __neg__(self) -> Value:
        return self.make(f"fneg {self.kind} {self.name}") if self.is_float else 0 - self

    def compare(self, floating: str, whole: str, other: Value | Number) -> Value:
        """A condition, by LLVM's words for it: ("olt", "slt")."""
        op = f"fcmp {floating}" if self.is_float else f"icmp {whole}"
        text = f"{op} {self.kind} {self.name}, {self.like(other).name}"
        return self.make(text, self.kind.with_element("i1"))

    def __lt__(self, other: Value | Number) -> Value:
        return self.compare("olt", "slt", other)

    def __le__(self, other: Value | Number) -> Value:
        return self.compare("ole", "sle", other)

    def __gt__(self, other: Value | Number) -> Value:
        return self.compare("ogt", "sgt", other)

    def same(self, other: Value | Number) -> Value:
        """Whether the two are equal (`==` compares Python objects)."""
        return self.compare("oeq", "eq", other)

    def differs(self, other: Value | Number) -> Value:
        """Whether the two are not equal; true of NaN."""
        return self.compare("une", "ne", other)

    @property
    def is_nan(self) -> Value:
        """Whether the number is none."""
        return self.compare("uno", "", self)

    def intrinsic(self, name: str, *others: Value) -> Value:
        """LLVM's function of this and more values of the same type."""
        arguments = [(value.kind, value.name) for value in (self, *others)]
        called = self.code.call(
            self.kind, f"llvm.{name}.{self.kind.mangled}", *arguments
        )
        return Value(self.code, self.kind, called)

    def make_call(self, name: str, *arguments: tuple[Kind | str, str]) -> Value:
        """The value of a call that gives this type."""
        return Value(self.code, self.kind, self.code.call(self.kind, name, *arguments))

    def convert(self, instruction: str, element: str) -> Value:
        """Another element type by a conversion instruction, such as `fpext`."""
        kind = self.kind.with_element(element)
        return self.make(f"{instruction} {self.kind} {self.name} to {kind}", kind)

    @property
    def bits(self) -> Value:
        """The bits of a float as an integer of its size."""
        return self.convert("bitcast", f"i{self.kind.bits}")

    @property
    def as_float(self) -> Value:
        """An integer's bits as a float of its size."""
        return self.convert("bitcast", {32: "float", 64: "double"}[self.kind.bits])


def fma(a: Value, b: Value | Number, c: Value | Number) -> Value:
    """a * b + c, rounded once."""
    return a.intrinsic("fma", a.like(b), a.like(c))


def absolute(x: Value) -> Value:
    """The magnitude of a float; one instruction."""
    return x.intrinsic("fabs")


def select(condition: Value, a: Value | Number, b: Value | Number) -> Value:
    """`a` where the condition holds, else `b`."""
    model = a if isinstance(a, Value) else b
    assert isinstance(model, Value)
    a, b = model.like(a), model.like(b)
    test = f"{condition.kind} {condition.name}"
    return model.make(f"select {test}, {a.kind} {a.name}, {b.kind} {b.name}")


def at_most(x: Value, bound: Number) -> Value:
    """min(x, bound), NaN where x is NaN: one instruction on x86."""
    limit = x.splat(bound)
    return select(limit < x, limit, x)


def at_least(x: Value, bound: Number) -> Value:
    """max(x, bound), NaN where x is NaN: one instruction on x86."""
    limit = x.splat(bound)
    return select(limit > x, limit, x)


def polynomial(x: Value, coefficients: Sequence[Value | float]) -> Value:
    """c[0] + c[1] x + c[2] x**2 + ... by Horner's scheme in fused steps."""
    result = x.like(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = fma(result, x, coefficient)
    return result


def in_pieces(
    piece: Kind, function: Callable[..., Value], first: Value, *others: Value
) -> Value:
    """A function of vectors applied to each part of them that has the type `piece`."""
    if first.kind == piece:
        return function(first, *others)
    parts = [
        function(*(_part(value, start, piece) for value in (first, *others)))
        for start in range(0, first.kind.lanes, piece.lanes)
    ]
    while len(parts) > 1:
        pairs = zip(parts[0::2], parts[1::2], strict=True)
        parts = [_joined(low, high) for low, high in pairs]
    return parts[0]


def _part(value: Value, start: int, piece: Kind) -> Value:
    return _shuffled(value, value, range(start, start + piece.lanes))


def _joined(low: Value, high: Value) -> Value:
    return _shuffled(low, high, range(2 * low.kind.lanes))


def _shuffled(a: Value, b: Value, lanes: range) -> Value:
    mask = ", ".join(f"i32 {lane}" for lane in lanes)
    text = f"{a.kind} {a.name}, {b.kind} {b.name}, <{len(lanes)} x i32> <{mask}>"
    return a.make(f"shufflevector {text}", replace(a.kind, lanes=len(lanes)))


def known(name: str) -> bool:
    """Whether the name of a value is a constant without a NaN."""
    return name[0] != "%" and not re.search("0x[7F]FF[8-F]", name)
