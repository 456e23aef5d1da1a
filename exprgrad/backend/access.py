"""Reading and writing memory: addresses, vectors, masks.

An address is built from the outside in: the part that an outer loop fixes is computed
there, and what remains between the elements of a tile is a constant offset.
"""

from __future__ import annotations

from typing import TypeGuard

from exprgrad.backend.arith import INDEX, both, iota, known, reverse, splat
from exprgrad.backend.level import Level
from exprgrad.backend.scope import Point, Scope, Value
from exprgrad.backend.text import Code, Kind
from exprgrad.graph.dims import Size
from exprgrad.graph.dtype import DType
from exprgrad.loop import ir
from exprgrad.loop.ir import Affine, Axis, Buffer, Scalar, Store

Term = tuple[Scalar, Size]

# Elements so far apart are picked out of a run that is read as a whole.
NEAR = 4

# The same pointer, of which LLVM does not ask how it grows with a loop. It asks of every
# address, and the answers took a third of its time: one for each buffer is enough, for
# within a tile only constants are added to that.
OPAQUE = "llvm.strip.invariant.group.p0"


def memory_kind(dtype: DType, lanes: int = 1) -> Kind:
    """The type of an element in memory: a bool is a byte."""
    return Kind("i8", lanes) if dtype.kind == "b" else Kind.of(dtype, lanes)


# Addresses


def address(scope: Scope, buffer: Buffer, place: Affine, level: Level, point: Point) -> str:
    """Where element `place` of a buffer lies, at a point of the tile."""
    element = memory_kind(buffer.dtype)
    if (buffer, place) not in level.bases:
        level.bases[buffer, place] = _base(scope, buffer, place, level)
    pointer, home = level.bases[buffer, place]
    constant, moving = _apart(scope, place, level, point)
    for part in moving:
        pointer, home = _moved(level.code, element, pointer, part), level
    return _moved(home.code, element, pointer, str(constant))


def _base(scope: Scope, buffer: Buffer, place: Affine, level: Level) -> tuple[str, Level]:
    """The pointer moved by what the axes of all levels add, and the innermost of these."""
    pointer, home = scope.pointer(buffer), scope.root
    levels = list(level.outward())
    bound: dict[Axis | None, Level] = {a: each for each in reversed(levels) for a in each.axes}
    done: tuple[Term, ...] = ()
    for each in reversed(levels):
        here = tuple(term for term in place.terms if bound.get(_axis(term)) is each)
        if here:
            done += here
            pointer, home = _stepped(scope, buffer, pointer, each, here, done), each
    return pointer, home


def _axis(term: Term) -> Axis | None:
    return term[0].params[0] if term[0].op == "axis" else None


def _stepped(
    scope: Scope,
    buffer: Buffer,
    pointer: str,
    level: Level,
    here: tuple[Term, ...],
    done: tuple[Term, ...],
) -> str:
    """The pointer moved by what the axes of one level add; kept there for others."""
    key = ("address", buffer, done)
    if key not in level.known:
        by = "0"
        for atom, factor in here:
            start = level.axes[atom.params[0]].start
            by = level.code.iadd(by, level.code.imul(start, scope.size(factor)))
        moved = _moved(level.code, memory_kind(buffer.dtype), pointer, by)
        if known(by) is None:
            moved = level.code.call("ptr", OPAQUE, ("ptr", moved))
        level.known[key] = (moved, 1)
    return level.known[key][0]


def _apart(scope: Scope, place: Affine, level: Level, point: Point) -> tuple[int, list[str]]:
    """What a point of the tile, and indices that are no axes, add: the constant part,
    and the parts known at run time.
    """
    sizes: list[Size] = [place.offset]
    moving = []
    for atom, factor in place.terms:
        axis = _axis((atom, factor))
        if axis is None:
            index, _ = scope.value(atom, level, point)
            moving.append(level.code.imul(index, scope.size(factor)))
        elif number := point.get(axis, 0):
            sizes.append(factor * (number * level.bound(axis).step))
    constant = sum(size for size in sizes if isinstance(size, int))
    return constant, [*moving, *(scope.size(s) for s in sizes if not isinstance(s, int))]


def _moved(code: Code, element: Kind, pointer: str, by: str) -> str:
    if by == "0":
        return pointer
    return code.op(f"getelementptr inbounds {element}, ptr {pointer}, i64 {by}")


def _addresses(
    scope: Scope, buffer: Buffer, place: Affine, level: Level, point: Point, axis: Axis
) -> str:
    """The addresses of a vector's elements that do not lie side by side."""
    lanes, code = level.bound(axis).lanes, level.code
    kind = Kind("i64", lanes)
    factor = place.factor_of(axis)
    if factor is None:
        base, steps = scope.pointer(buffer), _positions(scope, place, level, point, lanes)
    else:
        base = address(scope, buffer, place, level, point)
        apart = splat(code, INDEX, scope.size(factor), lanes)
        steps = code.op(f"mul {kind} {iota(lanes)}, {apart}")
    return code.op(f"getelementptr {memory_kind(buffer.dtype)}, ptr {base}, {kind} {steps}")


