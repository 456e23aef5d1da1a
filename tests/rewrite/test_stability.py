"""The stability matrix: spellings of one function, at extreme arguments.

Value and gradient are compared with closed forms computed to 800 digits by mpmath.
"""

import mpmath
import numpy as np
import pytest

import exprgrad as eg
from exprgrad.grad import grad
from exprgrad.graph.evaluate import evaluate
from exprgrad.rewrite.simplify import erase, simplify, stabilize

mp = mpmath.mp.clone()  # a precision of its own: other tests set theirs
mp.dps = 800
EXTREME = [
    0.0,
    -0.0,
    1e-30,
    -1e-30,
    0.5,
    -0.5,
    20.0,
    -20.0,
    100.0,
    -100.0,
    800.0,
    -800.0,
]
POSITIVE = [1e-300, 1e-30, 0.5, 1.0, 20.0, 800.0, 1e30]
NONNEGATIVE = [0.0, *POSITIVE]

exp, log = eg.exp, eg.log


def bce(p, y):
    return -(y * log(p) + (1 - y) * log(1 - p))


# name: the function and its derivative, its spellings, the arguments, whether small
# differences are lost (then only the absolute error is small)
FUNCTIONS = {
    "sigmoid": (
        lambda x: 1 / (1 + mp.exp(-x)),
        [
            lambda x: 1 / (1 + exp(-x)),
            lambda x: 1 / (exp(-x) + 1),
            lambda x: (1 + exp(-x)) ** -1,
            lambda x: exp(x) / (1 + exp(x)),
            lambda x: exp(x) / (exp(x) + 1),
            lambda x: exp(x) * (1 / (1 + exp(x))),
            lambda x: 1 / (1 + 1 / exp(x)),
            lambda x: 1 / (1 + exp(-1 * x)),
            lambda x: 1 / (1 + exp(0 - x)),
            lambda x: 1.0 - 1 / (1 + exp(x)),
        ],
        EXTREME,
    ),
    "log sigmoid": (
        lambda x: -mp.log1p(mp.exp(-x)),
        [
            lambda x: log(eg.sigmoid(x)),
            lambda x: log(1 / (1 + exp(-x))),
            lambda x: -log(1 + exp(-x)),
            lambda x: log(exp(x) / (1 + exp(x))),
            lambda x: log(1 - eg.sigmoid(-x)),
            lambda x: eg.log1p(-eg.sigmoid(-x)),
            lambda x: x - log(1 + exp(x)),
        ],
        EXTREME,
    ),
    "log(1 - sigmoid)": (
        lambda x: -mp.log1p(mp.exp(x)),
        [
            lambda x: log(1 - eg.sigmoid(x)),
            lambda x: log(1 - 1 / (1 + exp(-x))),
            lambda x: eg.log1p(-1 / (1 + exp(-x))),
            lambda x: log(1 - exp(x) / (1 + exp(x))),
        ],
        EXTREME,
    ),
    "softplus": (
        lambda x: mp.log1p(mp.exp(x)),
        [
            lambda x: log(1 + exp(x)),
            lambda x: log(exp(x) + 1),
            lambda x: eg.log1p(exp(x)),
            lambda x: -log(eg.sigmoid(-x)),
        ],
        EXTREME,
    ),
    "tanh": (
        mp.tanh,
        [
            lambda x: (exp(x) - exp(-x)) / (exp(x) + exp(-x)),
            lambda x: (exp(x) - 1 / exp(x)) / (exp(x) + 1 / exp(x)),
            lambda x: (exp(2 * x) - 1) / (exp(2 * x) + 1),
            lambda x: (1 - exp(-2 * x)) / (1 + exp(-2 * x)),
            lambda x: 2 / (1 + exp(-2 * x)) - 1,
            lambda x: 1 - 2 / (exp(2 * x) + 1),
            lambda x: 2 * eg.sigmoid(2 * x) - 1,
            lambda x: ((exp(x) - exp(-x)) / 2) / ((exp(x) + exp(-x)) / 2),
        ],
        EXTREME,
    ),
    "log(1 - tanh**2)": (
        lambda x: -2 * mp.log(mp.cosh(x)),
        [
            lambda x: log(1 - eg.tanh(x) ** 2),
            lambda x: eg.log1p(-eg.tanh(x) * eg.tanh(x)),
        ],
        EXTREME,
    ),
    "silu": (
        lambda x: x / (1 + mp.exp(-x)),
        [lambda x: x / (1 + exp(-x)), lambda x: x * exp(x) / (1 + exp(x))],
        EXTREME,
    ),
    "binary cross-entropy of 1": (
        lambda x: mp.log1p(mp.exp(-x)),
        [
            lambda x: bce(eg.sigmoid(x), 1.0),
            lambda x: bce(1 / (1 + exp(-x)), 1.0),
            lambda x: bce(exp(x) / (1 + exp(x)), 1.0),
        ],
        EXTREME,
    ),
    "binary cross-entropy of 0.25": (
        lambda x: mp.log1p(mp.exp(-x)) / 4 + mp.log1p(mp.exp(x)) * 3 / 4,
        [
            lambda x: bce(eg.sigmoid(x), 0.25),
            lambda x: bce(1 / (1 + exp(-x)), 0.25),
        ],
        EXTREME,
    ),
    "expm1": (
        mp.expm1,
        [lambda x: exp(x) - 1, lambda x: exp(x) + -1, lambda x: -(1 - exp(x))],
        [x for x in EXTREME if x < 800],
    ),
    "log1p": (
        mp.log1p,
        [lambda x: log(1 + x), lambda x: log(x + 1), lambda x: log(1 - -x)],
        NONNEGATIVE,
    ),
    "identity": (
        lambda x: x,
        [
            lambda x: log(exp(x)),
            lambda x: log(exp(2 * x)) / 2,
            lambda x: -log(1 / exp(x)),
        ],
        EXTREME,
    ),
    "3 log x": (
        lambda x: 3 * mp.log(x),
        [lambda x: log(x**3), lambda x: log(x * x * x), lambda x: -3 * log(1 / x)],
        POSITIVE,
    ),
    "log of a square": (
        lambda x: 2 * mp.log(abs(x)),
        [
            lambda x: log(x**2),
            lambda x: log(x * x),
            lambda x: 4 * log(eg.sqrt(eg.abs(x))),
        ],
        [*POSITIVE, *(-x for x in POSITIVE)],
    ),
    "magnitude": (
        abs,
        [lambda x: eg.sqrt(x * x), lambda x: (x**2) ** 0.5],
        [*POSITIVE, *(-x for x in POSITIVE)],
    ),
    "rsqrt": (
        lambda x: 1 / mp.sqrt(x),
        [lambda x: 1 / eg.sqrt(x), lambda x: x**-0.5, lambda x: eg.sqrt(x) ** -1],
        [x for x in POSITIVE if x > 1e-200],
    ),
}

