"""Functions spelled with the operations, against NumPy or their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.philox import philox, uniform

X = np.random.default_rng(0).normal(size=(5, 7)) * 3
Y = np.random.default_rng(1).normal(size=(5, 7))
EXPONENTIALS = np.exp(X)
erf = np.vectorize(math.erf)

COMPOSED = {
    "relu": (eg.relu, np.maximum(X, 0)),
    "leaky_relu": (lambda x: eg.leaky_relu(x, 0.1), np.where(X > 0, X, 0.1 * X)),
    "elu": (lambda x: eg.elu(x, 0.5), np.where(X > 0, X, 0.5 * np.expm1(X))),
    "silu": (eg.silu, X / (1 + np.exp(-X))),
    "gelu": (eg.gelu, X * (1 + erf(X / math.sqrt(2))) / 2),
    "softmax": (eg.softmax, EXPONENTIALS / EXPONENTIALS.sum(1, keepdims=True)),
    "softmax-0": (lambda x: eg.softmax(x, 0), EXPONENTIALS / EXPONENTIALS.sum(0)),
    "log_softmax": (eg.log_softmax, X - np.log(EXPONENTIALS.sum(1, keepdims=True))),
    "logsumexp": (eg.logsumexp, np.log(EXPONENTIALS.sum())),
    "logsumexp-1": (
        lambda x: eg.logsumexp(x, 1, True),
        np.log(EXPONENTIALS.sum(1, keepdims=True)),
    ),
    "clip": (lambda x: eg.clip(x, -1, 1), np.clip(X, -1, 1)),
    "mean": (lambda x: x.mean(1, True), X.mean(1, keepdims=True)),
    "var": (lambda x: x.var((0, 1), 1), X.var(ddof=1)),
    "std": (lambda x: x.std(0, keepdims=True), X.std(0, keepdims=True)),
    "norm": (lambda x: eg.norm(x, 1), np.linalg.norm(X, axis=1)),
    "prod": (lambda x: eg.prod(x, 1, True), X.prod(1, keepdims=True)),
    "argmin": (lambda x: eg.argmin(x, 0), X.argmin(0)),
    "stack": (lambda x: eg.stack([x, Y], 2), np.stack([X, Y], 2)),
    "tensordot": (lambda x: eg.tensordot(x, Y.T, 1), X @ Y.T),
    "along": (
        lambda x: eg.take_along_axis(x, np.argsort(X, 1)[:, :2]),
        np.sort(X, 1)[:, :2],
    ),
    "arange": (lambda x: x + eg.arange(7), X + np.arange(7)),
    "linspace": (
        lambda x: x * eg.linspace(0, 1, 7, "float64"),
        X * np.linspace(0, 1, 7),
    ),
    "ones": (lambda x: eg.ones_like(x) + eg.zeros_like(x), np.ones_like(X)),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_value(name):
    function, expected = COMPOSED[name]
    rows = 5 if name in ("stack", "along") else "n"
    x = eg.input("x", (rows, 7), "float64")
    (found,) = evaluate([function(x)], {x: X})
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found, expected, 1e-12, 1e-12)


ACTIVATIONS = ["relu", "leaky_relu", "elu", "silu", "gelu", "clip", "softmax"]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_stays_nan(name):
    """As in PyTorch: what is missing in one place is seen in the loss."""
    function, _ = COMPOSED[name]
    x = eg.input("x", (1, 7))
    given = np.array([[np.nan] + [1.0] * 6], np.float32)
    assert np.isnan(evaluate([function(x)], {x: given})[0][0, 0])
    assert np.isnan(eg.function([x], function(x))(given)[0, 0])


def test_tanh_form_of_gelu_is_near_the_exact():
    x = eg.input("x", ("n", 7), "float64")
    a, b = evaluate([eg.gelu(x), eg.gelu(x, approximate="tanh")], {x: X})
    assert 0 < np.abs(a - b).max() < 1e-3


@pytest.mark.parametrize("scale", [1e3, -1e3])
def test_softmax_and_logsumexp_do_not_overflow(scale):
    x = eg.input("x", (3,), "float64")
    s, lse = evaluate(
        [eg.softmax(x), eg.logsumexp(x)], {x: np.array([0.0, scale, scale])}
    )
    np.testing.assert_allclose(s.sum(), 1)
    np.testing.assert_allclose(lse, max(scale + math.log(2), 0))


def test_logsumexp_of_nothing_but_minus_infinity():
    x = eg.input("x", (3,), "float64")
    assert evaluate([eg.logsumexp(x)], {x: np.full(3, -np.inf)})[0] == -np.inf


def convolved(x, w, stride, pads, dilation, groups):
    """The definition, one output element after another."""
    x = np.pad(x, ((0, 0), (0, 0), *pads))
    n, _, h, wide = x.shape
    o, i, kh, kw = w.shape
    rows = (h - (kh - 1) * dilation[0] - 1) // stride[0] + 1
    columns = (wide - (kw - 1) * dilation[1] - 1) // stride[1] + 1
    out = np.zeros((n, o, rows, columns))
    for b, c, r, q in np.ndindex(*out.shape):
        first = c // (o // groups) * i
        at = (
            slice(r * stride[0], None, dilation[0]),
            slice(q * stride[1], None, dilation[1]),
        )
        patch = x[b, first : first + i][(slice(None), *at)][:, :kh, :kw]
        out[b, c, r, q] = (patch * w[c]).sum()
    return out


@pytest.mark.parametrize(
    ("keywords", "pads", "groups"),
    [
        ({}, ((0, 0), (0, 0)), 1),
        ({"padding": "same"}, ((1, 1), (0, 1)), 1),
        ({"stride": 2, "padding": "same"}, ((1, 1), (0, 0)), 1),
        ({"stride": (2, 3), "padding": (1, 2)}, ((1, 1), (2, 2)), 1),
        ({"dilation": 2, "padding": ((1, 0), (0, 3))}, ((1, 0), (0, 3)), 1),
        ({"groups": 2, "padding": 1}, ((1, 1), (1, 1)), 2),
    ],
)
def test_convolution_is_its_definition(keywords, pads, groups):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 4, 7, 8))
    weights = rng.normal(size=(6, 4 // groups, 3, 2))
    x = eg.input("x", ("batch", 4, 7, 8), "float64")
    (found,) = evaluate([eg.conv2d(x, weights, **keywords)], {x: images})
    pair = [keywords.get(k, 1) for k in ("stride", "dilation")]
    stride, dilation = [(p, p) if isinstance(p, int) else p for p in pair]
    expected = convolved(images, weights, stride, pads, dilation, groups)
    np.testing.assert_allclose(found, expected, 1e-12, 1e-12)


def test_pooling():
    images = np.random.default_rng(0).normal(size=(2, 3, 6, 4))
    blocks = images.reshape(2, 3, 3, 2, 2, 2)
    x = eg.input("x", ("batch", 3, 6, 4), "float64")
    found = evaluate([eg.max_pool2d(x, 2), eg.avg_pool2d(x, 2)], {x: images})
    np.testing.assert_array_equal(found[0], blocks.max((3, 5)))
    np.testing.assert_allclose(found[1], blocks.mean((3, 5)), 1e-14)
    (padded,) = evaluate([eg.max_pool2d(x, 3, 2, 1)], {x: -1 - np.abs(images)})
    assert padded.shape == (2, 3, 3, 2) and padded.max() < 0


def test_one_hot_checks_its_indices():
    y = eg.input("y", ("batch",), "int32")
    (found,) = evaluate([eg.one_hot(y, 3)], {y: [2, 0]})
    assert found.tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(eg.IndexOutOfRange, match="index 3"):
        evaluate([eg.one_hot(y, 3)], {y: [3]})


ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # known answers of the Random123 library
        (0, 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (ONES, ONES, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ],
)
def test_philox_gives_the_known_answers(counter, key, expected):
    words = philox((np.full(1, counter, np.uint32),) * 4, (key, key))
    assert tuple(int(w[0]) for w in words) == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elements_of_a_draw_follow_the_definition(dtype):
    found = uniform((200,), np.dtype(dtype), 5, 3 + 2**40, 7 + 2**33)
    for e in (0, 15, 16, 31, 32, 63, 64, 130, 199):
        span, words_each = (64, 1) if dtype == "float32" else (32, 2)
        block, part = e // span * 16 + e % 16, e % span // 16
        counter = tuple(np.array([v], np.uint32) for v in (block, 0, 3, 5))
        words = [int(w[0]) for w in philox(counter, (7, 2))]
        if words_each == 1:
            expected = (words[part] >> 8) * 2.0**-24
        else:
            expected = ((words[2 * part] << 32 | words[2 * part + 1]) >> 11) * 2.0**-53
        assert found[e] == expected


def test_draws_have_their_distribution():
    n = 40_000
    u = eg.random.uniform((n,), -1.0, 3.0)
    z = eg.random.normal((n,), 2.0, 0.5, dtype="float64")
    b = eg.random.bernoulli(0.3, (n,))
    u, z, b = evaluate([u, z, b])
    error = 5 / math.sqrt(n)  # five standard errors
    assert abs(u.mean() - 1) < 4 * error and u.min() >= -1 and u.max() < 3
    assert abs(z.mean() - 2) < error / 2 and abs(z.std() - 0.5) < error
    assert np.isfinite(z).all() and set(b.tolist()) == {0.0, 1.0}
    assert abs(b.mean() - 0.3) < error


def test_draws_change_with_step_and_seed_alone():
    draw = eg.random.uniform((5,))
    first, again = (evaluate([draw], {"step": 0})[0] for _ in range(2))
    later = evaluate([draw], {"step": 1})[0]
    other = evaluate([draw], {"step": 0, "seed": 1})[0]
    assert (first == again).all()
    assert not (first == later).any() and not (first == other).any()


EDGES = np.array(
    [0.5, -0.5, 1.5, 2.5, -2.5, 0.49999997, -0.7, 0, -0.0, 1e20, np.inf, -np.inf, np.nan]
)


@pytest.mark.parametrize("name", ["ceil", "trunc", "round", "isnan", "isinf", "isfinite"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_and_what_is_no_number_are_numpys(name, dtype):
    x = eg.input("x", EDGES.shape, dtype)
    given = EDGES.astype(dtype)
    wanted = getattr(np, name)(given)
    np.testing.assert_array_equal(eg.function([x], getattr(eg, name)(x))(given), wanted)
    np.testing.assert_array_equal(evaluate([getattr(eg, name)(x)], {x: given})[0], wanted)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (2, 3)])
@pytest.mark.parametrize("name", ["any", "all"])
def test_of_no_elements_none_and_all_hold(name, shape):
    given = np.zeros(shape, bool)
    x = eg.input("x", shape, "bool")
    for axis in (None, 0):
        (found,) = evaluate([getattr(eg, name)(x, axis)], {x: given})
        np.testing.assert_array_equal(found, getattr(np, name)(given, axis))


@pytest.mark.parametrize("shift", [0, 2, -2, 7, -12])
def test_rolled_arrays_come_round(shift):
    given = np.arange(35.0).reshape(5, 7)
    fixed, named = eg.input("x", (5, 7), "float64"), eg.input("x", ("n", 7), "float64")
    for x, axis in ((fixed, 0), (fixed, 1), (fixed, None), (named, 1)):
        found = eg.function([x], eg.roll(x, shift, axis))(given)
        np.testing.assert_array_equal(found, np.roll(given, shift, axis))


def test_rows_of_a_named_number_are_rolled_by_less_than_that():
    given = np.arange(10.0).reshape(5, 2)
    x = eg.input("x", ("n", 2), "float64")
    for shift in (2, -3, np.int64(2), np.int64(-3)):
        found = eg.function([x], eg.roll(x, shift, 0))(given)
        np.testing.assert_array_equal(found, np.roll(given, shift, 0))


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_the_slope_of_elu_at_0_is_that_of_its_left_branch(alpha):
    """So it is 1 for alpha = 1, where elu is smooth, as in PyTorch."""
    x = eg.input("x", (2,))
    slope = eg.grad(eg.elu(x, alpha).sum(), x)
    np.testing.assert_allclose(eg.function([x], slope)([0.0, 1e-3]), [alpha, 1.0])


def test_a_key_may_be_one_of_numpys_integers():
    same = [eg.random.normal((3,), key=key) for key in (3, np.int64(3))]
    assert same[0] is same[1]


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite"])
@pytest.mark.parametrize("dtype", ["bool", "int64"])
def test_whole_numbers_are_finite(name, dtype):
    given = np.array([0, 1], dtype)
    x = eg.input("x", (2,), dtype)
    found = eg.function([x], getattr(eg, name)(x))(given)
    np.testing.assert_array_equal(found, getattr(np, name)(given))
