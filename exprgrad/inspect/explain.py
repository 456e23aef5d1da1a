"""What became of a function: each stage of the compiler, its text and its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exprgrad.errors import GraphError
from exprgrad.runtime.report import Reporting, Stage
from exprgrad.train.trainer import Trainer

SHOWN = 24  # lines of each stage in the whole account

# What the result of a stage is called; it may be asked for by this name too.
TITLES = {
    "graph": "graph",
    "gradient": "gradient",
    "updates": "updates",
    "simplify": "rewritten graph",
    "schedule": "kernels as loops",
    "emit": "LLVM IR",
    "llvm": "assembly",
}


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
        texts = {_title(s): beginning(s.text()) for s in self.stages}
        sections = [f"=== {title} ===\n{text}" for title, text in texts.items() if text]
        return "\n\n".join([self.table(), *sections])

    __repr__ = __str__


def beginning(text: str, lines: int = SHOWN) -> str:
    """The first lines of a text, and how many follow."""
    whole = text.rstrip().splitlines()
    rest = len(whole) - lines
    more = [f"... {rest} more lines"] if rest > 0 else []
    return "\n".join([*whole[:lines], *more])


def _title(stage: Stage) -> str:
    return TITLES.get(stage.name, stage.name)


def explain(function: Any, stage: str | None = None) -> Explanation:
    """How a compiled function, or the training step of a `Trainer`, came about:
    `print(eg.explain(f))` shows every stage.

    The stages are the graph, the gradient (a trainer's), the updates, the rewritten
    graph, the kernels as loops, the LLVM IR and the assembly, each with its
    milliseconds and its first lines; `explain(f, "assembly")` shows one of them whole.
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
    made: Reporting = function.program if isinstance(function, Trainer) else function
    account = Explanation(tuple(made.report()), tuple(made.notes), stage)
    if stage is not None:
        account.stage(stage)
    return account
