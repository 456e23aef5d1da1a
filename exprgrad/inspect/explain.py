"""What became of a function: each stage of the compiler, its text and its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exprgrad.errors import GraphError
from exprgrad.runtime.report import Reporting, Stage

SHOWN = 24  # lines of each stage in the whole account


@dataclass(frozen=True)
class Explanation:
    """An account of a compiled function. Printing it shows the stages.

    `explanation["assembly"]` is the whole text of one stage.
    """

    stages: tuple[Stage, ...]
    notes: tuple[str, ...] = ()
    only: str | None = None

    def __getitem__(self, name: str) -> str:
        return self.stage(name).text()

    def stage(self, name: str) -> Stage:
        """The stage called `name`; the beginning of a name is enough."""
        found = [s for s in self.stages if s.name == name]
        found = found or [s for s in self.stages if s.name.lower().startswith(name.lower())]
        if len(found) != 1:
            names = ", ".join(s.name for s in self.stages)
            raise GraphError(f"no stage is called {name!r}; there are {names}")
        return found[0]

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
        sections = [f"=== {s.name} ===\n{beginning(s.text())}" for s in self.stages]
        return "\n\n".join([self.table(), *sections])

    __repr__ = __str__


def beginning(text: str, lines: int = SHOWN) -> str:
    """The first lines of a text, and how many follow."""
    whole = text.rstrip().splitlines()
    rest = len(whole) - lines
    more = [f"... {rest} more lines"] if rest > 0 else []
    return "\n".join([*whole[:lines], *more])


def explain(function: Any, stage: str | None = None) -> Explanation:
    """How a compiled function came about: `print(eg.explain(f))` shows every stage.

    The stages are the graph, the gradient, the rewritten graph, the kernels as loops,
    the LLVM IR and the assembly, each with its milliseconds and its first lines;
    `explain(f, "assembly")` shows one of them whole. Raises `GraphError` for what was
    not compiled and for the name of a stage that there is not.
    """
    program: Reporting = getattr(function, "program", function)
    if not hasattr(program, "report"):
        raise GraphError(f"explain takes a compiled function, not {type(function).__name__}")
    account = Explanation(tuple(program.report()), tuple(program.notes), stage)
    if stage is not None:
        account.stage(stage)
    return account
