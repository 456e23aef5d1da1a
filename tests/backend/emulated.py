"""AArch64 code run where no such processor is: Unicorn runs it, instruction by instruction."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import unicorn
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray
from unicorn import arm64_const as arm

from exprgrad.backend.barrier import FLAGS_SIZE
from exprgrad.backend.claim import claims_size
from exprgrad.backend.program import CONTEXT, Emitted
from exprgrad.backend.status import status_size
from exprgrad.loop.ir import Buffer

Array = NDArray[Any]
CODE, STACK, DATA = 0x100000, 0x8000000, 0x10000000
ROOM = 1 << 26  # bytes of each of them
RETURN = CODE - 0x1000  # where the entry returns to, and functions of the C library lie
PAGE = 4096

# Relocations (Arm, ELF for the Arm 64-bit Architecture, 5.7): a MOVZ or MOVK takes sixteen bits
# of an address, these from so many on; a BL takes the distance in instructions.
BITS = {263: 0, 264: 0, 265: 16, 266: 16, 267: 32, 268: 32, 269: 48}
CALL = 283
UNWINDING = ".eh_frame"  # where nothing needs to be linked


def run(
    code: bytes, emitted: Emitted, arrays: Mapping[Buffer, Array], sizes: Mapping[str, int]
) -> None:
    """Run a program on one thread, on arrays that its buffers are."""
    machine = Processor(code)
    places = {buffer: machine.put(array) for buffer, array in arrays.items()}
    tables = [places[buffer] for table in emitted.tables for buffer in table]
    dims = [sizes[name] for name in emitted.layout.dims]
    zeros = (status_size(1), FLAGS_SIZE, claims_size(1), 64)
    status, barrier, claims, ticks = (machine.put(np.zeros(n, np.uint8)) for n in zeros)
    given = [machine.put(np.array([*table, 0], np.int64)) for table in (tables, dims)]
    context = [*given, status, barrier, claims, ticks, 0, 1, 0, 0]
    assert len(context) == len(CONTEXT)
    machine.call("run", machine.put(np.array(context, np.int64)), 0, 1)
    assert not any(machine.core.mem_read(status, status_size(1)))  # no index out of range
    for buffer, array in arrays.items():
        before = array.copy()
        machine.take(places[buffer], array)
        assert buffer.role not in ("input", "constant") or np.array_equal(array, before)


class Processor:
    """A processor with the code of an object file in its memory."""

    def __init__(self, code: bytes) -> None:
        self.core = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        self.core.mem_map(RETURN, PAGE)
        for start in (CODE, STACK, DATA):
            self.core.mem_map(start, ROOM)
        self.core.reg_write(arm.UC_ARM64_REG_CPACR_EL1, 3 << 20)  # vectors are switched on
        self.free = DATA + PAGE
        self.symbols = self._load(ELFFile(io.BytesIO(code)))

    def put(self, array: Array) -> int:
        """Copy an array into memory; gives where it lies."""
        place, content = self.free, np.ascontiguousarray(array).tobytes()
        self.core.mem_write(place, content)
        self.free += len(content) + -len(content) % PAGE + PAGE
        return place

    def take(self, place: int, array: Array) -> None:
        """Copy memory into an array; nothing may have been written beside it."""
        content = self.core.mem_read(place, array.nbytes)
        before, after = place - PAGE // 2, place + array.nbytes
        assert not any(self.core.mem_read(before, PAGE // 2))
        assert not any(self.core.mem_read(after, PAGE // 2))
        array[...] = np.frombuffer(bytes(content), array.dtype).reshape(array.shape)

    def call(self, name: str, *arguments: int) -> None:
        """Call a function of these integers."""
        for n, argument in enumerate(arguments):
            self.core.reg_write(arm.UC_ARM64_REG_X0 + n, argument)
        self.core.reg_write(arm.UC_ARM64_REG_SP, STACK + ROOM - PAGE)
        self.core.reg_write(arm.UC_ARM64_REG_LR, RETURN)
        self.core.emu_start(self.symbols[name], RETURN)

    def _load(self, file: ELFFile) -> dict[str, int]:
        """Lay out the sections, link them, and say where each function lies."""
        places, end = {}, CODE
        for number, section in enumerate(file.iter_sections()):
            if section["sh_flags"] & 2:  # needed while the program runs
                end += -end % max(1, section["sh_addralign"])
                places[number] = end
                self.core.mem_write(end, section.data())
                end += section["sh_size"]
        table = file.get_section_by_name(".symtab")
        outside = self._outside()
        symbols = [
            places.get(s["st_shndx"], 0) + s["st_value"]
            if s["st_shndx"] != "SHN_UNDEF" or not s.name
            else outside[s.name]
            for s in table.iter_symbols()
        ]
        for section in file.iter_sections("SHT_RELA"):
            if section["sh_info"] in places and UNWINDING not in section.name:
                for each in section.iter_relocations():
                    target = symbols[each["r_info_sym"]] + each["r_addend"]
                    place = places[section["sh_info"]] + each["r_offset"]
                    self._link(place, target, each["r_info_type"])
        return {s.name: at for s, at in zip(table.iter_symbols(), symbols, strict=True)}

    def _link(self, place: int, target: int, kind: int) -> None:
        """Put the address of what an instruction names into it."""
        (word,) = struct.unpack("<I", self.core.mem_read(place, 4))
        if kind == CALL:
            word |= (target - place) // 4 & 0x3FFFFFF
        else:
            word |= (target >> BITS[kind] & 0xFFFF) << 5
        self.core.mem_write(place, struct.pack("<I", word))

    def _outside(self) -> dict[str, int]:
        """Where the functions of the C library lie; each does its work and returns."""
        places = {name: RETURN + 16 * n for n, name in enumerate(OUTSIDE, 1)}
        doing: dict[int, Callable[[unicorn.Uc], None]] = {
            places[name]: work for name, work in OUTSIDE.items()
        }
        self.core.mem_write(RETURN, struct.pack("<I", 0xD65F03C0) * (PAGE // 4))  # ret

        def hook(core: unicorn.Uc, address: int, size: int, _: object) -> None:
            if address in doing:
                doing[address](core)

        self.core.hook_add(unicorn.UC_HOOK_CODE, hook, begin=RETURN, end=RETURN + PAGE - 1)
        return places


def _memset(core: unicorn.Uc) -> None:
    place, byte, size = _arguments(core)
    core.mem_write(place, bytes([byte & 255]) * size)


def _memcpy(core: unicorn.Uc) -> None:
    to, source, size = _arguments(core)
    core.mem_write(to, bytes(core.mem_read(source, size)))


def _arguments(core: unicorn.Uc) -> Sequence[int]:
    return [core.reg_read(arm.UC_ARM64_REG_X0 + n) for n in range(3)]


def _number(function: Callable[[Any], Any]) -> Callable[[unicorn.Uc], None]:
    """A function of a float32."""

    def work(core: unicorn.Uc) -> None:
        bits = np.uint32(core.reg_read(arm.UC_ARM64_REG_S0))
        result = np.float32(function(bits.view(np.float32)))
        core.reg_write(arm.UC_ARM64_REG_S0, int(result.view(np.uint32)))

    return work


OUTSIDE: Mapping[str, Callable[[unicorn.Uc], None]] = {
    "memset": _memset, "memcpy": _memcpy, "sched_yield": lambda core: None,
    "sinf": _number(np.sin), "cosf": _number(np.cos),
}  # fmt: skip
