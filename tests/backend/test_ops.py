"""Every operation as native code, by the table of cases, against its NumPy meaning."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.backend.jit import host, named
from exprgrad.errors import IndexOutOfRange, ShapeError
from exprgrad.graph import elementwise
from exprgrad.graph.check import check_demands
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.ops import OPS
from tests import cases
from tests.cases import CASES, FLOATS, Case, arrays
from tests.compiled import (
    assert_close,
    assert_right,
    assert_same_bits,
    compiled,
    native,
    settings,
)

BATCHES = (0, 1, 2, 3, 7, 17, 33)
TESTED = [op for op in OPS if any(case.op == op for case in CASES)]
AVX2 = "+avx,+avx2,+fma,+sse2,+sse4.1,+sse4.2"
TARGETS = {"avx2": ("haswell", AVX2), "baseline": ("x86-64", "+sse2")}


class Row:
    """A case of one dtype; inputs are named apart, so that rows share a program."""

    def __init__(self, number: int, case: Case, dtype: str) -> None:
        self.case, self.dtype = case, dtype
        plain = cases.inputs(case, dtype)
        self.inputs = [eg.input(f"{x.name}{number}", x.shape, x.dtype) for x in plain]
        self.output = case.build(*self.inputs)
        self.batches = tuple(n for n in BATCHES if self.serves(n))

    def serves(self, batch: int) -> bool:
        """Whether the expression has a meaning for this size."""
        try:
            check_demands([self.output], {"batch": batch})
        except ShapeError:
            return False
        return True

    def values(self, batch: int) -> dict:
        drawn = arrays(self.case, self.dtype, batch=batch)
        return dict(zip(self.inputs, drawn, strict=True))


def rows_of(op: str) -> list[Row]:
    pairs = [(c, d) for c in CASES if c.op == op for d in c.dtypes]
    return [Row(n, case, dtype) for n, (case, dtype) in enumerate(pairs)]


def hold(rows: list[Row], program, batches) -> None:
    """One program gives NumPy's values at every size, the same bits on two threads."""
    for batch in batches:
        values = {x: v for row in rows for x, v in row.values(batch).items()}
        dims = {"batch": batch}
        one, two = (native(program, values, dims, threads) for threads in (1, 2))
        assert_same_bits(one, two)
        expected = evaluate([row.output for row in rows], values, dims)
        for row, found, wanted in zip(rows, one, expected, strict=True):
            assert_close(found, wanted, 1, f"{row.case} {row.dtype} batch {batch}")


@pytest.mark.parametrize("parallel", [False, True], ids=["serial", "parallel"])
@pytest.mark.parametrize("op", TESTED)
def test_one_program_serves_every_size(op, parallel):
    rows = sorted(rows_of(op), key=lambda row: row.batches)
    for batches, alike in groupby(rows, key=lambda row: row.batches):
        group = list(alike)
        program = compiled([row.output for row in group], parallel=parallel)
        hold(group, program, batches)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("group", range(4))
def test_other_processors(target, group):
    """Narrower vectors and fewer registers, run on this machine, which has them too."""
    if not host().has("avx2"):
        pytest.skip("this machine has no AVX2")
    pairs = [(c, d) for c in CASES for d in c.dtypes][group::12]
    rows = [Row(n, case, dtype) for n, (case, dtype) in enumerate(pairs)]
    program = compiled([row.output for row in rows], {}, named(*TARGETS[target]), True)
    hold(rows, program, (17,))


# Values at the ends of the numbers

EXTREMES = [
    0.0,
    -0.0,
    1e-320,
    -1e-40,
    1e-7,
    1.0,
    -1.5,
    3e38,
    -1e300,
    np.inf,
    -np.inf,
    np.nan,
]
ELEMENTWISE = [op for op, row in OPS.items() if row.group == "elementwise"]
ARITHMETIC = [op for op in ELEMENTWISE if op not in ("cast", "bound", "where")]
TAKES_FLOATS = [
    op for op in ARITHMETIC if any(c.op == op and "float64" in c.dtypes for c in CASES)
]


