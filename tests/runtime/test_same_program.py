"""A graph becomes the same code in every process: no set's order decides anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SWITCHES = {"EXPRGRAD_CACHE": "0", "EXPRGRAD_CHECK": "0"}


def digests(seed: str) -> str:
    """Of the code that a process writes whose sets are in an order of their own."""
    run = [sys.executable, "-m", "tests.runtime.scrambled", seed]
    env = {**os.environ, "PYTHONHASHSEED": seed, **SWITCHES}
    done = subprocess.run(run, capture_output=True, text=True, check=True, env=env, cwd=ROOT)
    return done.stdout


def test_the_order_of_sets_decides_nothing() -> None:
    first, second = digests("1"), digests("2")
    assert first.count("\n") == 9
    assert first == second
