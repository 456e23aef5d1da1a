"""A picture of an expression: DOT text, and SVG where Graphviz is at hand."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS
from exprgrad.graph.tensor import Tensor
from exprgrad.interop.graphs import label

# Fill colours by the role that a node plays.
COLOURS = {
    "input": "#cfe8ff",
    "parameter": "#ffe3b0",
    "state": "#ead9ff",
    "constant": "#f2f2f2",
    "operation": "#ffffff",
    "gradient": "#ffd9d9",
    "update": "#d8f5d0",
}
LEAVES = {"input": "input", "parameter": "parameter", "state": "state"}
# Above this many nodes one order of ranks for the whole graph takes Graphviz minutes;
# then it gets a cluster for each group, straight lines and a bounded search.
MOST_RANKED = 150
SMALL = "newrank=true"
LARGE = "splines=line, nslimit=0.5, nslimit1=0.5, searchsize=10"
MOST_DRAWN = 600


@dataclass(frozen=True)
class Picture:
    """A drawing that notebooks show; `save` writes it, printing it gives the listing."""

    dot: str
    listing: str
    nodes: int

    def _repr_svg_(self) -> str | None:
        return svg(self.dot) if self.nodes <= MOST_DRAWN else None

    def save(self, path: str | Path) -> Path:
        """Write the SVG, or the DOT text when `path` ends in .dot or .gv.

        Raises `RuntimeError` when there is no Graphviz to draw the SVG with.
        """
        path = Path(path)
        text = self.dot if path.suffix in (".dot", ".gv") else svg(self.dot)
        if text is None:
            raise RuntimeError(
                "no Graphviz was found: pip install 'exprgrad[viz]', or save a .dot file"
            )
        path.write_text(text)
        return path

    def __repr__(self) -> str:
        return self.listing


def show(
    outputs: Tensor | Sequence[Tensor],
    gradients: Tensor | Sequence[Tensor] = (),
    updates: Mapping[Tensor, Tensor] | None = None,
) -> Picture:
    """A picture of what `outputs`, `gradients` and `updates` compute.

    What only the gradients or the updates need is coloured as theirs.
    """
    groups = _groups(outputs, gradients, updates or {})
    roots = [root for group in groups.values() for root in group]
    text = "\n".join(map(repr, roots))
    return Picture(to_dot(outputs, gradients, updates), text, len(walk(roots)))


def to_dot(
    outputs: Tensor | Sequence[Tensor],
    gradients: Tensor | Sequence[Tensor] = (),
    updates: Mapping[Tensor, Tensor] | None = None,
) -> str:
    r"""The graph in Graphviz's DOT language, coloured by role.

    Each node says its operation, type and shape; numbers are drawn beside each user.

    >>> import exprgrad as eg
    >>> print(to_dot(eg.exp(eg.input("x", (3,)))))
    digraph expression {
      graph [newrank=true, ranksep=0.35, nodesep=0.25]
      node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11]
      edge [arrowsize=0.6, color="#555555"]
      n0 [label="x\nf32[3]", fillcolor="#cfe8ff"]
      n1 [label="exp\nf32[3]", fillcolor="#ffffff"]
      n0 -> n1
    }
    """
    groups = _groups(outputs, gradients, updates or {})
    needed_by = _first_group(groups)
    roots = {root for group in groups.values() for root in group}
    drawn = [node for node in needed_by if node in roots or number_of(node) is None]
    names = {node: f"n{i}" for i, node in enumerate(drawn)}
    lines = [
        f"graph [{LARGE if len(drawn) > MOST_RANKED else SMALL}, ranksep=0.35, nodesep=0.25]",
        'node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11]',
        'edge [arrowsize=0.6, color="#555555"]',
    ]
    for group in groups:
        body = [
            line
            for node in drawn
            if needed_by[node] == group
            for line in _drawn(node, group, names)
        ]
        lines.extend(_cluster(group, body) if len(drawn) > MOST_RANKED else body)
    for state, value in (updates or {}).items():
        lines.append(f"{names[value]} -> {names[state]} [style=dashed]")
    return "\n".join(["digraph expression {", *(f"  {line}" for line in lines), "}"])


def svg(dot: str) -> str | None:
    """`dot` drawn by pygraphviz or by Graphviz's own program; None where neither is."""
    try:
        import pygraphviz
    except ImportError:
        return _svg_by_program(dot)
    drawn: bytes = pygraphviz.AGraph(dot).draw(format="svg", prog="dot")
    return drawn.decode()


def repr_svg(tensor: Tensor) -> str | None:
    """The SVG that a notebook shows for an expression."""
    return show(tensor)._repr_svg_()


def number_of(node: Tensor) -> str | None:
    """The number that a node repeats or converts, as text; None for other nodes."""
    while node.op in ("expand", "cast", "reshape"):
        node = node.args[0]
    scalar = node.op == "size" or (node.op == "constant" and node.ndim == 0)
    return label(node) if scalar else None


def _groups(
    outputs: Tensor | Sequence[Tensor],
    gradients: Tensor | Sequence[Tensor],
    updates: Mapping[Tensor, Tensor],
) -> dict[str, list[Tensor]]:
    changed = [*updates.values(), *updates]
    return {"operation": _list(outputs), "gradient": _list(gradients), "update": changed}


def _list(tensors: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _first_group(groups: Mapping[str, list[Tensor]]) -> dict[Tensor, str]:
    """For each node the first group that needs it."""
    found: dict[Tensor, str] = {}
    for group, roots in groups.items():
        for node in walk(roots):
            found.setdefault(node, group)
    return found


def _role(node: Tensor, group: str) -> str:
    leaf = "constant" if OPS[node.op].group == "leaf" else group
    return LEAVES.get(node.op, leaf)


def _cluster(group: str, body: list[str]) -> list[str]:
    inside = [f"  {line}" for line in body]
    return [f"subgraph cluster_{group} {{", f'  label="{group}"', *inside, "}"]


def _drawn(node: Tensor, group: str, names: Mapping[Tensor, str]) -> Iterator[str]:
    name = names[node]
    yield f'{name} [label="{_escaped(label(node))}\\n{node.type}", {_fill(_role(node, group))}]'
    for position, argument in enumerate(node.args):
        number = number_of(argument)
        if number is not None:
            yield f'{name}_{position} [label="{_escaped(number)}", {_fill("constant")}]'
        source = names[argument] if number is None else f"{name}_{position}"
        yield f"{source} -> {name}"


def _fill(role: str) -> str:
    return f'fillcolor="{COLOURS[role]}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _svg_by_program(dot: str) -> str | None:
    program = shutil.which("dot")
    if program is None:
        return None
    drawn = subprocess.run(
        [program, "-Tsvg"], input=dot, capture_output=True, text=True, check=True, timeout=60
    )
    return drawn.stdout