@pytest.mark.parametrize("dtype", FLOATS)
def test_extreme_values(dtype):
    with np.errstate(over="ignore"):
        ends = np.array(EXTREMES).astype(dtype)
    a, b = (x.ravel() for x in np.meshgrid(ends, ends))
    x, y = (eg.input(name, (len(a),), dtype) for name in "xy")
    arity = {c.op: len(c.shapes) for c in CASES}
    built = {op: getattr(elementwise, op)(*(x, y)[: arity[op]]) for op in TAKES_FLOATS}
    expected = evaluate(built.values(), {x: a, y: b})
    found = native(compiled(list(built.values())), {x: a, y: b})
    for op, got, wanted in zip(built, found, expected, strict=True):
        tolerance = 2e-6 if dtype == "float32" else 1e-14
        smallest = 4 * float(np.finfo(dtype).tiny)
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(got, wanted, tolerance, smallest, err_msg=op)


@pytest.mark.parametrize("fill", [-np.inf, np.inf, np.nan, -0.0])
def test_reductions_of_equal_extremes(fill):
    x = eg.input("x", ("batch", 40))
    outputs = [
        reduce(x, axis)
        for reduce in (eg.argmax, eg.max, eg.min, eg.sum)
        for axis in (0, 1, None)
    ]
    outputs += [eg.softmax(x), eg.softmax(x, 0), eg.logsumexp(x, 1)]
    assert_right(outputs, {x: np.full((11, 40), fill)})


@pytest.mark.parametrize("seed", range(4))
def test_first_maximum_and_nan_in_every_lane(seed):
    rng = np.random.default_rng(seed)
    x = eg.input("x", ("batch", 40))
    drawn = rng.integers(-2, 3, (11, 40)).astype("float32")
    drawn[rng.random(drawn.shape) < 0.03] = np.nan
    outputs = [
        eg.argmax(x, 0),
        eg.argmax(x, 1),
        eg.argmax(x),
        eg.max(x, 1),
        eg.min(x, 0),
    ]
    assert_right(
        [*outputs, eg.argmax(eg.reshape(x[:2], (2, 5, 8)), (0, 2))], {x: drawn}
    )


# Arrays as they come, and shapes in odd places


def test_arrays_in_any_order():
    x = eg.input("x", ("batch", 4), "float64")
    with settings():
        f = eg.function([x], [x * 2, eg.sum(x, 0), x.T])
    base = np.random.default_rng(0).normal(size=(12, 8))
    for view in (base[::2, ::2], base[::-1, 3:7], base.T[:8, :4], base[:0, :4]):
        for found, wanted in zip(f(view), evaluate(f.outputs, {x: view}), strict=True):
            assert_close(found, wanted)


@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_views_that_merge_axes(n):
    x = eg.input("x", ("batch", 3, 2), "float64")
    flat = x.reshape(-1)
    outputs = [
        flat,
        x.reshape(-1, 2) * 2,
        x.reshape(-1, 6),
        eg.sum(flat),
        (x * x).reshape(-1),
    ]
    outputs += [
        x.reshape(-1, 2).T.reshape(-1),
        flat[::-2] + 1,
        eg.cumulative_sum(flat, 0),
    ]
    assert_right(outputs, {x: np.random.default_rng(n).normal(size=(n, 3, 2))})


def test_axes_of_one_element():
    x = eg.input("x", (1, 5, 1, 1, 3), "float64")
    outputs = [x + 1, eg.sum(x, (0, 2)), eg.softmax(x, 1), eg.max(x, (3, 4)), x.T * 2]
    outputs += [eg.argmax(x, 0), eg.cumulative_sum(x, 0), eg.cumulative_sum(x, 1)]
    assert_right(outputs, {x: np.random.default_rng(0).normal(size=(1, 5, 1, 1, 3))})


