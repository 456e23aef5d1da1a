"""The benchmark measures what it says: every model is in every table, losses agree with
NumPy's in float64, the command prints its table, what is missing is named.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from examples.benchmarks import data, models
from examples.benchmarks.layers import __main__ as layers
from examples.benchmarks.layers.blocks import BLOCKS
from examples.benchmarks.layers.case import Case, ours, theirs
from examples.benchmarks.layers.operations import OPERATIONS
from examples.benchmarks.peers import exprgrad, numpy
from examples.benchmarks.report import faults, table
from examples.benchmarks.rounds import Result
from examples.benchmarks.workloads import WORKLOADS

FOLDER = Path(__file__).parent.parent / "examples" / "benchmarks"
OPS = sorted(path for path in (FOLDER / "ops").glob("*.py") if path.stem != "__init__")
IMAGES = {"conv", "max_pool", "pixels_flat", "pixels_mean"}
QUICK = ("W1", "W4", "odd", "online", "lasso", "embedding")


def names_in(path: Path) -> set[str]:
    """What a module defines at its top."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.Assign):
            found |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return found


def test_every_workload_has_a_model_and_data() -> None:
    known = {w.model for w in WORKLOADS.values()}
    assert known == set(models.LOSSES | models.GRADIENTS) == set(data.MADE)


@pytest.mark.parametrize("path", OPS, ids=lambda path: path.stem)
def test_every_library_spells_every_operation(path: Path) -> None:
    tree = ast.parse((FOLDER / "models.py").read_text())
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "o"
    }
    assert used >= IMAGES
    assert used <= names_in(path)


@pytest.mark.parametrize("name", QUICK)
def test_losses_are_those_of_numpy_in_float64(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for switch in ("EXPRGRAD_THREADS", "EXPRGRAD_CACHE"):
        monkeypatch.setenv(switch, "0")
    w = WORKLOADS[name]
    inputs, parameters = data.arrays(w)
    noise = data.noise(w) if w.noise else None
    ours = exprgrad.Peer(w, inputs, parameters, "", 1, noise)
    reference = numpy.Peer(w, inputs, parameters, "reference", 1, noise)
    order = next(data.orders(w))
    wanted = [reference.step(n, rows) for n, rows in enumerate(order[:8])]
    assert wanted[-1] != wanted[0]
    np.testing.assert_allclose(ours.epoch(order)[:8], wanted, rtol=1e-5)
    assert ours.least() > 0


def test_the_command_prints_a_table() -> None:
    arguments = ["--workloads", "W1", "--peers", "exprgrad,numpy,nothing", "--rounds", "1"]
    run = subprocess.run(
        [sys.executable, "-m", "examples.benchmarks", *arguments, "--threads", "1"],
        capture_output=True,
        text=True,
        cwd=FOLDER.parent.parent,
        env={**os.environ},
        check=True,
    )
    assert "nothing is not installed and is left out" in run.stderr
    assert "loss error" in run.stderr
    head, rule, row = (line for line in run.stdout.splitlines() if line.startswith("|"))
    assert head.startswith("| workload | exprgrad | numpy | ahead |")
    assert rule.count("---") == head.count("|") - 1
    assert row.startswith("| W1: logistic regression")
    assert row.endswith("% |")
    assert "not compared" not in run.stdout


def test_the_table_compares_with_the_best_and_shows_the_least() -> None:
    ours = Result("exprgrad", 1, [2e-6, 4e-6, 3e-6], least=1e-6)
    ours2 = Result("exprgrad", 2, [1.5e-6], least=1e-6)
    slow, fast = Result("a", 1, [9e-6]), Result("b", 2, [6e-6, 6e-6, 4.5e-6])
    last = table({"W1": [ours, ours2, slow, fast]}).splitlines()[-1]
    cells = [cell.strip() for cell in last.strip("|").split("|")]
    assert cells[1:] == ["1.50 (1.50)", "9.00 (9.00)", "6.00 (4.50)", "4.00 (3.00)",
                         "3.00 (4.50)", "67%"]  # fmt: skip


def test_with_one_number_of_threads_one_column_says_how_far_ahead() -> None:
    results = [Result("exprgrad", 1, [1e-6]), Result("a", 1, [2e-6])]
    head, _, row = table({"W1": results}).split("\n")
    assert head == "| workload | exprgrad | a | ahead | share of limit |"
    assert row.endswith("| 1.00 (1.00) | 2.00 (2.00) | 2.00 (2.00) | - |")


@pytest.mark.parametrize("case", [*OPERATIONS, *BLOCKS], ids=lambda case: case.name)
def test_both_libraries_compute_the_same_layer(case: Case) -> None:
    pytest.importorskip("torch")
    given = case.arrays()
    for found, wanted in zip(ours(case), theirs(case, compiled=False), strict=True):
        for a, b in zip(found(*given), wanted(*given), strict=True):
            expected = b.detach().numpy()
            bound = 1e-4 * np.abs(expected).max()
            np.testing.assert_allclose(np.asarray(a), expected, rtol=0, atol=bound)


def test_the_command_for_layers_prints_a_line_for_value_and_gradient() -> None:
    names = [case.name for case in (*OPERATIONS, *BLOCKS)]
    assert len(set(names)) == len(names)
    command = [sys.executable, "-m", "examples.benchmarks.layers", "stack", "--rounds", "1"]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=FOLDER.parent.parent
    )
    head, value, gradient, last = run.stdout.splitlines()
    assert head.split()[-1] == "ahead"
    assert value.split()[:2] == ["stack", "value"]
    assert gradient.split()[:2] == ["stack", "gradient"]
    assert float(gradient.split()[2]) > 0
    assert last.startswith("slower than PyTorch: ")


@pytest.mark.parametrize(("asked", "found"), [("lstm", 1), ("CONCAT", 3), ("", 77)])
def test_layers_are_found_whatever_their_capitals(asked: str, found: int) -> None:
    assert len(layers.asked_for([asked])) == found


def test_a_layer_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(SystemExit, match=r"no case is called lsmt; there are: concat, channels"):
        layers.asked_for(["lsmt"])


def test_the_page_on_speed_speaks_of_every_workload() -> None:
    page = (FOLDER.parent.parent / "docs" / "speed.md").read_text()
    rows = [f"\n| {name}: {w.title} |" for name, w in WORKLOADS.items()]
    assert [row for row in rows if row not in page] == []


def test_what_is_missing_or_wrong_is_named() -> None:
    missing = Result("torch:eager", 1, why="No module named 'torch'")
    wrong = Result("b", 1, [1e-6], error=0.1)
    strange = Result("c", 1, [1e-6], error=float("nan"))
    lines = faults({"W1": [missing, wrong, strange], "W2": [missing]})
    assert lines == [
        "torch:eager: No module named 'torch' (W1, W2)",
        "b: its losses are 1e-01 from the reference (W1)",
        "c: its losses are nan from the reference (W1)",
    ]
