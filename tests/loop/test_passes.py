"""What passes make of kernels: how many there are, what they store, who waits for whom."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import exprgrad as eg
from exprgrad.graph.dims import count
from exprgrad.graph.dtype import float32
from exprgrad.loop import split
from exprgrad.loop.cost import Machine
from exprgrad.loop.ir import Buffer
from exprgrad.loop.memory import ALIGNMENT, Life, plan
from exprgrad.loop.schedule import schedule
from tests.compiled import assert_right
from tests.loop.stages import Stages, stages
from tests.loop.test_meaning import hold

X, Y = eg.input("x", ("batch", 64)), eg.input("y", ("batch",), "int64")
SIZES = {"w1": (64, 128), "b1": (128,), "w2": (128, 10), "b2": (10,)}
W1, B1, W2, B2 = WEIGHTS = [eg.parameter(name, shape) for name, shape in SIZES.items()]
HIDDEN = eg.relu(X @ W1 + B1)
LOSS = eg.mean(eg.nn.cross_entropy(HIDDEN @ W2 + B2, Y))
GRADIENTS = eg.grad(LOSS, WEIGHTS)


def temporaries(made: Stages) -> set[Buffer]:
    kernels = [scheduled.kernel for scheduled in made.scheduled]
    used = set().union(*(k.reads() | k.writes() for k in kernels))
    return {b for b in used if b.role in ("temporary", "next")}


def elements(buffer: Buffer, batch: int = 32) -> int:
    return math.prod(n if isinstance(n, int) else batch for n in buffer.shape)


# before -> after, by the number of kernels


FUSED = {
    "elementwise": ([eg.tanh(eg.exp(X) + 1) * X], 1),
    "contraction and what follows": ([eg.relu(X @ W1 + B1)], 1),
    "two layers": ([HIDDEN @ W2 + B2], 2),
    "rows of a softmax": ([eg.softmax(X)], 1),
    "a row's mean and variance": (
        [(X - eg.mean(X, 1, True)) / eg.sqrt(eg.var(X, 1, keepdims=True))],
        1,
    ),
    "loss of a row and its gradient": (
        [
            eg.nn.cross_entropy(X, Y),
            eg.vjp(eg.nn.cross_entropy(X, Y), X, eg.ones(("batch",))),
        ],
        1,
    ),
    "beside one another": ([eg.exp(X) * 2, eg.exp(X) + 1], 1),
    "columns, then rows": ([eg.softmax(eg.softmax(X, 0), 1)], 4),
}


@pytest.mark.parametrize("name", FUSED)
def test_kernels_that_become_one(name):
    outputs, count = FUSED[name]
    assert len(stages(outputs).ordered) == count


def test_an_update_is_part_of_its_gradients_kernel():
    momenta = [eg.state(f"m{n}", w.shape) for n, w in enumerate(WEIGHTS)]
    new = [0.9 * m + g for m, g in zip(momenta, GRADIENTS, strict=True)]
    updates = dict(zip(momenta, new, strict=True))
    updates |= {w: w - 0.1 * n for w, n in zip(WEIGHTS, new, strict=True)}
    made = stages([LOSS], updates)
    largest = {b.shape for b in temporaries(made)}
    assert largest.isdisjoint(
        {(64, 128), (128, 10)}
    )  # no gradient of a weight is stored
    for weight, momentum in zip(WEIGHTS, momenta, strict=True):
        written = [{b.source for b in k.writes()} for k in made.ordered]
        assert any({weight, momentum} <= sources for sources in written)


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2, "padding": 1}, {"dilation": 2}, {"groups": 3}, {"batch": 1}],
    ids=str,
)
def test_a_convolutions_gradient_keeps_no_windows(options):
    options = dict(options)
    batch, groups = options.pop("batch", "batch"), options.get("groups", 1)
    image = eg.input("image", (batch, 3, 16, 16))
    kernel = eg.parameter("k", (9, 3 // groups, 3, 3))
    result = eg.conv2d(image, kernel, **options)
    loss = eg.sum(eg.tanh(result))
    made = stages([loss, *eg.grad(loss, [kernel, image])])
    assert all(len(b.shape) <= 4 + (groups > 1) for b in temporaries(made))
    border = 2 * 2 * options.get("dilation", 1)
    channels, *sides = result.shape[1:]
    with_borders = 32 * channels * math.prod(side + border for side in sides)
    assert max(map(elements, temporaries(made))) <= max(32 * 3 * 18 * 18, with_borders)


def test_collapse_makes_one_loop_of_several():
    x = eg.input("x", ("batch", 3, 5))
    (flat,) = stages([eg.exp(x) * 2]).scheduled
    assert len(flat.kernel.stores[0].axes) == 1
    (nest,) = stages([eg.exp(x) + eg.input("row", (5,))]).scheduled
    assert len(nest.kernel.stores[0].axes) == 3


def test_the_axes_of_a_copy_that_stay_side_by_side_are_one():
    """Of a kernel's weights, whose taps are too few to turn squares of."""
    w = eg.input("w", (64, 32, 3, 3))
    (copy,) = stages([w.transpose(1, 2, 3, 0)]).scheduled
    assert [axis.extent for axis in copy.kernel.stores[0].axes] == [288, 64]
    assert not copy.of(copy.kernel.stores[0].axes[1]).vector