def _positions(scope: Scope, place: Affine, level: Level, point: Point, lanes: int) -> str:
    """An index that is no multiple of the vector's axis, lane by lane."""
    code, kind = level.code, Kind("i64", lanes)
    total = splat(code, INDEX, scope.size(place.offset), lanes)
    for atom, factor in place.terms:
        value = scope.vector(atom, level, point, lanes)
        apart = splat(code, INDEX, scope.size(factor), lanes)
        total = code.op(f"add {kind} {total}, " + code.op(f"mul {kind} {value}, {apart}"))
    return total


# Reading


def load(scope: Scope, node: Scalar, level: Level, point: Point) -> Value:
    """The value of a read, and its lanes."""
    buffer, _, _, guard = ir.read_parts(node)
    vector = level.vector_of(ir.free_axes(node))
    place, code = ir.offset(node), level.code
    if vector is None:
        return _load_one(scope, node, level, point), 1
    axis, bound = vector
    lanes = bound.lanes
    mask = bound.mask_at(point.get(axis, 0))
    if guard is not None:
        mask = both(code, lanes, mask, scope.vector(guard, level, point, lanes))
    kind, factor = memory_kind(buffer.dtype, lanes), place.factor_of(axis)
    if factor == 1:
        loaded = _read(code, kind, address(scope, buffer, place, level, point), mask, False)
    elif _is_near(factor, code, kind):
        first = address(scope, buffer, place, level, point)
        loaded = _read_through(code, kind, first, mask, factor)
    elif factor == -1:
        first = address(scope, buffer, place + Affine((), 1 - lanes), level, point)
        turned = mask and reverse(code, kind.with_element("i1"), mask)
        loaded = reverse(code, kind, _read(code, kind, first, turned, False))
    else:
        apart = _addresses(scope, buffer, place, level, point, axis)
        loaded = _read(code, kind, apart, mask, True)
    return _as_value(code, buffer.dtype, lanes, loaded), lanes


def _load_one(scope: Scope, node: Scalar, level: Level, point: Point) -> str:
    """One element; where it is guarded, the address is made safe and a 0 is chosen."""
    buffer, _, _, guard = ir.read_parts(node)
    kind, code = memory_kind(buffer.dtype), level.code
    where = address(scope, buffer, ir.offset(node), level, point)
    if guard is None:
        return _as_value(code, buffer.dtype, 1, code.op(f"load {kind}, ptr {where}"))
    holds, _ = scope.value(guard, level, point)
    where = code.op(f"select i1 {holds}, ptr {where}, ptr {scope.pointer(buffer)}")
    loaded = code.op(f"load {kind}, ptr {where}")
    chosen = code.op(f"select i1 {holds}, {kind} {loaded}, {kind} {kind.splat(0)}")
    return _as_value(code, buffer.dtype, 1, chosen)


def _read(code: Code, kind: Kind, where: str, mask: str | None, apart: bool) -> str:
    align, flags = kind.bits // 8, kind.with_element("i1")
    if mask is None and not apart:
        return code.op(f"load {kind}, ptr {where}, align {align}")
    name = f"gather.{kind.mangled}.v{kind.lanes}p0" if apart else f"load.{kind.mangled}.p0"
    return code.call(
        kind,
        f"llvm.masked.{name}",
        (f"<{kind.lanes} x ptr>" if apart else "ptr", where),
        ("i32", str(align)),
        (flags, mask or flags.splat(True)),
        (kind, "zeroinitializer"),
    )


def _has_masks(code: Code, kind: Kind) -> bool:
    """Whether the processor leaves out lanes of a vector that it reads."""
    target = code.function.module.target
    return target is not None and (target.masks if kind.bits >= 32 else target.has("avx512bw"))


def _is_near(factor: Size | None, code: Code, kind: Kind) -> TypeGuard[int]:
    """Whether elements so far apart are picked out of a run, or put into one."""
    return isinstance(factor, int) and 1 < factor <= NEAR and _has_masks(code, kind)


def _read_through(code: Code, kind: Kind, where: str, mask: str | None, step: int) -> str:
    """The elements of a run that lie `step` apart; those between are masked out, for the last
    of them may lie behind the array.
    """
    wide, chosen = _run(code, kind, mask, step)
    run = _read(code, wide, where, chosen, False)
    places = ", ".join(f"i32 {n * step}" for n in range(kind.lanes))
    pair = f"{wide} {run}, {wide} poison"
    return code.op(f"shufflevector {pair}, <{kind.lanes} x i32> <{places}>")


