"""Machine code from LLVM IR: that it runs, what it refuses, what it tells."""

from __future__ import annotations

import ctypes
import gc
import threading

import pytest

from exprgrad.backend.jit import Library, compile_module, host, named
from exprgrad.errors import CompileError

ADD = """
define i64 @add{n}(i64 %a, i64 %b) {{
  %c = add i64 %a, %b
  %d = add i64 %c, {n}
  ret i64 %d
}}
"""
BASELINE = ("x86-64", "")
AVX2 = ("x86-64-v3", "+avx2,+fma")
AVX512 = ("x86-64-v4", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+fma")


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPRGRAD_CACHE", "0")


def call(library: Library, name: str, *arguments: int) -> int:
    kinds = [ctypes.c_int64] * (1 + len(arguments))
    return int(ctypes.CFUNCTYPE(*kinds)(library.address(name))(*arguments))


def test_runs() -> None:
    library = compile_module(ADD.format(n=5))
    assert call(library, "add5", 2, 3) == 10
    assert {"parse", "verify", "codegen", "load"} <= set(library.milliseconds)
    assert "add5" in library.assembly


def test_libraries_are_independent() -> None:
    libraries = [compile_module(ADD.format(n=n)) for n in range(5)]
    del libraries[1]
    gc.collect()
    for library, n in zip(libraries, (0, 2, 3, 4), strict=True):
        assert call(library, f"add{n}", 10, 20) == 30 + n


def test_calls_into_the_c_library() -> None:
    library = compile_module(
        "declare i64 @labs(i64)\n"
        "define i64 @magnitude(i64 %x) { %y = call i64 @labs(i64 %x) ret i64 %y }"
    )
    assert call(library, "magnitude", -7) == 7


@pytest.mark.parametrize(
    "text",
    ["define i64 @f( { ret i64 0 }", "define i64 @f() { ret i32 0 }"],
)
def test_invalid_text(text: str) -> None:
    with pytest.raises(CompileError, match="jit"):
        compile_module(text)


def test_use_before_definition_is_found_by_the_verifier() -> None:
    with pytest.raises(CompileError, match="dominate"):
        compile_module(
            "define i64 @f() {\n %b = add i64 %a, 1\n %a = add i64 1, 1\n ret i64 %b\n}"
        )


def test_unknown_name() -> None:
    library = compile_module(ADD.format(n=0))
    with pytest.raises(CompileError, match="no function 'other'"):
        library.address("other")


def test_threads() -> None:
    results: dict[int, int] = {}

    def work(n: int) -> None:
        results[n] = call(compile_module(ADD.format(n=n)), f"add{n}", 1, 1)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: n + 2 for n in range(6)}


@pytest.mark.parametrize(
    ("name", "bits", "registers"),
    [(BASELINE, 128, 16), (AVX2, 256, 16), (AVX512, 512, 32)],
)
def test_targets(name: tuple[str, str], bits: int, registers: int) -> None:
    target = named(*name)
    assert (target.vector_bits, target.registers) == (bits, registers)
    assert target.lanes(4) == bits // 32
    assert target.layout == host().layout


def test_target_decides_the_code() -> None:
    text = """
    define void @f(ptr %p) {{
      %x = load <16 x float>, ptr %p
      %y = fmul <16 x float> %x, %x
      store <16 x float> %y, ptr %p
      ret void
    }}
    """.format()
    assert "zmm" not in compile_module(text, named(*AVX2)).assembly
    assert "ymm" in compile_module(text, named(*AVX2)).assembly
    assert "ymm" not in compile_module(text, named(*BASELINE)).assembly
