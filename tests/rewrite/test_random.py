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
@settings(max_examples=150)
def test_value_is_kept(rewrite, case):
    node, values = case
    (rewritten,) = rewrite([node])
    assert rewritten.type == node.type
    before, after = evaluate([node, rewritten], values, {"batch": 4})
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-9)


@given(case=expressions())
@settings(max_examples=100)
def test_simplified_is_simple(case):
    node, _ = case
    once = simplify([node])
    assert simplify(once)[0] is once[0]


@given(case=expressions())
@settings(max_examples=50)
def test_erase_leaves_no_mark(case):
    (erased,) = erase([case[0]])
    assert not {n.op for n in walk([erased])} & {"stop_gradient", "custom"}