CASES = [
    pytest.param(truth, spelling, arguments, id=f"{name} {number}")
    for name, (truth, spellings, arguments) in FUNCTIONS.items()
    for number, spelling in enumerate(spellings)
]


def close(actual, truth):
    """Equal to 12 digits, or to the rounding of numbers of size 1."""
    expected = np.array([float(t) for t in truth])
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=4e-16)


def compiled(*outputs):
    """What is compiled of `outputs`."""
    return simplify(erase(outputs))


@pytest.mark.parametrize("truth, spelling, arguments", CASES)
def test_value_and_gradient(truth, spelling, arguments):
    x = eg.input("x", ("n",), "float64")
    (stable,) = stabilize([spelling(x)])
    slope = grad(stable.sum(), x)
    value, slope = evaluate(compiled(stable, slope), {x: np.array(arguments)})
    close(value, [truth(mp.mpf(a)) for a in arguments])
    smooth = [i for i, a in enumerate(arguments) if a or "abs" not in str(truth)]
    derivative = [
        mp.diff(truth, mp.mpf(arguments[i]), h=mp.mpf(10) ** -400) for i in smooth
    ]
    close(slope[smooth], derivative)


@pytest.mark.parametrize(
    "spelling",
    [
        lambda x: x * log(x),
        lambda x: log(x) * x,
        lambda x: -(-x * log(x)),
        lambda x: (x * log(x) / np.log(2.0)) * np.log(2.0),
        lambda x: 2 * x * log(x) / 2,
    ],
)
def test_x_log_x_is_0_at_0(spelling):
    x = eg.input("x", ("n",), "float64")
    (stable,) = stabilize([spelling(x)])
    outputs = compiled(stable, grad(stable.sum(), x))
    value, slope = evaluate(outputs, {x: np.array([0.0, 0.5, 2.0])})
    np.testing.assert_allclose(value, [0, 0.5 * np.log(0.5), 2 * np.log(2)])
    np.testing.assert_allclose(slope, [0, np.log(0.5) + 1, np.log(2) + 1])


ROWS = np.array(
    [
        [0.0, 1.0, 2.0, -1.0],
        [800.0, -800.0, 0.0, 799.0],
        [-800.0, -801.0, -1e30, -802.0],
        [1e30, 5.0, -1e30, 1e30],
        [-np.inf, 0.0, 1.0, -800.0],
        [3.0, 3.0, 3.0, 3.0],
    ]
)


def _softmax_of(row):
    powers = [mp.exp(mp.mpf(a)) if a > -1e20 else mp.mpf(0) for a in row - row.max()]
    return np.array([float(n / mp.fsum(powers)) for n in powers])


