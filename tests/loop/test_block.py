"""Long sums in blocks: values, bits, and which sums they are."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.dtype import float32
from exprgrad.loop import block, ir
from exprgrad.loop.contract import in_blocks
from exprgrad.loop.cost import Machine
from exprgrad.loop.ir import Axis, Buffer, Kernel, Store
from exprgrad.loop.reason import slow_ways
from exprgrad.loop.schedule import Scheduled
from tests.loop.stages import interpreted, stages

SMALL = Machine(64, 32, cache_bytes=1000)
X, Y = eg.input("x", ("n", 40)), eg.input("y", ("n", 36))


def steps(kernels: list[Scheduled]) -> list[tuple[str, ...]]:
    """The extents of each sum that is added to what earlier blocks have given."""
    stores = [store for each in kernels for store in each.kernel.stores]
    return [
        tuple(str(axis.extent) for axis in store.value.params[1])
        for store in stores
        if in_blocks(store)
    ]


@pytest.mark.parametrize("n", [0, 1, 7, 8, 19])
def test_plain_python_adds_up_the_same(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block, "STEPS", 8)
    product = X.T @ Y
    made = stages([eg.tanh(product) + 1, product * 2], machine=SMALL)
    assert steps(made.scheduled) == [("8",)]
    rng = np.random.default_rng(n)
    x, y = (rng.normal(size=(n, size)).astype(np.float32) for size in (40, 36))
    kernels = [each.kernel for each in made.scheduled]
    found = interpreted(kernels, made.outputs, {X: x, Y: y})
    np.testing.assert_allclose(found[0], np.tanh(x.T @ y) + 1, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[1], x.T @ y * 2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kilobytes", "expected"), [(128, 512), (512, 512), (768, 820), (1024, 1024), (2048, 1024)]
)
def test_blocks_are_shorter_where_the_cache_is_smaller(kilobytes: int, expected: int) -> None:
    a, b = eg.input("a", (4096, 2080)), eg.input("b", (4096, 2080))
    machine = Machine(64, 32, cache_bytes=kilobytes << 10)
    made = stages([eg.einsum("ki,kj->ij", a, b)], machine=machine)
    assert steps(made.scheduled) == [(str(expected),)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turned", ["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize("rows, long, columns", [(130, 4096, 150), (97, 5003, 301)])
def test_products(
    rows: int, long: int, columns: int, turned: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = [(rows, long), (long, columns)]
    a, b = (
        eg.input(name, shape if way == "N" else shape[::-1], dtype)
        for name, shape, way in zip("ab", shapes, turned, strict=True)
    )
    left, right = (x if way == "N" else x.T for x, way in zip((a, b), turned, strict=True))
    f = eg.function([a, b], left @ right)
    assert steps(stages([left @ right]).scheduled)
    rng = np.random.default_rng(0)
    given = [rng.normal(size=node.shape).astype(dtype) for node in (a, b)]
    monkeypatch.setenv("EXPRGRAD_THREADS", "1")
    alone = f(*given)
    wide = [x.astype(np.float64).T if way == "T" else x.astype(np.float64)
            for x, way in zip(given, turned, strict=True)]  # fmt: skip
    error = np.abs(alone - wide[0] @ wide[1]) / (np.abs(wide[0]) @ np.abs(wide[1]))
    assert error.max() < 4 * np.finfo(dtype).eps
    monkeypatch.setenv("EXPRGRAD_THREADS", "2")
    np.testing.assert_array_equal(f(*given), alone)


@pytest.mark.parametrize("batch", [0, 1, 3, 8, 9])
def test_the_gradient_of_a_convolution(batch: int) -> None:
    x, g = (eg.input(name, ("batch", 32, 16, 16)) for name in "xg")
    kernel = eg.parameter("kernel", (32, 32, 3, 3), init=0.0)
    slope = eg.grad((eg.conv2d(x, kernel, padding=1) * g).sum(), [kernel])[0]
    trained = eg.function([x, g], None, {kernel: kernel - slope})
    assert steps(stages([slope]).scheduled)
    rng = np.random.default_rng(batch)
    xs, gs = (rng.normal(size=(batch, 32, 16, 16)) for _ in "xg")
    trained(xs.astype(np.float32), gs.astype(np.float32))
    padded = np.pad(xs, ((0, 0), (0, 0), (1, 1), (1, 1)))
    taps = [
        [np.einsum("nohw,nchw->oc", gs, padded[:, :, i : i + 16, j : j + 16]) for j in range(3)]
        for i in range(3)
    ]
    wanted = -np.transpose(taps, (2, 3, 0, 1))
    np.testing.assert_allclose(kernel.value, wanted, rtol=1e-4, atol=1e-3)


def test_each_thread_adds_to_a_part_of_its_own() -> None:
    a, b = eg.input("a", (9000, 40)), eg.input("b", (9000, 60))
    (each,) = (k for k in stages([a.T @ b]).scheduled if steps([k]))
    (store,) = each.kernel.stores
    assert each.parallel in set(store.axes) - store.ordered
    assert not slow_ways(each)


@pytest.mark.parametrize("rows, columns", [(1024, 512), (4096, 16), ("batch", 512)])
def test_short_sums_and_small_factors_stay_whole(rows: int | str, columns: int) -> None:
    a, b = (eg.input(name, (rows, columns)) for name in "ab")
    assert not steps(stages([a.T @ b]).scheduled)


def test_a_sum_inside_another_reduction_stays_whole() -> None:
    i, j, k, t = (Axis(*each) for each in (("i", 7), ("j", 320), ("k", 200), ("t", 4096)))
    a, b = (Buffer(*each, float32, "input") for each in (("a", (4096, 7, 200)), ("b", (4096, 320))))
    left = ir.read(a, a.shape, tuple(map(ir.axis_value, (t, i, k))))
    right = ir.read(b, b.shape, tuple(map(ir.axis_value, (t, j))))
    total = ir.reduction("sum", (ir.scalar("multiply", (left, right), (), float32),), (t,))

    def parts(loops: tuple[Axis, ...], value: ir.Scalar) -> int:
        out = Buffer("out", tuple(axis.extent for axis in loops), float32, "output")
        store = Store(out, loops, tuple(map(ir.axis_value, loops)), value)
        return len(block.block([Kernel((store,))], Machine()))

    assert parts((i, k, j), total) == 3
    assert parts((k, j), ir.reduction("max", (total,), (i,))) == 1
