"""Expressions as text: infix, with a line of its own for each shared or large part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS, is_elementwise
from exprgrad.graph.spelling import SPELLINGS, Text, inserted
from exprgrad.graph.tensor import Tensor

LONGEST = 72  # of a text that is written in place
LINE = 1000  # the same where only what is shared gets a line
SHORT = 16  # a shared text up to this length is repeated, not named


def show(node: Tensor) -> str:
    """`node` as text: one line, or a listing when it is large or shares its parts.

    >>> import exprgrad as eg
    >>> x = eg.input("x", ("batch", 3))
    >>> print(eg.softmax(x))
    t1: f32[batch, 3] = exp(x - stop_gradient(max(x, axis=1))[:, None])
    t1 / sum(t1, axis=1)[:, None]
    """
    if OPS[node.op].group == "leaf" and "name" in OPS[node.op].params:
        return f"{node.name}: {node.type}"
    lets, (text,) = _spelled([node])
    lines = [f"{name}: {t.type} = {text.text}" for t, name, text in lets]
    return "\n".join([*lines, text.text])


def listing(
    outputs: Iterable[Tensor] | Mapping[str, Tensor], lines: bool = False
) -> str:
    """Every part of `outputs` that has a name of its own, one a line, with its type.

    A mapping gives the outputs names other than out1, out2, ... With `lines` each is
    followed by the line of the user's program that made it.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> print(listing([x + 1, x @ x]))
    x: f32[3]
    out1: f32[3] = x + 1.0
    out2: f32 = x @ x
    """
    named = outputs if isinstance(outputs, Mapping) else _outputs(list(outputs))
    roots = list(named.values())
    lets, texts = _spelled(roots)
    rows = [
        (node, f"{node.name}: {node.type}") for node in walk(roots) if _is_named(node)
    ]
    rows += [(node, f"{name}: {node.type} = {text.text}") for node, name, text in lets]
    for (name, node), text in zip(named.items(), texts, strict=True):
        rows.append((node, f"{name}: {node.type} = {text.text}"))
    return "\n".join(_traced(node, row) if lines else row for node, row in rows)


def definitions(named: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """Name and text of each of `named`, before it those of its parts that are shared.

    >>> import exprgrad as eg
    >>> x = eg.input("x", (3,))
    >>> definitions({"y": x + 1})
    [('y', 'x + 1.0')]
    """
    roots = list(named.values())
    lets, texts = _spelled(roots, longest=LINE)
    rows: list[tuple[str, str]] = []
    for name, root, text in zip(named, roots, texts, strict=True):
        inside = set(walk([root]))
        rows += [(part, own.text) for node, part, own in lets if node in inside]
        lets = [let for let in lets if let[0] not in inside]
        rows.append((name, text.text))
    return rows


def new_values(updates: Mapping[Tensor, Tensor]) -> dict[str, Tensor]:
    """The new value of each state as `name'`, with a number where names are equal."""
    named: dict[str, Tensor] = {}
    for state, new in updates.items():
        name, n = f"{state.name}'", 1
        while name in named:
            n += 1
            name = f"{state.name}'{n}"
        named[name] = new
    return named


def _outputs(roots: list[Tensor]) -> dict[str, Tensor]:
    if len(roots) == 1:
        return {"out": roots[0]}
    return {f"out{i}": root for i, root in enumerate(roots, 1)}


def _traced(node: Tensor, row: str) -> str:
    return f"{row:<{LONGEST}}  # {node.where}"


def _is_named(node: Tensor) -> bool:
    return "name" in OPS[node.op].params


Let = tuple[Tensor, str, Text]


def _spelled(roots: list[Tensor], longest: int = LONGEST) -> tuple[list[Let], list[Text]]:
    """The named parts in order, and the text of each root."""
    order = walk(roots)
    uses = _uses(order)
    names = _free_names(order)
    texts: dict[Tensor, Text] = {}
    lets: list[Let] = []
    wanted = set(roots)
    for node in order:
        text = _text(node, texts)
        if _needs_name(node, text, uses[node], node in wanted, longest):
            name = next(names)
            lets.append((node, name, text))
            text = Text(name)
        texts[node] = text
    defined = {node: text for node, _, text in lets}
    inline = set(roots) - {root for root in roots if uses[root]}
    return (
        [let for let in lets if let[0] not in inline],
        [defined[r] if r in inline and r in defined else texts[r] for r in roots],
    )


def _needs_name(
    node: Tensor, text: Text, uses: int, is_root: bool, longest: int
) -> bool:
    if OPS[node.op].group == "leaf" or _is_transparent(node) or (is_root and not uses):
        return False
    return len(text.text) > (SHORT if uses > 1 or (is_root and uses) else longest)


def _uses(order: list[Tensor]) -> dict[Tensor, int]:
    """How often each node is read; what is written through counts its own readers."""
    uses = dict.fromkeys(order, 0)
    for node in reversed(order):
        weight = uses[node] if _is_transparent(node) and uses[node] else 1
        for argument in node.args:
            uses[argument] += weight
    return uses


def _is_transparent(node: Tensor) -> bool:
    """Whether `node` is usually written as its argument."""
    of_size = node.op == "cast" and node.args[0].op == "size"
    return node.op in ("expand", "bound") or of_size


def _free_names(order: list[Tensor]) -> Iterator[str]:
    taken = {node.name for node in order if _is_named(node)}
    return (f"t{i}" for i in range(1, len(order) + 2) if f"t{i}" not in taken)


def _text(node: Tensor, texts: dict[Tensor, Text]) -> Text:
    if node.op == "cast" and node.args[0].op == "size":
        return texts[node.args[0]]
    args = [texts[a] for a in node.args]
    if is_elementwise(node.op):
        args = _broadcast(node, args, texts)
    if node.op in ("gather", "scatter_add") and node.args[1].op == "bound":
        args[1] = texts[node.args[1].args[0]]
    return SPELLINGS[node.op](node, args)


def _broadcast(node: Tensor, args: list[Text], texts: dict[Tensor, Text]) -> list[Text]:
    """The arguments without `broadcast_to` where another one has the whole shape."""
    stretched = [a.op == "expand" for a in node.args]
    if all(stretched):
        stretched[0] = False
    return [
        inserted(texts[a.args[0]], a.ndim, a.params[1]) if hidden else text
        for a, text, hidden in zip(node.args, args, stretched, strict=True)
    ]
