"""Vector functions against NumPy in float64 and against mpmath: errors, special values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from exprgrad.backend.vecmath import VECMATH
from tests.backend.harness import AVX2, BASELINE, HOST, Array, apply

mp = mpmath.mp.clone()  # a precision of its own: other tests set theirs
mp.prec = 120
NAN, INF = math.nan, math.inf

# The meaning in float64, precise enough to judge float32
WIDE: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "tanh": np.tanh,
    "sigmoid": lambda x: np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "erf": np.vectorize(math.erf, otypes=[float]),
    "sin": np.sin,
    "cos": np.cos,
}
# The meaning in 120 bits
EXACT: dict[str, Callable[[Any], Any]] = {
    "exp": mp.exp,
    "expm1": mp.expm1,
    "log": mp.log,
    "log1p": mp.log1p,
    "rsqrt": lambda x: 1 / mp.sqrt(x),
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "erf": mp.erf,
    "sin": mp.sin,
    "cos": mp.cos,
}
# The largest error in units in the last place: float32, float64
ULPS = {
    "exp": (1.0, 1.0),
    "expm1": (1.5, 1.9),
    "log": (1.0, 1.0),
    "log1p": (1.5, 1.5),
    "rsqrt": (1.5, 1.5),
    "tanh": (1.8, 2.0),
    "sigmoid": (1.5, 1.5),
    "softplus": (1.8, 1.8),
    "erf": (1.2, 1.3),
    "sin": (1.6, 1.0),
    "cos": (1.6, 1.0),
}
POSITIVE = ("log", "rsqrt")
ODD = ("expm1", "log1p", "tanh", "erf", "sin")


def sample(dtype: str, count: int) -> Array:
    """All magnitudes, then the ranges in which the functions are neither 0 nor 1."""
    rng = np.random.default_rng(7)
    size = np.dtype(dtype).itemsize
    raw = rng.integers(0, 256, size * count, dtype=np.uint8).view(dtype)
    wide = 110 if dtype == "float32" else 750
    ranges = [rng.uniform(-r, r, count) for r in (wide, 20, 2, 0.1)]
    special = boundaries(dtype)
    parts = [raw, *(part.astype(dtype) for part in ranges), special]
    return np.concatenate(parts)


def boundaries(dtype: str) -> Array:
    """Where formulas change, formats end, results underflow, and all their neighbours."""
    info = np.finfo(dtype)
    ends = [0.5, 1, 2, 4, 6, 20, 40, math.sqrt(0.5), math.sqrt(2), math.log(2) / 2]
    ends += [87.33655, 88.72283, 103.9721, 708.3964, 709.7827, 745.1332]
    ends += [1.25, 1.328125, 3.9375, 5.9375]
    ends += [math.pi / 4, math.pi / 2, math.pi, 1e5, 2.0**40, float(info.eps)]
    ends += [
        float(info.smallest_normal),
        float(info.smallest_subnormal),
        float(info.max),
    ]
    points = np.array(ends).astype(dtype)
    below, above = (np.nextafter(points, points.dtype.type(v)) for v in (0, 1e30))
    both = np.concatenate([below, points, above])
    return np.concatenate([both, -both])


def errors_of_single(op: str, x: Array, got: Array) -> Array:
    with np.errstate(all="ignore"):
        exact = WIDE[op](x.astype(np.float64))
        rounded = exact.astype(np.float32)
        spacing = np.spacing(np.minimum(np.abs(rounded), np.finfo(np.float32).max))
        error = np.abs(got - exact) / spacing
    agree = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    return np.where(agree, 0.0, np.where(np.isfinite(error), error, np.inf))


@pytest.mark.parametrize("op", WIDE)
def test_float32(op: str) -> None:
    x = sample("float32", 200_000)
    got = apply(op, x)
    error = errors_of_single(op, x, got)
    worst = int(np.argmax(error))
    assert error[worst] < ULPS[op][0], (x[worst], got[worst])


def errors_of_double(op: str, x: Array, got: Array) -> list[float]:
    result = []
    for argument, value in zip(x.tolist(), got.tolist(), strict=True):
        exact = EXACT[op](mp.mpf(argument))
        nearest = float(exact)
        if value == nearest:
            result.append(0.0)
        else:
            result.append(float(abs(value - exact) / math.ulp(nearest)))
    return result


@pytest.mark.parametrize("op", EXACT)
def test_float64(op: str) -> None:
    x = sample("float64", 1500)
    x = x[np.isfinite(x) & (np.abs(x) < 1e30)]
    x = np.abs(x[x != 0]) if op in POSITIVE else x[x > -1] if op == "log1p" else x
    got = apply(op, x, lanes=8)
    error = errors_of_double(op, x, got)
    worst = int(np.argmax(error))
    assert error[worst] < ULPS[op][1], (x[worst], got[worst])


# Results at -inf, -0, +0, inf, nan
SPECIAL = {
    "exp": (0, 1, 1, INF, NAN),
    "expm1": (-1, -0.0, 0, INF, NAN),
    "log": (NAN, -INF, -INF, INF, NAN),
    "log1p": (NAN, -0.0, 0, INF, NAN),
    "rsqrt": (NAN, -INF, INF, 0, NAN),
    "tanh": (-1, -0.0, 0, 1, NAN),
    "sigmoid": (0, 0.5, 0.5, 1, NAN),
    "softplus": (0, math.log(2), math.log(2), INF, NAN),
    "erf": (-1, -0.0, 0, 1, NAN),
    "sin": (NAN, -0.0, 0, NAN, NAN),
    "cos": (NAN, 1, 1, NAN, NAN),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", SPECIAL)
def test_special_values(op: str, dtype: str) -> None:
    x = np.array([-INF, -0.0, 0.0, INF, NAN], dtype)
    expected = np.array(SPECIAL[op], dtype)
    got = apply(op, x, lanes=4)
    np.testing.assert_array_equal(got, expected)
    real = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got[real]), np.signbit(expected[real]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", ODD)
def test_tiny_arguments_are_their_own_result(op: str, dtype: str) -> None:
    info = np.finfo(dtype)
    tiny = np.array(
        [info.smallest_subnormal, info.smallest_normal / 3, info.smallest_normal]
    )
    x = np.concatenate([tiny, 7 * tiny]).astype(dtype)
    slope = 2 / np.sqrt(np.pi) if op == "erf" else 1.0
    expected = (x.astype(np.longdouble) * slope).astype(dtype)
    for sign in (1, -1):
        got = apply(op, (sign * x).astype(dtype))
        np.testing.assert_array_max_ulp(got, sign * expected, 1 if op == "erf" else 0)


def test_log_of_subnormals() -> None:
    x = np.array([1e-40, 1e-45, 3e-39], np.float32)
    np.testing.assert_array_equal(
        apply("log", x), np.log(x.astype(np.float64)).astype("f4")
    )


def test_far_negative_sigmoid_is_no_zero() -> None:
    x = np.array([-88, -95, -100, -103], np.float32)
    expected = np.exp(x.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(apply("sigmoid", x), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tanh_and_erf_stay_within_one(dtype: str) -> None:
    x = np.linspace(-30, 30, 100_001).astype(dtype)
    for op in ("tanh", "erf", "sin"):
        assert np.abs(apply(op, x)).max() <= 1
    assert apply("tanh", np.array([7.0], dtype))[0] < 1


def test_erf_never_decreases() -> None:
    first, last = np.array([0.5, 4], np.float32).view(np.int32)
    x = np.arange(first, last + 1, dtype=np.int32).view(np.float32)
    assert (np.diff(apply("erf", x)) >= 0).all()


LANES = {"float32": (1, 4, 8, 16, 32), "float64": (1, 2, 4, 8, 16)}


@pytest.mark.parametrize("dtype", LANES)
@pytest.mark.parametrize("op", WIDE)
def test_any_lanes_and_any_machine_give_the_same_bits(op: str, dtype: str) -> None:
    x = sample(dtype, 300)
    bits = f"u{np.dtype(dtype).itemsize}"
    first = apply(op, x, lanes=1).view(bits)
    numbers = ~np.isnan(first.view(dtype))
    for lanes in LANES[dtype][1:]:
        got = apply(op, x, lanes=lanes).view(bits)
        np.testing.assert_array_equal(got[numbers], first[numbers])
    for target in (AVX2, BASELINE):
        if target is AVX2 and not HOST.has("avx2"):
            continue
        got = apply(op, x, lanes=8, target=target).view(bits)
        np.testing.assert_array_equal(got[numbers], first[numbers])


POWERS = [0.0, 1.0, 2.0, 3.0, 0.5, 2.5, 1e20, 16777217.0, 1e-40, 0.999, 1.001, INF]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pow_special_values(dtype: str) -> None:
    values = np.array([*POWERS, *(-p for p in POWERS), NAN], dtype)
    a, b = (grid.ravel().copy() for grid in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        expected = np.power(a.astype(np.float64), b.astype(np.float64)).astype(dtype)
    got = apply("pow", a, b)
    np.testing.assert_allclose(
        got, expected, rtol=3e-7 if dtype == "float32" else 1e-15
    )
    special = (expected == 0) | np.isinf(expected)
    np.testing.assert_array_equal(
        np.signbit(got[special]), np.signbit(expected[special])
    )


def test_pow_error() -> None:
    rng = np.random.default_rng(3)
    a = np.exp(rng.uniform(-80, 80, 200_000)).astype(np.float32)
    b = rng.uniform(-4, 4, a.size).astype(np.float32)
    with np.errstate(all="ignore"):
        exact = np.power(a.astype(np.float64), b.astype(np.float64))
        expected = exact.astype(np.float32)
        error = np.abs(apply("pow", a, b) - exact) / np.spacing(expected)
    assert error[np.isfinite(expected) & np.isfinite(error)].max() < 0.51


def test_every_function_is_tried() -> None:
    assert set(VECMATH) - {"pow"} == set(WIDE) == set(EXACT) == set(SPECIAL)
