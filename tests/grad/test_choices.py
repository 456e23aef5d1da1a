"""What the rules say where a derivative does not exist or is not finite."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.grad import grad, jvp
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor, apply

inf, nan = np.inf, np.nan
Function = Callable[[Tensor], Tensor]


def slopes(function: Function, at: object) -> np.ndarray:
    """The gradient of the sum; the tangent along ones of each element must agree."""
    array = np.asarray(at, np.float64)
    x = eg.input("x", array.shape, "float64")
    return evaluate([grad(eg.sum(function(x)), x)], {x: array})[0]


def tangent(function: Function, at: object, direction: object) -> np.ndarray:
    array = np.asarray(at, np.float64)
    x = eg.input("x", array.shape, "float64")
    t = eg.input("t", array.shape, "float64")
    return evaluate([jvp(function(x), x, t)], {x: array, t: np.asarray(direction)})[0]


@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (abs, [-2.0, 0.0, 3.0], [-1, 0, 1]),
        (eg.sign, [-2.0, 0.0, 3.0], [0, 0, 0]),
        (eg.floor, [-2.5, 0.0, 3.0], [0, 0, 0]),
        (lambda x: eg.floor_divide(x, 2.0), [-2.5, 0.0], [0, 0]),
        (lambda x: eg.remainder(x, 2.0), [-2.5, 0.0, 2.0], [1, 1, 1]),
        (lambda x: eg.remainder(5.0, x), [2.0, 3.0], [-2, -1]),
        (eg.sqrt, [0.0, 4.0], [inf, 0.25]),
        (eg.log, [0.0, 4.0], [inf, 0.25]),
        (eg.rsqrt, [0.0, 4.0], [-inf, -1 / 16]),
        (lambda x: eg.maximum(x, 0.0), [-1.0, 0.0, 1.0], [0, 0.5, 1]),
        (lambda x: eg.minimum(x, 0.0), [-1.0, 0.0, 1.0], [1, 0.5, 0]),
        (lambda x: eg.maximum(x, x), [-1.0, 0.0], [1, 1]),
        (lambda x: eg.where(x > 0, x, 0.0), [-1.0, 0.0, 1.0], [0, 0, 1]),
        (lambda x: x**0, [0.0, 2.0], [0, 0]),
        (lambda x: x**1, [0.0, 2.0], [1, 1]),
        (lambda x: x**2, [0.0, -2.0], [0, -4]),
        (lambda x: x**0.5, [0.0, 4.0], [inf, 0.25]),
        (lambda x: 0.0**x, [0.5, 2.0], [0, 0]),
        (eg.sigmoid, [-800.0, 0.0, 800.0], [0, 0.25, 0]),
        (eg.tanh, [-800.0, 0.0, 800.0], [0, 1, 0]),
        (eg.softplus, [-800.0, 0.0, 800.0], [0, 0.5, 1]),
        (eg.erf, [-800.0, 0.0, 800.0], [0, 2 / np.sqrt(np.pi), 0]),
    ],
)
def test_slope(function: Function, at: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(slopes(function, at), expected, rtol=1e-12)


@pytest.mark.parametrize("y", [0.0, 1.0, 2.0])
def test_power_is_smooth_at_zero_for_whole_exponents(y: float) -> None:
    x, p = eg.input("x", (), "float64"), eg.input("p", (), "float64")
    first = grad(x**p, [x, p])
    second = grad(first[0], x)
    at = {x: np.array(0.0), p: np.array(y)}
    dx, dp, dxx = evaluate([*first, second], at)
    assert (dx, dp, dxx) == (1.0 * (y == 1), 0.0, 2.0 * (y == 2))


@pytest.mark.parametrize("p", [0, 1, 2, 3, -0.5])
def test_a_constant_exponent_makes_no_logarithm(p: float) -> None:
    x = eg.input("x", (3,))
    first = grad(eg.sum(x**p), x)
    assert all(node.op != "log" for node in walk([first, grad(eg.sum(first), x)]))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: eg.max(x, 1), [[0, 1, 0], [1, 0, 0]]),
        (lambda x: eg.min(x, 1), [[1, 0, 0], [0, 0, 1]]),
        (eg.max, [[0, 1, 0], [0, 0, 0]]),
        (eg.min, [[0, 0, 0], [0, 0, 1]]),
        (lambda x: eg.max(x, 0), [[0, 1, 1], [1, 0, 0]]),
    ],
)
def test_the_first_extreme_gets_all(
    function: Function, expected: list[list[int]]
) -> None:
    x = [[1.0, 5.0, 1.0], [5.0, 5.0, -1.0]]
    np.testing.assert_array_equal(slopes(function, x), expected)
    direction = np.arange(1.0, 7.0).reshape(2, 3)
    moved = tangent(function, x, direction)
    np.testing.assert_allclose(moved.sum(), (np.array(expected) * direction).sum())


def test_where_stops_what_the_other_branch_would_bring() -> None:
    def safe(x: Tensor) -> Tensor:
        positive = x > 0
        return eg.where(positive, eg.log(eg.where(positive, x, 1.0)), 0.0)

    np.testing.assert_array_equal(slopes(safe, [-1.0, 0.0, 2.0]), [0, 0, 0.5])
    x, c = eg.input("x", (2,), "float64"), eg.input("c", (2,), "float64")
    chosen = eg.where(x > 0, x, 3.0 * x) * c
    at = {x: np.array([1.0, -1.0]), c: np.array([inf, nan])}
    np.testing.assert_array_equal(
        evaluate([grad(eg.sum(chosen), x)], at)[0], [inf, nan]
    )
    other = eg.where(x > 0, x * c, x)
    np.testing.assert_array_equal(evaluate([grad(eg.sum(other), c)], at)[0], [1, 0])


def test_cast_passes_through_floats_alone() -> None:
    np.testing.assert_array_equal(
        slopes(lambda x: x.astype("float32"), [1.0, 2.0]), [1, 1]
    )
    np.testing.assert_array_equal(
        slopes(lambda x: x.astype("int64") * x, [1.5, 2.5]), [1, 2]
    )
    x = eg.input("x", (2,), "float32")
    assert grad(eg.sum(x.astype("float64")), x).dtype is eg.float32


def test_stop_gradient_passes_nothing() -> None:
    def half(x: Tensor) -> Tensor:
        return apply("stop_gradient", (x,)) * x

    np.testing.assert_array_equal(slopes(half, [2.0, 3.0]), [2, 3])
    np.testing.assert_array_equal(tangent(half, [2.0, 3.0], [1.0, 10.0]), [2, 30])


def test_repeated_indices_add_up() -> None:
    index = eg.constant([2, 0, 2], "int64")
    np.testing.assert_array_equal(
        slopes(lambda x: eg.take(x, index) * eg.constant([1.0, 2.0, 4.0]), [0.0] * 4),
        [2, 0, 5, 0],
    )


def test_a_product_with_zeros_has_the_product_of_the_others() -> None:
    np.testing.assert_allclose(slopes(eg.prod, [2.0, 0.0, 5.0]), [0, 10, 0])
    np.testing.assert_allclose(slopes(eg.prod, [0.0, 0.0, 5.0]), [0, 0, 0])


def test_the_norm_of_the_zero_vector_has_no_slope() -> None:
    np.testing.assert_array_equal(slopes(eg.norm, [0.0, 0.0]), [0, 0])
    np.testing.assert_allclose(slopes(eg.norm, [3.0, 4.0]), [0.6, 0.8])
    rows = slopes(lambda x: eg.norm(x, 1), [[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]])


def test_empty_axes_have_empty_gradients() -> None:
    assert slopes(lambda x: eg.exp(x) * x, np.ones((0, 3))).shape == (0, 3)
    assert slopes(lambda x: eg.sum(x, 0), np.ones((0, 3))).shape == (0, 3)


# A user's own rule


def scaled(x: Tensor) -> Tensor:
    """The identity, whose gradient is ten times what it is."""
    return apply("custom", (x, x), (lambda g, x: 10.0 * g,))


def test_a_custom_rule_replaces_that_of_the_value() -> None:
    np.testing.assert_array_equal(slopes(scaled, [1.0, 2.0]), [10, 10])


def test_a_custom_rule_serves_forward_mode_and_second_order() -> None:
    np.testing.assert_array_equal(tangent(scaled, [1.0, 2.0], [1.0, 3.0]), [10, 30])

    def cube(x: Tensor) -> Tensor:
        return apply("custom", (x * x * x, x), (lambda g, x: 3.0 * g * x * x,))

    x = eg.input("x", (), "float64")
    second = grad(grad(cube(x), x), x)
    mixed = jvp(grad(cube(x), x), x, eg.constant(1.0, "float64"))
    assert evaluate([second, mixed], {x: 2.0}) == [12.0, 12.0]


def test_a_custom_rule_of_two_inputs_may_leave_one_out() -> None:
    def product(a: Tensor, b: Tensor) -> Tensor:
        return apply("custom", (a * b, a, b), (lambda g, a, b: (g * b, None),))

    a, b = eg.input("a", (), "float64"), eg.input("b", (), "float64")
    y = product(a, b)
    at = {a: 2.0, b: 3.0}
    assert evaluate(grad(y, [a, b]), at) == [3.0, 0.0]
    assert evaluate([jvp(y, [a, b], [b, a])], at) == [9.0]
