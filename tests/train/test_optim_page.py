"""The table of variants on the page about optimizers is that of the classes.

`python -m tests.train.test_optim_page` writes the table into the page.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import exprgrad as eg
from tests.train.test_optim import RULES

PAGE = Path(__file__).parents[2] / "docs" / "optimizers.md"
TABLE = re.compile(r"^\| rule \| variant .*?(?=\n\n)", re.S | re.M)


def shown(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def row(name: str, variant: str | None, values: dict[str, Any]) -> str:
    source = "" if variant is None else f'"{variant}"'
    return f"| {name} | {source} | {shown(values)} |"


def table() -> str:
    """Each rule with the values of its first variant, then what the others change."""
    lines = ["| rule | variant | what it sets |", "| --- | --- | --- |"]
    for name in [n for n in eg.optim.__all__ if n in RULES]:
        rule = getattr(eg.optim, name)
        fields = {n: getattr(rule, n) for n in rule.fields + rule.options}
        first, *others = list(rule.variants) or [None]
        lines.append(row(f"`{name}`", first, fields))
        lines += [row("", other, rule.variants[other]) for other in others]
    return "\n".join(lines)


def test_the_table_of_variants_is_that_of_the_classes() -> None:
    found = TABLE.search(PAGE.read_text())
    assert found is not None
    assert found[0] == table()


def test_every_name_is_on_the_page() -> None:
    page = PAGE.read_text()
    classes = [n for n in eg.optim.__all__ if inspect.isclass(getattr(eg.optim, n))]
    assert not [name for name in classes if f"`{name}" not in page]


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text()))
