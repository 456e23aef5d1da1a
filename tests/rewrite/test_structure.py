"""Movement of movement, views of contractions: the expected graph of each rule."""

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.node import walk
from exprgrad.graph.ops import OPS
from exprgrad.graph.tensor import apply
from exprgrad.rewrite import contraction, hoist, structure
from exprgrad.rewrite.fixpoint import Search
from exprgrad.rewrite.simplify import RULES, simplify

m = eg.input("m", ("n", 3), "float64")
s = eg.input("s", (3,), "float64")
t = eg.input("t", (4, 3, 2), "float64")
A = eg.input("A", ("n", 5), "float64")
B = eg.input("B", (5, 4), "float64")
W = eg.input("W", (3, 4), "float64")
k = eg.input("k", (3,), "int32")
one = eg.input("one", ("n", 1), "float64")
f = eg.input("f", ("n", 6))


def over(x, shape):
    return eg.broadcast_to(x, shape)


# before, after: the graph that is expected
MOVES = [
    (m.reshape((-1,)).reshape(("n", 3)), m),
    (t.reshape((12, 2)).reshape((2, 12)), t.reshape((2, 12))),
    (over(s, (4, 3)).reshape((4, 1, 3)), over(s, (4, 1, 3))),
    (over(over(s, (4, 3)), (2, 4, 3)), over(s, (2, 4, 3))),
    (apply("expand", (s,), ((1, 3), (0,))), s.reshape((1, 3))),
    (t.reshape((2, 2, 3, 2))[:, :, 1:, ::2], t[:, 1:, ::2].reshape((2, 2, 2, 1))),
    (
        apply("unwindow", (t.reshape((2, 2, 1, 3, 2)),), (3, 4, 1, 1)),
        apply("unwindow", (t,), (1, 4, 1, 1)).reshape((2, 2, 1, 4)),
    ),
    (t.permute_dims((1, 0, 2)).permute_dims((1, 0, 2)), t),
    (t.permute_dims((1, 2, 0)).permute_dims((1, 2, 0)), t.permute_dims((2, 0, 1))),
    (one.T, one.reshape((1, "n"))),
    (over(s, (4, 3)).T, apply("expand", (s,), ((3, 4), (1,)))),
    (t[1:][1:], t[2:]),
    (t[::2][::-1], apply("slice", (t,), ((2, 0, 0), (-2, 1, 1), (2, 3, 2)))),
    (eg.flip(eg.flip(t)), t),
    (over(s, (4, 3))[1:, 2:], over(s[2:], (3, 1))),
    (t.permute_dims((2, 0, 1))[1:], t[:, :, 1:].permute_dims((2, 0, 1))),
    (eg.pad(t, [(1, 2), (0, 0), (0, 0)])[1:5], t),
    (eg.pad(t, [(1, 2), (0, 0), (0, 0)])[2:4], t[1:3]),
    (eg.concat([t, t * 2])[:4], t),
    (eg.concat([t, t * 2])[5:7], (t * 2)[1:3]),
    (eg.pad(eg.pad(s, [(1, 0)]), [(1, 2)]), eg.pad(s, [(2, 2)])),
    (eg.pad(eg.zeros((3,), "float64"), [(1, 1)]), eg.zeros((5,), "float64")),
    (eg.concat([eg.concat([s, s]), s]), eg.concat([s, s, s])),
    (eg.concat([s, s[:0]]), s),
    (k.astype("int64").astype("float64"), k.astype("float64")),
    (s.astype("float32").astype("float64"), s.astype("float32").astype("float64")),
    (k.astype("float64").astype("int32"), k),
]

MOVES += [
    (eg.pad(over(s, (4, 3)), [(0, 0), (1, 1)]), over(eg.pad(s, [(1, 1)]), (4, 5))),
    (over(2.0, ("n", 3)).T, over(2.0, (3, "n"))),
    (eg.pad(over(0.0, (2000,)), [(1, 1)]), over(0.0, (2002,))),
]

HOISTED = [
    (eg.bfloat16(eg.bfloat16(f)), eg.bfloat16(f)),
    (eg.bfloat16(-f), -eg.bfloat16(f)),
    (eg.bfloat16(eg.pad(f, [(0, 0), (1, 2)])), eg.pad(eg.bfloat16(f), [(0, 0), (1, 2)])),
    (
        eg.bfloat16(eg.sliding_window(f, 3, 1)),
        eg.sliding_window(eg.bfloat16(f), 3, 1),
    ),
    (eg.exp(over(s, (4, 3))), over(eg.exp(s), (4, 3))),
    (over(s, (4, 3)) * 2 + over(eg.exp(s), (4, 3)), over(s * 2 + eg.exp(s), (4, 3))),
    (eg.sin(m[:, None, :]), eg.sin(m)[:, None, :]),
    (eg.sin(t.T) * t.T, (eg.sin(t) * t).T),
    (m.T * over(s[:, None], (3, "n")), (m * s).T),
    (one.sum(1), one.reshape(("n",))),
    (m.sum(0).sum(0), m.sum()),
    (t.T.sum(0), t.sum(2).T),
    (m[:, None, :].sum(2), m.sum(1)[:, None]),
    (over(s, (4, 3)).sum(0), s * 4),
    (over(s, (4, 3)).sum(1), over(s.sum(), (4,))),
    (over(s, (4, 3)).sum(), s.sum() * 4),
    (over(s, (4, 3)).max(0), s),
    (over(s, (4, 3)).min(1), over(s.min(), (4,))),
    ((-m).sum(0), -m.sum(0)),
]