@pytest.mark.parametrize("shape", [("batch", 40, 32), (3, 40, 4, 32)])
def test_a_product_of_several_axes_of_rows_is_one_of_two_loops(shape):
    x, w = eg.input("x", shape), eg.input("w", (48, 32))
    (product,) = stages([eg.tanh(x @ w.T)]).scheduled
    columns, rows = product.kernel.stores[0].axes
    assert product.of(columns).vector and product.panels[columns]
    assert rows.extent == count(x.shape[:-1])


@pytest.mark.parametrize(
    ("rows", "columns", "copied"), [(64, 512, 1), (64, 256, 0), (32, 512, 0)]
)
def test_what_fills_half_of_the_cache_is_copied_for_many_rows(rows, columns, copied):
    x, w = eg.input("x", (rows, 640)), eg.input("w", (640, columns))
    (kernel,) = stages([x @ w]).ordered
    product = schedule(kernel, Machine(cache_bytes=1 << 21))
    assert len(product.panels) == copied


def test_threads_fill_no_panel_twice():
    """Although rows are divided before, which another division has to wait for."""
    x, v, w = eg.input("x", (120, 64)), eg.input("v", (64, 640)), eg.input("w", (640, 1024))
    made = stages([eg.tanh(eg.tanh(x @ v) @ w)], machine=Machine(cache_bytes=1 << 21))
    first, last = made.scheduled
    assert not first.panels and first.parallel is first.kernel.stores[0].axes[0]
    assert last.parallel in last.panels


@pytest.mark.parametrize("n", [1, 7, 8, 21])
def test_cumulative_sums_run_side_by_side(n):
    x = eg.input("x", ("batch", 50))
    (rows,) = stages([eg.cumulative_sum(x, 1)]).scheduled
    assert [str(rows.of(axis)) for axis in rows.kernel.stores[0].axes] == ["by 8", "serial"]
    (columns,) = stages([eg.cumulative_sum(x, 0)]).scheduled
    assert columns.of(columns.kernel.stores[0].axes[1]).vector
    given = np.arange(n * 50, dtype="float32").reshape(n, 50)
    found = eg.function([x], eg.cumulative_sum(x, 1))(given)
    np.testing.assert_array_equal(found, np.cumsum(given, 1))


def test_states_are_updated_in_place_where_they_can_be():
    a, b = eg.state("a", (9,)), eg.state("b", (9,))
    assert not temporaries(stages([], {a: a + b, b: b * 2}))
    assert not temporaries(stages([], {a: eg.cumulative_sum(a, 0)}))
    swap = temporaries(stages([], {a: b, b: a}))
    assert {buffer.role for buffer in swap} == {"next"}
    assert len(temporaries(stages([], {a: a[::-1]}))) == 1


@pytest.mark.parametrize("n", [1, 4, 5, 17, 40])
def test_divided_sums(n, monkeypatch):
    monkeypatch.setattr(split, "BLOCK", 4)
    monkeypatch.setattr(split, "LONG", 0)
    x, rows = (
        eg.input("x", ("batch",), "float64"),
        eg.input("rows", ("batch", 3), "float64"),
    )
    outputs = [eg.sum(x), eg.max(x), eg.min(x * x), eg.sum(rows), eg.max(rows, 0)]
    outputs += [eg.logsumexp(x), eg.einsum("bi,b->i", rows, x), eg.argmax(x)]
    rng = np.random.default_rng(n)
    values = {x: rng.normal(size=n), rows: rng.normal(size=(n, 3))}
    made = hold(outputs, values)
    assert len(made.parts) > len(made.fused)
    assert_right(outputs, values)


# Who shares memory


LIVES = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 9), st.integers(0, 9)), max_size=12
)


@given(given_lives=LIVES)
def test_buffers_that_live_at_once_do_not_overlap(given_lives):
    needed = [
        Life(Buffer(f"t{n}", (size,), float32, "temporary"), min(a, b), max(a, b))
        for n, (size, a, b) in enumerate(given_lives)
    ]
    found = plan(needed, {})
    taken = {
        life: (found.offsets[life.buffer], 4 * life.buffer.shape[0]) for life in needed
    }
    for life, (start, size) in taken.items():
        assert start % ALIGNMENT == 0
        assert start + size <= found.nbytes
        for other, (begin, length) in taken.items():
            if other is not life and max(life.first, other.first) <= min(
                life.last, other.last
            ):
                assert start + size <= begin or begin + length <= start


def test_buffers_that_never_meet_share_memory():
    buffers = [Buffer(f"t{n}", (100,), float32, "temporary") for n in range(4)]
    found = plan([Life(b, n, n) for n, b in enumerate(buffers)], {})
    assert found.nbytes == 448


def test_a_number_stored_as_a_row_of_one_is_read_as_a_number():
    x, z = eg.input("x", (1, "m")), eg.input("z", (1, "m"))
    first = eg.sum(x, 1)[0]
    deviation = x - eg.mean(x)
    y = deviation + deviation - eg.mean(deviation + deviation)
    second = eg.sum(y + (eg.sum(z, 1)[:, None] + z), 1)[:, None]
    rng = np.random.default_rng(0)
    values = {node: rng.standard_normal((1, 6)) for node in (x, z)}
    assert_right([first, second], values, scale=10)
