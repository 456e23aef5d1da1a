"""Operands whose sizes do not fit, found where the expression is written."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import ShapeError
from tests.errors.wrong import COUNT, LOSS, W, X, fails

A, B = eg.input("a", (3, 4)), eg.input("b", (5, 2))
ROWS = eg.input("rows", ("batch", 8))
IMAGE = eg.input("image", (1, 3, 9, 9))

WRONG = [
    (lambda: A @ B, 'dot "ik,kj->ij": axis k is 4 in a: f32[3, 4] but 5 in b: f32[5, 2]'),
    (lambda: A + B, "[3, 4] and [5, 2] do not broadcast: axis -2 is 3 and 5"),
    (lambda: ROWS + A, "axis -2 is batch and 3"),
    (lambda: A + np.ones(2), "[3, 4] and [2] do not broadcast"),
    (lambda: A.reshape(5, -1), "f32[3, 4] does not divide into (5, -1)"),
    (lambda: A.reshape(5, 5), "[5, 5] holds as many elements"),
    (lambda: A.sum(2), "axis 2 does not exist in 2 axes"),
    (lambda: A.sum((0, -2)), "names an axis twice"),
    (lambda: eg.softmax(A, axis="rows"), "an axis is an integer, not 'rows'"),
    (lambda: A[:, :0].max(1), "max of no elements"),
    (lambda: A[:, :0].argmax(1), "argmax of no elements"),
    (lambda: A[0, 0, 0], "3 indices were given for f32[3, 4]"),
    (lambda: A[..., ...], "one `...` at most"),
    (lambda: A[::0], "not 0"),
    (lambda: A[np.ones(4, bool)], "mask of shape (4,) does not fit"),
    (lambda: eg.concat([A, B]), "all axes but 0 are equal"),
    (lambda: eg.squeeze(A, 0), "axis 0 of f32[3, 4] is not 1"),
    (lambda: eg.pad(A, [(1, 1)]), "pair of widths for each axis"),
    (lambda: eg.sliding_window(A, 5), "5 taps at dilation 1 fit axis 1"),
    (lambda: eg.einsum("ij,jk", A), "names 2 operands, not 1"),
    (lambda: eg.conv2d(IMAGE, np.ones((2, 4, 3, 3))), "does not fit"),
    (lambda: eg.conv2d(IMAGE, np.ones((2, 3, 3, 3)), padding="full"), "'full'"),
    (lambda: eg.nn.mse(A, B), "mse: both operands have one shape"),
    (lambda: eg.roll(eg.input("x", (3,)), 1.5), "by an integer, not 1.5"),
    (lambda: eg.input("x", (-1,)), "not negative, but -1"),
    (lambda: eg.parameter("w", (3,), init=np.ones(4)), "parameter w has shape (3,)"),
    (lambda: eg.function([X], None, {W: X}), "the update of w: f32[3]"),
    (lambda: eg.function([X], None, {COUNT: W}), "has its shape, but the expression is f32[3]"),
]


@pytest.mark.parametrize(("wrong", "rule"), WRONG, ids=[rule for _, rule in WRONG])
def test_shapes(wrong, rule):
    with fails(ShapeError, rule):
        wrong()


def test_the_users_own_line_is_shown():
    x, w = eg.input("x", (3, 4)), eg.parameter("w", (5, 2))
    with fails(ShapeError, "hidden = x @ w  # a layer)"):
        hidden = x @ w  # a layer
        assert hidden


def test_a_value_of_another_shape_is_not_assigned():
    with fails(ShapeError, "w has shape (3,), and (4,) was assigned"):
        W.value = np.ones(4)


def test_an_initialiser_that_gives_another_shape():
    wide = eg.parameter("wide", (3,), init=lambda shape, rng: np.ones(4))
    with fails(ShapeError, "wide has shape (3,), but its init gave (4,)"):
        assert wide.value


def test_updates_of_a_trainer():
    sgd = eg.optim.SGD(0.1)
    with fails(ShapeError, "the update of count: f32"):
        eg.Trainer(LOSS, sgd, updates={COUNT: W}).fit({"x": np.ones((2, 3)), "t": [1, 1]})
