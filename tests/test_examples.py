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
MOST_LINES = 60


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path) -> None:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, str(example)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    if example.stem == "digits":
        assert re.fullmatch(r"test accuracy 0\.9\d\d", run.stdout.splitlines()[-1])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short_and_checks_itself(example: Path) -> None:
    text = example.read_text()
    assert len(text.splitlines()) < MOST_LINES
    assert any(isinstance(node, ast.Assert) for node in ast.parse(text).body)
