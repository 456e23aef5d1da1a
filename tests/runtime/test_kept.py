"""Programs on disk: found again by what they are, in any process, and never by chance."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import IndexOutOfRange
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.identity import identity
from exprgrad.rewrite.simplify import erase
from exprgrad.runtime import compile as compiler
from exprgrad.runtime import kept
from tests.cases import CASES, inputs

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPRGRAD_CACHE", str(tmp_path / "code"))
    monkeypatch.setenv("EXPRGRAD_CHECK", "0")
    return tmp_path / "code"


def compilations(make: Any) -> tuple[int, Any]:
    """How many programs were compiled to make something, and that."""
    before = compiler.COMPILATIONS
    made = make()
    return compiler.COMPILATIONS - before, made


def model(scale: float = 0.5) -> eg.Function:
    """A step that reads what a program can read: folded constants, draws, states,
    sizes, and rows at indices that are checked.
    """
    x, rows = eg.input("x", ("n", 3)), eg.input("rows", ("n",), dtype="int64")
    w = eg.parameter("w", (5, 3), init=eg.init.glorot_uniform())
    table = eg.constant(np.arange(6.0, dtype=np.float32).reshape(2, 3)) * scale
    noise = eg.random.uniform(x.shape)
    y = (eg.take(w, rows, 0) * x + table[1] + noise).sum(axis=1)
    updates = eg.optim.Adam(0.1).updates((y * y).mean(), [w])
    return eg.function([x, rows], y, updates=updates)


X, ROWS = np.ones((4, 3), np.float32), np.array([0, 4, -1, 2])

SCRIPT = """
import sys
sys.path.insert(0, {root!r})
import tests.runtime.test_kept as test
from exprgrad.runtime import compile
f = test.model()
f(test.X, test.ROWS)
result = f(test.X, test.ROWS)
print(compile.COMPILATIONS, f.updates and result.tobytes().hex())
"""


def test_another_process_finds_it_and_computes_the_same_bits(folder: Path) -> None:
    run = [sys.executable, "-c", SCRIPT.format(root=str(ROOT))]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "random"}
    outputs = [
        subprocess.run(run, capture_output=True, text=True, check=True, env=env).stdout.split()
        for _ in range(2)
    ]
    (cold, first), (warm, second) = outputs
    assert (cold, warm) == ("1", "0")
    assert first == second


def test_a_kept_program_computes_what_the_graph_means() -> None:
    x, n = eg.input("x", ("n", 4)), eg.input("k", ("n",), dtype="int32")
    y = eg.sin(x) @ eg.constant(np.eye(4, 2, dtype=np.float32)) + eg.astype(n, "float32")[:, None]
    eg.function([x, n], y)
    count, f = compilations(lambda: eg.function([x, n], y))
    assert count == 0
    values = {x: np.linspace(0, 1, 20, dtype=np.float32).reshape(5, 4), n: np.arange(5, dtype="i4")}
    np.testing.assert_allclose(f(*values.values()), evaluate([y], values)[0], rtol=1e-6)


def test_states_are_those_of_the_program_at_hand() -> None:
    def counter() -> tuple[eg.Tensor, eg.Function]:
        s = eg.state("s", (3,), init=1.0)
        return s, eg.function([], s.sum(), updates={s: s * 2})

    _, (first, f) = compilations(counter)
    count, (second, g) = compilations(counter)
    assert count == 0
    assert (f(), f(), g()) == (3, 6, 3)
    assert (first.value[0], second.value[0]) == (4, 2)


def test_one_state_twice_is_not_two_states() -> None:
    a, b = eg.state("s", (3,)), eg.state("s", (3,))
    assert identity([a + a]).text != identity([a + b]).text
    eg.function([], a.sum(), updates={a: a + 1, b: a + 2})
    count, _ = compilations(lambda: eg.function([], a.sum(), updates={a: a + 1, b: b + 2}))
    assert count == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda x: x * 2.5,
        lambda x: x * eg.constant(np.full(3, 2.0, np.float32)),
        lambda x: [x * 2.0, x],
        lambda x: 2.0 * x + 0 * x,
        lambda x: eg.input("x", (4,)) * 2.0,
        lambda x: eg.input("x", ("m",)) * 2.0,
        lambda x: eg.input("x", (3,), dtype="float64") * 2.0,
        lambda x: eg.random.uniform((3,)) * x,
    ],
)
def test_other_graphs_are_other_programs(other: Any) -> None:
    x = eg.input("x", (3,))
    one, two = x * 2.0, other(x)
    several = two if isinstance(two, list) else [two]
    names = {kept._identity(compiler.Request([one], {})).text}
    names.add(kept._identity(compiler.Request(several, {})).text)
    assert len(names) == 2


def test_draws_differ_by_their_number() -> None:
    first, second = eg.random.uniform((3,)), eg.random.uniform((3,))
    assert identity([first]).text != identity([second]).text


def test_the_error_names_the_line_of_the_program_at_hand() -> None:
    source = "x = eg.input('x', (3,))\ni = eg.input('i', ('n',), dtype='int64')\n{}y = x[i]\n"
    for lines in ("", "\n\n"):
        names: dict[str, Any] = {"eg": eg}
        exec(compile(source.format(lines), f"model{len(lines)}.py", "exec"), names)
        count, f = compilations(lambda n=names: eg.function([n["x"], n["i"]], n["y"]))
        assert count == (not lines)
        with pytest.raises(IndexOutOfRange, match="index 7 is outside an axis of 3") as error:
            f(np.zeros(3, np.float32), np.array([7]))
        where = error.value.where
        assert (where.file, where.line) == (f"model{len(lines)}.py", 3 + len(lines))
        del f, names, error  # else the nodes of the next round are these
        gc.collect()


@pytest.mark.parametrize("entry", [0, 1])
@pytest.mark.parametrize("content", [b"", b"damaged", None])
def test_what_is_damaged_or_gone_is_made_again(
    folder: Path, entry: int, content: bytes | None
) -> None:
    x = eg.input("x", ("n",))
    eg.function([x], eg.tanh(x))
    path = sorted(folder.iterdir(), key=lambda p: p.stat().st_size)[entry]
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    count, f = compilations(lambda: eg.function([x], eg.tanh(x)))
    assert count == 1
    np.testing.assert_allclose(f(np.ones(3, np.float32)), np.tanh(1), rtol=1e-6)
    assert compilations(lambda: eg.function([x], eg.tanh(x)))[0] == 0


def test_a_changed_compiler_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = eg.input("x", ("n",))
    eg.function([x], x + 1)
    monkeypatch.setattr(kept, "PACKAGE", kept.PACKAGE / "graph")
    kept._origin.cache_clear()
    try:
        assert compilations(lambda: eg.function([x], x + 1))[0] == 1
    finally:
        kept._origin.cache_clear()


def test_checked_programs_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    x = eg.input("x", ("n",))
    eg.function([x], x + 2)
    monkeypatch.setenv("EXPRGRAD_CHECK", "1")
    assert compilations(lambda: eg.function([x], x + 2))[0] == 1


def test_a_kept_program_explains_itself() -> None:
    x = eg.input("x", ("n",))
    whole = eg.explain(eg.function([x], x * 1 + 3))
    brief = eg.explain(eg.function([x], x * 1 + 3))
    assert "cache" in brief.milliseconds and "cache" not in whole.milliseconds
    assert sum(brief.milliseconds.values()) == brief.milliseconds["cache"]
    for stage in ("rewritten graph", "kernels as loops", "LLVM IR", "assembly"):
        assert brief[stage] == whole[stage]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_address_is_part_of_what_a_graph_is(case: Any) -> None:
    y = case.build(*inputs(case, case.dtypes[0]))
    assert " at 0x" not in identity(erase([y])).text
