"""Each row of the tables: its graph is what it says, and its value what it was."""

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import DTypeError
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.node import walk
from exprgrad.rewrite import algebra, stability
from exprgrad.rewrite.match import (
    ROW,
    a,
    b,
    instantiate,
    like_shape,
    match,
    p,
    q,
    v,
    w,
    x,
    y,
    z,
)
from exprgrad.rewrite.simplify import simplify

SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 1e30, 1e-30, np.inf, -np.inf, np.nan]
)
POSITIVE_AT_ZERO = [
    n for n in SPECIAL if not (n == 0 and np.signbit(n)) and n != -np.inf
]
NUMBERS = [(2.0, 3.0), (-2.0, 0.25), (0.5, -1.0), (7.0, 1.5), (-3.0, 2.0)]
ROWS = [*algebra.ROWS, *stability.ROWS]


def spellings(row):
    """Left and right of `row` for real tensors, with numbers and types that it takes."""
    found = []
    for dtype in ("float64", "int64"):
        for numbers in NUMBERS:
            sides = _spelled(row, dtype, numbers)
            if sides is not None:
                found.append(sides)
    assert found, f"no number of the test's table suits {row}"
    uses_numbers = {a, b} & _leaves(row.left)
    return found if uses_numbers else found[:1]


def _leaves(node):
    return {n for n in walk([node]) if not n.args}


def _spelled(row, dtype, numbers):
    rows = v in _leaves(row.left)
    shape = ("n",)
    bound = {t: eg.input(str(t.name), shape, dtype) for t in (x, y, z)}
    bound |= {t: eg.input(t.name, shape, "bool") for t in (p, q)}
    bound |= {t: eg.input(t.name, (*shape, 4), dtype) for t in (v, w)}
    exact = bound[x].dtype
    bound |= {
        t: like_shape(bound[x].shape, exact.numpy.type(n).item(), exact)
        for t, n in zip((a, b), numbers, strict=True)
    }
    whole = bound[v].shape if row.left.shape == ROW else bound[x].shape
    kind = row.left.dtype if row.left.dtype is eg.bool_ else exact
    place = like_shape(whole, 0, kind)
    if rows:
        bound["axes"] = (1,)
    try:
        left, right = (
            instantiate(s, row.left, place, bound) for s in (row.left, row.right)
        )
    except (DTypeError, OverflowError):
        return None
    found = match(row.left, left)
    assert found is not None, f"{row} does not match its own left side"
    return (left, right) if row.when is None or row.when(found) else None


def values(samples, nodes):
    """Every pair of samples for x and y; rows of samples for v and w."""
    one, two = (grid.ravel() for grid in np.meshgrid(samples, samples))
    given = {"x": one, "y": two, "z": two[::-1], "p": one > 0, "q": two > 0.5}
    given["v"] = np.stack([one, two, one + 1, two[::-1]], 1)
    given["w"] = np.stack([two, one, two * 2, one[::-1]], 1)
    leaves = {n for node in nodes for n in _leaves(node) if n.op == "input"}
    result = {n: given[n.name] for n in leaves if n.dtype is not eg.int64}
    return result | {
        n: np.nan_to_num(given[n.name]).clip(-99, 99).astype(int) % 9
        for n in leaves
        if n.dtype is eg.int64
    }


def names(rows):
    return pytest.mark.parametrize("row", rows, ids=str)


@names(ROWS)
def test_left_becomes_right(row):
    for left, right in spellings(row):
        assert row.rule().rewrite(left) is right


@names(ROWS)
def test_simplified_left_is_simplified_right(row):
    for left, right in spellings(row):
        after, expected = simplify([left, right])
        assert after is expected


@names(algebra.ROWS)
def test_algebra_holds_for_every_number(row):
    samples = POSITIVE_AT_ZERO if row in algebra.POWERS else SPECIAL
    for sides in spellings(row):
        left, right = evaluate(
            sides, values(np.array(samples), sides), {"n": len(samples) ** 2}
        )
        np.testing.assert_allclose(right, left, rtol=1e-14)


@names(stability.ROWS)
def test_stable_side_has_the_value_where_the_other_is_finite(row):
    samples = np.array([-2.3, -1.0, -0.31, 0.01, 0.7, 1.0, 1.9, 3.2])
    for sides in spellings(row):
        left, right = evaluate(sides, values(samples, sides), {"n": len(samples) ** 2})
        finite = np.isfinite(left)
        assert finite.any()
        np.testing.assert_allclose(right[finite], left[finite], rtol=1e-9, atol=1e-12)
