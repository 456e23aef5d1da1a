"""What a schedule will be, before anything is trained: its values and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exprgrad.errors import ExprgradError, InputError
from exprgrad.graph import dtype as dtypes
from exprgrad.graph.elementwise import astype
from exprgrad.graph.leaves import epoch, state, step
from exprgrad.graph.mode import replaced
from exprgrad.graph.tensor import Tensor
from exprgrad.runtime.step import Epoch


def values(
    schedule: Tensor, steps: int, steps_per_epoch: int = 1
) -> NDArray[np.float64]:
    """The values of a schedule at updates 0 .. `steps` - 1, in one native call.

    `eg.epoch` rises by one every `steps_per_epoch` updates: with 1, a schedule of
    epochs is shown by epochs. Raises `InputError` unless both are integers from 1.

    >>> import exprgrad as eg
    >>> values(1.0 / (1 + eg.astype(eg.epoch, "float64")), 4, steps_per_epoch=2)
    array([1. , 1. , 0.5, 0.5])
    """
    for name, n in (("steps", steps), ("steps_per_epoch", steps_per_epoch)):
        if not isinstance(n, int) or n < 1:
            raise InputError(f"{name} is an integer from 1, not {n!r}")
    count = state("updates", dtype=dtypes.int64)
    exact = astype(schedule, dtypes.float64)
    counters = {step: count, epoch: count // steps_per_epoch}
    value = replaced([exact], counters)[exact]
    program = Epoch((), {"value": value}, {count: count + 1})
    order = np.zeros(steps, np.int64)  # one row a step; none is read
    return program.over({}, steps, 1).run(order, 0, steps)["value"]


def plot(
    schedules: Tensor | Mapping[str, Tensor], steps: int, steps_per_epoch: int = 1
) -> Any:
    """A matplotlib figure of a schedule, or of several by name, over `steps` updates.

    Raises `ExprgradError` where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ExprgradError("plot needs matplotlib: pip install matplotlib") from error
    named = schedules if isinstance(schedules, Mapping) else {"": schedules}
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    for name, schedule in named.items():
        axes.plot(values(schedule, steps, steps_per_epoch), label=name)
    axes.set_xlabel("update" if steps_per_epoch > 1 else "t")
    if any(named):
        axes.legend()
    return figure
