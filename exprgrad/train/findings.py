"""What a search found: a table of its trials, and pictures of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exprgrad.errors import ExprgradError
from exprgrad.train.conditions import Space
from exprgrad.train.space import Choice, Domain, Float, Integer
from exprgrad.train.study import Record
from exprgrad.train.trainer import Trainer
from exprgrad.train.trial import Build, Trial

SHOWN = 10
COLOURS = {"done": "C0", "pruned": "C1", "failed": "C3"}


@dataclass(frozen=True, repr=False)
class SearchResult:
    """The trials of a search by their numbers; `print` shows the best of them.

    `study` is Optuna's, for its own plots and its dashboard; `stop_reason` says why the
    search ended before its last trial, else it is None.
    """

    trials: list[Record]
    space: Space
    mode: str
    study: Any
    stop_reason: str | None = None

    @property
    def best(self) -> Record:
        """The trial with the best value. Raises `ExprgradError` where none was done."""
        ranked = self._ranked()
        if not ranked:
            last = self.trials[-1].reason if self.trials else self.stop_reason
            raise ExprgradError(f"no trial of {len(self.trials)} was done: {last}")
        return ranked[0]

    def build(self, build: Build) -> Trainer:
        """The trainer of the best trial, as new: `trial.build` for that trial."""
        best = self.best
        trial = Trial(best.number, best.values, best.seed, self.space.scalars)
        return trial.build(build)

    def table(self) -> list[dict[str, Any]]:
        """A row for each trial: number, state, value, hyper-parameters, seconds, reason.

        None stands for a hyper-parameter that was not there; `pandas.DataFrame` takes it.
        """
        return [
            {
                "number": record.number,
                "state": record.state,
                "value": record.value,
                **{name: record.values.get(name) for name in self.space.domains},
                "seconds": record.seconds,
                "reason": record.reason,
            }
            for record in self.trials
        ]

    def best_so_far(self) -> list[float]:
        """The best value among each trial and those before it; NaN before the first."""
        values = [r.value if r.state == "done" else None for r in self.trials]
        fold = np.fmin if self.mode == "min" else np.fmax
        return [float(v) for v in fold.accumulate(np.array(values, np.float64))]

    def plot(self) -> Any:
        """A matplotlib figure: the best value so far, then values by hyper-parameter.

        Raises `ExprgradError` where matplotlib is not installed.
        """
        figure, (first, *slices) = _figure(1 + len(self.space.domains))
        numbers = [record.number for record in self.trials]
        first.step(numbers, self.best_so_far(), where="post", color="C2", label="best")
        _scatter(first, self.trials, numbers)
        first.set(xlabel="trial", ylabel="value", yscale=_value_scale(self.trials))
        first.legend()
        for axes, (name, domain) in zip(
            slices, self.space.domains.items(), strict=True
        ):
            there = [record for record in self.trials if name in record.values]
            _scatter(
                axes, there, [_place(domain, record.values[name]) for record in there]
            )
            axes.set(xlabel=name, **_scale(domain))
        return figure

    def plot_parallel(self) -> Any:
        """A matplotlib figure: a line for each trial through its hyper-parameters, the
        better the darker.

        Raises `ExprgradError` where matplotlib is not installed.
        """
        domains = self.space.domains
        figure, (axes,) = _figure(1, 1.6 * len(domains) + 2)
        ranked = self._ranked()
        for place, record in reversed(list(enumerate(ranked))):
            line = [
                domain.part(record.values[name]) if name in record.values else np.nan
                for name, domain in domains.items()
            ]
            darkness = (1 - place / len(ranked)) ** 2
            axes.plot(line, marker=".", color=(0.1, 0.2, 0.5, darkness))
        for x, domain in enumerate(domains.values()):
            axes.axvline(x, color="0.8", linewidth=0.8, zorder=0)
            for value in domain.ticks():
                axes.text(x, domain.part(value), f" {_short(value)}", fontsize="small")
        axes.set(ylim=(-0.05, 1.08), yticks=[])
        axes.set_xticks(range(len(domains)), list(domains))
        return figure

    def _ranked(self) -> list[Record]:
        done = [record for record in self.trials if record.value is not None]
        done = [record for record in done if record.state == "done"]
        sign = 1 if self.mode == "min" else -1
        return sorted(done, key=lambda record: sign * (record.value or 0.0))

    def __repr__(self) -> str:
        states = [record.state for record in self.trials]
        counts = ", ".join(f"{states.count(s)} {s}" for s in COLOURS if s in states)
        head = f"{len(states)} trials: {counts or 'none'}"
        if self.stop_reason:
            head += f"; {self.stop_reason}"
        best = self._ranked()[:SHOWN]
        rows = [
            [str(r.number), _short(r.value)]
            + [_short(r.values.get(name, "")) for name in self.space.domains]
            for r in best
        ]
        return "\n".join(
            [head, *_aligned([["trial", "value", *self.space.domains], *rows])]
        )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[c.rjust(n) for c, n in zip(r, widths, strict=True)] for r in rows]
    return ["  ".join(row) for row in padded]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _figure(panels: int, width: float = 0.0) -> tuple[Any, list[Any]]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ExprgradError("plot needs matplotlib: pip install matplotlib") from error
    figure = Figure(figsize=(width or 2.6 * panels, 2.8), layout="constrained")
    return figure, list(figure.subplots(1, panels, squeeze=False, sharey=True)[0])


def _scatter(axes: Any, trials: Sequence[Record], places: Sequence[float]) -> None:
    for state in ("done", "pruned"):
        shown = [
            (place, record.value)
            for place, record in zip(places, trials, strict=True)
            if record.state == state and record.value is not None
        ]
        if shown:
            axes.scatter(
                *zip(*shown, strict=True), s=12, color=COLOURS[state], label=state
            )


def _value_scale(trials: Sequence[Record]) -> str:
    values = [record.value for record in trials if record.value is not None]
    wide = values and min(values) > 0 and max(values) > 100 * min(values)
    return "log" if wide else "linear"


def _place(domain: Domain, value: Any) -> float:
    return domain.options.index(value) if isinstance(domain, Choice) else value


def _scale(domain: Domain) -> dict[str, Any]:
    if isinstance(domain, Choice):
        names = [str(option) for option in domain.options]
        return {"xticks": range(len(names)), "xticklabels": names}
    log = isinstance(domain, Float | Integer) and domain.log
    return {"xscale": "log" if log else "linear"}
