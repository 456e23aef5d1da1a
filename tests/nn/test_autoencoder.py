"""Autoencoders and their penalties against NumPy's formulas and PyTorch's gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit, log_expit

import exprgrad as eg
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.mode import in_mode

RNG = np.random.default_rng(4)
ROWS = RNG.random((7, 5))
NAMES = ("W", "b", "c")
ARRAYS = RNG.normal(size=(5, 3)), RNG.normal(size=5), RNG.normal(size=3)
BACK = RNG.normal(size=(3, 5))
OUTPUTS = {
    "sigmoid": expit,
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
}
X = eg.input("x", ("batch", 5), "float64")


def leaves(arrays: Any = ARRAYS, names: Any = NAMES) -> list[eg.Tensor]:
    pairs = zip(names, arrays, strict=True)
    return [eg.parameter(n, a.shape, a, "float64") for n, a in pairs]


def value(*expressions: eg.Tensor) -> Any:
    found = evaluate(list(expressions), {"x": ROWS})
    return found if len(expressions) > 1 else found[0]


def expected_error(z: Any, output: str) -> Any:
    if output == "sigmoid":
        return -(ROWS * log_expit(z) + (1 - ROWS) * log_expit(-z)).sum(1)
    return 0.5 * ((ROWS - OUTPUTS[output](z)) ** 2).sum(1)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("tied", [True, False])
def test_code_reconstruction_and_error(output: str, tied: bool) -> None:
    W, b, c = ARRAYS  # noqa: N806
    untied = None if tied else leaves([BACK], ["U"])[0]
    layer = eg.nn.Autoencoder(*leaves(), untied, eg.tanh, output)
    h = np.tanh(ROWS @ W + c)
    z = h @ (W.T if tied else BACK) + b
    code, rows, error, loss = value(
        layer.encode(X),
        layer.decode(layer.encode(X)),
        layer.reconstruction_error(X),
        layer.objective(X),
    )
    np.testing.assert_allclose(code, h, rtol=1e-12)
    np.testing.assert_allclose(rows, OUTPUTS[output](z), rtol=1e-12)
    np.testing.assert_allclose(error, expected_error(z, output), rtol=1e-12)
    assert loss == pytest.approx(error.mean(), rel=1e-12)


def test_the_error_is_finite_where_the_sigmoid_saturates() -> None:
    big = [1000 * a for a in ARRAYS]
    layer = eg.nn.Autoencoder(*leaves(big))
    parameters = [layer.weight, layer.visible_bias, layer.hidden_bias]
    found = value(layer.objective(X), *eg.grad(layer.objective(X), parameters))
    assert all(np.isfinite(a).all() for a in found)


def test_a_tied_weight_has_the_gradients_of_both_uses() -> None:
    W, b, c = leaves()  # noqa: N806
    back = eg.parameter("U", (3, 5), ARRAYS[0].T, "float64")
    tied = eg.nn.Autoencoder(W, b, c).objective(X)
    two = eg.nn.Autoencoder(W, b, c, back).objective(X)
    both, there, back_slope = value(eg.grad(tied, W), *eg.grad(two, [W, back]))
    np.testing.assert_allclose(both, there + back_slope.T, rtol=1e-12)


# Penalties


@pytest.mark.parametrize("h", ["one layer", "deep"])
def test_contraction_is_the_norm_of_each_rows_jacobian(h: str) -> None:
    W, _, c = ARRAYS  # noqa: N806
    first = eg.nn.Autoencoder(*leaves())
    one = first.encode(X)
    code = one if h == "one layer" else eg.tanh(one @ leaves([BACK], ["U"])[0])
    slope = expit(ROWS @ W + c) * expit(-(ROWS @ W + c))
    jacobians = slope[:, :, None] * W.T
    if h == "deep":
        outer = 1 - np.tanh(expit(ROWS @ W + c) @ BACK) ** 2
        jacobians = np.einsum("nk,jk,nji->nki", outer, BACK, jacobians)
    expected = (jacobians**2).sum((1, 2))
    np.testing.assert_allclose(value(eg.nn.contraction(code, X)), expected, rtol=1e-12)
    if h == "one layer":
        found = value(eg.nn.sigmoid_contraction(code, first.weight))
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_sparsity() -> None:
    q, p = ROWS.mean(0), 0.2
    expected = (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum()
    assert value(eg.nn.sparsity(X, p)) == pytest.approx(expected, rel=1e-12)


def test_running_sparsity_is_taken_at_the_running_mean() -> None:
    """Its gradient by the batch's mean is the penalty's, -p/q + (1-p)/(1-q)."""
    average = eg.state("average", 5, 0.2, "float64")
    penalty, updates = eg.nn.running_sparsity(X, 0.1, average, decay=0.75)
    q = 0.75 * 0.2 + 0.25 * ROWS.mean(0)
    expected = (0.1 * np.log(0.1 / q) + 0.9 * np.log(0.9 / (1 - q))).sum()
    found, moved, slope = value(penalty, updates[average], eg.grad(penalty, X))
    assert found == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(moved, q, rtol=1e-12)
    each = (-0.1 / q + 0.9 / (1 - q)) / len(ROWS)
    np.testing.assert_allclose(slope, np.tile(each, (7, 1)), rtol=1e-10)


# Each objective as we spell it, and as PyTorch's users do.


def objective(name: str, layer: eg.nn.Autoencoder) -> eg.Tensor:
    plain = layer.objective(X)
    penalties = {
        "plain": 0.0,
        "contractive": 0.3 * eg.nn.contraction(layer.encode(X), X).mean(),
        "sigmoid": 0.3 * eg.nn.sigmoid_contraction(layer.encode(X), layer.weight).mean(),
        "sparse": 3.0 * eg.nn.sparsity(layer.encode(X), 0.05),
    }
    return plain + penalties[name]


def torch_objective(torch: Any, name: str, parameters: Any) -> Any:
    W, b, c = parameters  # noqa: N806
    rows = torch.tensor(ROWS, requires_grad=True)
    h = torch.sigmoid(rows @ W + c)
    z = h @ W.T + b
    cross = torch.nn.functional.binary_cross_entropy_with_logits
    plain = cross(z, rows.detach(), reduction="sum") / len(ROWS)
    if name == "plain":
        return plain
    if name == "sparse":
        q = h.mean(0)
        kl = 0.05 * torch.log(0.05 / q) + 0.95 * torch.log(0.95 / (1 - q))
        return plain + 3.0 * kl.sum()
    columns = [h[:, j].sum() for j in range(3)]
    slopes = [torch.autograd.grad(s, rows, create_graph=True)[0] for s in columns]
    return plain + 0.3 * sum((s**2).sum() for s in slopes) / len(ROWS)


@pytest.mark.parametrize("name", ["plain", "contractive", "sigmoid", "sparse"])
def test_gradients_are_those_of_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    layer = eg.nn.Autoencoder(*leaves())
    loss = objective(name, layer)
    parameters = [layer.weight, layer.visible_bias, layer.hidden_bias]
    found = value(loss, *eg.grad(loss, parameters))
    theirs = [torch.tensor(a, requires_grad=True) for a in ARRAYS]
    expected = torch_objective(torch, name, theirs)
    slopes = torch.autograd.grad(expected, theirs)
    for a, t in zip(found, [expected, *slopes], strict=True):
        np.testing.assert_allclose(a, t.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["plain", "contractive", "sigmoid", "sparse"])
def test_gradients_are_those_of_differences(name: str) -> None:
    layer = eg.nn.Autoencoder(*leaves())
    loss = objective(name, layer)
    direction, h = RNG.normal(size=(5, 3)), 1e-5
    slope = float((value(eg.grad(loss, layer.weight)) * direction).sum())
    ends = []
    for sign in (1, -1):
        layer.weight.value = ARRAYS[0] + sign * h * direction
        ends.append(float(value(loss)))
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6)


# Noise


def noisy(noise: Any, *arguments: Any) -> Any:
    rows = np.full((200, 300), 0.5)
    x = eg.input("x", ("batch", 300), "float64")
    seen = noise(x, *arguments)
    return evaluate([in_mode([seen], True)[seen]], {"x": rows})[0]


def test_mask_noise_takes_elements_away_without_a_scale() -> None:
    found = noisy(eg.nn.mask_noise, 0.3)
    assert set(np.unique(found)) == {0.0, 0.5}
    assert (found == 0).mean() == pytest.approx(0.3, abs=0.01)


def test_salt_and_pepper() -> None:
    found = noisy(eg.nn.salt_and_pepper, 0.4)
    shares = {n: (found == n).mean() for n in (0.0, 0.5, 1.0)}
    assert list(shares.values()) == pytest.approx([0.2, 0.6, 0.2], abs=0.01)


def test_gaussian_noise() -> None:
    found = noisy(eg.nn.gaussian_noise, 0.1)
    assert found.mean() == pytest.approx(0.5, abs=0.002)
    assert found.std() == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("name", ["mask_noise", "salt_and_pepper", "gaussian_noise"])
def test_there_is_no_noise_at_inference(name: str) -> None:
    assert eg.nn.inference(getattr(eg.nn, name)(X, 0.5)) is X


def test_denoising_reconstructs_what_was_there_before_the_noise() -> None:
    layer = eg.nn.Autoencoder(*leaves())
    seen = eg.nn.mask_noise(X, 0.5)
    error, shown = (
        in_mode([e], True)[e] for e in (layer.reconstruction_error(X, seen), seen)
    )
    found, damaged = value(error, shown)
    W, b, c = ARRAYS  # noqa: N806
    z = expit(damaged @ W + c) @ W.T + b
    assert (damaged != ROWS).any()
    np.testing.assert_allclose(found, expected_error(z, "sigmoid"), rtol=1e-12)


# Stacks


def stack() -> eg.nn.Stack:
    above = RNG.normal(size=(3, 2)), RNG.normal(size=3), RNG.normal(size=2)
    layers = eg.nn.Autoencoder(*leaves()), eg.nn.RBM(*leaves(above, ("W2", "b2", "c2")))
    return eg.nn.Stack(layers)


def test_a_stack_goes_up_through_all_layers_and_down_again() -> None:
    deep = stack()
    W, b, c = ARRAYS  # noqa: N806
    top = deep.layers[1]
    W2, b2, c2 = (p.value for p in (top.weight, top.visible_bias, top.hidden_bias))  # noqa: N806
    h = expit(expit(ROWS @ W + c) @ W2 + c2)
    z = expit(h @ W2.T + b2) @ W.T + b
    code, rows, error = value(
        deep.encode(X), deep.decode(deep.encode(X)), deep.reconstruction_error(X)
    )
    np.testing.assert_allclose(code, h, rtol=1e-12)
    np.testing.assert_allclose(rows, expit(z), rtol=1e-12)
    np.testing.assert_allclose(error, expected_error(z, "sigmoid"), rtol=1e-12)
