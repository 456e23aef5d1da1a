"""Each operation's meaning against a NumPy function written apart from it."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import IndexOutOfRange, InputError
from exprgrad.graph.check import check
from exprgrad.graph.evaluate import evaluate, evaluate_along
from exprgrad.graph.meaning import MEANING
from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS
from exprgrad.graph.spelling import SPELLINGS
from tests.cases import CASES, Case, arrays, inputs

ROWS = [pytest.param(c, d, id=f"{c}-{d}") for c in CASES for d in c.dtypes]
TOLERANCE = {"float32": 2e-6, "float64": 1e-14}


@pytest.mark.parametrize("table", [MEANING, SPELLINGS, {c.op: c for c in CASES}])
def test_every_operation_has_a_row(table):
    assert [op for op in OPS if op not in table] == []
    assert [op for op in table if op not in OPS] == []


@pytest.mark.parametrize("table", [MEANING, SPELLINGS])
def test_tables_keep_one_order(table):
    assert list(table) == list(OPS)


def test_each_case_uses_its_operation():
    missing = [
        str(case)
        for case in CASES
        if all(
            node.op != case.op
            for node in walk([case.build(*inputs(case, case.dtypes[0]))])
        )
    ]
    # An index of nothing, and a shape that is already there, need no operation.
    assert missing == []


@pytest.mark.parametrize(("case", "dtype"), ROWS)
def test_value_is_numpys(case: Case, dtype: str):
    tensors, values = inputs(case, dtype), arrays(case, dtype)
    node = case.build(*tensors)
    check([node])
    (found,) = evaluate([node], dict(zip(tensors, values, strict=True)))
    expected = np.asarray(case.numpy(*values))
    assert found.dtype == node.dtype.numpy
    assert found.shape == expected.shape
    tolerance = TOLERANCE.get(dtype, 0)
    np.testing.assert_allclose(found, expected, tolerance * 4, tolerance * 4)


@pytest.mark.parametrize("batch", [1, 2, 3, 33])
def test_one_expression_serves_every_batch(batch):
    case = next(c for c in CASES if str(c) == "dot-weights")
    tensors, values = inputs(case, "float64"), arrays(case, "float64", batch=batch)
    (found,) = evaluate([case.build(*tensors)], dict(zip(tensors, values, strict=True)))
    np.testing.assert_allclose(found, case.numpy(*values), 1e-13, 1e-13)


EXTREMES = np.array([-np.inf, -800.0, -0.0, 0.0, 1e-40, 800.0, np.inf, np.nan])


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (eg.sigmoid, [0, 0, 0.5, 0.5, 0.5, 1, 1, np.nan]),
        (eg.softplus, [0, 0, np.log(2), np.log(2), np.log(2), 800, np.inf, np.nan]),
        (eg.sign, [-1, -1, 0, 0, 1, 1, 1, np.nan]),
        (eg.erf, [-1, -1, 0, 0, 1.1283791670955126e-40, 1, 1, np.nan]),
        (lambda x: eg.maximum(x, 0.0), [0, 0, 0, 0, 1e-40, 800, np.inf, np.nan]),
        (lambda x: eg.minimum(x, 0.0), [-np.inf, -800, 0, 0, 0, 0, 0, np.nan]),
        (lambda x: eg.astype(x, "int32"), [-(2**31), -800, 0, 0, 0, 800, 2**31 - 1, 0]),
    ],
)
def test_extreme_values(function, expected):
    x = eg.input("x", (8,), "float64")
    (found,) = evaluate([function(x)], {x: EXTREMES})
    np.testing.assert_allclose(found, expected, 1e-15, 0)


def test_integer_division_by_zero_is_zero():
    a, b = eg.input("a", (2,), "int64"), eg.input("b", (2,), "int64")
    found = evaluate([a // b, a % b], {a: [5, -5], b: [0, 0]})
    assert [f.tolist() for f in found] == [[0, 0], [0, 0]]


def test_integer_powers_below_zero_drop_their_fraction():
    a, b = eg.input("a", (5,), "int64"), eg.input("b", (5,), "int64")
    (found,) = evaluate([a**b], {a: [2, 1, -1, -1, 0], b: [-1, -3, -3, -2, -1]})
    assert found.tolist() == [0, 1, -1, 1, 0]


def test_first_of_equal_maxima_and_nan_as_largest():
    x = eg.input("x", (2, 3))
    (found,) = evaluate([eg.argmax(x, 1)], {x: [[1, 3, 3], [9, np.nan, np.nan]]})
    assert found.tolist() == [1, 1]


def test_parameters_have_their_value_unless_given():
    w = eg.parameter("w", (2,), init=3.0)
    assert evaluate([w * 2])[0].tolist() == [6, 6]
    assert evaluate([w * 2], {w: [1, 2]})[0].tolist() == [2, 4]
    assert evaluate([w * 2], {"w": [1, 2]})[0].tolist() == [2, 4]


def test_results_are_not_the_parameters_memory():
    w = eg.parameter("w", (2,), init=3.0)
    evaluate([w])[0][...] = 9
    assert w.value.tolist() == [3, 3]


@pytest.mark.parametrize("bad", [5, -6])
def test_index_out_of_range_names_line_index_and_size(bad):
    table, i = eg.parameter("table", (5, 2)), eg.input("i", (1,), "int64")
    row = eg.take(table, i)  # the user's line
    with pytest.raises(IndexOutOfRange) as caught:
        evaluate([row], {i: [bad]})
    text = str(caught.value)
    assert f"index {bad} is outside an axis of 5" in text
    assert "the user's line" in text


@pytest.mark.parametrize(
    ("values", "rule"),
    [({}, "was not given"), ({"x": np.zeros((2, 4))}, r"array of shape \(2, 4\)")],
)
def test_inputs_are_checked(values, rule):
    x = eg.input("x", ("batch", 3))
    with pytest.raises(InputError, match=rule):
        evaluate([x + 1], values)


def test_sizes_no_array_has_are_asked_for():
    with pytest.raises(InputError, match="size rows is not known"):
        evaluate([eg.zeros(("rows",))])
    assert evaluate([eg.zeros(("rows",))], dims={"rows": 2})[0].tolist() == [0, 0]


@pytest.mark.parametrize("axis", [False, True])
def test_a_scalar_expression_along_values_of_its_leaves(axis):
    """At once where all are scalars, else one after another; both as one by one."""
    rate = eg.state("rate", init=0.5, dtype="float64")
    half = eg.arange(3).sum() / 6 if axis else 0.5
    e = eg.where(eg.step > 3, rate * eg.step, half - eg.astype(eg.epoch, "float64"))
    steps, epochs = np.arange(6), np.arange(6) // 2
    found = evaluate_along(e, {eg.step: steps, eg.epoch: epochs})
    np.testing.assert_array_equal(found, [0.5, 0.5, -0.5, -0.5, 2.0, 2.5])
    each = [evaluate([e], {eg.step: s, eg.epoch: 1})[0] for s in steps]
    np.testing.assert_array_equal(evaluate_along(e, {eg.step: steps, eg.epoch: 1}), each)
    assert evaluate_along(eg.constant(2.0), {eg.step: steps}).tolist() == [2.0] * 6
