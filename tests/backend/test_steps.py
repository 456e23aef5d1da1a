"""Every second, third or fourth element is picked out of vectors that are read whole, and put
into such as are written.
"""

import re
import subprocess
import sys

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend.jit import named
from exprgrad.runtime.compile import Request, compile_request

AVX512 = named("x86-64-v4", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+fma")
AVX2 = named("x86-64-v3", "+avx2,+fma")


@pytest.mark.parametrize("step", [2, 3, 4, 5, -2])
@pytest.mark.parametrize("size", [0, 1, 7, 16, 33, 70])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool"])
def test_values(step: int, size: int, dtype: str) -> None:
    array = (3 * np.random.default_rng(0).normal(size=(3, size))).astype(dtype)
    for sizes in (array.shape, ("n", size)):
        x = eg.input("x", sizes, dtype=dtype)
        np.testing.assert_array_equal(eg.function([x], x[:, ::step])(array), array[:, ::step])


@pytest.mark.parametrize("step", [2, 3, 4, 5])
@pytest.mark.parametrize("size", [1, 7, 16, 33, 70])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_values_that_are_written_between_others(step: int, size: int, dtype: str) -> None:
    """Each piece of an array in `step` interleaved pieces keeps the others' elements."""
    rng = np.random.default_rng(0)
    pieces = [(3 * rng.normal(size=(3, size))).astype(dtype) for _ in range(step)]
    for sizes in ((3, size), ("n", size)):
        xs = [eg.input(name, sizes, dtype=dtype) for name in "abcde"[:step]]
        whole = eg.stack(xs, axis=-1).reshape((xs[0].shape[0], size * step))
        found = eg.function(xs, whole)(*pieces)
        np.testing.assert_array_equal(found, np.stack(pieces, -1).reshape(3, -1))


@pytest.mark.parametrize("step", [2, 3, 4, 5])
@pytest.mark.parametrize("size", [7, 33, 70])
def test_the_gradient_of_a_slice(step: int, size: int) -> None:
    array = np.random.default_rng(0).normal(size=(3, size))
    x = eg.input("x", array.shape, "float64")
    expected = np.zeros_like(array)
    expected[:, ::step] = 2 * array[:, ::step]
    found = eg.function([x], eg.grad(eg.sum(x[:, ::step] ** 2), x))(array)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("n", [9, 34, 67])
def test_pooling(n: int, stride: int) -> None:
    array = np.random.default_rng(1).normal(size=(2, 3, n, n))
    x = eg.input("x", ("batch", 3, n, n), "float64")
    taps = np.lib.stride_tricks.sliding_window_view(array, (3, 3), (2, 3))[:, :, ::stride, ::stride]
    found = eg.function([x], eg.max_pool2d(x, 3, stride=stride))(array)
    np.testing.assert_array_equal(found, taps.max((4, 5)))


@pytest.mark.parametrize("target", [AVX512, AVX2], ids=["avx512", "avx2"])
@pytest.mark.parametrize("step", [2, 3, 4])
def test_nothing_is_gathered(step: int, target: object) -> None:
    x = eg.input("x", (64, 500))
    code = compile_request(Request([x[:, ::step]], {}), target).library.assembly
    assert not re.search(r"v(p?gather|scatter)", code)


@pytest.mark.parametrize("step", [2, 3, 4])
def test_nothing_is_scattered(step: int) -> None:
    """The gradient of a slice and that of pooling; without masks each element is stored."""
    x = eg.input("x", (64, 16, 48, 48))
    for y in (x[..., ::step], eg.avg_pool2d(x, step)):
        gradient = eg.grad(eg.sum(y * y), x)
        code = compile_request(Request([gradient], {}), AVX512).library.assembly
        assert not re.search(r"v(p?gather|scatter)", code)
        assert re.search(r"vmovups\t%zmm\d+, .*\{%k\d\}", code)


GUARDED = """
import ctypes, mmap, os
import numpy as np
import exprgrad as eg

page, nothing = mmap.PAGESIZE, 0
memory = mmap.mmap(-1, 3 * page)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
libc = ctypes.CDLL(None, use_errno=True)
for guarded in (0, 2):
    assert libc.mprotect(ctypes.c_void_p(start + guarded * page), page, nothing) == 0
for n in (1, 2, 15, 16, 17, 31, 32, 33, 48, 64, 100):
    for step in (-1, 2, 3, 4):
        place = page if step < 0 else 2 * page - 4 * n
        rows = np.frombuffer(memory, np.float32, n, place)
        x = eg.input("x", (n,))
        found = eg.function([x], x[::step] * 2.0)(rows)
        assert found.size == len(range(n)[::step])
print("done", flush=True)
os._exit(0)  # the guarded page would be freed
"""


@pytest.mark.skipif(sys.platform == "win32", reason="pages are guarded by mprotect")
def test_nothing_beside_an_array_is_read() -> None:
    run = subprocess.run([sys.executable, "-c", GUARDED], capture_output=True, text=True)
    assert run.stdout == "done\n", run.stderr
