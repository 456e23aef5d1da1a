"""Every pass keeps what kernels compute: interpreted before and after, as NumPy has it."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import ShapeError
from exprgrad.graph.check import check_demands
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.ops import OPS
from exprgrad.loop.check import check_kernels, check_order
from tests.cases import CASES, arrays, inputs
from tests.compiled import assert_close, assert_right
from tests.loop.stages import interpreted, stages

DTYPES = {case: dtype for case in CASES for dtype in case.dtypes}  # one, the last, each
TINY = [
    c for c in CASES if sum(int(np.prod(a.shape)) for a in arrays(c, DTYPES[c])) < 300
]
REST = [c for c in CASES if c not in TINY]


def hold(outputs, values, updates=None, dims=None, scale=1):
    """All variants of the kernels give NumPy's values, and are well formed."""
    changes = updates or {}
    expected = evaluate([*outputs, *changes.values()], values, dims)
    made = stages(outputs, changes)
    check_kernels(made.lowered)
    check_kernels(made.fused)
    check_order(made.ordered)
    results = [*made.outputs, *made.states.values()]
    for name, kernels in made.variants().items():
        found = interpreted(kernels, results, values, dims)
        for got, wanted in zip(found, expected, strict=True):
            assert_close(got, wanted, scale, name)
    return made


def test_few_cases_are_left_out():
    assert {case.op for case in TINY} >= set(OPS) - {"random"}
    assert len(REST) < len(CASES) / 6


@pytest.mark.parametrize("case", TINY, ids=str)
def test_passes_keep_the_value(case):
    dtype = DTYPES[case]
    tensors = inputs(case, dtype)
    node = case.build(*tensors)
    for batch in (0, 2):
        try:
            check_demands([node], {"batch": batch})
        except ShapeError:
            continue
        drawn = arrays(case, dtype, batch=batch)
        hold([node], dict(zip(tensors, drawn, strict=True)), dims={"batch": batch})


# Updates: all read old values, in place or not


def states(**shapes):
    rng = np.random.default_rng(0)
    return [
        eg.state(name, shape, init=rng.normal(size=shape), dtype="float64")
        for name, shape in shapes.items()
    ]


A, B = states(a=(5,), b=(5,))
M, P, V = states(m=(5, 4), p=(5, 4), v=(5,))
S, T = states(s=(), t=())
X = eg.input("x", (5, 4), "float64")
NEW = A + B
PEAK = eg.max(X, 1)
E = eg.exp(X - PEAK[:, None])
TOTAL = eg.sum(E, 1)
INDEX = eg.constant([1, 1, 4, 0, 3], "int64")

UPDATES = {
    "swap": ([], {A: B, B: A}),
    "turn": ([], {A: A[::-1]}),
    "running": ([], {A: eg.cumulative_sum(A, 0)}),
    "each-other": ([], {A: A + B, B: A * 2}),
    "new-value": ([], {A: NEW, B: NEW * 2}),
    "also-output": ([NEW], {A: NEW, B: NEW[::-1]}),
    "output-twice": ([NEW, NEW, A], {A: NEW}),
    "old-as-output": ([A, B[::-1]], {A: B, B: A + 1}),
    "own-sum": ([eg.sum(A)], {A: A * eg.sum(A)}),
    "softmax": ([], {M: eg.softmax(M)}),
    "by-rows": ([M], {M: M - eg.mean(M, 1, keepdims=True) * M}),
    "by-columns": ([], {M: M - eg.mean(M, 0, keepdims=True) * M}),
    "itself": ([M], {M: M}),
    "constant": ([], {M: eg.zeros((5, 4), "float64"), S: eg.constant(2.0, "float64")}),
    "scalars": ([S, T + 1], {S: T, T: S + 1}),
    "scale": ([eg.sum(M * S)], {S: S * eg.sum(M), M: M * S}),
    "gathered": ([], {A: eg.take(A, INDEX, 0)}),
    "scattered": ([], {A: eg.scatter_add(A * 2, INDEX, 5)}),
    "scattered-onto": ([], {A: A + eg.scatter_add(B, INDEX, 5)}),
    "reshaped": ([], {M: M.T.reshape(20)[::-1].reshape(5, 4)}),
    "old-after-new-in-a-row": ([], {A: PEAK * 2, B: A * TOTAL, P: E / TOTAL[:, None]}),
    "old-in-new-in-a-row": ([], {A: A / 2 + PEAK, B: A * TOTAL, P: E / TOTAL[:, None]}),
    "row-from-old": ([M / eg.sum(eg.exp(M * 2), 1, keepdims=True)], {M: M * 2}),
    "wheel": ([], {A: B, B: V, V: A}),
}


@pytest.mark.parametrize("name", UPDATES)
def test_updates_read_old_values(name):
    outputs, updates = UPDATES[name]
    values = {X: np.random.default_rng(1).normal(size=(5, 4))}
    hold(outputs, values, updates)
    assert_right(outputs, values, updates)
