"""Nests of one kernel are parted where one of them stores along the loop they share."""

from __future__ import annotations

import numpy as np

import exprgrad as eg
from exprgrad.loop import ir
from exprgrad.loop.ir import Axis, Buffer, Kernel, Scalar, Store
from exprgrad.loop.part import part
from exprgrad.loop.schedule import across


def element(buffer: Buffer, *axes: Axis) -> Scalar:
    return ir.read(buffer, buffer.shape, [ir.axis_value(axis) for axis in axes])


def kernel(turned: bool, joined: bool) -> Kernel:
    """i: (j: x[j, i] or x[i, j] = a[i, j]), (k: y[i, k] = b[i, k], or x[.., 0])."""
    i, j, k = Axis("i", 64), Axis("j", 40), Axis("k", 10)
    a, b, x, y = (
        Buffer(name, shape, eg.float32, role)
        for name, shape, role in (
            ("a", (64, 40), "input"),
            ("b", (64, 10), "input"),
            ("x", (40, 64) if turned else (64, 40), "temporary"),
            ("y", (64, 10), "temporary"),
        )
    )
    place = tuple(map(ir.axis_value, (j, i) if turned else (i, j)))
    zero = ir.number(0)
    first = (zero, ir.axis_value(i)) if turned else (ir.axis_value(i), zero)
    value = ir.read(x, x.shape, first) if joined else element(b, i, k)
    return Kernel(
        (
            Store(x, (i, j), place, element(a, i, j)),
            Store(y, (i, k), (ir.axis_value(i), ir.axis_value(k)), value),
        )
    )


def test_a_nest_that_stores_along_the_shared_loop_gets_its_own() -> None:
    both = kernel(turned=True, joined=False)
    assert [each.stores for each in part([both])] == [(s,) for s in both.stores]


def test_nests_that_store_along_their_own_loops_or_read_one_another_stay_together() -> None:
    for each in (kernel(turned=False, joined=False), kernel(turned=True, joined=True)):
        assert part([each]) == [each]


def test_gathered_pictures_are_turned_in_registers() -> None:
    """No element of the copy of a batch is stored by itself."""
    x, y = eg.input("x", ("batch", 1, 28, 28)), eg.input("y", ("batch",), "int64")
    w = eg.parameter("parted_w", (6, 1, 5, 5), init=eg.init.he_normal())
    v = eg.parameter("parted_v", (16, 6, 5, 5), init=eg.init.he_normal())
    pooled = eg.max_pool2d(eg.relu(eg.conv2d(x, w, padding=2)), 2)
    features = eg.mean(eg.relu(eg.conv2d(pooled, v)), (-2, -1))
    loss = eg.mean(eg.nn.cross_entropy(features, y))
    trainer = eg.Trainer(loss, eg.optim.SGD(0.1))
    kernels = trainer.program.epoch.program.compiled.kernels
    (gathered,) = [k for k in kernels if "x" in {b.name for b in k.kernel.reads()}]
    (store,) = gathered.kernel.stores
    assert across(gathered, store)
    rng = np.random.default_rng(0)
    trainer.fit({"x": rng.normal(size=(40, 1, 28, 28)), "y": np.arange(40) % 4}, batch_size=20)
