"""Which axis of a temporary is innermost, and that nothing depends on it but time."""

from __future__ import annotations

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph import dtype
from exprgrad.graph.evaluate import evaluate
from exprgrad.graph.node import walk
from exprgrad.loop import ir, layout
from exprgrad.loop.copies import sums
from exprgrad.loop.ir import Buffer, Kernel, Store
from exprgrad.loop.layout import arrange, place_in
from exprgrad.loop.schedule import across
from exprgrad.runtime.step import Epoch
from tests.loop.stages import MACHINE, stages
from tests.loop.test_meaning import hold

BATCH = "batch"


def network(dtype="float32", size=9, channels=(1, 6, 16)):
    """Two convolutions with pooling, a dense layer, and the loss of a batch."""
    x, y = eg.input("x", (BATCH, channels[0], size, size), dtype), eg.input("y", (BATCH,), "int64")
    rng = np.random.default_rng(0)
    shapes = [(channels[1], channels[0], 3, 3), (channels[2], channels[1], 2, 2), (channels[2], 5)]
    weights = [
        eg.parameter(f"layout_w{n}", shape, init=rng.normal(size=shape) / 4, dtype=dtype)
        for n, shape in enumerate(shapes)
    ]
    first = eg.max_pool2d(eg.relu(eg.conv2d(x, weights[0], padding=1)), 2)
    last = eg.relu(eg.conv2d(first, weights[1], stride=2, padding=1))
    rows = eg.max(last, (-2, -1)).reshape((x.shape[0], -1)) @ weights[2]
    return x, y, weights, eg.mean(eg.nn.cross_entropy(rows, y))


def draw(x, y, rows):
    rng = np.random.default_rng(rows)
    images = rng.normal(size=(rows, *x.shape[1:])).astype(x.dtype.numpy)
    return {x: images, y: rng.integers(0, 5, rows)}


def test_the_mini_batch_is_innermost_between_layers_of_few_channels():
    x, _, weights, loss = network(size=28)
    kernels = stages([loss, *eg.grad(loss, weights)]).ordered
    images = {b for k in kernels for b in k.writes() if b.role == "temporary" and len(b.shape) > 3}
    assert images
    assert all(b.shape[-1] == x.shape[0] for b in images if "copy" not in b.name)


def separable(dtype="float32", size=20):
    """A layer of single pixels, one of single channels, and the loss of a batch."""
    x = eg.input("x", (BATCH, 4, size, size), dtype)
    rng = np.random.default_rng(0)
    weights = [
        eg.parameter(f"apart_w{n}", shape, init=rng.normal(size=shape), dtype=dtype)
        for n, shape in enumerate([(8, 4, 1, 1), (8, 1, 3, 3)])
    ]
    h = eg.conv2d(x, weights[0])
    h = eg.relu(h - eg.mean(h, (0, 2, 3), keepdims=True))
    h = eg.conv2d(h, weights[1], stride=2, padding=1, groups=8)
    return x, weights, eg.mean(h * h)


def test_nests_that_share_a_loop_are_taken_apart_to_run_along_it():
    """A rectifier and the windows over each image that it makes were one kernel."""
    x, weights, loss = separable()
    made = stages([loss, *eg.grad(loss, weights)])
    assert any(len({store.axes for store in k.stores}) > 1 for k in made.fused)
    images = {b for k in made.ordered for b in k.writes() if len(b.shape) > 3}
    images = {b for b in images if b.role == "temporary"}
    assert {b.name for b in images} >= {"where1", "add1", "slice1", "where2"}
    assert {b.shape[-1] for b in images} <= {8, x.shape[0]}  # channels, or the batch
    for scheduled in made.scheduled:
        for store in scheduled.kernel.stores:
            if store.buffer in images:
                (vector,) = (a for a in store.axes if scheduled.of(a).vector)
                assert store.place().factor_of(vector) == 1 or across(scheduled, store)


def test_nests_that_are_taken_apart_keep_their_values():
    x, weights, loss = separable("float64", size=6)
    rng = np.random.default_rng(1)
    hold([loss, *eg.grad(loss, weights)], {x: rng.normal(size=(2, *x.shape[1:]))})


def test_what_is_read_of_the_caller_is_copied_once_in_that_order():
    x, _, weights, loss = network(size=28)
    kernels = stages([loss, *eg.grad(loss, weights)]).ordered
    readers = [k for k in kernels if any(b.source is x for b in k.reads())]
    assert len(readers) == 1
    (copy,) = readers[0].writes()
    assert copy.shape == (1, 30, 30, x.shape[0])  # the border of zeros is part of it


