"""What expressions look like, to the letter."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import exprgrad as eg

X = eg.input("x", ("batch", 8))
Q, R = eg.input("q", (2, 3, 4)), eg.input("r", (2, 4, 5))
W, B = eg.parameter("W", (8, 4)), eg.parameter("b", (4,))
ROWS = eg.input("rows", ("batch",), "int64")

LINES = [
    (X, "x: f32[batch, 8]"),
    (B, "b: f32[4]"),
    (X @ W + B, "x @ W + b"),
    (eg.relu(X), "where(x <= 0.0, 0.0, x)"),
    (X.mean(), "sum(x) / (8*batch)"),
    (X.mean(0), "sum(x, axis=0) / batch"),
    (X - X.mean(1, keepdims=True), "x - (sum(x, axis=1) / 8.0)[:, None]"),
    (X.sum((0, 1), keepdims=True), "sum(x)[None, None]"),
    (-(X**2), "-x ** 2.0"),
    ((-X) ** 2, "(-x) ** 2.0"),
    (2**-X, "2.0 ** -x"),
    (X**X**X, "x ** x ** x"),
    ((X**X) ** X, "(x ** x) ** x"),
    (X - (X - 1), "x - (x - 1.0)"),
    (X - 1 - X, "x - 1.0 - x"),
    (X / (X / 2), "x / (x / 2.0)"),
    ((X + 1) * 2, "(x + 1.0) * 2.0"),
    (~(X > 0) & (X < 1) | (X == 2), "~(0.0 < x) & (x < 1.0) | (x == 2.0)"),
    (W.T, "W.T"),
    (X.sum(0) @ W, "sum(x, axis=0) @ W"),
    (X @ W @ W.T, "x @ W @ W.T"),
    ((X @ W) * (X @ (W + 1)), "x @ W * (x @ (W + 1.0))"),
    (X * (X % 2), "x * (x % 2.0)"),
    (X % 2 * X, "x % 2.0 * x"),
    (X * (X * 2 / 3), "x * x * 2.0 / 3.0"),
    (Q @ R, "q @ r"),
    (eg.einsum("ik,jk->ij", X, X), 'einsum("ik,jk->ij", x, x)'),
    (X[1:, ::-2], "x[1:, ::-2]"),
    (X[:-1, 2], "x[:batch - 1, 2]"),
    (X[:, None], "x[:, None]"),
    (X.reshape("batch", 2, 4), "reshape(x, [batch, 2, 4])"),
    (eg.take(W, ROWS % 8), "take(W, rows % 8, axis=0)"),
    (eg.pad(B, [(1, 2)]), "pad(b, widths=((1, 2),))"),
    (eg.concat([B, B]), "concat([b, b], axis=0)"),
    (eg.full((3,), 2.0), "broadcast_to(2.0, [3])"),
    (X * 0.1 + 1e-30, "x * 0.1 + 1e-30"),
    (B * np.array([1, -2, 3, 4], "f"), "b * [ 1., -2.,  3.,  4.]"),
    (X.argmax(1), "argmax(x, axis=1)"),
    (X.astype("int32"), "astype(x, int32)"),
    (eg.stop_gradient(X), "stop_gradient(x)"),
    (eg.checkpoint(X), "checkpoint(x)"),
]


@pytest.mark.parametrize(("node", "text"), LINES, ids=[text for _, text in LINES])
def test_one_line(node, text):
    assert repr(node) == text


def test_shared_parts_have_names():
    assert repr(eg.softmax(X)) == (
        "t1: f32[batch, 8] = exp(x - stop_gradient(max(x, axis=1))[:, None])\n"
        "t1 / sum(t1, axis=1)[:, None]"
    )


def test_large_expressions_are_broken():
    y = X @ W + B
    for _ in range(7):
        y = eg.tanh(y * 3 + B)
    assert repr(y) == (
        "t1: f32[batch, 4] = "
        "tanh(tanh(tanh(tanh((x @ W + b) * 3.0 + b) * 3.0 + b) * 3.0 + b) * 3.0 + b)\n"
        "tanh(tanh(tanh(t1 * 3.0 + b) * 3.0 + b) * 3.0 + b)"
    )


def test_names_of_inputs_are_left_alone():
    t1 = eg.input("t1", (3,))
    shared = eg.exp(t1 * 2 + 1) + eg.sin(t1)
    assert repr(shared * shared) == (
        "t2: f32[3] = exp(t1 * 2.0 + 1.0) + sin(t1)\nt2 * t2"
    )


def test_names_do_not_depend_on_what_was_made_before():
    before = repr(eg.softmax(X @ W) @ W.T)
    eg.exp(X) * eg.sin(X)
    assert repr(eg.softmax(X @ W) @ W.T) == before


def test_listing_gives_types_and_the_users_lines():
    out = eg.exp(X @ W + B)  # here
    assert eg.listing([out]) == (
        "x: f32[batch, 8]\nW: f32[8, 4]\nb: f32[4]\nout: f32[batch, 4] = exp(x @ W + b)"
    )
    assert (
        eg.listing([out], lines=True)
        .splitlines()[-1]
        .endswith("out = eg.exp(X @ W + B)  # here")
    )


def test_an_output_that_another_reads_is_named_once():
    first = eg.exp(X @ W + B * 2)
    text = eg.listing([first, first * 2])
    assert text.count("exp(") == 1


LEAVES = {name: eg.input(name, (2, 2), "float64") for name in "abc"}


@st.composite
def spelled(draw: st.DrawFn, depth: int = 4) -> tuple[eg.Tensor, str]:
    """An expression, and Python's own text of it with all parentheses."""
    if not depth or draw(st.integers(0, 5)) == 0:
        name = draw(st.sampled_from("abc"))
        return LEAVES[name], name
    sign = draw(st.sampled_from([*"+-*/@%", "//", "**", "neg"]))
    a, left = draw(spelled(depth - 1))
    if sign == "neg":
        return -a, f"(-{left})"
    if sign == "**":
        return a**2.0, f"({left} ** 2.0)"
    b, right = draw(spelled(depth - 1))
    scope = {"a": a, "b": b}
    return eval(f"a {sign} b", {}, scope), f"({left} {sign} {right})"


@given(case=spelled())
@settings(max_examples=300)
def test_text_means_what_it_was_written_for(case: tuple[eg.Tensor, str]) -> None:
    """Python reads it as the same operations in the same order, but for (a * b) * c: in
    fractions, where that is the same to the last digit.
    """
    node, wanted = case[0] + 0.0, f"({case[1]} + 0.0)"
    *definitions, text = str(node).splitlines()
    scope = {name: np.array(matrix, object) for name, matrix in MATRICES.items()}
    try:
        expected = eval(_whole(wanted), {}, scope)
        for line in definitions:
            name, value = line.split(": ", 1)
            scope[name] = eval(_whole(value.split(" = ", 1)[1]), {}, scope)
        found = eval(_whole(text), {}, scope)
    except ZeroDivisionError:
        reject()
    assert (found == expected).all()


MATRICES = {
    "a": [[Fraction(3, 2), Fraction(5)], [Fraction(7, 3), Fraction(1, 4)]],
    "b": [[Fraction(2), Fraction(9, 5)], [Fraction(1, 3), Fraction(11, 2)]],
    "c": [[Fraction(5, 7), Fraction(4)], [Fraction(13, 3), Fraction(8, 5)]],
}


def _whole(text: str) -> str:
    """The text with whole numbers, which leave fractions what they are."""
    return text.replace("2.0", "2").replace("0.0", "0")
