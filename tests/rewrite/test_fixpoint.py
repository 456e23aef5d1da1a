"""The driver: it ends or names the rules that do not, in work linear in the graph."""

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import CompileError
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.node import walk
from exprgrad.graph.show import listing
from exprgrad.rewrite.fixpoint import Rules, Search
from exprgrad.rewrite.match import Row, x
from exprgrad.rewrite.simplify import RULES, erase, simplify, stabilize


def finish(node, rows):
    return Search(Rules(row.rule() for row in rows)).finish(node)


def test_rules_that_undo_one_another_are_named():
    rows = [Row(eg.sin(x), eg.cos(x)), Row(eg.cos(x), eg.sin(x)), Row(eg.exp(x), x)]
    with pytest.raises(
        CompileError, match=r"sin\(x\) -> cos\(x\).*cos\(x\) -> sin\(x\)"
    ) as e:
        finish(eg.exp(eg.sin(eg.input("u"))), rows)
    assert "exp(x)" not in str(e.value)
    assert "test_fixpoint.py" in str(e.value)


def test_a_rule_that_grows_without_end_is_named():
    with pytest.raises(CompileError, match=r"sin\(x\) -> exp\(sin\(x \+ 1.0\)\)"):
        finish(eg.sin(eg.input("u")), [Row(eg.sin(x), eg.exp(eg.sin(x + 1)))])


def test_a_rule_that_contains_its_own_left_side_is_named():
    with pytest.raises(CompileError, match=r"abs\(x\) -> -abs\(x\)"):
        finish(eg.abs(eg.input("u")), [Row(eg.abs(x), -eg.abs(x))])


def chain(length):
    u, t = eg.input("u", ("n", 3)), eg.input("t", ("n", 3))
    e = u
    for _ in range(length):
        e = -eg.tanh(-(e * 2) * 3.0) + t * 1 + eg.log(1 + eg.exp(e))
    return e


def test_rewrites_grow_with_the_number_of_nodes():
    counts = []
    for length in (100, 200, 400):
        search = Search(RULES)
        search.finish(chain(length))
        counts.append(search.rewrites)
    assert counts[2] - counts[1] == 2 * (counts[1] - counts[0]) > 0


def test_visits_grow_with_the_number_of_nodes():
    visits = []

    class Counted(Search):
        def _advance(self, node):
            visits[-1] += 1
            return super()._advance(node)

    for length in (100, 200, 400):
        visits.append(0)
        Counted(RULES).finish(chain(length))
    assert visits[2] - visits[1] == 2 * (visits[1] - visits[0]) > 0


def test_few_rules_are_tried_on_a_node():
    u = eg.input("u", ("n",))
    tried = [len(RULES.of(node)) for node in walk([chain(10), eg.tanh(u) * eg.exp(u)])]
    assert sum(tried) < 6 * len(tried)


def test_shared_parts_are_rewritten_once():
    e = eg.input("u")
    for _ in range(60):
        e = (e + 0) * (e * 1)  # 2**60 paths
    search = Search(RULES)
    search.finish(e)
    assert search.rewrites == 120


def test_ten_thousand_nodes_do_not_meet_the_limit_of_recursion():
    e = eg.input("u", ("n",))
    for _ in range(10_000):
        e = eg.sin(eg.negative(-e))
    (simple,) = simplify([e])
    assert len(walk([simple])) == 10_001


def test_the_order_of_arguments_is_the_users_and_equal_products_are_one():
    u, t = eg.input("u"), eg.input("t")
    both = simplify([t * u, u * t, t + u])
    assert both[0] is both[1]
    assert [str(e) for e in both[::2]] == ["t * u", "t + u"]


def test_equal_programs_have_equal_listings():
    first, second = (listing(simplify([chain(3)])) for _ in range(2))
    assert first == second


def test_a_rewritten_node_keeps_the_users_line():
    u = eg.input("u", ("lines", 3))  # no other test has made its nodes
    z = eg.log(1 / (1 + eg.exp(-u)))
    loss = z.sum()
    (simple,) = simplify([loss])
    for node in walk([simple]):
        assert node.where.file == __file__
        assert u.where.line <= node.where.line <= loss.where.line


def test_erase_then_simplify_removes_what_gradients_read():
    u = eg.input("u", (3,))
    double = eg.custom_gradient(lambda t: t * 2, lambda g, t: g)
    (node,) = simplify(erase([double(eg.stop_gradient(u)) * 2]))
    assert node is u * 4


def test_stabilize_keeps_the_marks():
    u = eg.input("u", (3,))
    assert "stop_gradient" in {n.op for n in walk(stabilize([eg.stop_gradient(u) + 0]))}


def test_dead_code_is_gone():
    u, t = eg.input("u", (3,)), eg.input("t", (3,))
    assert t not in set(walk(simplify([eg.where(True, u, eg.exp(t))])))


def test_products_of_zero_stay_for_what_may_be_infinite():
    u, k = eg.input("u", (2,)), eg.input("k", (2,), "int64")
    kept, gone = simplify([u * 0, k * 0])
    values = {u: np.array([np.inf, 1.0]), k: np.array([1, 2])}
    np.testing.assert_array_equal(evaluate([kept], values)[0], [np.nan, 0])
    assert not [n for n in walk([gone]) if n.op == "input"]
