"""Wrong expressions: each error states the rule, the values and the user's line."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.check import check
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.node import Type, intern
from exprgrad.graph.tensor import Tensor

X = eg.input("x", ("batch", 8))
A, B = eg.input("a", (3, 4)), eg.input("b", (5, 2))
INDEX, T = eg.input("i", (3,), "int64"), eg.input("t", (3,), "bool")
IMAGE = eg.input("image", (1, 3, 9, 9))

WRONG = [
    (lambda: A @ B, eg.ShapeError, "axis k is 4 in a: f32[3, 4] but 5 in b: f32[5, 2]"),
    (
        lambda: A + B,
        eg.ShapeError,
        "[3, 4] and [5, 2] do not broadcast: axis -2 is 3 and 5",
    ),
    (lambda: X + A, eg.ShapeError, "axis -2 is batch and 3"),
    (lambda: A.reshape(5, -1), eg.ShapeError, "f32[3, 4] does not divide into (5, -1)"),
    (lambda: A.reshape(5, 5), eg.ShapeError, "[5, 5] holds as many elements"),
    (lambda: A.sum(2), eg.ShapeError, "axis 2 does not exist in 2 axes"),
    (lambda: A.sum((0, -2)), eg.ShapeError, "names an axis twice"),
    (lambda: A[:, :0].max(1), eg.ShapeError, "max of no elements"),
    (lambda: A[:, :0].argmax(1), eg.ShapeError, "argmax of no elements"),
    (lambda: eg.concat([A, B]), eg.ShapeError, "all axes but 0 are equal"),
    (lambda: eg.squeeze(A, 0), eg.ShapeError, "axis 0 of f32[3, 4] is not 1"),
    (lambda: eg.pad(A, [(1, 1)]), eg.ShapeError, "pair of widths for each axis"),
    (lambda: eg.sliding_window(A, 5), eg.ShapeError, "5 taps at dilation 1 fit axis 1"),
    (lambda: eg.einsum("ij,jk", A), eg.ShapeError, "names 2 operands, not 1"),
    (lambda: eg.conv2d(IMAGE, np.ones((2, 4, 3, 3))), eg.ShapeError, "does not fit"),
    (
        lambda: eg.conv2d(IMAGE, np.ones((2, 3, 3, 3)), padding="full"),
        eg.ShapeError,
        "'full'",
    ),
    (lambda: eg.input("x", (-1,)), eg.ShapeError, "not negative, but -1"),
    (lambda: A[3], eg.IndexOutOfRange, "index 3 is outside an axis of 3"),
    (lambda: A[[0, -4]], eg.IndexOutOfRange, "index -4 is outside an axis of 3"),
    (lambda: A[0, 0, 0], eg.ShapeError, "3 indices were given for f32[3, 4]"),
    (lambda: A[..., ...], eg.ShapeError, "one `...` at most"),
    (lambda: A[::0], eg.ShapeError, "not 0"),
    (lambda: A["x"], eg.DTypeError, "not 'x'"),
    (lambda: A[eg.sin(INDEX)], eg.DTypeError, "an index is of integers, not f32[3]"),
    (lambda: A[A > 0], eg.GraphError, "eg.where(mask, x, other)"),
    (lambda: A[True], eg.GraphError, "True and False are no indices"),
    (lambda: A[INDEX[0] :], eg.GraphError, "numbers or sizes, not expressions"),
    (lambda: A[np.ones(4, bool)], eg.ShapeError, "mask of shape (4,) does not fit"),
    (
        lambda: T + T,
        eg.DTypeError,
        "add takes integer, floating-point arguments, not bool[3]",
    ),
    (lambda: -T, eg.DTypeError, "negative takes integer"),
    (lambda: INDEX & INDEX, eg.DTypeError, "take bool, not i64[3]"),
    (lambda: INDEX + 2**70, eg.DTypeError, "is not of int64"),
    (lambda: eg.astype(A, "float16"), eg.DTypeError, "not 'float16'"),
    (lambda: A + 1j, eg.DTypeError, "complex128"),
    (lambda: A + "one", eg.DTypeError, "dtype is one of"),
    (lambda: eg.constant([[1], [1, 2]]), eg.DTypeError, "no array of numbers"),
    (lambda: bool(A > 0), eg.GraphError, "eg.where"),
    (lambda: list(A), eg.GraphError, "not iterated"),
    (lambda: len(A), eg.GraphError, "x.shape[0]"),
    (lambda: float(A[0, 0]), eg.GraphError, "no value yet"),
    (lambda: np.asarray(A), eg.GraphError, "no value yet"),
    (lambda: np.arctan(A), eg.GraphError, "np.arctan does not take expressions"),
    (lambda: np.linalg.svd(A), eg.GraphError, "np.linalg.svd does not take"),
    (lambda: np.exp(A, out=np.ones((3, 4))), eg.GraphError, "np.exp cannot write"),
    (lambda: np.sum(A, where=True), eg.GraphError, "np.sum of an expression"),
    (lambda: A.value, eg.GraphError, "only a parameter or a state has a value"),
    (lambda: (A + 1).name, eg.GraphError, "add has none"),
    (lambda: eg.parameter("w", ("n",)), eg.GraphError, "needs sizes that are numbers"),
    (lambda: eg.input("", (3,)), eg.GraphError, "non-empty string"),
    (lambda: eg.gelu(A, "erf"), eg.GraphError, "not 'erf'"),
    (lambda: eg.random.uniform((3,), dtype="int32"), eg.DTypeError, "floating-point"),
]


@pytest.mark.parametrize(("wrong", "kind", "rule"), WRONG, ids=[r for _, _, r in WRONG])
def test_wrong_expressions(wrong, kind, rule):
    with pytest.raises(kind) as caught:
        wrong()
    assert rule in str(caught.value)
    assert "(test_graph_errors.py:" in str(caught.value)
    assert caught.value.where.line == wrong.__code__.co_firstlineno


def test_the_users_own_line_is_shown():
    x, w = eg.input("x", (3, 4)), eg.parameter("w", (5, 2))
    with pytest.raises(eg.ShapeError) as caught:
        hidden = x @ w  # a layer
        assert hidden
    assert "hidden = x @ w  # a layer)" in str(caught.value)


@pytest.mark.parametrize("index", [np.s_[7:], np.s_[:7], 6, -7])
def test_slices_outside_a_run_time_size(index):
    row = X[index]
    with pytest.raises(eg.ShapeError) as caught:
        evaluate([row], {X: np.zeros((6, 8))})
    assert "batch - 7 is negative when batch = 6" in str(caught.value)
    assert "row = X[index]" in str(caught.value)


def test_maximum_of_an_empty_batch():
    with pytest.raises(eg.ShapeError, match="max of no elements"):
        evaluate([X.max(0)], {X: np.zeros((0, 8))})


def node(op, args, params, type):
    return intern(Tensor, op, args, params, type, A.where)


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


class Impostor(SimpleNamespace):
    """What passes for a constant by its shape, but is none."""

    def __init__(self) -> None:
        super().__init__(array=np.zeros(2, "f"), dtype=A.dtype)

    def __hash__(self) -> int:
        return 0
