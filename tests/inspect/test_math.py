"""LaTeX: every op has a row, parentheses stand where they must, parts are shared."""

from __future__ import annotations

import pytest

import exprgrad as eg
from exprgrad.graph.ops import OPS
from exprgrad.graph.tensor import Tensor, apply
from exprgrad.inspect.latex import LATEX

X = eg.input("x", ("n", 3))
A, B = eg.input("A", ("n", 3)), eg.parameter("W1", (3, 4))
V = eg.parameter("v", (3,))


def test_the_table_has_the_rows_of_the_operations() -> None:
    assert list(LATEX) == list(OPS)


CASES: list[tuple[Tensor, str]] = [
    (X + A - (X - A), r"x + A - \left(x - A\right)"),
    ((X + 1) * A, r"\left(x + 1\right) \odot A"),
    (X * 2, r"2 \, x"),
    (-(X + A), r"-\left(x + A\right)"),
    (eg.exp(-X) ** 2, r"\left(e^{-x}\right)^{2}"),
    (X / (A + 1), r"\frac{x}{A + 1}"),
    (eg.sqrt(X) * eg.sin(A), r"\sqrt{x} \odot \sin\left(A\right)"),
    (A @ B, r"A \, W_{1}"),
    (A @ V, r"A \, v"),
    (eg.einsum("ij,ik->jk", A, X), r"A^{\top} \, x"),
    (apply("dot", (A, B), ("nj", "jk", "kn")), r"W_{1}^{\top} \, A^{\top}"),
    ((A @ B).T, r"\left(A \, W_{1}\right)^{\top}"),
    (eg.einsum("nj,nj->n", A, X), r"\sum_{j} {A}_{nj} {x}_{nj}"),
    ((A + X) @ V, r"\left(A + x\right) \, v"),
    (X.sum(axis=1), r"\sum_{1} x"),
    ((X + A).sum(), r"\sum \left(x + A\right)"),
    (eg.mean(X), r"\frac{\sum x}{\mathrm{3 n}}"),
    (X.T, r"x^{\top}"),
    (X + V, r"x + v"),
    (X[1:, ::2], r"x_{[1:\mathrm{n}, 0:3:2]}"),
    (
        eg.where(X > 0, X, 0),
        r"\begin{cases} x & \text{if } 0 < x \\ 0 & \text{otherwise} \end{cases}",
    ),
    (X * 1e-8, r"1 \cdot 10^{-8} \, x"),
    (eg.input("alpha") * eg.input("rate"), r"\alpha \, \mathrm{rate}"),
    (eg.constant(float("-inf")) + eg.input("y"), r"-\infty + y"),
    (eg.concat([X, A]), r"\left[x, A\right]"),
    (eg.constant([1.0, 2.0]) * eg.input("z", (2,)), r"\mathbf{c}_{[2]} \odot z"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "latex"), CASES, ids=[latex for _, latex in CASES])
def test_latex(expression: Tensor, latex: str) -> None:
    assert eg.to_latex(expression) == latex


def test_a_shared_part_has_a_line_of_its_own() -> None:
    h = eg.tanh(A @ B + 1)
    text = eg.to_latex(h / h.sum(), "p")
    assert text.splitlines() == [
        r"\begin{aligned}",
        r"t_{1} &= \tanh\left(A \, W_{1} + 1\right) \\",
        r"p &= \frac{t_{1}}{\sum t_{1}}",
        r"\end{aligned}",
    ]


def test_sharing_keeps_the_text_short() -> None:
    x = X
    for _ in range(60):
        x = eg.sin(x) * eg.cos(x)
    assert len(eg.to_latex(x)) < 60 * 80


def test_a_gradient_is_written() -> None:
    assert "tanh" in eg.to_latex(eg.grad(eg.tanh(A @ B).sum(), B))


def test_notebooks_get_mathematics() -> None:
    assert eg.exp(X)._repr_latex_() == r"$\displaystyle e^{x}$"
