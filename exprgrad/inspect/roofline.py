"""Each kernel of a program beside the least time that the machine allows it.

A kernel takes at least the time of its arithmetic, that of its memory, and that of its
longest chain of steps that wait for one another; the largest of the three is its bound.

Bytes come from the smallest level of memory that holds all that was touched since they
were touched last, the program being run over and over, as steps of an epoch are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from exprgrad.inspect.machine import Limits, limits
from exprgrad.inspect.measure import Measured
from exprgrad.loop.cost import Traffic, assuming, flops, iterations, traffic
from exprgrad.loop.ir import Buffer, Kernel
from exprgrad.loop.reason import chain, why
from exprgrad.loop.schedule import Scheduled
from exprgrad.runtime.compile import Compiled, usual_size


@dataclass(frozen=True)
class KernelCost:
    """A kernel's work, its bound ("compute", "memory" or "latency") with the seconds
    that this bound allows, why it was scheduled so, and the seconds it was seen to take.
    """

    name: str
    flops: int
    read: int
    written: int
    bound: str
    limit: float
    why: str
    seconds: float | None = None

    @property
    def nbytes(self) -> int:
        """Bytes moved."""
        return self.read + self.written

    @property
    def share(self) -> float | None:
        """The part of the time taken that the bound explains."""
        return self.limit / self.seconds if self.seconds else None


def costs_of(
    compiled: Compiled,
    dims: Mapping[str, int] | None = None,
    threads: int = 1,
    seconds: Sequence[float] | None = None,
) -> list[KernelCost]:
    """The account of each kernel for the sizes `dims`, usual ones where none are given;
    `seconds` are what the kernels were seen to take.
    """
    with assuming(dims or {}, usual_size(compiled.slices)):
        busy = [_running(scheduled) for scheduled in compiled.kernels]
        touched = [traffic(each.kernel) for each in busy]
        registers = compiled.library.target.registers
        rows = []
        for n, (buffers, distances) in enumerate(zip(touched, _distances(touched), strict=True)):
            own = limits(threads if busy[n].parallel is not None else 1)
            times = _times(busy[n], buffers, distances, own)
            rows.append(_row(compiled.kernels[n], busy[n], buffers.values(), times, registers))
    if seconds is None:
        return rows
    return [replace(row, seconds=s) for row, s in zip(rows, seconds, strict=True)]


def costs_measured(compiled: Compiled, measured: Measured | None) -> list[KernelCost]:
    """The account for the sizes and the times that were measured, if any were."""
    if measured is None:
        return costs_of(compiled)
    return costs_of(compiled, measured.dims, measured.threads, measured.seconds)


def _running(scheduled: Scheduled) -> Scheduled:
    """The stores whose loops have an iteration; blocks of a short sum, say, have none."""
    stores = scheduled.kernel.stores
    return replace(scheduled, kernel=Kernel(tuple(s for s in stores if iterations(s.axes))))


def _row(
    scheduled: Scheduled,
    busy: Scheduled,
    touched: Iterable[Traffic],
    times: Mapping[str, float],
    registers: int,
) -> KernelCost:
    bound = max(times, key=lambda name: times[name])
    return KernelCost(
        scheduled.kernel.name,
        sum(each.total for each in flops(busy.kernel).values()),
        sum(each.read for each in touched),
        sum(each.written for each in touched),
        bound,
        times[bound],
        why(scheduled, registers),
    )


def _times(
    scheduled: Scheduled,
    touched: Mapping[Buffer, Traffic],
    distances: Mapping[Buffer, int],
    limits: Limits,
) -> dict[str, float]:
    """The seconds of each bound; the first is named where two are equal."""
    # An operation alone takes the place of a multiply-add, as do two products in a pair.
    beside = 1 + any(how.pairs for how in scheduled.how.values())
    arithmetic = (
        (each.fused / beside + 2 * each.single) / limits.flops[dtype]
        for dtype, each in flops(scheduled.kernel).items()
    )
    # What is written is fetched first; its way back runs beside other fetches.
    fetched = (t.touched / _bandwidth(limits, distances[b]) for b, t in touched.items())
    return {
        "compute": sum(arithmetic),
        "memory": sum(fetched),
        "latency": chain(scheduled) / _width(scheduled, limits) * limits.latency,
    }


def _width(scheduled: Scheduled, limits: Limits) -> int:
    return limits.threads if scheduled.parallel is not None else 1


def _bandwidth(limits: Limits, distance: int) -> float:
    """Bytes a second of what was touched last so many bytes ago."""
    for level in limits.levels[:-1]:
        capacity = level.nbytes if level.shared else level.nbytes * limits.threads
        if distance <= capacity:
            return level.bandwidth
    return limits.levels[-1].bandwidth


def _distances(touched: Sequence[Mapping[Buffer, Traffic]]) -> list[dict[Buffer, int]]:
    """For each kernel and buffer, the bytes touched since the buffer was touched last; of
    what may lie anywhere in a buffer, the buffer's own size besides.
    """
    recent: dict[Buffer, int] = {}  # bytes of each buffer, the one touched last at the end
    for _ in range(2):  # the second time round, all buffers have been touched
        result = []
        for buffers in touched:
            result.append({b: _since(recent, b, buffers) for b in buffers})
            for buffer, each in buffers.items():
                recent.pop(buffer, None)
                recent[buffer] = each.touched
    return result


def _since(recent: dict[Buffer, int], buffer: Buffer, here: Mapping[Buffer, Traffic]) -> int:
    total = 0
    for other in reversed(recent):
        total += recent[other]
        if other is buffer:
            return max(total, _extent(here[buffer]))
    return max(total, _extent(here[buffer]))


def _extent(each: Traffic) -> int:
    return each.whole if each.anywhere else each.touched


# The account as text


def account(compiled: Compiled, measured: Measured | None = None) -> str:
    """The machine, the sizes, a table of the kernels, and what they come to."""
    rows = costs_measured(compiled, measured)
    threads = measured.threads if measured else 1
    return "\n".join(
        [str(limits(threads)), _sizes(compiled, measured), "", table(rows), _total(rows, measured)]
    )


def _sizes(compiled: Compiled, measured: Measured | None) -> str:
    usual = usual_size(compiled.slices)
    known = measured.dims if measured else {}
    slices = compiled.slices
    own = (slices.offset, slices.slot) if slices else ()  # numbers, not sizes
    names = [name for name in compiled.layout.dims if name not in own]
    pairs = ", ".join(f"{name} {known.get(name, usual)}" for name in names)
    return f"sizes {'of the data' if measured else 'assumed'}: {pairs or 'all are fixed'}"


def _total(rows: Sequence[KernelCost], measured: Measured | None) -> str:
    least = sum(row.limit for row in rows)
    text = f"all kernels: at least {scaled(least, TIMES)}"
    if measured is None:
        return text
    share, kernels = least / measured.total, scaled(sum(measured.seconds), TIMES)
    total, waiting = scaled(measured.total, TIMES), scaled(measured.waiting, TIMES)
    return f"{text}, took {kernels}; a whole run {total} ({share:.0%}), {waiting} of it waiting"


COLUMNS = ("kernel", "flops", "bytes", "bound", "at least", "took", "share")
TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
COUNTS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def table(rows: Iterable[KernelCost]) -> str:
    """A line of figures for each kernel, and under it why it is scheduled so."""
    rows = list(rows)
    measured = any(row.seconds is not None for row in rows)
    shown = COLUMNS if measured else COLUMNS[:5]
    cells = [shown, *(_cells(row)[: len(shown)] for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(shown))]
    lines = [_line(line, widths) for line in cells]
    reasons = ["", *(f"\n    {row.why}" for row in rows)]
    return "\n".join(line + reason for line, reason in zip(lines, reasons, strict=True))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return "  ".join([first.strip().ljust(widths[0]), *others])


def _cells(row: KernelCost) -> tuple[str, ...]:
    return (
        row.name,
        scaled(row.flops, COUNTS),
        scaled(row.nbytes, COUNTS) + "B",
        row.bound,
        scaled(row.limit, TIMES),
        scaled(row.seconds, TIMES) if row.seconds is not None else "",
        f"{row.share:.0%}" if row.share is not None else "",
    )


def scaled(number: float, units: Sequence[tuple[float, str]]) -> str:
    """A number in the largest unit in which it is not below one.

    >>> scaled(25_690_112, COUNTS)
    '25.7 M'
    """
    size, name = next((row for row in units if number >= row[0]), units[-1])
    return f"{number / size:.{1 if number / size < 100 else 0}f} {name}"
