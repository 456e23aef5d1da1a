"""Machine code on disk, so that a program compiled once starts at once the next time.

An entry is the SHA-256 of its content followed by the content. The folder is the
user's own and nobody else can write to it; an entry whose sum is wrong is ignored and
made again, never run.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from exprgrad import __version__, config
from exprgrad.backend.target import Target

DIGEST = 32
SUFFIX = ".o"
# Room is made down to this part of the limit, so that not every entry has to make it.
KEPT = 0.75


def key(text: str, target: Target, codegen: int, llvm_version: tuple[int, ...]) -> str:
    """The name of an entry: whatever the machine code depends on, hashed."""
    machine = (target.cpu, target.features, target.triple, codegen)
    origin = repr((machine, llvm_version, __version__))
    return hashlib.sha256(f"{origin}\n{text}".encode()).hexdigest()


def load(name: str) -> bytes | None:
    """The machine code kept under `name`, if there is a sound entry."""
    folder = _folder()
    if folder is None:
        return None
    path = folder / (name + SUFFIX)
    try:
        entry = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    digest, content = entry[:DIGEST], entry[DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        config.logger().warning("cache: %s is damaged and is made again", path)
        return None
    return content


def store(name: str, content: bytes) -> None:
    """Keep machine code under `name`; a full or read-only disk is no error."""
    folder = _folder()
    if folder is None:
        return
    try:
        _write(folder, name + SUFFIX, hashlib.sha256(content).digest() + content)
        # Looking through the folder takes longer than writing to it: one entry in
        # sixteen, by its hash, does it for all.
        if name.startswith("0"):
            _make_room(folder, config.CACHE_SIZE() * 2**20)
    except OSError as error:
        config.logger().info("cache: %s not kept: %s", name, error)


def _write(folder: Path, name: str, entry: bytes) -> None:
    # The entry appears under its name whole or not at all, whoever else writes it.
    handle, temporary = tempfile.mkstemp(dir=folder, prefix="new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(entry)
        os.replace(temporary, folder / name)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _make_room(folder: Path, limit: int) -> None:
    """Drop the entries that were used least recently until the rest fits."""
    entries = [(path, _stat(path)) for path in folder.iterdir() if path.is_file()]
    known = [(s.st_mtime, s.st_size, path) for path, s in entries if s is not None]
    total = sum(size for _, size, _ in known)
    if total <= limit:
        return
    for _, size, path in sorted(known):
        path.unlink(missing_ok=True)
        total -= size
        if total <= KEPT * limit:
            return


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:  # another process has dropped it
        return None


def _folder() -> Path | None:
    folder = config.CACHE()
    if folder is None:
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        _refuse(folder, str(error))
        return None
    fault = _fault(folder.stat())
    if fault:
        _refuse(folder, fault)
        return None
    return folder


def _fault(status: os.stat_result) -> str:
    """Why code in a folder of this status must not be run, or nothing."""
    if not stat.S_ISDIR(status.st_mode):
        return "it is no folder"
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return "it belongs to someone else"
    if hasattr(os, "getuid") and status.st_mode & 0o022:
        return "others may write to it"
    return ""


@functools.cache
def _refuse(folder: Path, reason: str) -> None:
    config.logger().warning("cache: %s is not used: %s", folder, reason)
