"""The machine that code is made for: its name, its features, the width of its vectors."""

from __future__ import annotations

from dataclasses import dataclass

# The widest registers come first; a machine has the first row whose features it has.
# The columns: features, bits of a vector register, how many registers there are, and how
# many steps of a sum a round of its loop has. (Where two units multiply 512 bits each, they
# count, too: a loop of single steps runs up to a seventh slower. Of more steps LLVM keeps
# fewer accumulators in NEON's registers.)
REGISTERS: tuple[tuple[frozenset[str], int, int, int], ...] = (
    (frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"}), 512, 32, 4),
    (frozenset({"avx2", "fma"}), 256, 16, 1),
    (frozenset({"neon"}), 128, 32, 1),
    (frozenset(), 128, 16, 1),
)
# Bytes ahead of what is gone through in order that are asked for, of one array and of all
# together: what is further than the rest of a page few processors foresee. By LLVM's names,
# those of which others were measured to be best: Zens foresee more, and hints that are not
# needed cost them up to an eighth of the time.
STREAM = (3072, 1 << 16)
STREAMS = {"znver3": (3072, 3072), "znver4": (0, 0)}


@dataclass(frozen=True, slots=True)
class Target:
    """A processor as LLVM names it; `features` is a list such as "+avx2,-xop", and
    `cache_bytes` the largest cache that a core has for itself.
    """

    cpu: str
    features: str
    triple: str
    layout: str
    cache_bytes: int = 1 << 20

    def has(self, feature: str) -> bool:
        """Whether the processor has the feature, spelled as LLVM spells it."""
        return "+" + feature in self.features.split(",")

    @property
    def masks(self) -> bool:
        """Whether lanes of a vector of numbers can be left out of what is read."""
        return self.has("avx2") or self.has("avx512f")

    @property
    def vector_bits(self) -> int:
        """Bits of the widest vector register."""
        return self._row[1]

    @property
    def registers(self) -> int:
        """How many vector registers there are."""
        return self._row[2]

    @property
    def steps(self) -> int:
        """How many steps of a sum stand in a round of its loop, beside a tile's products."""
        return self._row[3]

    def stream(self, arrays: int) -> int:
        """How many bytes ahead each of so many arrays is asked for that are gone through
        side by side; 0 where none is.
        """
        each, together = STREAMS.get(self.cpu, STREAM)
        return min(each, together // max(1, arrays))

    @property
    def _row(self) -> tuple[frozenset[str], int, int, int]:
        return next(row for row in REGISTERS if all(map(self.has, row[0])))

    def lanes(self, element_bytes: int) -> int:
        """How many elements of this size a vector register holds."""
        return self.vector_bits // (8 * element_bytes)

    @property
    def header(self) -> str:
        """The lines with which a module for this machine begins."""
        layout, triple = self.layout, self.triple
        return f'target datalayout = "{layout}"\ntarget triple = "{triple}"'

    @property
    def attributes(self) -> str:
        """The attributes of a function for this machine.

        Without them LLVM splits vectors of 512 bits on processors it thinks slow.
        """
        width = f'"prefer-vector-width"="{self.vector_bits}"'
        legal = f'"min-legal-vector-width"="{self.vector_bits}"'
        return f'nounwind {width} {legal} "no-trapping-math"="true"'
