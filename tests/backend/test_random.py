"""Random expressions: native code, the interpreter and NumPy give one value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import exprgrad as eg
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.mode import replaced
from exprgrad.graph.node import walk
from tests.compiled import assert_same_bits, compiled, stepped
from tests.loop.stages import interpreted, stages
from tests.rewrite.random_graphs import Case, build, expressions

BATCH = {"batch": 4}
FLOATS = ("float32", "float64")


# Steps that the rewrites leave alone, but loops do not


def _ordered(rng, x, y):
    return eg.cumulative_sum(x, int(rng.integers(x.ndim))) if x.ndim else x * 2


def _windows(rng, x, y):
    if x.ndim == 0 or not isinstance(x.shape[-1], int) or x.shape[-1] < 2:
        return eg.tanh(x)
    stride, dilation = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    padded = eg.pad(x, [(0, 0)] * (x.ndim - 1) + [(1, 2)])
    taps = eg.sliding_window(padded, 2, -1, stride, dilation)
    return (eg.sum, eg.max)[rng.integers(2)](taps * taps, -1)


def _rows(rng, x, y):
    if x.ndim == 0 or not isinstance(x.shape[0], int) or x.shape[0] == 0:
        return eg.sigmoid(x)
    n = x.shape[0]
    rows = eg.constant(rng.integers(-n, n, (n + 1,)), "int64")
    taken = eg.take(x, rows, 0)
    return taken if rng.integers(2) else eg.scatter_add(taken * 2, rows, n)


def _softmax(rng, x, y):
    return eg.softmax(x, int(rng.integers(x.ndim))) if x.ndim else eg.exp(-x * x)


def _position(rng, x, y):
    axis = int(rng.integers(x.ndim)) if x.ndim else None
    return eg.astype(eg.argmax(x, axis), x.dtype) if x.ndim else x + 1


def _draw(rng, x, y):
    draw = eg.random.uniform(x.shape, dtype=x.dtype, key=int(rng.integers(3)))
    return eg.where(draw < 0.5, x, 0)


LOOPS = (_ordered, _windows, _rows, _softmax, _position, _draw)


def loops(most: int = 20):
    """Cases with steps that have loops of their own."""
    steps = [n for n in (4, 10, 20) if n <= most]
    return st.builds(
        build, st.integers(0, 10**6), st.sampled_from(steps), st.just(LOOPS)
    )


def with_gradients(case: Case) -> Case:
    """The case, and the gradients of a bounded sum of its outputs."""
    total = sum(eg.sum(eg.tanh(x)) for x in case.outputs)
    return Case([*case.outputs, *eg.grad(total, list(case.values))], case.values)


def with_updates(case: Case, seed: int) -> tuple[Case, dict]:
    """The case with states in place of what has fixed sizes; each of them becomes some
    value of its shape that is computed anyway."""
    rng = np.random.default_rng(seed)
    states = {
        x: eg.state(x.name, x.shape, init=value, dtype=x.dtype)
        for x, value in case.values.items()
        if all(isinstance(n, int) for n in x.shape)
    }
    image = replaced(case.outputs, states)
    outputs = [image[x] for x in case.outputs]
    updates = {}
    for state in states.values():
        fits = [x for x in walk([*outputs, state]) if x.type == state.type]
        updates[state] = fits[int(rng.integers(len(fits)))]
    values = {x: value for x, value in case.values.items() if x not in states}
    return Case(outputs, values), updates


def assert_near(found, expected, tolerance):
    """Equal up to `tolerance` of the largest number."""
    for got, wanted in zip(found, expected, strict=True):
        assert got.shape == wanted.shape
        assert got.dtype == wanted.dtype
        scale = tolerance * max(1.0, np.abs(wanted).max(initial=0))
        np.testing.assert_allclose(got, wanted, tolerance, scale)


def hold_native(case: Case, updates: dict, parallel: bool, claims: bool = False) -> None:
    expected = evaluate([*case.outputs, *updates.values()], case.values, BATCH)
    program = compiled(case.outputs, updates, parallel=parallel, claims=claims)
    one, two = (stepped(program, list(updates), case.values, BATCH, n) for n in (1, 2))
    assert_near(one, expected, 1e-9)
    assert_same_bits(one, two)


def hold_interpreted(case: Case, updates: dict) -> None:
    expected = evaluate([*case.outputs, *updates.values()], case.values, BATCH)
    made = stages(case.outputs, updates)
    results = [*made.outputs, *made.states.values()]
    for kernels in made.variants().values():
        assert_near(interpreted(kernels, results, case.values, BATCH), expected, 1e-9)


@pytest.mark.parametrize("parallel", [False, True], ids=["serial", "parallel"])
@given(case=st.one_of(expressions(), loops()))
@settings(max_examples=40)
def test_native_values_and_gradients(parallel, case):
    hold_native(with_gradients(case), {}, parallel)


@given(case=st.one_of(expressions(), loops(10)))
@settings(max_examples=40)
def test_interpreted_values_and_gradients(case):
    hold_interpreted(with_gradients(case), {})


@given(
    case=st.one_of(expressions(), loops()), seed=st.integers(0, 99), claims=st.booleans()
)
@settings(max_examples=60)
def test_native_updates(case, seed, claims):
    hold_native(*with_updates(case, seed), parallel=True, claims=claims)


@given(case=st.one_of(expressions(), loops(10)), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_interpreted_updates(case, seed):
    hold_interpreted(*with_updates(case, seed))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40)
def test_single_precision_is_as_near_as_numpys(seed):
    """Rounding may add up: what counts is how far NumPy itself is from double."""
    single, double = (with_gradients(build(seed, 10, (), d)) for d in FLOATS)
    near, exact = (evaluate(c.outputs, c.values, BATCH) for c in (single, double))
    found = stepped(compiled(single.outputs), [], single.values, BATCH)
    for got, rounded, wanted in zip(found, near, exact, strict=True):
        assert got.dtype == np.float32
        largest = max(1.0, np.abs(wanted).max(initial=0))
        error = np.abs(rounded - wanted).max(initial=0)
        assert np.abs(got - wanted).max(initial=0) <= 30 * error + 1e-5 * largest


@pytest.mark.parametrize("shape", [(6, 512), (7, 500), (5, 784), (3, 64), (4, 33), (2, 3, 130)])
def test_vectors_drawn_in_fours(shape: tuple[int, ...]) -> None:
    """Rows of any length, whole tiles and what is left over, in and after a contraction."""
    draw = eg.random.uniform(shape, key=9)
    (expected,) = evaluate([draw])
    x = eg.input("x", shape)
    np.testing.assert_array_equal(eg.function([x], x + draw)(np.zeros(shape, "f")), expected)
    w = eg.input("w", (shape[-2], shape[-1]))
    product = eg.function([w, x], x @ (0 * w).T @ w + draw)(np.ones(w.shape, "f"), expected)
    np.testing.assert_array_equal(product, expected)
