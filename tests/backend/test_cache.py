"""The cache of machine code: kept, found again, bounded, and never trusted blindly."""

from __future__ import annotations

import ctypes
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from exprgrad.backend import cache
from exprgrad.backend.jit import compile_module, named

TEXT = "define i64 @f() { ret i64 42 }"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache._refuse.cache_clear()
    monkeypatch.setenv("EXPRGRAD_CACHE", str(tmp_path / "code"))
    return tmp_path / "code"


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def compiled(text: str = TEXT) -> tuple[bool, int]:
    library = compile_module(text)
    function = ctypes.CFUNCTYPE(ctypes.c_int64)(library.address("f"))
    return library.from_cache, function()


def test_cold_and_warm_agree(folder: Path) -> None:
    assert compiled() == (False, 42)
    assert compiled() == (True, 42)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.suffix for path in entries(folder)] == [".o"]


def test_warm_library_still_shows_assembly(folder: Path) -> None:
    compile_module(TEXT)
    library = compile_module(TEXT)
    assert library.from_cache
    assert "$42" in library.assembly


@pytest.mark.parametrize("cut", [slice(0, 0), slice(0, 20), slice(0, -1)])
def test_damaged_entry_is_made_again(folder: Path, cut: slice) -> None:
    compiled()
    (path,) = entries(folder)
    sound = path.read_bytes()
    path.write_bytes(sound[cut])
    assert compiled() == (False, 42)
    assert path.read_bytes() == sound


def test_flipped_bit_is_made_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    compiled()
    (path,) = entries(folder)
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "exprgrad"):
        assert compiled() == (False, 42)
    assert "damaged" in caplog.text
    assert compiled() == (True, 42)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_folder_others_may_write_to(
    folder: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    compiled()
    folder.chmod(mode)
    with caplog.at_level(logging.WARNING, "exprgrad"):
        assert compiled() == (False, 42)
        assert compiled() == (False, 42)
    assert caplog.text.count("others may write") == 1


def test_folder_of_someone_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled()
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    assert compiled() == (False, 42)


def test_a_file_in_place_of_the_folder(folder: Path) -> None:
    folder.write_text("")
    assert compiled() == (False, 42)


def test_switched_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPRGRAD_CACHE", "0")
    assert compiled() == (False, 42)
    assert compiled() == (False, 42)
    assert not folder.exists()


def test_key_names_whatever_the_code_depends_on() -> None:
    host, other = named("x86-64"), named("x86-64-v3", "+avx2,+fma")
    keys = {
        cache.key(TEXT, host, 2, (22, 1, 0)),
        cache.key(TEXT + " ", host, 2, (22, 1, 0)),
        cache.key(TEXT, other, 2, (22, 1, 0)),
        cache.key(TEXT, host, 1, (22, 1, 0)),
        cache.key(TEXT, host, 2, (20, 1, 8)),
    }
    assert len(keys) == 5


def test_old_entries_make_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPRGRAD_CACHE_SIZE", "1")
    for n in range(6):
        cache.store(f"0{n}", bytes(300_000))
        os.utime(folder / f"0{n}.o", (n, n))
    assert cache.load("00") is None
    assert cache.load("05") is not None
    assert sum(path.stat().st_size for path in entries(folder)) <= 2**20


PROGRAM = """
import ctypes, sys
from exprgrad.backend.jit import compile_module
total = 0
for n in range(20):
    library = compile_module("define i64 @f() { ret i64 %d }" % n)
    total += ctypes.CFUNCTYPE(ctypes.c_int64)(library.address("f"))()
print(total)
"""


def test_processes_at_the_same_time(folder: Path) -> None:
    run = [sys.executable, "-c", PROGRAM]
    processes = [
        subprocess.Popen(run, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    results = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert results == ["190", "190"]
    assert len(entries(folder)) == 20
    assert all(path.suffix == ".o" for path in entries(folder))
