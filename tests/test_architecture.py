"""The house keeps its shape: imports run one way, files and functions stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "exprgrad"
FILES = sorted(PACKAGE.rglob("*.py"))

LINES, FUNCTION_LINES, WIDTH = 400, 50, 100

# The floors of the house, lowest first. A module may import its own room, the ground
# floor and the rooms named beside its own; a room not named here has no place yet.
GROUND = {"errors", "config"}
COMPILER = {"graph", "rewrite", "loop", "backend"}
ALL = COMPILER | {"grad", "nn", "runtime", "train"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "config": set(),
    "graph": set(),
    "rewrite": {"graph"},
    "grad": {"graph", "rewrite"},
    "nn": {"graph", "grad"},
    "loop": {"graph", "rewrite"},
    "backend": {"graph", "rewrite", "loop"},
    "runtime": COMPILER | {"grad"},
    "train": COMPILER | {"grad", "nn", "runtime"},
    "interop": ALL,
    "inspect": ALL | {"interop"},
    "__init__": set(),
}

# Optional packages, which may be imported inside a function, and sit in an extra.
OPTIONAL = {"matplotlib", "pygraphviz", "tqdm", "sklearn", "scipy", "safetensors", "threadpoolctl"}
OPTIONAL |= {"optuna", "loky", "cloudpickle"}

# Modules that name a module by a string, so that a lower room can hand over to a higher
# one when the user asks: the public face, and the methods of a tensor that show it.
LAZY = {"exprgrad/__init__.py", "exprgrad/graph/tensor.py"}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


MODULES = {module_of(path): path for path in FILES}


def imported(node: ast.AST) -> list[str]:
    """The modules that an import statement loads; `from package import module` too."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        aliases = [alias.name for alias in node.names if alias.name != "__version__"]
        names = [f"{node.module}.{alias}" for alias in aliases]
        inner = [name for name in names if name in MODULES]
        return inner if len(inner) == len(names) else [node.module, *inner]
    return []


def at_top(tree: ast.Module) -> Iterator[ast.AST]:
    """Statements that run when the module is imported, typing-only ones left out."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_every_room_is_in_the_table() -> None:
    assert {room_of(module) for module in MODULES} <= set(MAY_IMPORT)


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    room = room_of(module)
    allowed = MAY_IMPORT[room] | GROUND | {room}
    found = {
        name
        for node in ast.walk(parse(MODULES[module]))
        for name in imported(node)
        if name.split(".")[0] == "exprgrad"
    }
    wrong = sorted(name for name in found if room_of(name) not in allowed)
    assert not wrong, f"{module} is in {room} and may not import {wrong}"


@pytest.mark.parametrize("module", MODULES)
def test_imports_stand_at_the_top(module: str) -> None:
    inside = [
        f"{function.name}: {name}"
        for function in functions(parse(MODULES[module]))
        for node in ast.walk(function)
        for name in imported(node)
        if name.split(".")[0] not in OPTIONAL
    ]
    assert not inside


@pytest.mark.parametrize("module", MODULES)
def test_imports_by_name_are_for_the_public_face(module: str) -> None:
    path = MODULES[module]
    if str(path.relative_to(ROOT)) not in LAZY:
        assert "import_module" not in path.read_text()


def test_no_circle_of_modules() -> None:
    graph = nx.DiGraph()
    for module, path in MODULES.items():
        for node in at_top(parse(path)):
            for name in imported(node):
                # a package's face is loaded before its modules, and imports them
                if name in MODULES and not module.startswith(f"{name}."):
                    graph.add_edge(module, name)
    circles = [set(c) for c in nx.strongly_connected_components(graph) if len(c) > 1]
    assert not circles


@pytest.mark.parametrize("module", MODULES)
def test_sizes(module: str) -> None:
    path = MODULES[module]
    lines = path.read_text().splitlines()
    wide = [number for number, line in enumerate(lines, 1) if len(line) > WIDTH]
    long = [
        f"{function.name}: {size}"
        for function in functions(parse(path))
        if (size := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES
    ]
    assert len(lines) <= LINES
    assert not wide, f"lines wider than {WIDTH}"
    assert not long, f"functions longer than {FUNCTION_LINES} lines"
