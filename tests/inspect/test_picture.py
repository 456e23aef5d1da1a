"""The DOT text holds every node once, its role and its edges; drawing is optional."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path

import pytest

import exprgrad as eg
from exprgrad.inspect import picture
from exprgrad.inspect.picture import COLOURS, MOST_RANKED, show, svg, to_dot


def drawn(dot: str) -> dict[str, str]:
    """The label and the colour of each node."""
    return dict(re.findall(r'\[label="(.*)", fillcolor="(.*)"\]', dot))


def test_roles_have_colours() -> None:
    x = eg.input("x", ("n",))
    w = eg.parameter("w", (3,))
    rate = eg.state("rate", init=0.1)
    loss, step = eg.exp(w).sum() + x.sum(), eg.tanh(w)
    new = w - rate * step
    found = drawn(to_dot(loss, [step], {w: new}))
    assert found["x\\nf32[n]"] == COLOURS["input"]
    assert found["w\\nf32[3]"] == COLOURS["parameter"]
    assert found["rate\\nf32"] == COLOURS["state"]
    assert found["exp\\nf32[3]"] == COLOURS["operation"]
    assert found["tanh\\nf32[3]"] == COLOURS["gradient"]
    assert found["subtract\\nf32[3]"] == COLOURS["update"]


def test_an_update_points_at_its_state() -> None:
    w = eg.state("w", (3,))
    assert len(re.findall(r"n\d+ -> n\d+ \[style=dashed\]", to_dot([], (), {w: w + 1}))) == 1


def test_numbers_are_drawn_beside_each_user() -> None:
    x = eg.input("x", ("n", 3))
    dot = to_dot((x * 2 + 2) / eg.mean(x))
    assert dot.count('[label="2.0"') == 2
    assert "expand" not in dot.split("2.0")[0]
    assert dot.count('[label="3*n"') == 1


def test_names_are_escaped() -> None:
    dot = to_dot(eg.input('a"b\\c'))
    assert r'label="a\"b\\c\nf32"' in dot


def test_a_large_graph_has_clusters_and_no_common_ranks() -> None:
    x = eg.input("x", (3,))
    y = x
    for _ in range(MOST_RANKED + 10):
        y = eg.sin(y)
    large, small = to_dot(y, [eg.cos(y)]), to_dot(eg.sin(x))
    assert "newrank" in small and "cluster" not in small
    assert "newrank" not in large
    assert re.findall("subgraph cluster_([a-z]+)", large) == ["operation", "gradient", "update"]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Graphviz's `dot`, alone on PATH; it repeats what it is given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    dot = folder / "dot"
    dot.write_text(f"#!{sys.executable}\nimport sys\nprint('<svg>', sys.argv[1], sys.stdin.read())")
    dot.chmod(dot.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    return folder


def test_svg_is_drawn_by_graphviz(program: Path) -> None:
    x = eg.input("x", (3,))
    text = eg.exp(x)._repr_svg_()
    assert text is not None
    assert text.startswith("<svg> -Tsvg digraph")
    assert "exp" in text


def test_without_graphviz_there_is_a_listing(
    program: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    x = eg.input("x", (3,))
    shown = (eg.exp(x) + 1).show()
    assert svg(shown.dot) is None
    assert repr(shown) == "exp(x) + 1.0"
    with pytest.raises(RuntimeError, match="no Graphviz"):
        shown.save(tmp_path / "a.svg")
    assert shown.save(tmp_path / "a.dot").read_text() == shown.dot


def test_a_picture_is_saved(program: Path, tmp_path: Path) -> None:
    path = show(eg.exp(eg.input("x"))).save(tmp_path / "a.svg")
    assert path.read_text().startswith("<svg>")


def test_a_huge_graph_is_not_drawn_unasked(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "MOST_DRAWN", 2)
    x = eg.input("x", (3,))
    assert eg.sin(x)._repr_svg_() is not None
    assert eg.sin(eg.sin(x))._repr_svg_() is None
