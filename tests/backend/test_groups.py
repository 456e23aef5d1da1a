"""Contractions in groups of columns: which they are, their values, and their bits."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend.jit import host
from exprgrad.backend.program import Slices
from exprgrad.backend.target import Target
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.group import STEPS
from exprgrad.loop.reason import why
from exprgrad.loop.schedule import Scheduled
from exprgrad.runtime.compile import Request, compile_request
from tests.backend.harness import AVX2
from tests.backend.test_assembly import AVX512, hottest, multiplications
from tests.compiled import assert_same_bits, compiled, native, stepped

SMALL = replace(AVX2, cache_bytes=1 << 16)  # room for 512 steps of one tile
WIDE = replace(AVX512, cache_bytes=1 << 17)  # room for a block of one tile
N = "batch"
RUNS = pytest.mark.skipif(not host().has("avx2"), reason="no AVX2")
FORMS = {"NN": "ik,kj->ij", "NT": "ik,jk->ij", "TN": "ki,kj->ij", "TT": "ki,jk->ij"}


def factors(form: str, dtype: str = "float32", **size: int | str) -> list[Tensor]:
    shapes = (tuple(size[c] for c in part) for part in FORMS[form][:-4].split(","))
    return [eg.input(name, shape, dtype) for name, shape in zip("ab", shapes, strict=True)]


def product(form: str, **size: int | str) -> Tensor:
    return eg.einsum(FORMS[form], *factors(form, **size))


def kernels(graph: Tensor, target: Target) -> list[Scheduled]:
    return list(compile_request(Request([graph], {}), target).kernels)


def only(graph: Tensor, target: Target = AVX2) -> Scheduled:
    (kernel,) = kernels(graph, target)
    return kernel


def copies(kernel: Scheduled) -> tuple[int, int]:
    """How many factors have panels for a group, and how many strips."""
    found = kernel.group
    return (len(found.panels), len(found.strips)) if found else (0, 0)


def test_which_factors_are_copied() -> None:
    # rows of b on pages of their own; those of a follow one another along the sum
    assert copies(only(product("NN", i=64, k=784, j=1000))) == (1, 0)
    # neighbours along the sum are far apart in both
    assert copies(only(product("TN", i=784, k=128, j=1000))) == (1, 1)
    assert copies(only(product("TN", i=784, k=N, j=256))) == (1, 1)
    # rows of b are on few pages: the first rows of results fill its panels
    assert copies(only(product("NN", i=64, k=784, j=256))) == (0, 0)
    # a strip would be read for one tile of columns
    assert copies(only(product("TN", i=784, k=N, j=16))) == (0, 0)
    # a tile of four lines reads b where it lies
    assert copies(only(product("TN", i=784, k=128, j=1000), AVX512)) == (0, 0)


@pytest.mark.parametrize(
    ("i", "j", "copied"),
    [
        (784, 500, 1),  # vectors of b lie in two lines, for many rows
        (200, 100, 0),  # for few
        (784, 256, 0),  # in one, and several steps on a page
        (784, 1024, 1),  # in one, each step on a page of its own
        (256, 1024, 0),  # for few
    ],
)
def test_what_is_copied_for_a_gradient_in_wide_tiles(i: int, j: int, copied: int) -> None:
    *_, kernel = kernels(product("TN", i=i, k=N, j=j), AVX512)
    assert copies(kernel) == (copied, 0)
    assert kernel.group is not None
    assert len(kernel.group.sums) == 1


def test_how_threads_divide_a_group() -> None:
    def divided(target: Target, i: int, j: int) -> tuple[int, str]:
        w = eg.parameter("w", (i, j))
        step = Request([], {w: w - product("TN", i=i, k=N, j=j)}, Slices(N))
        (kernel,) = compile_request(step, target).kernels
        return copies(kernel)[0], str(kernel.parallel)

    # a mini-batch is near: each thread computes all of some rows, and fills all panels
    assert divided(AVX512, 784, 1000) == (1, "i")
    # what is as large as the cache is copied once
    assert divided(AVX512, 784, 5001) == (1, "j")
    # strips would be filled for each part again
    assert divided(AVX2, 784, 784) == (1, "j")


@RUNS
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("i", [508, 512, 126, 128, 380])
@pytest.mark.parametrize("wide", [False, True], ids=["narrow", "wide"])
def test_nothing_is_written_behind_the_last_row(wide: bool, i: int, threads: int) -> None:
    """As many rows as find a place, 510 of two tiles, leave fewer than the smallest tile."""
    if wide and not host().has("avx512f"):
        pytest.skip("no AVX-512")
    target = AVX512 if wide else SMALL
    program = compiled([product("TN", i=i, k=N, j=256)], target=target, parallel=True)
    for k in (200, 300, 700):
        a, b = np.ones((k + 8, i), "f")[:k], np.ones((k + 8, 256), "f")[:k]
        memory = np.full((i + 16, 256), -1, "f")
        program.run([a, b], {N: k}, [memory[:i]], threads=threads)
        assert (memory[:i] == k).all()
        assert (memory[i:] == -1).all()


@RUNS
def test_sums_of_nothing_along_a_second_axis() -> None:
    a, b = eg.input("a", (N, 0, 20)), eg.input("b", (N, 0, 530))
    given = {a: np.ones((300, 0, 20), "f"), b: np.ones((300, 0, 530), "f")}
    assert not run(eg.einsum("nui,nuj->ij", a, b), given).any()


def test_the_hottest_loop_goes_through_both_copies_in_order() -> None:
    loop = hottest(product("TN", i=780, k=128, j=960), AVX2)
    assert multiplications(loop) == 12
    steps = {int(n) for line in loop for n in re.findall(r"\taddq\t\$(\d+), ", line)}
    # a line of the panel, eight places of the strip, perhaps a counter
    assert {32, 64} <= steps <= {1, 32, 64}
    assert not [line for line in loop if re.search(r"vmov\w+\s+%ymm\d+, .*\(", line)]


def test_why_names_the_copies_and_the_blocks_of_sums() -> None:
    text = why(only(product("TN", i=784, k=N, j=256)), AVX2.registers)
    assert "b is copied for groups of j; a is copied for tiles of i" in text
    assert f"sums of more than {STEPS} steps run in blocks" in text
    known = why(only(product("TN", i=784, k=128, j=256)), AVX2.registers)
    assert "copied" in known
    assert "blocks" not in known


def run(graph: Tensor, given: dict[Tensor, np.ndarray], target: Target = SMALL) -> np.ndarray:
    """What any number of threads computes, to the bit."""
    program = compiled([graph], target=target, parallel=True)
    (alone,) = native(program, given)
    for threads in (2, 5):
        assert_same_bits(alone, native(program, given, threads=threads)[0])
    return alone


@RUNS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("k", [0, 1, 70, 256, 257, 512, 513, 1500])
@pytest.mark.parametrize(("i", "j"), [(13, 1040), (784, 130), (100, 77), (20, 0)])
def test_values_of_sums_of_any_length(form: str, dtype: str, k: int, i: int, j: int) -> None:
    """A block of 256 steps of two tiles finds a place in half of a cache of 64 KB, and so
    do the sums of 252 rows that are kept from block to block.
    """
    a, b = factors(form, dtype, i=i, k=N, j=j)
    graph = eg.einsum(FORMS[form], a, b) * 2 + 1
    # long sums of few results are divided first; what is turned has no run-time size
    grouped = form == "NN" or (form == "TN" and j == 1040)
    assert not (grouped and j) or any(kernel.group for kernel in kernels(graph, SMALL))
    rng = np.random.default_rng(k)
    x, y = rng.normal(size=(i, k)).astype(dtype), rng.normal(size=(k, j)).astype(dtype)
    found = run(graph, {a: x if form[0] == "N" else x.T, b: y if form[1] == "N" else y.T})
    near = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(found, x.astype("d") @ y * 2 + 1, rtol=near, atol=near * 10)


@pytest.mark.skipif(not host().has("avx512f"), reason="no AVX-512")
@pytest.mark.parametrize("k", [0, 1, 255, 256, 257, 700])
@pytest.mark.parametrize(("i", "j"), [(784, 130), (250, 64), (1000, 500), (217, 1)])
def test_values_of_gradients_in_wide_tiles(k: int, i: int, j: int) -> None:
    """Sums of 252 rows of one tile are kept from block to block."""
    a, b = factors("TN", i=i, k=N, j=j)
    graph = eg.tanh(eg.einsum(FORMS["TN"], a, b) / 8)
    assert j == 1 or only(graph, WIDE).group is not None
    rng = np.random.default_rng(k)
    x, y = rng.normal(size=(k, i)).astype("f"), rng.normal(size=(k, j)).astype("f")
    found = run(graph, {a: x, b: y}, WIDE)
    np.testing.assert_allclose(found, np.tanh(x.T.astype("d") @ y / 8), rtol=1e-4, atol=1e-5)


@RUNS
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("i", "k", "j"), [(40, 60, 1024), (13, 500, 2047), (33, 7, 515), (20, 5, 0), (20, 0, 30)]
)
def test_values_of_sums_of_known_length(form: str, i: int, k: int, j: int) -> None:
    a, b = factors(form, "float32", i=i, k=k, j=j)
    graph = eg.tanh(eg.einsum(FORMS[form], a, b) / 8)
    rng = np.random.default_rng(k)
    x, y = (rng.normal(size=shape).astype("f") for shape in ((i, k), (k, j)))
    found = run(graph, {a: x if form[0] == "N" else x.T, b: y if form[1] == "N" else y.T})
    np.testing.assert_allclose(found, np.tanh(x.astype("d") @ y / 8), rtol=1e-4, atol=1e-5)


@RUNS
@pytest.mark.parametrize("batch", [1, 33, 200])
def test_many_products_each_copy_their_own(batch: int) -> None:
    a, b = eg.input("a", (3, N, 40)), eg.input("b", (3, N, 1030))
    graph = eg.einsum("buk,buj->bkj", a, b)
    assert copies(only(graph, SMALL)) == (1, 1)
    rng = np.random.default_rng(batch)
    x, y = (rng.normal(size=(3, batch, n)).astype("f") for n in (40, 1030))
    expected = np.einsum("buk,buj->bkj", x.astype("d"), y)
    np.testing.assert_allclose(run(graph, {a: x, b: y}), expected, rtol=1e-4, atol=1e-4)


@RUNS
def test_what_does_not_move_with_outer_loops_is_copied_outside_of_them() -> None:
    a, b = eg.input("a", (5, 7, 20, 30)), eg.input("b", (30, 1000))
    c = eg.input("c", (7, 20, 1000))
    graph = eg.einsum("pqik,kj->pqij", a, b) + c
    kernel = only(graph, SMALL)
    assert len(kernel.kernel.stores[0].axes) > 2
    assert kernel.group is not None
    assert kernel.group.depth == 0
    rng = np.random.default_rng(0)
    given = [rng.normal(size=n).astype("f") for n in ((5, 7, 20, 30), (30, 1000), (7, 20, 1000))]
    found = run(graph, dict(zip((a, b, c), given, strict=True)))
    np.testing.assert_allclose(found, given[0] @ given[1] + given[2], rtol=1e-4, atol=1e-4)


@RUNS
def test_a_strip_may_move_with_a_loop_outside_of_the_group() -> None:
    a, b = eg.input("a", (4, 60, 50)), eg.input("b", (60, 1030))
    graph = eg.tanh(eg.einsum("pki,kj->pij", a, b) / 8) + eg.input("c", (50, 1030))
    kernel = only(graph, SMALL)
    assert copies(kernel) == (1, 1)
    assert kernel.group is not None
    assert (kernel.group.depth, len(kernel.kernel.stores[0].axes)) == (0, 3)
    rng = np.random.default_rng(0)
    x, y, z = (rng.normal(size=n).astype("f") for n in ((4, 60, 50), (60, 1030), (50, 1030)))
    c = next(node for node in walk([graph]) if node.op == "input" and node.shape == z.shape)
    expected = np.tanh(np.einsum("pki,kj->pij", x.astype("d"), y) / 8) + z
    np.testing.assert_allclose(run(graph, {a: x, b: y, c: z}), expected, rtol=1e-4, atol=1e-5)


@RUNS
@pytest.mark.parametrize("dtype", ["int64", "int32", "float64"])
def test_elements_wider_than_those_that_are_stored(dtype: str) -> None:
    a, b = eg.input("a", (128, 80), dtype), eg.input("b", (128, 1040), dtype)
    rng = np.random.default_rng(0)
    x, y = (rng.integers(-9, 9, size=node.shape).astype(dtype) for node in (a, b))
    found = run((a.T @ b).astype("float32"), {a: x, b: y})
    np.testing.assert_array_equal(found, (x.T @ y).astype("f"))


@RUNS
def test_a_factor_that_is_padded() -> None:
    a, b = eg.input("a", (70, 40)), eg.input("b", (73, 1030))
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=node.shape).astype("f") for node in (a, b))
    found = run(eg.pad(a, ((1, 2), (0, 0))).T @ b, {a: x, b: y})
    expected = np.pad(x, ((1, 2), (0, 0))).T.astype("d") @ y
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@RUNS
def test_a_sum_over_two_axes() -> None:
    a, b = eg.input("a", (9, N, 40)), eg.input("b", (9, N, 1030))
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(9, 31, n)).astype("f") for n in (40, 1030))
    graph = eg.einsum("uvi,uvj->ij", a, b)
    expected = np.einsum("uvi,uvj->ij", x.astype("d"), y)
    np.testing.assert_allclose(run(graph, {a: x, b: y}), expected, rtol=1e-4, atol=1e-4)


def test_what_is_turned_and_of_run_time_size_runs_along_its_sum() -> None:
    made = compile_request(Request([product("NT", i=784, k=N, j=1000)], {}), AVX2)
    assert [kernel.group for kernel in made.kernels] == [None]
    assert "gather" not in made.library.ir


@RUNS
@pytest.mark.parametrize("claims", [False, True], ids=["shares", "claims"])
@pytest.mark.parametrize(("rows", "columns"), [(784, 1000), (98, 531), (13, 2080)])
def test_an_update_is_made_once_for_each_weight(rows: int, columns: int, claims: bool) -> None:
    x, y = eg.input("x", (N, rows)), eg.input("y", (N, columns))
    w = eg.parameter("w", (rows, columns), np.ones((rows, columns), np.float32))
    made = compiled([x[0] * 2], {w: w - x.T @ y}, target=SMALL, parallel=True, claims=claims)
    assert any(kernel.group for kernel in made.compiled.kernels)
    for batch in (30, 600):
        rng = np.random.default_rng(batch)
        given = {node: rng.normal(size=(batch, node.shape[1])).astype("f") for node in (x, y)}
        alone = stepped(made, [w], given)
        expected = 1 - given[x].T.astype("d") @ given[y]
        np.testing.assert_allclose(alone[-1], expected, rtol=1e-3, atol=1e-3)
        for threads in (2, 3, 5):
            for one, other in zip(alone, stepped(made, [w], given, threads=threads), strict=True):
                assert_same_bits(one, other)


@RUNS
@pytest.mark.parametrize(("first", "second"), [(200, 200), (300, 300), (500, 40), (N, 300), (N, N)])
@pytest.mark.parametrize("batch", [70, 300, 700])
def test_several_sums_share_the_room(first: int | str, second: int | str, batch: int) -> None:
    """Half of the room is as much as a tile of 256 steps takes."""
    sizes = [(first, 40), (first, 1030), (second, 40), (second, 1030)]
    a, b, c, d = (eg.input(name, size) for name, size in zip("abcd", sizes, strict=True))
    graph = a.T @ b - c.T @ d
    known = [n for n in (first, second) if n != N]
    assert copies(only(graph, SMALL))[0] == (0 if any(n > 256 for n in known) else 2)
    rng = np.random.default_rng(batch)
    shapes = [[n if isinstance(n, int) else batch for n in node.shape] for node in (a, b, c, d)]
    x, y, z, w = (rng.normal(size=shape).astype("f") for shape in shapes)
    found = run(graph, {a: x, b: y, c: z, d: w})
    expected = x.T.astype("d") @ y - z.T.astype("d") @ w
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
