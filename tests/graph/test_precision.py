"""Contractions of factors rounded to bfloat16: how they are spelled, what they are."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend.jit import named
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from tests.cases import np_bfloat16
from tests.compiled import Array, compiled, native

A, B = eg.input("a", ("rows", 70)), eg.input("b", (70, 9))
WIDE = eg.input("wide", (3, 5), "float64")


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def rounded_products(roots: list[Tensor]) -> list[bool]:
    """For each contraction whether both its factors are rounded."""
    dots = [node for node in walk(eg.simplify(roots)) if node.op == "dot"]
    return [
        all("bfloat16" in {n.op for n in walk([x])} for x in dot.args) for dot in dots
    ]


def every_kind_of_number() -> Array:
    """Bits at random, and those around ties, infinities and the least numbers."""
    ends = [
        0x0000,
        0x0001,
        0x007F,
        0x0080,
        0x3F80,
        0x3F81,
        0x7F7E,
        0x7F7F,
        0x7F80,
        0x7FC0,
    ]
    lows = [0x0000, 0x0001, 0x7FFF, 0x8000, 0x8001, 0xFFFF]
    tried = [
        sign | high << 16 | low
        for sign in (0, 1 << 31)
        for high in ends
        for low in lows
    ]
    drawn = np.random.default_rng(0).integers(0, 2**32, 10_000, dtype=np.uint32)
    return np.concatenate([np.array(tried, np.uint32), drawn]).view(np.float32)


@pytest.fixture(scope="module", params=["oracle", "compiled"])
def rounded(request: pytest.FixtureRequest) -> tuple[Array, Array]:
    """Numbers, and what they are rounded to."""
    numbers = every_kind_of_number()
    x = eg.input("x", numbers.shape)
    if request.param == "oracle":
        return numbers, evaluate([eg.bfloat16(x)], {x: numbers})[0]
    return numbers, native(compiled([eg.bfloat16(x)]), {x: numbers})[0]


def test_numbers_are_rounded_to_the_nearest(rounded: tuple[Array, Array]) -> None:
    numbers, found = rounded
    with np.errstate(invalid="ignore"):
        expected = np_bfloat16(numbers)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(numbers))


def test_numbers_are_rounded_as_torch_does(rounded: tuple[Array, Array]) -> None:
    torch = pytest.importorskip("torch")
    numbers, found = rounded
    expected = torch.from_numpy(numbers.copy()).bfloat16().float().numpy()
    np.testing.assert_array_equal(found, expected)


def test_the_rounding_is_seen() -> None:
    assert str(eg.matmul(A, B, "bfloat16")) == "bfloat16(a) @ bfloat16(b)"
    assert eg.matmul(A, B, precision="float32") is A @ B
    three = eg.einsum("ij,jk,kl->il", A, B, eg.input("c", (9, 2)), precision="bfloat16")
    assert rounded_products([three]) == [True, True]
    assert rounded_products([eg.matmul(A[:, None], B[None], "bfloat16")]) == [True]


def test_only_float32_is_rounded() -> None:
    assert eg.matmul(WIDE, WIDE.T, "bfloat16") is WIDE @ WIDE.T
    whole = eg.input("whole", (3, 3), "int32")
    assert eg.matmul(whole, whole, "bfloat16") is whole @ whole


PROCESSORS = {"this one": None, "avx2": named("haswell", "+avx,+avx2,+fma")}


@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("terms", [1, 3, 70, 3000])
def test_the_error_is_as_stated(terms: int, processor: str) -> None:
    """2**-7 of the sum of magnitudes, and what the sum in float32 adds."""
    a, b = normal(37, terms), normal(terms, 19, seed=1)
    x, y = eg.input("x", a.shape), eg.input("y", b.shape)
    program = compiled([eg.matmul(x, y, "bfloat16")], {}, PROCESSORS[processor])
    (found,) = native(program, {x: a, y: b})
    wide = a.astype(np.float64), b.astype(np.float64)
    magnitudes = np.abs(wide[0]) @ np.abs(wide[1])
    error = np.abs(found - wide[0] @ wide[1])
    adding = terms * 2.0**-24
    assert (error <= (2**-7 + adding) * magnitudes).all()
    assert (error > adding * magnitudes).any()  # it was rounded
    exact = np_bfloat16(a).astype(np.float64) @ np_bfloat16(b).astype(np.float64)
    assert (np.abs(found - exact) <= 1.01 * adding * magnitudes).all()


def test_products_are_torchs() -> None:
    torch = pytest.importorskip("torch")
    a, b = normal(17, 70), normal(70, 9, seed=1)
    (found,) = evaluate([eg.matmul(A, B, "bfloat16")], {A: a, B: b}, {"rows": 17})
    factors = (torch.from_numpy(x).bfloat16().double() for x in (a, b))
    np.testing.assert_allclose(found, torch.matmul(*factors).numpy(), 1e-5, 1e-5)


def test_the_gradient_has_rounded_products() -> None:
    h = eg.relu(eg.matmul(A, B, "bfloat16"))
    loss = (eg.matmul(h, eg.input("v", (9, 4)), "bfloat16") ** 3).sum()
    by_b = eg.grad(loss, B)
    by_both = eg.grad((by_b**2).sum(), [A, B])
    assert rounded_products([by_b]) == [True] * 4
    assert all(rounded_products(by_both))
    assert all(rounded_products([eg.jvp(loss, B, eg.input("t", B.shape))]))


def test_the_gradient_is_that_of_numpy() -> None:
    a, b, g = normal(17, 70), normal(70, 9, seed=1), normal(17, 9, seed=2)
    seed = eg.input("g", ("rows", 9))
    slopes = eg.vjp(eg.matmul(A, B, "bfloat16"), [A, B], seed)
    found = evaluate(slopes, {A: a, B: b, seed: g}, {"rows": 17})
    ra, rb, rg = map(np_bfloat16, (a, b, g))
    for got, expected in zip(found, (rg @ rb.T, ra.T @ rg), strict=True):
        np.testing.assert_allclose(got, expected, 1e-5, 1e-5)


def test_an_image_is_rounded_before_it_is_taken_apart() -> None:
    images, filters = (
        eg.input("images", ("n", 2, 9, 9)),
        eg.input("filters", (4, 2, 3, 3)),
    )
    y = eg.conv2d(images, filters, padding="same")
    f = eg.function([images, filters], y, precision="bfloat16")
    x, w = normal(3, 2, 9, 9), normal(4, 2, 3, 3, seed=1)
    expected = eg.function([images, filters], y)(np_bfloat16(x), np_bfloat16(w))
    np.testing.assert_allclose(f(x, w), expected, 1e-5, 1e-5)
    listed = eg.explain(f)["kernels as loops"]
    assert listed.count("= bfloat16(") == 2 and "= bfloat16(images[" in listed
