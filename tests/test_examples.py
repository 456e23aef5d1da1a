"""Each example runs to its assertion, in a process of its own, as a user starts it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DIGITS = ROOT / "examples" / "digits.py"
MOST_LINES = 60

# Runs an example and says what its parameters hold, to the last bit.
BITS = """
import hashlib, runpy, sys
names = runpy.run_path(sys.argv[1])
values = [names[n].value.tobytes() for n in ("W1", "b1", "W2", "b2")]
print(hashlib.sha256(b"".join(values)).hexdigest())
"""


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": path, **environment},
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return run


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path) -> None:
    assert python(str(example)).stdout


def test_compile_time_is_shown_stage_by_stage() -> None:
    script = ROOT / "examples" / "benchmarks" / "compile_time.py"
    shown = python(str(script), "layers25", EXPRGRAD_CACHE="0").stdout.splitlines()
    assert {"simplify", "fuse", "llvm", "operations", "seconds"} <= {s.split()[0] for s in shown}


def test_the_choice_of_threads_is_shown_quiet_and_beside_a_hog() -> None:
    script = ROOT / "examples" / "benchmarks" / "threads.py"
    shown = python(str(script), "small call", "--rounds", "1").stdout.splitlines()
    assert [line.split()[2] for line in shown] == ["quiet", "hog"]
    assert all("chosen/best" in line for line in shown)


def test_the_digits_are_shown_as_they_are_learned() -> None:
    run = python(str(DIGITS))
    assert run.stdout.startswith("loss\n")
    assert "\ngradient of the loss by b2\n" in run.stdout
    assert "30/30 epochs" in run.stderr, "the progress bar"
    last = run.stdout.splitlines()[-1]
    found = re.fullmatch(r"test accuracy (0\.9\d\d)", last)
    assert found is not None, last
    assert float(found[1]) >= 0.97


def test_the_digits_come_out_the_same_to_the_last_bit() -> None:
    """In a second process, and with another number of threads."""
    runs = [python("-c", BITS, str(DIGITS), EXPRGRAD_THREADS=n) for n in ("1", "1", "2")]
    assert len({run.stdout.splitlines()[-1] for run in runs}) == 1


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short_and_checks_itself(example: Path) -> None:
    text = example.read_text()
    assert len(text.splitlines()) < MOST_LINES
    *_, last = [node for node in ast.parse(text).body if not is_print(node)]
    assert isinstance(last, ast.Assert), "it ends in an assertion"


def is_print(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func) == "print"
