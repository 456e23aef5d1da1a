"""First values: their moments, against the variance that each paper states."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.errors import GraphError, ShapeError

DENSE, CONV = (300, 200), (64, 32, 5, 5)
FANS = {DENSE: (300, 200), CONV: (32 * 25, 64 * 25)}

# The variance that an initialiser gives a weight of this fan-in and fan-out.
VARIANCES = {
    "glorot_uniform": lambda i, o: 2 / (i + o),
    "glorot_normal": lambda i, o: 2 / (i + o),
    "he_uniform": lambda i, o: 2 / i,
    "he_normal": lambda i, o: 2 / i,
    "lecun_uniform": lambda i, o: 1 / i,
    "lecun_normal": lambda i, o: 1 / i,
}


def drawn(init: object, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.asarray(init(shape, np.random.default_rng(seed)))  # type: ignore[operator]


@pytest.mark.parametrize("shape", [DENSE, CONV], ids=["dense", "conv"])
@pytest.mark.parametrize("name", VARIANCES)
def test_variance(name: str, shape: tuple[int, ...]) -> None:
    values = drawn(getattr(eg.init, name)(), shape)
    variance = VARIANCES[name](*FANS[shape])
    assert values.shape == shape
    assert values.var() == pytest.approx(variance, rel=0.03)
    assert abs(values.mean()) < 4 * np.sqrt(variance / values.size)
    if name.endswith("uniform"):
        assert np.abs(values).max() <= np.sqrt(3 * variance)
        assert np.abs(values).max() > 0.99 * np.sqrt(3 * variance)


def test_gains() -> None:
    assert drawn(eg.init.glorot_normal(2.0), DENSE).std() == pytest.approx(
        2 * drawn(eg.init.glorot_normal(), DENSE).std()
    )
    leaky, plain = eg.init.he_normal(slope=1.0), eg.init.lecun_normal()
    np.testing.assert_allclose(drawn(leaky, DENSE), drawn(plain, DENSE))


@pytest.mark.parametrize("shape", [(40, 40), (60, 20), (20, 60), (16, 3, 3, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = drawn(eg.init.orthogonal(2.0), shape).reshape(shape[0], -1)
    small = (
        matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    )
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_orthogonal_is_not_biased_in_sign() -> None:
    diagonals = [drawn(eg.init.orthogonal(), (3, 3), s).diagonal() for s in range(400)]
    assert abs(np.mean(diagonals)) < 0.07


def test_simple_distributions() -> None:
    values = drawn(eg.init.uniform(-1.0, 3.0), (20000,))
    assert (values.min() >= -1, values.max() < 3) == (True, True)
    assert values.mean() == pytest.approx(1.0, abs=0.05)
    values = drawn(eg.init.normal(2.0, 0.5), (20000,))
    assert (values.mean(), values.std()) == pytest.approx((2.0, 0.5), abs=0.02)
    values = drawn(eg.init.truncated_normal(0.0, 0.5), (20000,))
    assert np.abs(values).max() <= 1.0
    assert values.std() == pytest.approx(0.8796 * 0.5, rel=0.02)  # of the cut normal
    assert (drawn(eg.init.zeros(), (2, 3)) == 0).all()
    assert (drawn(eg.init.ones(), (2, 3)) == 1).all()


def test_sparse() -> None:
    weight = drawn(eg.init.sparse(15, std=0.5), (500, 40))
    assert ((weight != 0).sum(0) == 15).all()
    assert weight[weight != 0].std() == pytest.approx(0.5, rel=0.1)


def test_parameters_take_them() -> None:
    first = eg.parameter("W", (4, 5), init=eg.init.he_normal())
    again = eg.parameter("W", (4, 5), init=eg.init.he_normal())
    other = eg.parameter("W", (4, 5), init=eg.init.he_normal(), seed=1)
    assert first.value.dtype == np.float32
    assert (first.value == again.value).all()
    assert not (first.value == other.value).any()


@pytest.mark.parametrize("name", ["he_normal", "glorot_uniform", "orthogonal"])
def test_a_vector_has_no_fan(name: str) -> None:
    with pytest.raises(ShapeError, match="two axes or more"):
        drawn(getattr(eg.init, name)(), (5,))


def test_sparse_needs_a_connection_and_a_matrix() -> None:
    with pytest.raises(GraphError, match="connections is at least 1, not 0"):
        eg.init.sparse(0)
    with pytest.raises(ShapeError, match=r"\(in, out\), not \(3, 4, 5\)"):
        drawn(eg.init.sparse(), (3, 4, 5))
