"""Which sums are taken in pairs, and what they are where the processor has these."""

from __future__ import annotations

import re
from math import prod

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend.jit import host
from exprgrad.graph.tensor import Tensor
from exprgrad.loop.cost import Machine
from exprgrad.loop.pairs import rounded
from exprgrad.loop.show import show_kernels
from tests.backend.test_assembly import STORE, VECTOR, innermost_loops
from tests.cases import np_bfloat16
from tests.compiled import assert_same_bits, compiled, native
from tests.loop.stages import stages

PAIRS = Machine(64, 32, pairs=True)
A, B = eg.input("a", (20, 33)), eg.input("b", (33, 40))
SQUARE = eg.input("square", (40, 40))
WIDE = eg.input("wide", (20, 40), "float64")


def in_pairs(output: Tensor, machine: Machine = PAIRS) -> int:
    return show_kernels(stages([output], machine=machine).scheduled).count("(pairs)")


def product(a: Tensor, b: Tensor) -> Tensor:
    return eg.matmul(a, b, "bfloat16")


@pytest.mark.parametrize(
    ("output", "count"),
    [
        (product(A, B), 1),
        (product(eg.relu(product(A, B)), SQUARE), 2),
        (eg.matmul(eg.bfloat16(A), B), 0),  # one factor alone is rounded
        (A @ B, 0),
        (product(A, B[:, 0]), 0),  # the vector runs along the sum
        (product(A, B).astype("float64") + WIDE, 0),  # vectors of eight
    ],
)
def test_sums_of_rounded_products_are_taken_in_pairs(
    output: Tensor, count: int
) -> None:
    assert in_pairs(output) == count
    assert in_pairs(output, Machine(64, 32)) == 0


def test_only_what_is_rounded_wherever_it_is_written_is_known_to_be() -> None:
    made = stages([product(eg.relu(product(A, B)), SQUARE)])
    buffers = {b for kernel in made.ordered for b in kernel.writes()}
    outputs = {b for b in buffers if b.role == "output"}
    assert rounded(made.ordered) == buffers - outputs
    w = eg.state("w", (20, 33), init=0.1)
    made = stages([product(A, B)], {w: eg.bfloat16(w + A)})
    assert all(b.role == "temporary" for b in rounded(made.ordered))


native_pairs = pytest.mark.skipif(
    not host().has("avx512bf16") or host().vector_bits != 512, reason="no AVX512-BF16"
)


@native_pairs
def test_the_innermost_loop_is_of_pairs_in_registers() -> None:
    x, w = eg.input("x", (64, 784)), eg.input("w", (784, 256))
    loops = innermost_loops(compiled([product(x, w)]).compiled.library.assembly)
    # The last of them: the first rows may also write what all others read from panels.
    hottest = max(reversed(loops), key=lambda lines: sum("vdpbf16ps" in line for line in lines))
    assert sum("vdpbf16ps" in line for line in hottest) == 24
    assert [line for line in hottest if "rsp" in line and VECTOR.search(line)] == []
    assert [line for line in hottest if STORE.search(line)] == []
    loads = [line for line in hottest if re.search(r"\(.*, %zmm", line)]
    assert len(loads) <= 8  # four vectors of two steps, shared by six rows


SPECS = (
    "ik,kj->ij",
    "ki,kj->ij",
    "ik,jk->ij",
    "ki,jk->ij",
    "bik,bkj->bij",
    "ikl,klj->ij",
)
SIZES = [(7, 5, 3), (13, 2, 16), (64, 33, 17), (20, 200, 100)]
NAMED = [("n", 70, 50), (8, "n", 64), (8, 40, "n")]


@pytest.mark.parametrize("spec", SPECS)
def test_products_in_pairs_are_numpys(spec: str) -> None:
    rng = np.random.default_rng(0)
    left, right = spec.split("->")[0].split(",")
    for sizes in (*SIZES, *NAMED):
        extents = {**dict(zip("ikj", sizes, strict=True)), "b": 2, "l": 3}
        shapes = [tuple(extents[label] for label in labels) for labels in (left, right)]
        x, y = (eg.input(name, shape) for name, shape in zip("xy", shapes, strict=True))
        a, b = (
            rng.standard_normal([37 if n == "n" else n for n in shape]).astype(
                np.float32
            )
            for shape in shapes
        )
        program = compiled([eg.einsum(spec, x, y, precision="bfloat16")], parallel=True)
        one, two = (native(program, {x: a, y: b}, threads=n) for n in (1, 2))
        assert_same_bits(one, two)
        factors = [np_bfloat16(v).astype(np.float64) for v in (a, b)]
        magnitudes = np.einsum(spec, *map(np.abs, factors))
        error = np.abs(one[0] - np.einsum(spec, *factors))
        known = {label: n if n != "n" else 37 for label, n in extents.items()}
        summed = set(left + right) - set(spec.split("->")[1])
        terms = prod(known[label] for label in summed)
        assert (error <= terms * 2.0**-24 * magnitudes).all()


def test_what_is_no_number_or_infinite_spreads_as_it_should() -> None:
    x, y = eg.input("x", (8, 5)), eg.input("y", (5, 32))
    a, b = np.ones((8, 5), np.float32), np.ones((5, 32), np.float32)
    a[0, 0], a[1, 4], a[2, 1], a[3, :2] = np.nan, np.inf, -np.inf, (np.inf, -np.inf)
    b[4, 7], b[0, 3] = 0.0, -0.0
    (found,) = native(compiled([product(x, y)]), {x: a, y: b})
    with np.errstate(invalid="ignore"):
        expected = np.einsum("ik,kj->ij", a, b)
    np.testing.assert_array_equal(found, expected)


def test_subnormal_numbers_are_lost_at_most() -> None:
    a = np.full((8, 6), 2.0**-130, np.float32)
    b = np.full((6, 32), 2.0, np.float32)
    x, y = eg.input("x", a.shape), eg.input("y", b.shape)
    (found,) = native(compiled([product(x, y)]), {x: a, y: b})
    assert (np.abs(found - 6 * 2.0**-129) <= 6 * 2.0**-126 * 3).all()


def test_a_rate_in_float64_makes_vectors_no_shorter() -> None:
    rate = eg.state("rate", dtype="float64", init=0.5)
    factor = eg.astype(eg.expm1(rate), "float32")
    (last,) = stages([A * factor]).scheduled
    assert last.lanes == 16
    assert in_pairs(A.T @ A * factor) == 0
    assert in_pairs(product(A.T, A) * factor) == 1
    (wide,) = stages([eg.astype(A, "float64") * rate]).scheduled
    assert wide.lanes == 8
