"""Kernels in later phases, where that frees memory and costs no barrier."""

from __future__ import annotations

import pytest

import exprgrad as eg
from exprgrad.graph.dtype import float32
from exprgrad.graph.tensor import Tensor
from exprgrad.loop import ir, phases
from exprgrad.loop.ir import Axis, Buffer, Kernel, Store
from exprgrad.loop.schedule import Scheduled, schedule
from exprgrad.loop.sink import sink
from tests.loop.stages import MACHINE, stages

LAYERS = 12
X = eg.input("x", ("batch", 512))


def network() -> tuple[Tensor, dict[Tensor, Tensor]]:
    """Layers whose weights' gradients read the layer before turned (`turn.py`)."""
    h, weights = eg.sin(X), []
    for n in range(LAYERS):
        weights.append(eg.parameter(f"w{n}", (512, 512)))
        h = eg.tanh(h @ weights[-1])
    loss = (h * h).mean()
    gradients = eg.grad(loss, weights)
    return loss, {w: w - g for w, g in zip(weights, gradients, strict=True)}


def places(made: list[list[Scheduled]]) -> dict[str, int]:
    """The phase in which each buffer is written."""
    return {
        buffer.name: number
        for number, phase in enumerate(made)
        for each in phase
        for buffer in each.kernel.writes()
    }


def test_copies_are_made_right_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    loss, updates = network()
    late = stages([loss], updates).phases
    monkeypatch.setattr(phases, "sink", lambda phases: phases)
    early = stages([loss], updates).phases
    assert len(late) == len(early)
    copies = [name for name in places(early) if name.endswith(".turned")]
    assert len(copies) == LAYERS
    read = {
        buffer.name: number
        for number, phase in enumerate(late)
        for each in phase
        for buffer in each.kernel.reads()
    }
    first, *others = sorted(copies, key=places(late).__getitem__)
    assert max(read[name] - places(late)[name] for name in others) <= 1
    assert max(read[name] - places(early)[name] for name in others) >= LAYERS
    # what nobody else reads any more is as large as its copy, which is made at once
    assert first.startswith("sin")
    assert places(late)[first] == places(early)[first]


def test_the_arena_has_a_layer_for_each_layer() -> None:
    """Beside the layers two of what goes back, the copy of one, and the turned rows."""
    loss, _ = network()
    temporaries = str(eg.Trainer(loss, eg.optim.SGD(0.1)).memory()).splitlines()[0].split()[1]
    layers = int(temporaries.removesuffix("*batch")) / (512 * 4)
    assert LAYERS < layers <= LAYERS + 4


def test_what_is_overwritten_in_the_same_phase_is_read_before() -> None:
    """Each thread reads its own part of a state, then writes it."""
    state, copy, output = (
        Buffer(role, (64,), float32, role) for role in ("state", "temporary", "output")
    )
    kernels = [copied(copy, state), copied(state, state, more=1), copied(output, copy)]
    reads, writes, last = (schedule(kernel, MACHINE) for kernel in kernels)
    assert sink([[reads, writes], [last]]) == [[reads, writes], [last]]
    assert sink([[writes, reads], [last]]) == [[writes], [reads, last]]
    assert sink([[reads], [writes], [last]]) == [[reads], [writes], [last]]


def copied(to: Buffer, source: Buffer, more: int = 0) -> Kernel:
    """The kernel to[i] = source[i], added to itself so many times."""
    axis = Axis("i", 64)
    place = ir.axis_value(axis)
    value = ir.read(source, source.shape, [place])
    for _ in range(more):
        value = ir.scalar("add", (value, value), (), value.dtype)
    return Kernel((Store(to, (axis,), (place,), value),))
