"""What a vector along an axis costs: stores of elements that lie apart, and masks."""

from __future__ import annotations

from dataclasses import replace

import pytest

import exprgrad as eg
from exprgrad.graph import dtype
from exprgrad.graph.node import walk
from exprgrad.loop import ir
from exprgrad.loop.cost import Machine
from exprgrad.loop.ir import Axis, Buffer, Store
from exprgrad.loop.vector import cost
from tests.loop.stages import stages

LANES = 16
MACHINE = Machine(4 * LANES)
ROW, COLUMN = Axis("i", 256), Axis("j", 64)
STEP = Axis("k", 3)


def array(name: str, *shape: int, role: str = "input") -> Buffer:
    return Buffer(name, shape, dtype.float32, role)


def copied(to: Buffer, apart: int) -> Store:
    """y[i * apart] = x[i]"""
    i = ir.axis_value(ROW)
    return Store(to, (ROW,), (ir.times(i, apart),), ir.read(array("x", 256), (256,), (i,)))


def steps(role: str, size: int = 1 << 16, machine: Machine = MACHINE) -> list[float]:
    """The costs of stores 1, 2, 8, 16 and 64 elements apart."""
    stored = [copied(array("y", size, role=role), apart) for apart in (1, 2, 8, 16, 64)]
    return [cost([store], ROW, (ROW,), LANES, machine) for store in stored]


def test_elements_that_share_no_line_cost_a_line_each() -> None:
    in_order, second, eighth, whole_line, two_lines = steps("temporary")
    assert in_order < second < eighth < whole_line == two_lines
    assert whole_line > 5 * LANES * in_order / 2  # a load and a store of a vector
    assert steps("temporary", machine=replace(MACHINE, masks=False))[1] > 4 * second


def test_lines_that_are_near_are_not_fetched() -> None:
    """Those of a small array, and of a state whose old value was just read."""
    far = steps("temporary")
    for near in (steps("temporary", 1 << 12), steps("state"), steps("next")):
        assert near[:2] == far[:2]
        assert near[1] < near[2] == near[3] == near[4] < far[2]


@pytest.mark.parametrize("along", [ROW, COLUMN])
def test_products_under_a_mask_cost_its_lanes(along: Axis) -> None:
    """y[i, j] = sum over k: where(i + k < 250, x[i, j, k] * w[k], 0)"""
    i, j, k = map(ir.axis_value, (ROW, COLUMN, STEP))
    x = ir.read(array("x", 256, 64, 3), (256, 64, 3), (i, j, k))
    product = ir.scalar("multiply", (x, ir.read(array("w", 3), (3,), (k,))), (), dtype.float32)
    inside = ir.scalar("less", (ir.add(i, k), ir.number(250)), (), dtype.bool_)
    tried = ir.scalar("where", (inside, product, ir.zero(dtype.float32)), (), dtype.float32)
    y = array("y", 256, 64, role="temporary")
    axes = (ROW, COLUMN)
    sums = [ir.reduction("sum", (body,), (STEP,)) for body in (product, tried)]
    plain, masked = (
        cost([Store(y, axes, (i, j), total)], along, axes, LANES, MACHINE) for total in sums
    )
    assert (masked > plain) == (along is ROW)


def test_no_lane_of_a_depthwise_gradient_is_tried() -> None:
    """Vectors run along the images, where a border is the same for all lanes."""
    x, w = eg.input("x", (32, 64, 28, 28)), eg.input("w", (64, 1, 3, 3))
    y = eg.conv2d(x, w, padding=1, groups=64)
    tried = []
    for scheduled in stages(eg.grad(eg.sum(y * y * y), [x, w])).scheduled:
        vectors = {axis for axis, how in scheduled.how.items() if how.vector}
        sums = [n for n in ir.scalars(scheduled.kernel) if n.op == "reduce"]
        assert vectors
        tried += [vectors & ir.free_axes(n.args[0]) for n in walk(sums) if n.op == "where"]
    assert tried
    assert not any(tried)
