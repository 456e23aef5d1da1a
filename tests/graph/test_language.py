"""Types, broadcasting, indexing, interning, NumPy's functions, the public face."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import exprgrad as eg
from exprgrad.graph.dtype import promote
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.node import walk

NAMES = ("bool", "int32", "int64", "float32", "float64")
MEETINGS = {
    ("bool", "int32"): "int32",
    ("bool", "int64"): "int64",
    ("bool", "float32"): "float32",
    ("bool", "float64"): "float64",
    ("int32", "int64"): "int64",
    ("int32", "float32"): "float32",
    ("int32", "float64"): "float64",
    ("int64", "float32"): "float32",
    ("int64", "float64"): "float64",
    ("float32", "float64"): "float64",
}


@pytest.mark.parametrize("a", NAMES)
@pytest.mark.parametrize("b", NAMES)
def test_types_meet(a, b):
    expected = a if a == b else MEETINGS.get((a, b)) or MEETINGS[b, a]
    assert promote(
        getattr(eg, a if a != "bool" else "bool_"), eg.input("b", (), b).dtype
    ).name == (expected)


@pytest.mark.parametrize(
    ("dtype", "number", "expected"),
    [
        ("int64", 0.5, "float32"),
        ("int32", 0.5, "float32"),
        ("int32", 1, "int32"),
        ("float64", 2, "float64"),
        ("float64", 0.5, "float64"),
        ("float32", 0.5, "float32"),
        ("float32", 2**70, "float32"),
        ("bool", 2, "int64"),
        ("bool", 0.5, "float32"),
        ("float32", True, "float32"),
        ("float32", np.float64(3.0), "float32"),
        ("float32", np.array(3.0), "float64"),
    ],
)
def test_numbers_are_weak_and_arrays_are_not(dtype, number, expected):
    x = eg.input("x", (3,), dtype)
    assert (x * number).dtype.name == expected
    assert (number * x).dtype.name == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 2], "int64"),
        ([True], "bool"),
        ([1.5, 2], "float32"),
        ([], "float32"),
        (np.float64(3), "float64"),
        (float("nan"), "float32"),
    ],
)
def test_constants_take_the_type_of_their_value(value, expected):
    assert eg.constant(value).dtype.name == expected


@given(
    npst.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=4)
)
def test_shapes_broadcast_as_numpys(shapes):
    a, b = shapes.input_shapes
    node = eg.input("a", a, "float64") + eg.input("b", b, "float64")
    assert node.shape == np.broadcast_shapes(a, b)
    x, y = (
        np.random.default_rng(0).normal(size=a),
        np.random.default_rng(1).normal(size=b),
    )
    np.testing.assert_array_equal(evaluate([node], {"a": x, "b": y})[0], x + y)


SHAPES = npst.array_shapes(max_dims=3, min_side=0, max_side=5)


@given(
    SHAPES.flatmap(
        lambda s: st.tuples(st.just(s), npst.basic_indices(s, allow_newaxis=True))
    )
)
def test_basic_indices_as_numpys(drawn):
    shape, index = drawn
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    expected = x[index]
    node = eg.input("x", shape, "int64")[index]
    assert node.shape == expected.shape
    np.testing.assert_array_equal(evaluate([node], {"x": x})[0], expected)


@given(st.integers(1, 6), st.slices(6))
def test_slices_of_named_sizes_are_numpys_or_refused(n, index):
    x = np.arange(n)
    try:
        (found,) = evaluate([eg.input("x", ("n",), "int64")[index]], {"x": x})
    except eg.ShapeError as error:
        assert "negative" in str(error)
    else:
        np.testing.assert_array_equal(found, x[index])


ROWS, COLUMNS = np.array([1, -1, 0]), np.array([[2], [0]])


@pytest.mark.parametrize(
    "index",
    [
        ROWS,
        COLUMNS,
        (slice(None), ROWS),
        (ROWS, ROWS),
        (ROWS, COLUMNS),
        (0, slice(None), ROWS),
        (slice(None), ROWS, ROWS),
        (ROWS, slice(None), ROWS),
        (slice(None, None, -1), COLUMNS, None),
        (None, ROWS, 1),
        (..., ROWS),
        (ROWS, 2, slice(1, None)),
        [0, 1],
        np.arange(24).reshape(4, 3, 2) % 3 == 0,
        (slice(None), np.array([True, False, True])),
        (np.array([True, False, True, True]), np.array([0, 1, 2])),
        np.zeros((4, 3), bool),
    ],
)
def test_array_indices_as_numpys(index):
    x = np.arange(4 * 3 * 2).reshape(4, 3, 2)
    try:
        expected = x[index]
    except IndexError:
        with pytest.raises(IndexError):
            eg.input("x", x.shape, "int64")[index]
        return
    node = eg.input("x", x.shape, "int64")[index]
    assert node.shape == expected.shape
    np.testing.assert_array_equal(evaluate([node], {"x": x})[0], expected)


def test_expressions_index():
    x, i = eg.input("x", ("n", 3)), eg.input("i", ("m",), "int32")
    values = np.arange(12.0, dtype="f").reshape(4, 3)
    (found,) = evaluate([x[i, -1]], {x: values, i: [3, -4]})
    assert found.tolist() == [11, 2]


def test_equal_expressions_are_one_node():
    x = eg.input("x", (3,))
    assert eg.exp(x * 2 + 1) is eg.exp(x * 2 + 1)
    assert eg.constant([1.0, 2.0]) is eg.constant(np.array([1, 2], "f"))
    assert eg.constant(0.0) is not eg.constant(-0.0)
    assert eg.constant(float("nan")) is eg.constant(float("nan"))
    assert eg.constant(1, "int32") is not eg.constant(1, "int64")
    assert eg.random.uniform((3,)) is not eg.random.uniform((3,))
    assert eg.parameter("w", (3,)) is not eg.parameter("w", (3,))


def test_deep_expressions_need_no_deep_stack():
    y = x = eg.input("x", (2,), "float64")
    for i in range(30_000):
        y = -y if i % 2 else y + 1
    assert len(walk([y])) > 30_000
    assert repr(y)
    y = x
    for _ in range(10_000):
        y = y * 1.0 + x
    assert evaluate([y], {x: [1.0, 0.0]})[0].tolist() == [10_001, 0]


A = np.linspace(-1, 2, 12).reshape(3, 4).astype("f")
NUMPY = [
    np.exp,
    np.abs,
    np.square,
    np.negative,
    lambda x: np.maximum(A, x),
    lambda x: A + x,
    lambda x: A.T @ x,
    lambda x: A[0] * x - np.float32(2) / (x + 9),
    lambda x: np.float64(2) * x,
    lambda x: np.power(x, 2),
    np.sum,
    lambda x: np.sum(x, axis=1, keepdims=True),
    lambda x: np.add.reduce(x),
    np.mean,
    lambda x: np.std(x, axis=0, ddof=1),
    lambda x: np.argmin(x, axis=1),
    lambda x: np.concatenate([x, A]),
    lambda x: np.stack([x, A], axis=1),
    lambda x: np.where(x > 0, x, A),
    lambda x: np.reshape(x, (2, 6)),
    np.transpose,
    lambda x: np.clip(x, 0, 1),
    lambda x: np.pad(x, ((1, 0), (2, 2))),
    lambda x: np.take(x, [0, -1], axis=1),
    lambda x: np.cumsum(x, axis=0),
    lambda x: np.cumsum(x),
    lambda x: np.einsum("ij,ij->i", x, A),
    lambda x: np.dot(x, A.T),
    lambda x: np.flip(x, 1),
    lambda x: np.roll(x, 1),
    lambda x: np.roll(x, -5, axis=1),
    np.ceil,
    np.trunc,
    np.rint,
    np.round,
    lambda x: np.any(x > 1, axis=0),
    lambda x: np.all(x > -1, axis=1, keepdims=True),
    np.any,
    np.all,
    lambda x: x.transpose().std(axis=1),
]


@pytest.mark.parametrize("function", NUMPY)
def test_numpys_functions_take_expressions(function):
    values = np.random.default_rng(0).normal(size=(3, 4)).astype("f")
    expected = function(values)
    (found,) = evaluate([function(eg.input("x", (3, 4)))], {"x": values})
    np.testing.assert_allclose(found, expected, 2e-6, 2e-6)


def test_importing_loads_nothing_heavy():
    heavy = "numpy sympy networkx llvmlite"
    code = f"import sys, exprgrad; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_loss_loads_numpy_alone():
    code = """
import sys, exprgrad as eg
eg.softmax(eg.input("x", ("batch", 3)) @ eg.parameter("w", (3, 2))).mean()
print([m for m in "sympy networkx llvmlite".split() if m in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_folder_of_gradients_does_not_hide_the_function():
    code = "import exprgrad.grad.vjp, exprgrad as eg; print(type(eg.grad).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "function"
