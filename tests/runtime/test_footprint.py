"""The memory of a program is said before it runs, and is what it then takes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import InputError
from exprgrad.graph.dims import Dim
from exprgrad.loop.ir import Buffer
from exprgrad.loop.memory import Life, plan
from exprgrad.loop.peak import peak

X = eg.input("x", ("batch", 64))
W = eg.parameter("footprint W", (64, 64))
REFS = "/proc/self/clear_refs"
BATCH = Dim.named("batch")


def lives(*spans: tuple[object, int, int]) -> list[Life]:
    return [
        Life(Buffer(f"t{n}", (size,), eg.float32, "temporary"), first, last)
        for n, (size, first, last) in enumerate(spans)
    ]


def test_the_peak_is_the_phase_where_most_is_alive() -> None:
    needed = lives((BATCH * 10, 0, 1), (BATCH * 20 + 5, 1, 2), (7, 0, 3), (BATCH, 3, 3))
    assert str(peak(needed)) == "120*batch + 48"


def test_where_sizes_decide_the_formula_is_the_larger_of_two() -> None:
    needed = lives((BATCH * 10, 0, 0), (100, 1, 1), (5, 2, 2))
    found = peak(needed)
    assert str(found) == "max(40*batch, 400)"
    assert [found.at({"batch": n}) for n in (1, 10, 11)] == [400, 400, 440]


def test_the_formula_is_the_arena_but_for_its_lines() -> None:
    loss = (eg.tanh(eg.tanh(X @ W) @ W) ** 2).mean()
    f = eg.function([X], loss, eg.optim.Adam(0.1).updates(loss, [W]))
    tables = f.program.program.linked.tables
    for n in (1, 7, 64, 1000):
        arena = plan(tables.needed, {"batch": n}).nbytes
        formula = f.memory().parts["temporaries"].at({"batch": n})
        assert 0 <= arena - formula <= 64 * len(tables.needed)


def test_sizes_are_named_as_they_are_in_the_expression() -> None:
    memory = eg.function([X], X @ W).memory()
    assert memory.bytes(batch=10) == 4 * (10 * 64 + 64 * 64)
    with pytest.raises(InputError, match="depends on batch; given: none"):
        memory.bytes()
    with pytest.raises(InputError, match="depends on batch; given: batch, rows"):
        memory.bytes(batch=1, rows=2)


def test_a_trainer_and_its_explanation_say_the_same() -> None:
    trainer = eg.Trainer(((X @ W) ** 2).mean(), eg.optim.SGD(0.1))
    text = str(trainer.memory())
    assert "values before fit" in text and "*batch" in text
    assert str(eg.explain(trainer, "memory")) == text


def test_the_arena_is_kept_for_smaller_sizes_and_given_back_with_the_program() -> None:
    f = eg.function([X], eg.tanh(eg.tanh(X @ W) @ W))
    f(np.zeros((500, 64), "f"))
    program = f.program.program
    arena = program._arena
    for n in (3, 500, 20):
        f(np.zeros((n, 64), "f"))
        assert program._arena is arena
    watched = weakref.ref(arena.base)
    del f, program, arena
    gc.collect()
    assert watched() is None


# A network whose temporaries are far larger than the compiler's own memory.
CHILD = """
import re
import numpy as np
import exprgrad as eg

def resident(name):
    return int(re.search(name + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1]) << 10

h = eg.input("x", ("batch", 512))
for n in range(6):
    h = eg.tanh(h @ eg.parameter(f"w{n}", (512, 512)))
    if MARKS and n % 2:
        h = eg.checkpoint(h)
trainer = eg.Trainer((h * h).mean(), eg.optim.Adam(0.1))
data = {"x": np.ones((4096, 512), "f")}
said = trainer.memory()
trainer.fit({"x": data["x"][:8]}, batch_size=8)
before = resident("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
trainer.fit(data, batch_size=4096, shuffle=False)
grown = resident("VmHWM") - before
known = said.parts["parameters and states"].at({})
print(grown, said.bytes(batch=4096) - known)
"""


@pytest.mark.skipif(not os.access(REFS, os.W_OK), reason="needs a Linux that counts")
@pytest.mark.parametrize("marks", [False, True])
def test_what_is_said_is_what_is_measured(marks: bool) -> None:
    code = CHILD.replace("MARKS", str(marks))
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    grown, said = map(int, run.stdout.split())
    assert said > 30 << 20
    assert abs(grown - said) <= 0.05 * said
