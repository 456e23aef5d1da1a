"""Kernels beside the machine's limits: what is estimated, what is measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import InputError
from exprgrad.inspect import machine
from exprgrad.inspect.roofline import KernelCost, table

RNG = np.random.default_rng(0)


@pytest.fixture
def trainer() -> eg.Trainer:
    x, y = eg.input("x", ("batch", 40)), eg.input("y", ("batch",))
    w = eg.parameter("w", (40, 30), init=RNG.normal(size=(40, 30)))
    loss = eg.mean((eg.tanh(x @ w).sum(axis=1) - y) ** 2)
    return eg.Trainer(loss, eg.optim.Adam(0.1))


def rows(n: int) -> dict[str, np.ndarray]:
    return {"x": RNG.normal(size=(n, 40)), "y": RNG.normal(size=n)}


def test_a_trainers_kernels_are_measured_and_nothing_is_changed(trainer: eg.Trainer) -> None:
    before = {s: s.value.copy() for s in trainer.program.updates}
    account = eg.explain(trainer, data=rows(100), batch_size=50)
    kernels = account.kernels()
    assert all(k.seconds is not None and k.seconds > 0 for k in kernels)
    assert all(np.array_equal(s.value, value) for s, value in before.items())
    product = max(kernels, key=lambda kernel: kernel.flops)
    assert product.flops >= 2 * 50 * 40 * 30
    text = account["kernels and their bounds"]
    assert "sizes of the data: batch 50" in text
    assert "share" in text
    assert text.count("%") >= len(kernels)
    assert account.stage("cost").name in account.milliseconds


def test_without_data_the_bounds_are_estimated(trainer: eg.Trainer) -> None:
    account = eg.explain(trainer)
    assert all(k.seconds is None and k.limit > 0 for k in account.kernels())
    text = account["cost"]
    assert "sizes assumed: batch 64" in text
    assert "took" not in text


def test_a_function_is_measured_on_arrays_in_order_or_by_name() -> None:
    x, y = eg.input("x", ("n",)), eg.input("y", ("n",))
    count = eg.state("count")
    f = eg.function([x, y], x * y + 1, updates={count: count + 1})
    data = [RNG.normal(size=5), RNG.normal(size=5)]
    for given in (data, dict(zip("xy", data, strict=True))):
        *_, product = eg.explain(f, data=given).kernels()
        assert {k.name: k.flops for k in eg.explain(f, data=given).kernels()}["output0"] == 10
        assert product.seconds is not None
    assert count.value == 0
    with pytest.raises(InputError, match="misses input y"):
        eg.explain(f, data=data[:1])
    with pytest.raises(InputError, match="arrays by the names of inputs, or in a list"):
        eg.explain(f, data=3)


def test_a_clock_changes_no_bit() -> None:
    x = eg.input("x", ("n", 20))
    f = eg.function([x], eg.softmax(x @ x.T, axis=1))
    value = RNG.normal(size=(30, 20)).astype("float32")
    arrays, dims = f.bound(value)
    timed = f.program.with_clock()
    (result,) = timed.run(arrays, dims)
    assert np.array_equal(result, f(value))
    *kernels, waiting = timed.program.ticks.max(axis=0)
    assert all(ticks > 0 for ticks in kernels)
    assert waiting >= 0
    assert f.program.program.ticks.size == 0


def test_a_large_product_is_bound_by_arithmetic_and_a_copy_by_memory() -> None:
    a, b = eg.input("a", (256, 256)), eg.input("b", (256, 256))
    (product,) = eg.explain(eg.function([a, b], a @ b)).kernels()
    (copied,) = eg.explain(eg.function([a], a + 1)).kernels()
    (ordered,) = eg.explain(eg.function([a], eg.cumulative_sum(a[:, 0]))).kernels()
    assert [product.bound, copied.bound, ordered.bound] == ["compute", "memory", "latency"]
    assert product.flops == 2 * 256**3
    assert copied.nbytes == 2 * 4 * 256**2


def test_the_table_has_a_line_for_each_kernel_and_its_reason() -> None:
    row = KernelCost("dot1", 25_690_112, 1000, 24, "compute", 2e-4, "8 x 2 vectors", 2.5e-4)
    assert table([row]).splitlines() == [
        "kernel   flops   bytes    bound  at least    took  share",
        "dot1    25.7 M  1.0 kB  compute    200 us  250 us    80%",
        "    8 x 2 vectors",
    ]


def test_of_what_was_seen_at_two_times_the_most_counts() -> None:
    level = machine.Memory("L1", 9, False, 4.0)
    slow = machine.Limits("x", 2, {"float32": 1.0}, (level,), 2.0, 7.0)
    fast = replace(slow, flops={"float32": 2.0}, levels=(replace(level, bandwidth=3.0),))
    best = machine._best(slow, fast)
    assert (best.flops["float32"], best.levels[0].bandwidth, best.latency) == (2.0, 4.0, 2.0)


def test_the_limits_are_kept_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXPRGRAD_CACHE", str(tmp_path))
    machine.limits.cache_clear()
    found = machine.limits(1)
    machine.limits.cache_clear()
    monkeypatch.setattr(machine, "_measured", None)
    assert machine.limits(1) == found
    assert found.flops["float32"] > found.flops["float64"] > 1e8
    assert 1e-10 < found.latency < 1e-7
    names = [level.name for level in found.levels]
    assert names[0] == "L1"
    assert names[-1] == "memory"
    assert found.levels[0].bandwidth > found.levels[-1].bandwidth


def test_what_never_runs_is_no_work() -> None:
    """Of a batch shorter than a block of its sum, the kernels for blocks have nothing to do."""
    x, w = eg.input("x", ("batch", 4, 12, 12)), eg.input("w", (4, 4, 3, 3))
    h = eg.conv2d(x, w)
    f = eg.function([x, w], (h - h.mean((0, 2, 3), keepdims=True)).std((0, 2, 3)))
    data = {"x": RNG.normal(size=(2, 4, 12, 12)), "w": RNG.normal(size=(4, 4, 3, 3))}
    kernels = eg.explain(f, data=data).kernels()
    (convolution, *_) = sorted(kernels, key=lambda kernel: -kernel.flops)
    assert convolution.flops == 2 * 2 * 4 * 10 * 10 * 4 * 9
    idle = [kernel for kernel in kernels if kernel.flops == kernel.nbytes == 0]
    assert idle
    assert all(kernel.limit == 0 for kernel in idle)


def test_a_product_under_a_condition_is_a_multiplication_and_an_addition() -> None:
    x, w = eg.input("x", (2, 8, 12, 12)), eg.input("w", (32, 8, 3, 3))
    y = eg.conv2d(x, w, padding=1)
    f = eg.function([x, w], eg.grad((y * eg.stop_gradient(y)).sum(), x))
    most = max(kernel.flops for kernel in eg.explain(f).kernels())
    assert most == 2 * 2 * 32 * 12 * 12 * 8 * 9


def test_the_table_of_kernels_is_printed_whole() -> None:
    x = y = eg.input("x", (40, 40))
    for _ in range(30):
        y = eg.tanh(y @ y)
    account = eg.explain(eg.function([x], y))
    table = account["kernels and their bounds"].rstrip()
    assert len(table.splitlines()) > 60
    assert table in str(account)
