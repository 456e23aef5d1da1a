"""The sweep: structures, lines, errors, order, size."""

from __future__ import annotations

import time

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import DTypeError, GraphError
from exprgrad.grad import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor, apply


@pytest.fixture
def x() -> Tensor:
    return eg.input("x", (3,), "float64")


AT = np.array([0.3, -0.7, 1.1])


def test_the_result_has_the_structure_of_wrt(x: Tensor) -> None:
    w = eg.input("w", (3,), "float64")
    loss = (x * w).sum()
    assert isinstance(grad(loss, x), Tensor)
    assert grad(loss, [x, w])[0] is grad(loss, (x, w))[0] is grad(loss, {"x": x})["x"]
    assert list(grad(loss, {"w": w, "x": x})) == ["w", "x"]
    assert grad(loss, []) == []
    value, (gx, _) = value_and_grad(loss, [x, w])
    assert value is loss and gx is grad(loss, x)


def test_a_product_summed_has_the_other_factor_as_its_gradient(x: Tensor) -> None:
    w = eg.input("w", (3,), "float64")
    assert grad((x * w).sum(), x) is w
    assert grad(x[0] * x[1], x[0]) is x[1]


def test_wrt_may_be_any_node(x: Tensor) -> None:
    h = eg.sin(x)
    loss = (h * h * x).sum()
    gx, gh = evaluate(grad(loss, [x, h]), {x: AT})
    s, c = np.sin(AT), np.cos(AT)
    np.testing.assert_allclose(gh, 2 * s * AT)
    np.testing.assert_allclose(gx, s * s + gh * c)


def test_what_the_loss_does_not_read_has_zeros(x: Tensor) -> None:
    other = eg.input("other", ("batch", 2), "float64")
    g, t = grad(x.sum(), other), jvp(x, other, other)
    assert g.type == other.type and t.type == x.type
    assert not evaluate([g], dims={"batch": 4})[0].any()
    assert not evaluate([grad(eg.floor(x).sum(), x)], {x: AT})[0].any()
    assert not evaluate([grad(x[3:].sum(), x)], {x: AT})[0].any()


def test_the_gradient_of_a_loss_by_itself_is_one(x: Tensor) -> None:
    loss = x.sum()
    assert evaluate([grad(loss, loss)], {x: AT}) == [1.0]


def test_branches_that_do_not_lead_to_wrt_are_not_swept(x: Tensor) -> None:
    def refuse(g: Tensor, x: Tensor) -> Tensor:
        raise AssertionError("swept")

    w = eg.input("w", (3,), "float64")
    side = apply("custom", (x * x, x), (refuse,))
    assert grad((side * w).sum(), w) is side
    moved = evaluate([jvp(side * w, w, w)], {x: AT, w: AT})[0]
    np.testing.assert_allclose(moved, AT**3)


def test_derived_nodes_bear_the_line_of_the_node_they_come_from() -> None:
    x = eg.input("x", (23,))  # no other test has made its nodes, with lines of its own
    h = eg.tanh(x * 3.0)
    loss = h.sum()
    g = grad(loss, x)
    old = set(walk([loss]))
    derived = [node for node in walk([g]) if node not in old and node.args]
    lines = {node.where.line for node in derived if node.where}
    assert h.where is not None
    assert derived and lines <= {h.where.line, h.where.line + 1}


def test_the_same_program_gives_the_same_gradient(x: Tensor) -> None:
    def build() -> str:
        y = eg.sin(x) + eg.cos(x) * x + eg.exp(x) * x
        return repr(grad((y * x).sum(), x))

    assert build() == build()


def timed(length: int) -> float:
    x = eg.input("x", (3,))
    y = x
    for _ in range(length):
        y = eg.sin(y) + x
    loss = y.sum()
    start = time.process_time()
    grad(loss, x)
    return time.process_time() - start


def test_a_long_chain_is_swept_in_linear_time() -> None:
    timed(100)
    short, long = (min(timed(n) for _ in range(3)) for n in (250, 4000))
    assert long < 64 * short  # 16 times as long; the square would be 256