CONTRACTED = [
    (eg.einsum("ij,jk->ik", W.T, m.T), eg.einsum("ij,ki->jk", W, m)),
    ((m @ W).T, eg.einsum("ij,jk->ki", m, W)),
    ((m @ W).sum(0), eg.einsum("j,jk->k", m.sum(0), W)),
    ((A @ B).sum(1), eg.einsum("ij,j->i", A, B.sum(1))),
    (eg.einsum("ij,jk->k", A, B), eg.einsum("j,jk->k", A.sum(0), B)),
    (eg.einsum("i,j->ij", s, k.astype("float64")), s[:, None] * k.astype("float64")),
    ((m[:, :, None] * W).sum(1), eg.einsum("ij,jk->ik", m, W)),
    (over(one, ("n", 5)) @ B, one * B.sum(0)),
    ((-m) @ W, -(m @ W)),
    ((-m) @ (-W), m @ W),
    (eg.einsum("aij,ajk->aik", m[None], W[None]), eg.einsum("ij,jk->ik", m, W)[None]),
    (over(s, (4, 3)) @ W, over(eg.einsum("i,ij->j", s, W), (4, 4))),
    ((m * s).sum(1), (m * s).sum(1)),
]


@pytest.mark.parametrize("before, after", [*MOVES, *HOISTED, *CONTRACTED], ids=str)
def test_graph(before, after):
    simple, expected = simplify([before, after])
    assert simple is expected


@pytest.mark.parametrize("before, after", [*MOVES, *HOISTED, *CONTRACTED], ids=str)
def test_value(before, after):
    rng = np.random.default_rng(0)
    values = {
        leaf: rng.integers(
            -4, 5, [2 if not isinstance(n, int) else n for n in leaf.shape]
        )
        for leaf in (m, s, t, A, B, W, k, one, f)
    }
    (simple,) = simplify([before])
    left, right, expected = evaluate([before, simple, after], values)
    np.testing.assert_allclose(right, left, rtol=1e-12)
    np.testing.assert_allclose(expected, left, rtol=1e-12)


def test_every_rule_of_movement_is_tried(monkeypatch):
    fired = set()

    class Watched(Search):
        def _step(self, node):
            result, rule = super()._step(node)
            fired.add(rule)
            return result, rule

    for before, _ in [*MOVES, *HOISTED, *CONTRACTED]:
        Watched(RULES).finish(before)
    names = {rule.name for rule in fired if rule is not None}
    rules = [*structure.RULES, *hoist.RULES, *contraction.RULES]
    assert {rule.name for rule in rules} <= names


def test_a_sum_over_a_named_axis_counts_at_run_time():
    (node,) = simplify([over(s, ("n", 3)).sum(0)])
    (value,) = evaluate([node], {s: [1.0, 2.0, 3.0]}, {"n": 7})
    assert value.tolist() == [7, 14, 21]
    assert not any(OPS[n.op].group == "reduce" for n in walk([node]))


def test_an_index_out_of_range_is_left_for_the_call():
    index = eg.constant([2]) + eg.constant([3])
    (node,) = simplify([eg.take(s, index)])
    assert "bound" in {n.op for n in walk([node])}
    (node,) = simplify([eg.take(A, eg.constant([1]))])  # the size is not known yet
    assert "bound" in {n.op for n in walk([node])}
    (node,) = simplify([eg.take(s, eg.constant([-1]))])
    assert "bound" not in {n.op for n in walk([node])}


def test_large_constants_are_not_folded():
    large = eg.constant(np.arange(5000.0))
    (node,) = simplify([large + 1])
    assert node.op == "add"


def test_windows_of_one_element_along_an_axis_of_one() -> None:
    """The axis of the windows and that of their taps are two."""
    x, c = eg.input("x", (1, 1, 4, 1), "float64"), eg.input("c", (), "float64")
    pooled = eg.avg_pool2d(eg.tanh(x), 1, stride=(2, 1))
    gradient = eg.grad(eg.sin(pooled * c).sum(), x)
    numbers = np.arange(4.0).reshape(x.shape)
    inside = np.tanh(numbers)
    expected = np.cos(inside) * (1 - inside**2)
    expected[:, :, 1::2] = 0
    (found,) = evaluate(simplify([gradient]), {x: numbers, c: 1.0})
    np.testing.assert_allclose(found, expected, rtol=1e-12)
