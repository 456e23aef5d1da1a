"""Graphs that no function of ours makes: the checker names the malformed node."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.check import check
from exprgrad.graph.node import Type, intern
from exprgrad.graph.tensor import Tensor

A, B = eg.input("a", (3, 4)), eg.input("b", (5, 2))


def node(op, args, params, type):
    return intern(Tensor, op, args, params, type, A.where)


class Impostor(SimpleNamespace):
    """What passes for a constant by its shape, but is none."""

    def __init__(self) -> None:
        super().__init__(array=np.zeros(2, "f"), dtype=A.dtype)

    def __hash__(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("malformed", "fault"),
    [
        (lambda: node("add", (A, A), (), B.type), r"its arguments give f32\[3, 4\]"),
        (lambda: node("twist", (A,), (), A.type), "no such operation"),
        (lambda: node("sum", (A,), (), A.type), "is required of parameters"),
        (lambda: node("add", (A, B), (), A.type), "shapes are equal"),
        (
            lambda: node("constant", (), (Impostor(),), Type((2,), A.dtype)),
            "constant of float32",
        ),
    ],
)
def test_the_checker_names_the_malformed_node(malformed, fault):
    with pytest.raises(eg.CompileError, match=fault):
        check([malformed()])
