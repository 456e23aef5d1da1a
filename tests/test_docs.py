"""What the pages say is true: names exist, tables agree with the code, examples run."""

from __future__ import annotations

import contextlib
import html
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exprgrad.graph.dtype import PROMOTION
from tests.backend.test_vecmath import ULPS

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
README = (ROOT / "README.md").read_text()
PICTURE = ROOT / "docs" / "loss.svg"
TEXT = re.compile(r"^```text\n(.*?)^```", re.S | re.M)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.S | re.M)


def test_every_module_is_on_the_page_of_the_house_and_no_other() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set()
    for section in page.split("\n### ")[1:]:
        room = re.split(r"[:\n]", section)[0]
        folder = "" if room == "exprgrad" else f"{room}/"
        named |= {folder + name for name in re.findall(r"^\| `(\w+\.py)` \|", section, re.M)}
    files = {path.relative_to(ROOT / "exprgrad") for path in (ROOT / "exprgrad").rglob("*.py")}
    modules = {str(f) for f in files if f.name != "__init__.py" or len(f.parts) == 1}
    assert named == modules


@pytest.mark.parametrize("page", [ROOT / "README.md", *DOCS], ids=lambda path: path.name)
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    paths = re.findall(r"`((?:exprgrad|tests|examples|docs)/[\w/]+\.\w+)`", text)
    assert not [link for link in links if not (page.parent / link).exists()]
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_the_two_commands_stand_in_the_readme() -> None:
    lines = [line.strip() for line in README.splitlines()]
    assert 'pip install -e ".[examples]" && python examples/digits.py' in lines
    assert 'pip install -e ".[test]" && python -m pytest' in lines


@pytest.mark.parametrize("page", DOCS, ids=lambda path: path.name)
def test_examples_on_the_pages_run(page: Path) -> None:
    for block in PYTHON.findall(page.read_text()):
        run(block, page)


def run(block: str, page: Path) -> tuple[str, dict[str, Any]]:
    """What a block prints, and the names it defines."""
    printed = io.StringIO()
    names: dict[str, Any] = {"__name__": page.stem}
    with contextlib.redirect_stdout(printed):
        exec(compile(block, str(page), "exec"), names)
    return printed.getvalue().strip(), names


def test_the_example_of_the_readme_prints_what_stands_there() -> None:
    """`python -m tests.test_docs` writes what it prints now."""
    (block,) = PYTHON.findall(README)
    (shown,) = TEXT.findall(README)
    printed, names = run(block, ROOT / "README.md")
    assert printed == shown.strip()
    assert np.allclose(names["w"].value, [2, -1], atol=0.05)  # outliers weigh little
    drawn = html.unescape(PICTURE.read_text())
    labels = re.findall(r'label="([^"]+)"', names["picture"].dot)
    for line in {line for label in labels for line in label.split(r"\n")}:
        drawings = sum(line in label.split(r"\n") for label in labels)
        assert drawn.count(f">{line}</text>") == drawings, line


def test_the_page_of_schedules_shows_what_its_examples_print() -> None:
    page = ROOT / "docs" / "schedules.md"
    text = page.read_text()
    *shown, of_the_example = TEXT.findall(text)
    printed = [run(block, page)[0] for block in PYTHON.findall(text)]
    assert printed == [part.strip() for part in shown]
    assert "PQ" in of_the_example  # examples/early_stopping.py has a test of its own


def update_readme() -> None:
    """Write into the README, and beside it, what its example prints and draws."""
    (block,) = PYTHON.findall(README)
    printed, names = run(block, ROOT / "README.md")
    text = TEXT.sub(lambda _: f"```text\n{printed}\n```", README)
    (ROOT / "README.md").write_text(text)
    names["picture"].save(PICTURE)


def test_the_accuracy_table_is_what_the_tests_allow() -> None:
    page = (ROOT / "docs" / "numerics.md").read_text().split("## Rounding")[1]
    rows = re.findall(r"^\| (\w+) \| (\d\.\d) \| (\d\.\d) \|$", page, re.M)
    assert {name: (float(a), float(b)) for name, a, b in rows} == ULPS


def test_the_promotion_table_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "numerics.md").read_text()
    rows = [
        tuple(cell.strip(" `*") for cell in line.strip("|").split("|"))
        for line in page.split("## Types")[1].split("\n## ")[0].splitlines()
        if line.startswith("|") and "---" not in line
    ]
    assert rows[: len(PROMOTION)] == [(name, *cells) for name, cells in PROMOTION.items()]


if __name__ == "__main__":
    update_readme()


def test_the_site_has_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    blocks = re.findall(r"^```\{toctree\}\n(.*?)^```", index, re.S | re.M)
    named = [line for block in blocks for line in block.splitlines() if re.fullmatch(r"\w+", line)]
    pages = {path.stem for path in DOCS} - {"index"}
    assert pages <= set(named)
    assert len(named) == len(set(named))