def _logsumexp_of(row):
    shifted = [mp.exp(mp.mpf(a)) if a > -1e20 else mp.mpf(0) for a in row - row.max()]
    return float(mp.mpf(row.max()) + mp.log(mp.fsum(shifted)))


def rows_sum(x):
    return x.sum(1, keepdims=True)


def shifted(x):
    return x - x.max(1, keepdims=True)


SOFTMAX = [
    lambda x: exp(x) / rows_sum(exp(x)),
    lambda x: exp(x) / exp(x).sum(1)[:, None],
    lambda x: exp(x) * (1 / rows_sum(exp(x))),
    lambda x: (exp(x.T) / exp(x.T).sum(0)).T,
    lambda x: exp(log(exp(x) / rows_sum(exp(x)))),
    lambda x: exp(x - log(rows_sum(exp(x)))),
    lambda x: exp(shifted(x)) / rows_sum(exp(shifted(x))),
    lambda x: eg.softmax(x, 1),
]

LOGSUMEXP = [
    lambda x: log(exp(x).sum(1)),
    lambda x: log(rows_sum(exp(x)))[:, 0],
    lambda x: log(exp(x.T).sum(0)),
    lambda x: log(exp(x).mean(1)) + np.log(4.0),
    lambda x: log((exp(x) * 2.0).sum(1)) - np.log(2.0),
    lambda x: x.max(1) + log(exp(shifted(x)).sum(1)),
    lambda x: eg.logsumexp(x, 1),
]


@pytest.mark.parametrize("spelling", SOFTMAX)
def test_softmax(spelling):
    x = eg.input("x", ("n", 4), "float64")
    weight = np.array([1.0, 2.0, -1.0, 0.5])
    (stable,) = stabilize([spelling(x)])
    slope = grad((stable * weight).sum(), x)
    value, slope = evaluate(compiled(stable, slope), {x: ROWS})
    truth = np.array([_softmax_of(row) for row in ROWS])
    np.testing.assert_allclose(value, truth, rtol=1e-12, atol=1e-15)
    expected = truth * (weight - (truth * weight).sum(1, keepdims=True))
    np.testing.assert_allclose(slope, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("spelling", LOGSUMEXP)
def test_logsumexp(spelling):
    x = eg.input("x", ("n", 4), "float64")
    (stable,) = stabilize([spelling(x)])
    value, slope = evaluate(compiled(stable, grad(stable.sum(), x)), {x: ROWS})
    np.testing.assert_allclose(value, [_logsumexp_of(row) for row in ROWS], rtol=1e-12)
    truth = [_softmax_of(row) for row in ROWS]
    np.testing.assert_allclose(slope, truth, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("spelling", SOFTMAX)
def test_cross_entropy_of_any_softmax(spelling):
    x = eg.input("x", ("n", 4), "float64")
    (stable,) = stabilize([-log(spelling(x))[:, 2]])
    finite = ROWS[[0, 1, 5]]
    value, slope = evaluate(compiled(stable, grad(stable.sum(), x)), {x: finite})
    np.testing.assert_allclose(
        value, [_logsumexp_of(r) - r[2] for r in finite], rtol=1e-12
    )
    truth = [_softmax_of(row) - np.eye(4)[2] for row in finite]
    np.testing.assert_allclose(slope, truth, rtol=1e-12, atol=1e-15)


def test_logsumexp_of_infinite_rows():
    x = eg.input("x", ("n", 2), "float64")
    (stable,) = stabilize([log(exp(x).sum(1))])
    rows = np.array([[-np.inf, -np.inf], [np.inf, 0.0]])
    (value,) = evaluate([stable], {x: rows})
    assert value.tolist() == [-np.inf, np.inf]


@pytest.mark.parametrize("spelling", [eg.softmax, eg.log_softmax, eg.logsumexp])
def test_what_is_stable_stays(spelling):
    x = eg.input("x", ("n", 4), "float64")
    first = stabilize([spelling(x, 1)])
    assert stabilize(first)[0] is first[0]
    assert sum(n.op == "max" for n in eg.graph.node.walk(first)) == 1


def test_what_is_kept_is_not_rewritten():
    z = eg.input("z", ("n",), "float64")
    p = 1 / (1 + exp(-z))
    (loss,) = stabilize([(log(p) + log(1 + exp(z))).sum()], keep=[p])
    nodes = set(eg.graph.node.walk([loss]))
    assert p in nodes
    assert "softplus" in {n.op for n in nodes}
    slope = grad(loss, p)
    (value,) = evaluate([slope], {z: np.array([0.5])})
    np.testing.assert_allclose(value, 1 + np.exp(-0.5))
