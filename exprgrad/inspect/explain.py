"""What became of a function: each stage of the compiler, its text and its time, and each
kernel beside what the machine allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from exprgrad.errors import GraphError
from exprgrad.inspect.measure import Measured, measure
from exprgrad.inspect.roofline import KernelCost, account, costs_measured
from exprgrad.runtime.compile import Compiled
from exprgrad.runtime.function import Function
from exprgrad.runtime.report import Reporting, Stage
from exprgrad.train.trainer import Trainer

SHOWN = 24  # lines of each stage in the whole account, but of the bounds
# An instruction on vectors of floats, in LLVM IR or for x86 or ARM.
VECTOR = re.compile(r"\s+\S.*(<\d+ x (float|double)>|[xyz]mm\d|\bv\d+\.\d[sd])")
SPLAT = re.compile(r"<(\w+ [^,<>]+)(?:, \1)+>")  # a vector of equal constants

# What the result of a stage is called; it may be asked for by this name too.
TITLES = {
    "simplify": "rewritten graph",
    "phases": "kernels as loops",
    "cost": "kernels and their bounds",
    "emit": "LLVM IR",
    "llvm": "assembly",
}


@dataclass(frozen=True)
class Explanation:
    """An account of a compiled function. Printing it shows the stages.

    `explanation["assembly"]` is the whole text of one stage; `explanation.kernels()`
    holds the figures of the table of kernels.
    """

    stages: tuple[Stage, ...]
    notes: tuple[str, ...] = ()
    only: str | None = None
    kernels: Callable[[], list[KernelCost]] = list

    def __getitem__(self, name: str) -> str:
        return self.stage(name).text()

    def stage(self, name: str) -> Stage:
        """The stage called `name`, or whose result is; a name's beginning is enough."""
        by_name = {s.name.lower(): s for s in self.stages}
        by_name.update({_title(s).lower(): s for s in self.stages})
        asked = name.lower()
        begun = {id(s): s for n, s in by_name.items() if n.startswith(asked)}
        found = by_name.get(asked) or (begun.popitem()[1] if len(begun) == 1 else None)
        if found is None:
            names = ", ".join(_title(s) for s in self.stages)
            raise GraphError(f"no one stage is called {name!r}; there are {names}")
        return found

    @property
    def milliseconds(self) -> dict[str, float]:
        """The time that each stage took."""
        return {stage.name: stage.milliseconds for stage in self.stages}

    def table(self) -> str:
        """The stages with their times, and what the user should know."""
        width = max([len(stage.name) for stage in self.stages], default=0)
        lines = [f"{s.name:<{width}} {s.milliseconds:9.2f} ms" for s in self.stages]
        total = sum(stage.milliseconds for stage in self.stages)
        lines.append(f"{'total':<{width}} {total:9.2f} ms")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __str__(self) -> str:
        if self.only is not None:
            return self[self.only]
        whole = {s: s.text().rstrip() for s in self.stages}
        texts = {_title(s): t if s.name == "cost" else excerpt(t) for s, t in whole.items()}
        sections = [f"=== {title} ===\n{text}" for title, text in texts.items() if text]
        return "\n\n".join([self.table(), *sections])

    __repr__ = __str__


def excerpt(text: str, lines: int = SHOWN) -> str:
    """The part of a long text that has most vector instructions, else its beginning."""
    whole = text.rstrip().splitlines()
    if len(whole) <= lines:
        return "\n".join(whole)
    vectors = [bool(VECTOR.match(line)) for line in whole]
    before = [0, *accumulate(vectors)]
    starts = range(len(whole) - lines + 1)
    start = max(starts, key=lambda n: (before[n + lines] - before[n], vectors[n]))
    rest = len(whole) - lines - start
    skipped = [f"... {start} lines"] if start else []
    more = [f"... {rest} more lines"] if rest else []
    shown = (SPLAT.sub(r"splat (\1)", line) for line in whole[start : start + lines])
    return "\n".join([*skipped, *shown, *more])


def _title(stage: Stage) -> str:
    return TITLES.get(stage.name, stage.name)


def explain(
    function: Any,
    stage: str | None = None,
    *,
    data: Any = None,
    batch_size: int | None = None,
) -> Explanation:
    """How a compiled function, or the training step of a `Trainer`, came about, and how
    near it comes to the machine's limits: `print(eg.explain(f))` shows every stage.

    The stages are the graph, the gradient (a trainer's), the updates, the rewritten
    graph, the kernels as loops, the kernels and their bounds, the memory, the LLVM IR
    and the assembly, each with its milliseconds and some lines, the bounds whole;
    `explain(f, "assembly")` shows one of them whole. With `data` (arrays by the names of
    inputs, as `fit` takes them) the bounds are those of its sizes, and the time of each
    kernel is measured: steps of a trainer take `batch_size` rows, 32 if not given. Nothing
    is changed by it.

    Raises `GraphError` for what was not compiled, and for a stage that there is not.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> print(explain(eg.function([x], (x * 1 + 0) * 2), "rewritten graph"))
    x: f32[3]
    out: f32[3] = x * 2.0
    """
    if not hasattr(function, "report") and not isinstance(function, Trainer):
        given = type(function).__name__
        raise GraphError(f"explain takes a compiled function or a trainer, not {given}")
    if stage is not None and not isinstance(stage, str):
        given = type(stage).__name__
        raise GraphError(f"explain takes the name of a stage, not {given}; data go in data=...")
    made: Reporting = function.program if isinstance(function, Trainer) else function
    stages, compiled = list(made.report()), _compiled(function)
    kernels: Callable[[], list[KernelCost]] = list
    if compiled is not None:
        measured = measure(function, data, batch_size) if data is not None else None
        place = [s.name for s in stages].index("schedule") + 1
        stages.insert(place, _bounds(compiled, measured))
        stages.insert(place + 1, Stage("memory", 0.0, lambda: str(function.memory())))
        kernels = lambda: costs_measured(compiled, measured)  # noqa: E731
    explanation = Explanation(tuple(stages), tuple(made.notes), stage, kernels)
    if stage is not None:
        explanation.stage(stage)
    return explanation


def _compiled(function: Any) -> Compiled | None:
    if isinstance(function, Trainer):
        return function.program.epoch.program.compiled
    return function.program.program.compiled if isinstance(function, Function) else None


def _bounds(compiled: Compiled, measured: Measured | None) -> Stage:
    return Stage("cost", 0.0, lambda: account(compiled, measured))