def _write_through(
    code: Code, kind: Kind, where: str, mask: str | None, name: str, step: int
) -> None:
    """Write elements that lie `step` apart into a run; those between stay as they are."""
    wide, chosen = _run(code, kind, mask, step)
    run = _spread(code, kind, name, step)
    write(code, wide, where, chosen, run, False)


def _run(code: Code, kind: Kind, mask: str | None, step: int) -> tuple[Kind, str]:
    """The vector over elements that lie `step` apart, and the mask that leaves out others."""
    flags, wide = kind.with_element("i1"), Kind(kind.element, kind.lanes * step)
    wanted = ", ".join(f"i1 {str(n % step == 0).lower()}" for n in range(wide.lanes))
    chosen = f"<{wanted}>"
    if mask is not None:
        each = _spread(code, flags, mask, step)
        chosen = code.op(f"and {wide.with_element('i1')} {each}, {chosen}")
    return wide, chosen


def _spread(code: Code, kind: Kind, name: str, step: int) -> str:
    """A vector with each element `step` times in a row."""
    places = ", ".join(f"i32 {n // step}" for n in range(kind.lanes * step))
    pair = f"{kind} {name}, {kind} poison"
    return code.op(f"shufflevector {pair}, <{kind.lanes * step} x i32> <{places}>")


def _as_value(code: Code, dtype: DType, lanes: int, loaded: str) -> str:
    if dtype.kind != "b":
        return loaded
    kind = memory_kind(dtype, lanes)
    return code.op(f"icmp ne {kind} {loaded}, {kind.splat(0)}")


# Writing


def store(scope: Scope, target: Store, value: str, level: Level, point: Point) -> None:
    """Write a value, as wide as the store's vector, to where the store goes."""
    buffer, place, code = target.buffer, target.place(), level.code
    vector = level.vector_of(frozenset(target.axes))
    lanes = vector[1].lanes if vector else 1
    kind = memory_kind(buffer.dtype, lanes)
    value = as_stored(code, buffer.dtype, lanes, value)
    mask: str | None = None
    factor: Size | None = 1
    if vector is not None:
        axis, bound = vector
        mask, factor = bound.mask_at(point.get(axis, 0)), place.factor_of(axis)
    if not target.accumulate and _is_near(factor, code, kind):
        where = address(scope, buffer, place, level, point)
        _write_through(code, kind, where, mask, value, factor)
        return
    apart = factor != 1
    if isinstance(factor, int) and apart and mask is None and kind.bits == 8:
        where = address(scope, buffer, place, level, point)
        _write_bytes(code, kind, where, factor, value)
        return
    if apart and vector:
        where = _addresses(scope, buffer, place, level, point, vector[0])
    else:
        where = address(scope, buffer, place, level, point)
    if target.accumulate:
        before = _read(code, kind, where, mask, apart)
        add = "fadd" if kind.element in ("float", "double") else "add"
        value = code.op(f"{add} {kind} {before}, {value}")
    write(code, kind, where, mask, value, apart)


def _write_bytes(code: Code, kind: Kind, where: str, apart: int, name: str) -> None:
    """Write a vector of bytes that lie apart one by one: no instruction scatters them."""
    for lane in range(kind.lanes):
        one = code.op(f"extractelement {kind} {name}, i64 {lane}")
        there = _moved(code, Kind(kind.element), where, str(lane * apart))
        code.do(f"store {kind.element} {one}, ptr {there}")


def put(scope: Scope, place: Scalar, value: Value, level: Level, point: Point) -> None:
    """Write a value to where `place` reads one."""
    buffer, (name, lanes) = place.params[0], value
    where = address(scope, buffer, ir.offset(place), level, point)
    kind = memory_kind(buffer.dtype, lanes)
    write(level.code, kind, where, None, as_stored(level.code, buffer.dtype, lanes, name), False)


def as_stored(code: Code, dtype: DType, lanes: int, value: str) -> str:
    """A value as it stands in memory."""
    if dtype.kind != "b":
        return value
    return code.op(f"zext {Kind('i1', lanes)} {value} to {memory_kind(dtype, lanes)}")


def write(code: Code, kind: Kind, where: str, mask: str | None, name: str, apart: bool) -> None:
    """Write the lanes in the mask; `where` holds an address for each if they are apart."""
    align, flags = kind.bits // 8, kind.with_element("i1")
    if mask is None and not apart:
        code.do(f"store {kind} {name}, ptr {where}, align {align}")
        return
    intrinsic = f"scatter.{kind.mangled}.v{kind.lanes}p0" if apart else f"store.{kind.mangled}.p0"
    code.call_void(
        f"llvm.masked.{intrinsic}",
        (kind, name),
        (f"<{kind.lanes} x ptr>" if apart else "ptr", where),
        ("i32", str(align)),
        (flags, mask or flags.splat(True)),
    )
