"""Simplified and stabilised expressions have the value of what they were."""

import numpy as np
import pytest
from hypothesis import given, settings

from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.node import walk
from exprgrad.rewrite.simplify import erase, simplify, stabilize
from tests.rewrite.random_graphs import expressions


@pytest.mark.parametrize("rewrite", [simplify, stabilize, erase])
@given(case=expressions())
@settings(max_examples=300)
def test_value_is_kept(rewrite, case):
    rewritten = rewrite(case.outputs)
    both = evaluate([*case.outputs, *rewritten], case.values, {"batch": 4})
    count = len(case.outputs)
    for before, after in zip(both[:count], both[count:], strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-9)


@given(case=expressions())
@settings(max_examples=300)
def test_simplified_is_simple(case):
    once = simplify(case.outputs)
    again = simplify(once)
    assert all(a is b for a, b in zip(once, again, strict=True))


@given(case=expressions())
@settings(max_examples=50)
def test_erase_leaves_no_mark(case):
    assert not {n.op for n in walk(erase(case.outputs))} & {"stop_gradient", "custom"}
