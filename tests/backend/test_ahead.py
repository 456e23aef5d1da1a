"""Large states are asked for ahead of their use: what is written as well, to be written."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend.jit import host, named
from exprgrad.graph.evaluate import evaluate
from exprgrad.runtime.compile import Request, compile_request

from .test_assembly import innermost_loops, multiplications

SMALL_CACHE = replace(
    named("x86-64-v4", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+fma,+prfchw"), cache_bytes=1 << 17
)
W = eg.parameter("asked_w", (256, 256), init=eg.init.normal(1.0))
WIDE = eg.parameter("asked_wide", (512, 512), init=eg.init.normal(1.0))
LARGE_CACHE = replace(SMALL_CACHE, cache_bytes=1 << 20)
DECAY = eg.state("asked_decay", (256, 256), init=0.5)
HINT = re.compile(r"@llvm.prefetch.p0\(ptr %v\d+, i32 (\d), ")


def hints(new: eg.Tensor) -> list[str]:
    """Whether each hint is to read ("0") or to write ("1")."""
    x, y = eg.input("x", (64, 256)), eg.input("y", (64, 256))
    compiled = compile_request(Request([], {W: new - 0.1 * (x.T @ y)}), SMALL_CACHE)
    return HINT.findall(compiled.library.ir)


def test_what_is_updated_is_asked_for_to_be_written() -> None:
    found = hints(W)
    assert found
    assert set(found) == {"1"}


def test_what_is_read_alone_is_asked_for_to_be_read() -> None:
    found = hints(W * DECAY)
    assert found.count("0") == found.count("1") > 0


def in_the_hottest_loop(request: Request, kind: str) -> int:
    """How many hints of a kind stand in the loop with the most multiplications."""
    compiled = compile_request(request, LARGE_CACHE)
    loops = reversed(innermost_loops(compiled.library.assembly))
    loop = max(loops, key=multiplications)
    return sum(f"\t{kind}\t" in line for line in loop)


@pytest.mark.parametrize(("size", "hints"), [(40, 3), (64, 2), (96, 1), (128, 1), ("n", 1)])
def test_a_tile_is_asked_for_while_its_sum_runs(size: int | str, hints: int) -> None:
    """Of its 24 lines a round of four steps asks for its share, rounded up."""
    x, y = eg.input("x", (size, 512)), eg.input("y", (size, 512))
    assert in_the_hottest_loop(Request([], {WIDE: WIDE - 0.1 * (x.T @ y)}), "prefetchw") == hints


def test_a_tile_of_pairs_is_asked_for_before_its_sum() -> None:
    x, y = eg.input("x", (64, 512)), eg.input("y", (64, 512))
    pairs = replace(LARGE_CACHE, features=LARGE_CACHE.features + ",+avx512bf16")
    request = Request([], {WIDE: WIDE - 0.1 * eg.matmul(x.T, y, "bfloat16")})
    compiled = compile_request(request, pairs)
    assert any(how.pairs for k in compiled.kernels for how in k.how.values())
    assert HINT.findall(compiled.library.ir).count("1") >= 24


def test_a_large_factor_of_the_rows_is_not_asked_for_by_columns() -> None:
    x = eg.input("x", (512, 96))
    hidden = eg.tanh(WIDE @ x)
    assert in_the_hottest_loop(Request([hidden], {}), "prefetcht1") == 0


@pytest.mark.parametrize("turned", [False, True])
def test_the_next_columns_are_asked_for_while_a_sum_runs(turned: bool) -> None:
    """Each of 16 tiles of rows asks for 128 of 512 x 4 lines, one in each of 128 rounds."""
    x = eg.input("x", (96, 512))
    hidden = eg.tanh(x @ (WIDE.T if turned else WIDE))
    assert in_the_hottest_loop(Request([hidden], {}), "prefetcht1") == 1


@pytest.mark.parametrize("size", [16, (64, 2)])
def test_it_is_asked_for_before_a_sum_without_rounds(size: int | tuple[int, ...]) -> None:
    shape = size if isinstance(size, tuple) else (size,)
    x, y = eg.input("x", (*shape, 512)), eg.input("y", (*shape, 512))
    places = "uv"[: len(shape)]
    slope = eg.einsum(f"{places}i,{places}j->ij", x, y)
    compiled = compile_request(Request([], {WIDE: WIDE - 0.1 * slope}), LARGE_CACHE)
    assert len(HINT.findall(compiled.library.ir)) >= 24
    loop = max(innermost_loops(compiled.library.assembly), key=multiplications)
    assert not [line for line in loop if "\tprefetchw" in line]


@pytest.mark.parametrize("n", [0, 1, 3, 4, 31, 32, 33, 64, 129])
def test_hints_change_no_result(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(host(), cache_bytes=1 << 18)
    monkeypatch.setattr("exprgrad.runtime.compile.host", lambda: small)
    monkeypatch.setenv("EXPRGRAD_CACHE", "0")
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal((2, n, 512)).astype(np.float32)
    before = WIDE.value.copy()
    x, y = eg.input("x", ("n", 512)), eg.input("y", ("n", 512))
    step = eg.function([x, y], [], updates={WIDE: WIDE - 0.1 * (x.T @ y)})
    assert HINT.search(eg.explain(step)["LLVM IR"])
    step(a, b)
    exact = before - 0.1 * (a.T.astype(np.float64) @ b)
    np.testing.assert_allclose(WIDE.value, exact, rtol=1e-4, atol=1e-4)


def test_what_is_gone_through_is_asked_for_some_lines_ahead() -> None:
    x = eg.input("asked_x", (1 << 16,))
    v = eg.state("asked_v", (1 << 16,), init=0.0)
    ir = compile_request(Request([], {v: 0.9 * v + x}), SMALL_CACHE).library.ir
    assert set(HINT.findall(ir)) == {"0", "1"}
    short = eg.input("asked_short", (1 << 10,))
    ir = compile_request(Request([eg.exp(short)], {}), SMALL_CACHE).library.ir
    assert not HINT.findall(ir)


@pytest.mark.parametrize(
    ("cpu", "alone", "beside"), [("x86-64-v4", 3072, 3072), ("znver3", 3072, 1536)]
)
def test_how_far_ahead_depends_on_the_processor(cpu: str, alone: int, beside: int) -> None:
    x, y = (eg.input(name, (1 << 16,)) for name in ("asked_x", "asked_y"))
    for graph, ahead in ((eg.tanh(x), alone), (eg.tanh(x * y), beside)):
        target = replace(SMALL_CACHE, cpu=cpu)
        made = compile_request(Request([graph], {}), target).library.ir
        asked = re.findall(r"@llvm.prefetch.p0\(ptr (%v\d+), ", made)
        assert asked
        for there in asked:
            assert f"{there} = getelementptr float, ptr " in made
            assert re.search(rf"{there} = getelementptr .*, i64 {ahead // 4}\n", made)


def test_what_is_gone_through_is_not_asked_for_where_the_processor_foresees_it() -> None:
    x, w = eg.input("asked_x", (1 << 16,)), eg.input("asked_rows", (64, 256))
    v = eg.state("asked_v", (1 << 16,), init=0.0)
    zen = replace(SMALL_CACHE, cpu="znver4")
    stream = Request([], {v: 0.9 * v + x})
    tiles = Request([], {W: W - 0.1 * (w.T @ w)})
    assert HINT.findall(compile_request(stream, SMALL_CACHE).library.ir)
    assert not HINT.findall(compile_request(stream, zen).library.ir)
    assert HINT.findall(compile_request(tiles, zen).library.ir)


def test_a_sum_asks_for_what_it_goes_through() -> None:
    x = eg.input("asked_x", (1 << 16,))
    ir = compile_request(Request([eg.sum(eg.tanh(x))], {}), SMALL_CACHE).library.ir
    assert set(HINT.findall(ir)) == {"0"}


ROWS_OF_STEP = """
import ctypes, mmap, re
import numpy as np
import exprgrad as eg
from exprgrad.runtime.step import Epoch

