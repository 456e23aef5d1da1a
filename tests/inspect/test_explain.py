"""The account of a program: every stage, its time, its text, whole or begun."""

from __future__ import annotations

import pytest

import exprgrad as eg
from exprgrad.errors import GraphError
from exprgrad.inspect.explain import SHOWN, excerpt
from exprgrad.runtime.report import Stage


class Program:
    """What a compiled function holds, as `explain` sees it."""

    notes = ("row 3: a library's product was faster",)

    def __init__(self) -> None:
        self.asked: list[str] = []

    def report(self) -> list[Stage]:
        return [
            Stage("graph", 1.5, lambda: self.text("graph", 2)),
            Stage("LLVM IR", 20.0, lambda: self.text("LLVM IR", SHOWN + 5)),
            Stage("assembly", 0.25, lambda: self.text("assembly", 3)),
        ]

    def text(self, name: str, lines: int) -> str:
        self.asked.append(name)
        return "\n".join(f"{name} {i}" for i in range(lines))


def test_the_account_shows_every_stage() -> None:
    text = str(eg.explain(Program()))
    assert text.splitlines()[:5] == [
        "graph         1.50 ms",
        "LLVM IR      20.00 ms",
        "assembly      0.25 ms",
        "total        21.75 ms",
        "note: row 3: a library's product was faster",
    ]
    assert "=== graph ===\ngraph 0\ngraph 1\n" in text
    assert f"LLVM IR {SHOWN - 1}\n... 5 more lines" in text
    assert text.endswith("assembly 2")


def test_one_stage_is_shown_whole_and_no_other_is_printed() -> None:
    program = Program()
    account = eg.explain(program, "llvm")
    assert str(account).splitlines()[-1] == f"LLVM IR {SHOWN + 4}"
    assert account["assembly"] == "assembly 0\nassembly 1\nassembly 2"
    assert program.asked == ["LLVM IR", "assembly"]
    assert account.milliseconds == {"graph": 1.5, "LLVM IR": 20.0, "assembly": 0.25}


def test_a_wrong_stage_is_an_error_at_once() -> None:
    with pytest.raises(GraphError, match="no one stage is called 'loops'; there are graph, LLVM"):
        eg.explain(Program(), "loops")


def test_what_was_not_compiled_is_an_error() -> None:
    with pytest.raises(GraphError, match="takes a compiled function or a trainer, not Tensor"):
        eg.explain(eg.input("x") + 1)


def test_a_step_is_explained() -> None:
    x, w = eg.input("x", ("n", 3)), eg.parameter("w", (3,))
    loss = eg.mean((x @ w * 1 - 1) ** 2)
    step = eg.function([x], loss, updates={w: w - 0.1 * eg.grad(loss, w)})
    account = eg.explain(step)
    assert "x @ w * 1.0" in account["graph"]
    assert "x @ w * 1.0" not in account["rewritten graph"]
    assert "w': f32[3] = w - 0.1 * " in account["updates"]
    assert "w'" not in account["graph"]
    assert "define " in account["LLVM IR"]
    assert ".size" in account["assembly"]
    text = str(account)
    titles = ["graph", "updates", "rewritten graph", "kernels as loops"]
    places = [text.index(f"=== {t} ===") for t in [*titles, "LLVM IR", "assembly"]]
    assert places == sorted(places)


def test_a_short_text_is_whole() -> None:
    assert excerpt("a\nb\n", 2) == "a\nb"


def test_of_a_long_text_the_part_with_most_vectors_is_shown() -> None:
    text = "a\n" * 5 + "\tvfmadd231ps %zmm1, %zmm2, %zmm3\n\tjne .L\n" * 2 + "b\n" * 3
    lines = excerpt(text, 4).splitlines()
    assert lines[0] == "... 5 lines"
    assert lines[1].strip().startswith("vfmadd")
    assert lines[-1] == "... 3 more lines"


def test_a_trainer_is_explained() -> None:
    x, w = eg.input("x", ("batch", 3)), eg.parameter("w", (3,))
    trainer = eg.Trainer(eg.mean((x @ w - 1) ** 2), eg.optim.Momentum(0.1))
    account = eg.explain(trainer)
    assert account["graph"].endswith("\nloss: f32 = sum((x @ w - 1.0) ** 2.0) / batch")
    assert "\nd loss / d w: f32[3] = " in account["gradient"]
    assert "\nw': f32[3] = w - " in account["updates"]
    assert account.milliseconds["gradient"] > 0
    loops = account["kernels as loops"]
    assert loops.count("sum over") == 3, "the gradient's sum serves both updates"
    assert "w.velocity[i] = t" in loops
    assert account.notes == ()


def test_slow_ways_are_noted_with_the_users_line() -> None:
    x = eg.input("x", ("n",), dtype="float64")
    (note,) = eg.explain(eg.function([x], x**0.3)).notes
    assert note.startswith("pow of float64 calls the C library for each element")
    assert "x**0.3" in note


def test_states_of_one_name_are_told_apart() -> None:
    a, b = eg.state("count"), eg.state("count")
    account = eg.explain(eg.function([], {"sum": a + b}, {a: a + 1, b: b + 2}))
    assert account["graph"].endswith("sum: f32 = count + count")
    for stage in ("updates", "rewritten graph"):
        assert account[stage].endswith("count': f32 = count + 1.0\ncount'2: f32 = count + 2.0")
