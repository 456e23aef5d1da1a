"""Each rule that kernels keep fires on a kernel that breaks it, and names the kernel."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exprgrad.errors import CompileError
from exprgrad.graph import dtype as dtypes
from exprgrad.loop import ir
from exprgrad.loop.check import check_kernels, check_order
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store

F32, F64 = dtypes.float32, dtypes.float64
ROW, COLUMN = Axis("i", 8), Axis("j", 8)
AT, ACROSS = ir.axis_value(ROW), ir.axis_value(COLUMN)
SOURCE = Buffer("source", (8,), F32, "input")
TARGET = Buffer("target", (8,), F32, "output")
DOUBLE = Buffer("target", (8,), F64, "output")
READ = ir.read(SOURCE, (8,), (AT,))
GOOD = Store(TARGET, (ROW,), (AT,), READ)


def sums(*axes: Axis, kind: str = "sum", count: int = 1) -> Scalar:
    return ir.scalar("reduce", (READ,) * count, (kind, axes), F32)


BROKEN = [
    (replace(GOOD, axes=()), "are loops around the store"),
    (replace(GOOD, index=(ACROSS,)), "are loops around the store"),
    (replace(GOOD, value=ir.read(SOURCE, (8,), (ACROSS,))), "are loops around the store"),
    (replace(GOOD, axes=(ROW, ROW)), "loops differ"),
    (replace(GOOD, ordered=frozenset({COLUMN})), "ordered loops are loops"),
    (replace(GOOD, value=ir.zero(F64)), "the dtype is stored"),
    (replace(GOOD, index=()), "an index for each axis"),
    (replace(GOOD, view=(2, 4)), "an index for each axis"),
    (replace(GOOD, value=ir.read(SOURCE, (7,), (AT,))), "a view has as many elements"),
    (
        replace(GOOD, value=ir.scalar("read", (), (SOURCE, (8,)), F32)),
        "an index for each axis",
    ),
    (replace(GOOD, value=ir.read(SOURCE, (8,), (AT,), AT)), "a guard is a condition"),
    (
        replace(GOOD, buffer=DOUBLE, value=ir.scalar("read", (AT,), (SOURCE, (8,)), F64)),
        "a read has its dtype",
    ),
    (replace(GOOD, value=sums(COLUMN, kind="median")), "median is a reduction"),
    (replace(GOOD, value=sums(COLUMN, COLUMN)), "sum is over different axes"),
    (replace(GOOD, value=sums()), "sum is over different axes"),
    (replace(GOOD, value=sums(COLUMN, kind="argmax")), "argmax has its arguments"),
    (replace(GOOD, value=sums(COLUMN, count=2)), "sum has its arguments"),
]


def test_a_good_kernel_passes() -> None:
    check_order([Kernel((GOOD,))])


@pytest.mark.parametrize(("store", "rule"), BROKEN, ids=[str(n) for n in range(len(BROKEN))])
def test_a_broken_kernel_is_named(store: Store, rule: str) -> None:
    with pytest.raises(CompileError, match=f"kernel target: .*{rule}"):
        check_kernels([Kernel((store,))])


def test_what_is_read_has_been_stored() -> None:
    between = Buffer("between", (8,), F32, "temporary")
    first = Kernel((replace(GOOD, buffer=between),))
    last = Kernel((replace(GOOD, value=ir.read(between, (8,), (AT,))),))
    check_order([first, last])
    with pytest.raises(CompileError, match=r"between.* is stored before it is read"):
        check_order([last, first])


def test_all_of_what_is_read_has_been_stored() -> None:
    between = Buffer("between", (16,), F32, "temporary")
    place = ir.add(AT, ir.number(8))
    first = Kernel((replace(GOOD, buffer=between),))
    second = Kernel((replace(GOOD, buffer=between, index=(place,)),))
    last = Kernel((replace(GOOD, value=ir.read(between, (16,), (AT,))),))
    check_order([second, first, last])
    with pytest.raises(CompileError, match=r"between.* is stored before it is read"):
        check_order([first, last, second])