x = eg.input("x", ("batch", 300))
total = eg.state("total", (300,), init=0.0)
hidden = x @ eg.ones((300, 300))
epoch = Epoch([x], {"loss": eg.exp(x).sum()}, {total: total + hidden.sum(axis=0)})
text = epoch.program.compiled.library.ir
print(len(re.findall(r"@llvm.prefetch.p0\\(ptr %v\\d+, i32 0, i32 2", text)))
pages = mmap.mmap(-1, 2 * mmap.PAGESIZE)
start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
nothing = ctypes.c_void_p(start + mmap.PAGESIZE), mmap.PAGESIZE, 0
assert ctypes.CDLL(None).mprotect(*nothing) == 0
data = np.random.default_rng(0).normal(size=(11, 300)).astype("float32")
for rows in (1, 2, 3, 7, 11):
    order = np.frombuffer(pages, np.int64, rows, mmap.PAGESIZE - 8 * rows)
    order[:] = np.random.default_rng(1).permutation(11)[:rows]
    for batch in (1, 2, 4, rows):
        steps = epoch.over({"x": data}, rows, batch)
        found = steps.run(order, 0, -(-rows // batch))["loss"].sum()
        np.testing.assert_allclose(found, np.exp(data[order]).sum(), rtol=1e-5)
"""


def test_rows_of_a_step_are_asked_for_ahead_and_none_beyond_the_order() -> None:
    """Memory behind the order may not be read: there it would end the process."""
    run = subprocess.run([sys.executable, "-c", ROWS_OF_STEP], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 0


def test_rows_at_indices_that_are_checked_ask_for_nothing() -> None:
    table = eg.input("asked_table", (1 << 10, 512))
    rows = eg.input("asked_rows", (100,), "int64")
    ir = compile_request(Request([eg.exp(table[rows])], {}), SMALL_CACHE).library.ir
    assert not HINT.findall(ir)


@pytest.mark.parametrize("stride", [2, 3])
def test_what_lies_anywhere_for_each_lane_is_not_asked_for(stride: int) -> None:
    """Windows over a named axis, reversed: the gradient's index is divided by the stride."""
    x = eg.input("x", (4, "batch"), "float64")
    taps = eg.sliding_window(x[:, ::-1], 3, 1, stride=stride).sum(2)
    slope = eg.grad((taps * taps).sum(), x)
    given = np.random.default_rng(0).normal(size=(4, 33))
    (wanted,) = evaluate([slope], {x: given})
    np.testing.assert_allclose(eg.function([x], slope)(given), wanted, rtol=1e-12)