def test_layers_of_dense_networks_are_left_as_they_are():
    x, w = eg.input("x", (BATCH, 64)), eg.parameter("dense_w", (64, 64), init=eg.init.normal())
    loss = eg.mean(eg.tanh(x @ w) ** 2)
    kernels = stages([loss, eg.grad(loss, w)]).ordered
    assert all(b.shape != (64, x.shape[0]) for k in kernels for b in k.writes())


def test_interpreted_before_and_after():
    x, y, weights, loss = network("float64", 4, (1, 8, 2))
    hold([loss, *eg.grad(loss, weights)], draw(x, y, 2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 7, 16, 37])
def test_an_epoch_is_the_same_step_by_step(dtype, batch):
    x, y, weights, loss = network(dtype)
    updates = {w: w - 0.1 * g for w, g in zip(weights, eg.grad(loss, weights), strict=True)}
    start = [w.value.copy() for w in weights]
    values = draw(x, y, 37)
    steps = -(-37 // batch)
    epoch = Epoch([x, y], {"loss": loss}, updates, BATCH)
    running = epoch.over({"x": values[x], "y": values[y]}, 37, batch)
    losses = running.run(np.arange(37), 0, steps)["loss"]
    found = [w.value.copy() for w in weights]
    for w, value in zip(weights, start, strict=True):
        w.value = value
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    for step in range(steps):
        rows = slice(step * batch, min(37, (step + 1) * batch))
        drawn = {tensor: value[rows] for tensor, value in values.items()}
        expected, *new = evaluate([loss, *updates.values()], drawn)
        np.testing.assert_allclose(losses[step], expected, rtol=tolerance)
        for w, value in zip(weights, new, strict=True):
            w.value = value.astype(dtype)
    for w, value in zip(weights, found, strict=True):
        np.testing.assert_allclose(value, w.value, rtol=tolerance, atol=tolerance)


def test_no_window_is_gathered():
    """Between the copy of the images and the update all vectors lie side by side."""
    _, _, weights, loss = network(size=28)
    updates = {w: w - 0.1 * g for w, g in zip(weights, eg.grad(loss, weights), strict=True)}
    found = 0
    for scheduled in stages([loss], updates).scheduled:
        vectors = [axis for axis, how in scheduled.how.items() if how.vector]
        for node in sums(scheduled.kernel):
            reads = [ir.offset(n) for n in walk(node.args) if n.op == "read"]
            assert {r.factor_of(a) for r in reads for a in vectors} <= {0, 1}
            found += 1
    assert found == 4  # two layers, and the gradients of their weights


@pytest.mark.parametrize("view, shape, axis, expected", [
    ((8, 12), (8, 3, 4), 0, 0), ((8, 12), (8, 3, 4), 1, None), ((8, 3, 4), (8, 3, 4), 2, 2),
    ((1, 8, 12), (8, 12), 0, 1), ((8, 1, 12), (8, 12), 1, 2), ((96,), (8, 12), 0, None),
])  # fmt: skip
def test_an_axis_is_found_in_a_view(view, shape, axis, expected):
    assert place_in(view, shape, axis) == expected


def test_layers_of_many_channels_run_along_these():
    """The batch of 64 rows would be as long, but a tile of it needs all weights anew."""
    x, weights = eg.input("x", (BATCH, 64, 16, 16)), []
    h = x
    for n in range(2):
        weights.append(eg.parameter(f"many_w{n}", (64, 64, 3, 3), init=eg.init.he_normal()))
        h = eg.relu(eg.conv2d(h, weights[-1], padding=1))
    loss = eg.mean(eg.mean(h, (-2, -1)) ** 2)
    kernels = stages([loss, *eg.grad(loss, weights)]).ordered
    stored = {b for k in kernels for b in k.writes() if b.role == "temporary"}
    images = {b for b in stored if len(b.shape) > 3}
    assert not any(b.shape[-1] == x.shape[0] for b in images)
    between = {b.name: b.shape[-1] for b in images}
    assert [between[name] for name in ("where1", "many_w0.copy", "many_w1.copy")] == [64] * 3


def test_a_store_of_one_element_may_have_no_index():
    """Seen as a scalar, what it stores to still has axes."""
    made = Buffer("made", (1, 1, 1), dtype.float32, "temporary")
    kernel = Kernel((Store(made, (), (), ir.zero(dtype.float32), view=()),))
    _, _, _, loss = network()
    assert kernel in arrange([*stages([loss]).ordered, kernel], MACHINE, {BATCH})


def convolved(channels, size):
    """The kernels of a layer on 32 images, forward and both gradients, by their names."""
    shape = (32, channels, size, size)
    x = eg.parameter("deep_x", shape, init=np.zeros(shape))
    w = eg.parameter("deep_w", (channels, channels, 3, 3), init=eg.init.normal())
    y = eg.relu(eg.conv2d(x, w, padding=1))
    made = stages([eg.sum(y * y), *eg.grad(eg.sum(y * y), [x, w])])
    return {scheduled.kernel.name: scheduled for scheduled in made.scheduled}


@pytest.mark.parametrize(("channels", "size"), [(64, 16), (128, 8)])
def test_known_batches_run_along_many_channels_too(channels, size):
    """A tile is four vectors of channels wide, where 32 rows have but two."""
    made = convolved(channels, size)
    for name in ("where2", "output2.sum"):
        how = made[name].how.items()
        assert [(axis.extent, h.tile) for axis, h in how if h.vector] == [(channels, 4)]


@pytest.mark.parametrize(("channels", "row"), [(256, 272), (240, 240), (64, 64)])
def test_rows_of_a_large_copy_do_not_meet_in_the_cache(channels, row):
    """Those of 1 KB are a line longer, where all would not stay in the cache."""
    x = eg.input("x", (2, channels, 4, 4))
    w = eg.parameter(f"spread_w{channels}", (channels, channels, 3, 3), init=eg.init.normal())
    y = eg.conv2d(x, w, padding=1)
    written = [buffer for kernel in stages([y]).ordered for buffer in kernel.writes()]
    assert [b.shape[-1] for b in written if b.name == w.name + ".copy"] == [row]
    numbers = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    expected = evaluate([y], {x: numbers})[0]
    np.testing.assert_allclose(eg.function([x], y)(numbers), expected, atol=1e-3)


def test_convolutions_of_no_images_have_no_results_and_no_gradients():
    x, _, weights, _ = network()
    rows = eg.input("none", (0, *x.shape[1:]))
    first = eg.relu(eg.conv2d(rows, weights[0], padding=1))
    last = eg.conv2d(first, weights[1])
    call = eg.function([rows], [last, *eg.grad(eg.sum(last), weights[:2])])
    images, *gradients = call(np.zeros(rows.shape, np.float32))
    assert images.shape == last.shape
    assert not any(gradient.any() for gradient in gradients)


def test_the_search_ends_where_no_order_costs_anything(monkeypatch):
    _, _, weights, loss = network(size=28)
    kernels = stages([loss, *eg.grad(loss, weights)]).lowered
    monkeypatch.setattr(layout, "price", lambda kernel, machine: 0.0)
    monkeypatch.setattr(layout.Search, "_refined", lambda *_: pytest.fail("goes on"))
    assert arrange(kernels, MACHINE, {BATCH})


def test_sums_run_along_the_channels_in_memory():
    """One factor has them innermost, the other one reads a row of weights for each."""
    made = convolved(64, 16)
    (forward,) = (n for n in ir.scalars(made["where2"].kernel) if n.op == "reduce")
    assert [axis.extent for axis in forward.params[1]] == [3, 3, 64]


@pytest.mark.parametrize(("channels", "outside"), [(256, True), (64, False)])
def test_columns_stand_around_the_points_of_an_image_where_weights_leave_the_cache(
    channels, outside
):
    """Those of a tile stay there; 64 channels stay there as a whole."""
    x = eg.input("x", (16, channels, 14, 14))
    w = eg.input("w", (channels, channels, 3, 3))
    y = eg.conv2d(x, w, padding=1)
    made = stages(list(eg.grad((y**3).sum(), [x, w])))
    axes = next(s.kernel.stores[0].axes for s in made.scheduled if s.kernel.name == "add1")
    extents = [axis.extent for axis in axes]
    assert extents == ([16, channels, 14, 14] if outside else [16, 14, 14, channels])


def test_columns_that_stand_there_have_the_same_values():
    """At the sizes at which the loops' order is changed, beside gradients in NumPy."""
    x, w = eg.input("x", (2, 256, 6, 6)), eg.input("w", (256, 256, 3, 3))
    y = eg.conv2d(x, w, padding=1)
    gradients = eg.grad((y**3).sum(), [x, w])
    made = stages(list(gradients))
    axes = next(s.kernel.stores[0].axes for s in made.scheduled if s.kernel.name == "add1")
    assert [axis.extent for axis in axes] == [2, 256, 6, 6]
    rng = np.random.default_rng(0)
    given = {x: rng.normal(size=x.shape), w: rng.normal(size=w.shape) / 50}
    given = {leaf: array.astype(np.float32) for leaf, array in given.items()}
    results = eg.function([x, w], list(gradients))(*given.values())
    for found, expected in zip(results, evaluate(gradients, given), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