@pytest.mark.parametrize("n", [0, 1, 5])
def test_axes_of_no_element(n):
    x = eg.input("x", ("batch", 0), "float64")
    outputs = [eg.sum(x), eg.sum(x, 0), eg.sum(x, 1), x @ x.T, x.T @ x]
    assert_right([*outputs, eg.pad(x, ((0, 0), (1, 2)))], {x: np.zeros((n, 0))})


@pytest.mark.parametrize("n", [1, 2, 9, 33])
def test_sizes_that_are_formulas(n):
    x = eg.input("x", ("batch",), "float64")
    square = eg.einsum("i,j->ij", x, x).reshape(-1)
    outputs = [x[::2] * 2, x[::-3], eg.mean(x), square[::2], eg.sum(square)]
    outputs += [eg.broadcast_to(x, (3, "batch")).reshape(-1), eg.concat([x, x[::2]])]
    assert_right(outputs, {x: np.random.default_rng(n).normal(size=n)})


@pytest.mark.parametrize("n", [1, 3, 20])
def test_whole_numbers_and_booleans(n):
    rng = np.random.default_rng(n)
    b, i, k = (eg.input(t, ("batch", 9), t) for t in ("bool", "int32", "int64"))
    outputs = [
        ~b,
        b.T,
        b & (i < 0),
        eg.where(b, i, 2),
        eg.concat([b, ~b]),
        b.reshape(-1),
    ]
    outputs += [eg.pad(b, ((1, 1), (0, 0))), eg.sum(eg.astype(b, "int32"), 1)]
    outputs += [eg.sum(i, 0), eg.sum(k, 1), eg.max(i, 1), eg.min(k, 0), eg.argmax(i, 1)]
    outputs += [eg.cumulative_sum(i, 1), eg.cumulative_sum(k, 0), i // 3, k % 7]
    outputs += [eg.einsum("bi,bi->b", i, i), eg.einsum("bi,ci->bc", k, k)]
    wide = rng.integers(-(2**62), 2**62, (n, 9))
    assert_right(outputs, {b: wide % 2 == 0, i: rng.integers(-9, 9, (n, 9)), k: wide})


def test_outputs_that_are_inputs_constants_or_twice_the_same():
    x = eg.input("x", (3, 4), "float64")
    y = eg.exp(x)
    outputs = [
        x,
        y,
        y,
        x,
        x.T,
        eg.constant([1.0, 2.0]),
        eg.constant(2.5),
        y.reshape(-1),
    ]
    assert_right(outputs, {x: np.random.default_rng(0).normal(size=(3, 4))})


def test_long_chains():
    x = y = eg.input("x", (5,), "float64")
    for _ in range(2000):
        y = y * 0.999 + 0.25
    assert_right([y, eg.grad(eg.sum(y), x)], {x: np.arange(5.0)})


# Indices that are outside


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bad", [5, -6, 2**40])
@pytest.mark.parametrize("place", [0, 19, 36])
def test_bad_index_of_gather(bad, place, threads):
    i = eg.input("i", ("batch",), "int64")
    w = eg.parameter("w", (5, 3), init=1.0)
    rows = eg.take(w, i)  # the user's line
    program = compiled(
        [eg.sum(rows)], {w: w - eg.grad(eg.sum(rows * rows), w)}, parallel=True
    )
    index = np.arange(37) % 5
    index[place] = bad
    with pytest.raises(
        IndexOutOfRange, match=f"index {bad} is outside an axis of 5"
    ) as caught:
        native(program, {i: index}, threads=threads)
    assert "the user's line" in str(caught.value)
    assert (w.value == 1).all()
    native(program, {i: np.arange(37) % 5}, threads=threads)
    assert (w.value < 1).all()


@pytest.mark.parametrize("bad", [4, -5])
def test_bad_index_of_scatter(bad):
    i = eg.input("i", ("batch",), "int64")
    u = eg.input("u", ("batch", 3))
    w = eg.parameter("w", (4, 3), init=1.0)
    added = eg.scatter_add(u, i, 4)  # the user's line
    program = compiled([], {w: w + added})
    with pytest.raises(
        IndexOutOfRange, match=f"index {bad} is outside an axis of 4"
    ) as caught:
        native(program, {i: [0, bad, 1], u: np.ones((3, 3))})
    assert "the user's line" in str(caught.value)
    assert (w.value == 1).all()


def test_bad_index_of_one_hot():
    i = eg.input("i", ("batch",), "int32")
    program = compiled([eg.one_hot(i, 7)])
    with pytest.raises(IndexOutOfRange, match="index 7 is outside an axis of 7"):
        native(program, {i: np.full(20, 7)})
    assert native(program, {i: [3]})[0].tolist() == [[0, 0, 0, 1, 0, 0, 0]]


@pytest.mark.parametrize("n", [1, 5, 20])
def test_indices_outside_what_is_read_are_not_checked(n):
    """Beside a padded or joined part the loops run on, over what is no index."""
    i, x = eg.input("i", ("batch",), "int64"), eg.input("x", ("batch",))
    rows = eg.take(eg.constant([1.0, 2.0, 3.0, 4.0, 5.0], "float32"), i + 7)
    outputs = [eg.pad(rows, ((2, 30),)), eg.sum(eg.pad(rows, ((2, 30),)))]
    outputs += [
        eg.concat([x, rows, x * 2, rows]),
        eg.concat([eg.one_hot(i + 7, 5)] * 2),
    ]
    rng = np.random.default_rng(n)
    assert_right(outputs, {i: rng.integers(-7, -2, n), x: rng.normal(size=n)})


def test_no_rows_of_an_empty_table():
    i, table = eg.input("i", ("batch",), "int64"), eg.input("table", (0,))
    rows = eg.take(table, i)
    joined = [
        eg.concat([rows, eg.constant([1.0, 2.0], "float32")]),
        eg.pad(rows, [(1, 1)]),
    ]
    assert_right(joined, {i: [], table: []})


# Whole networks


def network() -> tuple[list, dict]:
    """A loss of a dense and a convolutional part, with its gradients, and values."""
    rng = np.random.default_rng(0)
    x, y = eg.input("x", ("batch", 33)), eg.input("y", ("batch",), "int64")
    image = eg.input("image", ("batch", 2, 9, 9))
    w = eg.parameter("w", (33, 21), init=rng.normal(size=(33, 21)))
    k = eg.parameter("k", (5, 2, 3, 3), init=rng.normal(size=(5, 2, 3, 3)))
    pooled = eg.max_pool2d(eg.relu(eg.conv2d(image, k, padding=1)), 2)
    loss = eg.mean(eg.nn.cross_entropy(x @ w, y)) + eg.mean(eg.tanh(pooled))
    drawn = {x: rng.normal(size=(19, 33)), image: rng.normal(size=(19, 2, 9, 9))}
    return [loss, *eg.grad(loss, [w, k, x, image])], {**drawn, y: np.arange(19)}


@pytest.mark.parametrize("target", [None, *TARGETS])
def test_a_network_on_other_processors_and_many_threads(target):
    if target and not host().has("avx2"):
        pytest.skip("this machine has no AVX2")
    outputs, values = network()
    processor = named(*TARGETS[target]) if target else None
    program = compiled(outputs, {}, processor, parallel=True)
    results = [native(program, values, threads=n) for n in (1, 2, 3, 16)]
    for other in results[1:]:
        assert_same_bits(results[0], other)
    for found, wanted in zip(results[0], evaluate(outputs, values), strict=True):
        assert_close(found, wanted)


def test_an_input_that_is_the_memory_of_a_state():
    w = eg.state("w", (64,), init=np.arange(64.0), dtype="float64")
    x = eg.input("x", (64,), "float64")
    with settings():
        f = eg.function([x], [x * 2], {w: w + x[::-1]})
    (found,) = f(w.cell.array)
    assert found.tolist() == (2 * np.arange(64.0)).tolist()
    assert w.value.tolist() == [63.0] * 64
