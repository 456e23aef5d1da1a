"""Boltzmann machines and autoencoders that cannot be."""

from __future__ import annotations

import pytest

import exprgrad as eg
from exprgrad.errors import DTypeError, GraphError, ShapeError
from tests.errors.wrong import fails

W, B, C = eg.parameter("w", (4, 3)), eg.parameter("b", 4), eg.parameter("c", 3)
V = eg.input("v", ("batch", 4))
RBM, LAYER = eg.nn.RBM(W, B, C), eg.nn.Autoencoder(W, B, C)
CODE, AVERAGE = LAYER.encode(V), eg.state("average", 4)

WRONG = [
    (ShapeError, lambda: eg.nn.RBM(W, C, B), "belong together, not f32[4,3], f32[3] and f32[4]"),
    (GraphError, lambda: eg.nn.RBM(W, B, C, "poisson"), "one of binary, gaussian, not 'poisson'"),
    (ShapeError, lambda: RBM.encode(eg.input("v", (2, 5))), "rows [batch, 4], not f32[2,5]"),
    (ShapeError, lambda: RBM.objective(eg.input("v", (4,))), "rows [batch, 4], not f32[4]"),
    (DTypeError, lambda: RBM.free_energy(eg.input("v", ("batch", 4), "int64")), "i64[batch,4]"),
    (GraphError, lambda: RBM.objective(V, k=0), "an integer from 1: 0"),
    (GraphError, lambda: RBM.objective(V, last="end"), "one of sample, mean, not 'end'"),
    (GraphError, lambda: RBM.persistent_objective(V, V), "eg.state('chains', (100, 4))"),
    (GraphError, lambda: RBM.persistent_objective(V, [[0.0]]), "not in list"),
    (GraphError, lambda: eg.nn.RBM([[0.0]], B, C), "eg.parameter('W', (64, 100)), not of list"),
    (
        GraphError,
        lambda: eg.nn.RBM(W, B, C, "gaussian").pseudo_likelihood(V),
        "only binary units can be flipped, not gaussian ones",
    ),
    (GraphError, lambda: eg.nn.Autoencoder(W, B, C, output="softmax"), "not 'softmax'"),
    (ShapeError, lambda: eg.nn.Autoencoder(W, B, C, W), "leads back by one of (3, 4)"),
    (ShapeError, lambda: eg.nn.Stack([LAYER, RBM]), "f32[4,3] stands on f32[4,3]"),
    (GraphError, lambda: eg.nn.Stack([]), "one layer or more"),
    (
        GraphError,
        lambda: eg.train.pretrain([LAYER], [[0.0] * 4], eg.optim.SGD(0.1)),
        "give what makes one, as lambda: Adam(1e-3), not SGD(learning_rate=0.1)",
    ),
    (GraphError, lambda: eg.nn.sparsity(CODE, 1.0), "between 0 and 1, not 1.0"),
    (ShapeError, lambda: eg.nn.running_sparsity(CODE, 0.1, AVERAGE), "not state f32[4]"),
    (ShapeError, lambda: eg.nn.contraction(CODE, W), "not f32[batch,3] and f32[4,3]"),
    (GraphError, lambda: eg.nn.mask_noise(V, 1.5), "from 0 to 1, but 1.5"),
    (DTypeError, lambda: eg.nn.gaussian_noise(eg.input("i", 3, "int64"), 1.0), "not i64[3]"),
]


@pytest.mark.parametrize(("kind", "wrong", "rule"), WRONG, ids=[rule for *_, rule in WRONG])
def test_models(kind, wrong, rule):
    with fails(kind, rule):
        wrong()


def test_log_odds_of_rows_of_another_width():
    rows = [[0.0, 1.0, 1.0]]
    b = eg.parameter("b", 4, eg.init.log_odds(rows))
    with fails(ShapeError, "log_odds of rows of (3,) fills no (4,)"):
        b.value  # noqa: B018
