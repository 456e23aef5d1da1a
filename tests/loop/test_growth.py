"""Compiling takes work in proportion to the number of nodes: visits, tries and kernels
are counted, not seconds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import exprgrad as eg
from exprgrad.graph.tensor import Tensor
from exprgrad.loop import fuse, ir, layout, place
from exprgrad.loop.dependences import FAR, Dependences
from exprgrad.rewrite.fixpoint import Search
from tests.loop.stages import stages

Updates = dict[Tensor, Tensor]


def layers(count: int) -> tuple[Tensor, Updates]:
    h = eg.input("x", ("batch", 16))
    parameters = []
    for number in range(count):
        w = eg.parameter(f"w{number}", (16, 16))
        b = eg.parameter(f"b{number}", (16,))
        parameters += [w, b]
        h = eg.tanh(h @ w + b)
    loss = (h * h).mean()
    return loss, eg.optim.SGD(0.1).updates(loss, parameters)


def chain(length: int) -> Tensor:
    y = eg.input("x", ("n",))
    for number in range(length // 3):
        y = eg.sin(y) * 1.01 + number
    return y


def counted(
    monkeypatch: pytest.MonkeyPatch, places: list[tuple[object, str]], run: Callable[[], object]
) -> Counter[str]:
    """How often each of some functions is called meanwhile."""
    counts: Counter[str] = Counter()
    with monkeypatch.context() as patch:
        for owner, name in places:
            patch.setattr(owner, name, counting(getattr(owner, name), name, counts))
        run()
    return counts


def counting(function: Callable[..., Any], name: str, counts: Counter[str]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        counts[name] += 1
        return function(*args)

    return call


COUNTED = [
    (Search, "_advance"),
    (fuse, "merge"),
    (Dependences, "between"),
    (Dependences, "join"),
]


def test_deep_networks_take_work_in_proportion_to_their_layers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = eg.input("x", ("batch", 16))
    found = []
    for count in (15, 30, 60):
        loss, updates = layers(count)
        run = lambda loss=loss, updates=updates: eg.function([x], loss, updates=updates)  # noqa: E731
        found.append(counted(monkeypatch, COUNTED, run))
    small, middle, large = found
    for _, name in COUNTED:
        assert 0 < large[name] - middle[name] <= 2.2 * (middle[name] - small[name]), name


def test_equal_layers_share_their_functions() -> None:
    x = eg.input("x", ("batch", 16))
    found = []
    for count in (10, 40):
        loss, updates = layers(count)
        f = eg.function([x], loss, updates=updates)
        text = next(s.text() for s in f.report() if s.name == "emit")
        found.append(len(re.findall("^define ", text, re.MULTILINE)))
    assert found[0] == found[1] < 20


def test_a_long_chain_is_cut_into_kernels_of_bounded_length() -> None:
    counts, lengths = [], (1500, 3000, 6000)
    for length in lengths:
        kernels = stages([chain(length)]).fused
        sizes = [len(ir.scalars(kernel)) for kernel in kernels]
        assert max(sizes) <= place.MOST_SCALARS + 3
        counts.append(len(kernels))
    for length, count in zip(lengths, counts, strict=True):
        assert 1 < count <= 1 + 3 * length / place.MOST_SCALARS


def test_a_short_chain_is_one_kernel() -> None:
    assert len(stages([chain(150)]).fused) == 1


def test_a_search_ends_where_kernels_are_far_apart() -> None:
    count = 4 * FAR
    apart = Dependences({n: {n - 1} if n % count else set() for n in range(2 * count)})
    assert apart.between(0, count - 1)
    assert apart.between(0, 2 * count - 1), "far apart counts as dependent"
    assert not apart.between(count - 3, count - 2)


def prices(layers: int, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the search for layouts asks what a kernel costs, convolution on convolution,
    and how often that is computed.
    """
    h = eg.input("x", ("batch", 16, 12, 12))
    weights = []
    for n in range(layers):
        weights.append(eg.parameter(f"grow_w{n}", (16, 16, 3, 3), init=eg.init.he_normal()))
        h = eg.relu(eg.conv2d(h, weights[-1], padding=1))
    loss = eg.mean(h * h)
    step = [loss, *eg.grad(loss, weights)]
    counting = [(layout.Search, "_price"), (layout, "price")]
    return counted(monkeypatch, counting, lambda: stages(step))


def test_the_search_for_layouts_grows_with_the_layers(monkeypatch):
    """Of each trial only what uses a moved buffer is priced again."""
    assert prices(6, monkeypatch)["_price"] < 3 * prices(3, monkeypatch)["_price"]


def test_equal_layers_are_priced_once(monkeypatch):
    few, many = prices(6, monkeypatch), prices(12, monkeypatch)
    assert many["price"] == few["price"] < few["_price"] / 4
