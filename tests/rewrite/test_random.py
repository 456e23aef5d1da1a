"""Simplified and stabilised expressions have the value of what they were."""

import numpy as np
import pytest
from hypothesis import given, settings

from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.node import walk
from exprgrad.rewrite.simplify import RULES, erase, simplify, stabilize
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


def rules_of(op):
    return [rule for rule in RULES.table if rule.op == op]


@given(case=expressions())
@settings(max_examples=100)
def test_rules_left_out_at_a_glance_do_not_apply(case):
    for node in walk(case.outputs):
        for rule in set(rules_of(node.op)) - set(RULES.of(node)):
            assert rule.rewrite(node) is None, rule.name