def test_a_long_chain_has_tangents_and_second_order() -> None:
    x = eg.input("x", (), "float64")
    y = x
    for _ in range(3000):
        y = y * 1.001
    factor = 1.001**3000
    moved = jvp(y * y, x, x)
    second = grad(grad(y * y, x), x)
    np.testing.assert_allclose(
        evaluate([moved, second], {x: 2.0}), [8 * factor**2, 2 * factor**2]
    )


# Matrices of derivatives


def test_jacobian_by_rows_and_by_columns() -> None:
    x = eg.input("x", (2,), "float64")
    w = eg.input("w", (3, 2), "float64")
    rng = np.random.default_rng(0)
    at = {x: rng.normal(size=2), w: rng.normal(size=(3, 2))}
    y = eg.sin(w @ x)
    by_x, by_w = evaluate([jacobian(y, x), jacobian(y, w)], at)
    slope = np.cos(at[w] @ at[x])
    np.testing.assert_allclose(by_x, slope[:, None] * at[w])
    expected = np.einsum("i,ij,k->ijk", slope, np.eye(3), at[x])
    np.testing.assert_allclose(by_w, expected, atol=1e-15)


def test_jacobian_of_named_sizes_goes_along_the_other_side() -> None:
    n = eg.input("n", ("batch", 2), "float64")
    w = eg.input("w", (2,), "float64")
    data = np.arange(6.0).reshape(3, 2)
    rows, columns = jacobian(n @ w, w), jacobian((n * n).sum(0), n)
    assert rows.shape == n.shape
    at = {n: data, w: np.ones(2)}
    np.testing.assert_array_equal(evaluate([rows], at)[0], data)
    expected = np.einsum("bj,ij->ibj", 2 * data, np.eye(2))
    np.testing.assert_array_equal(evaluate([columns], at)[0], expected)


def test_jacobian_of_two_named_sizes() -> None:
    n = eg.input("n", ("batch",), "float64")
    j = jacobian(eg.cumulative_sum(n * n), n)
    at = {n: np.array([1.0, 2.0, 3.0])}
    expected = np.tril(np.ones((3, 3))) * (2 * at[n])
    np.testing.assert_array_equal(evaluate([j], at)[0], expected)
    assert evaluate([j], {n: np.ones(0)})[0].shape == (0, 0)


def test_the_size_of_a_jacobian_as_an_expression_does_not_depend_on_its_rows() -> None:
    def nodes(n: int) -> int:
        x = eg.input("x", (n,), "float64")
        return len(walk([jacobian(eg.tanh(x) * x[::-1], x)]))

    assert nodes(100) == nodes(2)


def test_a_jacobian_through_a_rule_that_calls_a_rule_is_refused(x: Tensor) -> None:
    def twice(g: Tensor, x: Tensor) -> Tensor:
        return apply("custom", (2.0 * g, g), (lambda h, g: 2.0 * h,))

    y = apply("custom", (2.0 * x, x), (twice,))
    with pytest.raises(GraphError, match="custom is not computed for many") as e:
        jacobian(y[:2], x)
    assert e.value.where is not None and e.value.where.file == __file__


def test_hessian_is_symmetric_and_known(x: Tensor) -> None:
    loss = (x[0] * x[1]) ** 2 + eg.exp(x[2]) * x[0]
    h = evaluate([hessian(loss, x)], {x: AT})[0]
    a, b, c = AT
    expected = [
        [2 * b * b, 4 * a * b, np.exp(c)],
        [4 * a * b, 2 * a * a, 0],
        [np.exp(c), 0, a * np.exp(c)],
    ]
    np.testing.assert_allclose(h, expected, rtol=1e-12)


def test_hvp_is_the_hessian_times_the_vector(x: Tensor) -> None:
    v = eg.input("v", (3,), "float64")
    loss = (eg.tanh(x) * x[::-1]).sum()
    at = {x: AT, v: np.array([1.0, -2.0, 0.5])}
    product, h = evaluate([hvp(loss, x, v), hessian(loss, x)], at)
    np.testing.assert_allclose(product, h @ at[v], rtol=1e-12)
    (listed,) = evaluate(hvp(loss, [x], [v]), at)
    np.testing.assert_array_equal(listed, product)


