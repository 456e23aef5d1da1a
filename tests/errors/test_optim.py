"""Optimizers, chains and groups that cannot be."""

from __future__ import annotations

import pytest

import exprgrad as eg
from exprgrad.errors import GraphError
from tests.errors.wrong import LOSS, W, X, fails

o = eg.optim
B = eg.parameter("b")
BOTH = LOSS + B * B
PLAIN, MEAN = o.SGD(0.1), o.EMA()


class Plain(o.Optimizer):
    """An optimizer of the user's own, whose rate has another name."""

    rate: eg.Hyper = 0.1

    def update(self, parameter, gradient):
        return {parameter: parameter - self.rate * gradient}


def change(optimizer, name, value):
    setattr(optimizer, name, value)


WRONG = [
    (
        lambda: o.Adam(variant="torch"),
        "no variant 'torch'; it has: 'pytorch', 'optax', 'keras'",
    ),
    (
        lambda: o.SGD(rate=0.1),
        "got an unexpected keyword argument 'rate'; its hyper-parameters",
    ),
    (lambda: o.Adam(beta1=1.0), "beta1 of Adam is a number from 0 to below 1, not 1.0"),
    (lambda: o.Adam(epsilon=-1e-8), "epsilon of Adam is a number from 0 on, not -1e-08"),
    (lambda: o.MaxNorm(-1), "bound of MaxNorm is a number from 0 on, not -1"),
    (
        lambda: change(o.ClipByNorm(), "limit", float("nan")),
        "limit of ClipByNorm is a number from 0 on, not nan",
    ),
    (lambda: o.SGD("fast"), "is a number or an expression of eg.step, not 'fast'"),
    (lambda: o.SGD(None), "learning_rate of SGD is a number or an expression"),
    (
        lambda: change(o.SGD(), "rate", 1),
        "SGD has no hyper-parameter rate; it has: learning_rate",
    ),
    (
        lambda: change(o.RMSprop(), "momentum", 0.9),
        "only a number can be set, in place of a",
    ),
    (
        lambda: change(o.RMSprop(), "centered", True),
        "centered of RMSprop is compiled into",
    ),
    (
        lambda: o.Nesterov(variant="paper", two_point=True),
        "looks ahead by a momentum that is a number, not None",
    ),
    (lambda: o.LBFGS(history_size=0), "an integer of at least 1, not 0"),
    (
        lambda: o.LBFGS(history_size=2.5),
        "steps that it remembers, is an integer of at least 1, not 2.5",
    ),
    (
        lambda: o.LBFGS(line_search="strong_wolfe"),
        "line_search of LBFGS is \"armijo\", \"wolfe\" or None, not 'strong_wolfe'",
    ),
    (
        lambda: o.Chain(o.ClipByNorm(), o.LBFGS(line_search="wolfe")),
        "nothing may change gradients beside it, but ClipByNorm does; write what it",
    ),
    (
        lambda: o.Chain(o.LBFGS(line_search="armijo"), o.WeightDecay()).updates(LOSS),
        "nothing may change parameters beside it, but WeightDecay does; write what it",
    ),
    (
        lambda: o.Groups((o.LBFGS(line_search="wolfe"), [W]), (PLAIN, [B])).updates(BOTH),
        "compares losses, which other groups change, too; give all parameters that move",
    ),
    (
        lambda: o.LBFGS(line_search="wolfe").updates(LOSS * eg.random.uniform(())),
        "but this loss is another in each: it depends on step, by a schedule or by random",
    ),
    (
        lambda: o.LBFGS(line_search="wolfe").updates(LOSS * eg.schedules.cosine(1.0, 9)),
        "a search along a line compares the losses of two steps, but this loss is another",
    ),
    (
        lambda: change(o.LBFGS(), "history_size", 5),
        "history_size of LBFGS is compiled into",
    ),
    (
        lambda: o.Chain(),
        "one optimizer, changes of parameters, in this order, not nothing",
    ),
    (lambda: o.Chain(o.SGD(), o.ClipByNorm()), "in this order, not SGD, ClipByNorm"),
    (lambda: o.Chain(o.SGD(), o.Adam()), "in this order, not SGD, Adam"),
    (
        lambda: o.Chain(o.ClipByNorm, o.SGD()),
        "is made of what eg.optim has, made by a call",
    ),
    (lambda: change(o.Chain(PLAIN), "rate", 1), "SGD has no hyper-parameter rate"),
    (
        lambda: o.Chain(Plain(), o.WeightDecay()).updates(LOSS),
        "Plain has no hyper-parameter learn",
    ),
    (lambda: o.Groups((PLAIN, [W]), (o.Adam(), [W])), "w is in two groups"),
    (
        lambda: o.Groups((PLAIN, [W])).updates(BOTH),
        "b is in no group; name it in one, or give",
    ),
    (
        lambda: o.Groups((PLAIN, [W, B])).updates(LOSS),
        "b is in a group, but the loss does not",
    ),
    (lambda: o.Groups((PLAIN, W)), "a group is an optimizer and a list of parameters"),
    (lambda: o.Groups((PLAIN, ["W"])), "a group is an optimizer and a list of parameters"),
    (
        lambda: o.Groups((o.Adam, [W])),
        "a group is an optimizer and a list of parameters",
    ),
    (
        lambda: o.Groups(([W], PLAIN)),
        "a group is an optimizer and a list of parameters",
    ),
    (lambda: eg.formula(o.Groups((PLAIN, [W]))), "each group has a formula"),
    (lambda: eg.formula(o.Adam), "formula takes an optimizer"),
    (lambda: MEAN.of(W), "EMA has no mean of w; it has: none"),
    (lambda: MEAN.applied().__enter__(), "EMA has no means before the first update"),
    (lambda: o.SGD().updates(X.sum()), "the loss depends on no parameter"),
    (lambda: o.SGD().updates(W * 2), "scalar"),
    (
        lambda: o.Groups((o.Frozen(), [W])).updates(LOSS),
        "no parameter is left to train",
    ),
]


@pytest.mark.parametrize(("wrong", "rule"), WRONG, ids=[rule for _, rule in WRONG])
def test_optimizers(wrong, rule):
    with fails(GraphError, rule):
        wrong()


def test_training_while_parameters_have_their_means():
    w = eg.parameter("w", init=1.0)
    mean = o.PolyakAverage()
    step = eg.function([], None, o.Chain(o.SGD(0.25), mean).updates(w * w))
    step()
    with fails(GraphError, "what was trained is lost"), mean.applied():
        step()
    assert w.value == 0.5