def test_third_order(x: Tensor) -> None:
    y = eg.sin(x)
    for _ in range(3):
        y = grad(eg.sum(y), x)
    np.testing.assert_allclose(evaluate([y], {x: AT})[0], -np.cos(AT))


def test_named_sizes_stay_named_in_derivatives() -> None:
    n = eg.input("n", ("batch", 4), "float64")
    y = eg.concat([n[1:, ::2], n[:-1, 1::2]], 1)
    g = grad((y * y).mean(), n)
    assert g.shape == n.shape
    for batch in (1, 2, 5):
        data = np.arange(4.0 * batch).reshape(batch, 4)
        mask = np.ones((batch, 4))
        mask[0, ::2] = mask[-1, 1::2] = 0
        expected = 2 * data * mask / max(4 * (batch - 1), 1)
        if batch > 1:
            np.testing.assert_allclose(evaluate([g], {n: data})[0], expected)


# Errors name the rule, the values and the line


def test_the_loss_is_a_floating_point_scalar(x: Tensor) -> None:
    with pytest.raises(
        GraphError, match=r"scalar as its loss, not f64\[3\].*\.mean\(\)"
    ):
        grad(x * 2, x)
    with pytest.raises(GraphError, match="not i64"):
        grad(eg.argmax(x), x)
    with pytest.raises(GraphError, match="an expression as its loss"):
        grad(3.0, x)  # type: ignore[type-var]


def test_wrt_is_floating_point(x: Tensor) -> None:
    k = eg.input("k", (3,), "int64")
    with pytest.raises(GraphError, match=r"wrt: .* not i64\[3\]"):
        grad((x * k).sum(), [x, k])
    with pytest.raises(GraphError, match="an expression is required"):
        grad(x.sum(), "x")  # type: ignore[type-var]


def test_cotangents_and_tangents_fit(x: Tensor) -> None:
    with pytest.raises(GraphError, match=r"cotangent f64 is given for f64\[3\]"):
        vjp(x * 2, x, x.sum())
    with pytest.raises(GraphError, match="2 tangents are required, 1 are given"):
        jvp(x, [x, x * 2], [x])


def test_a_wrong_cotangent_of_a_custom_rule_is_named(x: Tensor) -> None:
    y = apply("custom", (x * x, x), (lambda g, x: g.sum(),))
    with pytest.raises(
        GraphError, match=r"custom: .* argument 1 is f64 and .* f64\[3\]"
    ) as e:
        grad(y.sum(), x)
    assert e.value.where is y.where


def test_a_custom_rule_gives_a_cotangent_for_each_input(x: Tensor) -> None:
    y = apply("custom", (x * x, x), (lambda g, x: (g, g),))
    with pytest.raises(GraphError, match="2 arguments and 3 cotangents"):
        grad(y.sum(), x)


def test_an_error_inside_a_rule_names_the_node_and_the_line(x: Tensor) -> None:
    def wrong(g: Tensor, x: Tensor) -> Tensor:
        return g + eg.input("two", (2,), "float64")

    y = apply("custom", (x * x, x), (wrong,))
    with pytest.raises(GraphError, match=r"gradient of custom: .* broadcast") as e:
        grad(y.sum(), x)
    assert e.value.where is y.where

    def broken(g: Tensor, x: Tensor) -> Tensor:
        raise ZeroDivisionError("mine")

    y = apply("custom", (x * x, x), (broken,))
    with pytest.raises(ZeroDivisionError) as f:
        grad(y.sum(), x)
    assert "raised by the gradient of custom" in f.value.__notes__[0]


def test_a_pullback_that_is_not_linear_has_no_tangent(x: Tensor) -> None:
    y = apply("custom", (x * x, x), (lambda g, x: g * g * x,))
    with pytest.raises(GraphError, match="not linear"):
        jvp(y, x, x)


def test_dtype_errors_are_not_hidden(x: Tensor) -> None:
    y = apply("custom", (x * x, x), (lambda g, x: g.astype("float32"),))
    with pytest.raises(GraphError, match="is f32"):
        grad(y.sum(), x)
    assert not issubclass(GraphError, DTypeError)
