"""Means of the parameters along their way, and looking through them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from exprgrad.errors import GraphError, Where, user_line
from exprgrad.graph.elementwise import equal, maximum, where
from exprgrad.graph.tensor import Tensor
from exprgrad.train.hyper import Fading, Hyper
from exprgrad.train.rule import Updates
from exprgrad.train.transform import ParameterTransform

NAME = "average"


class _Average(ParameterTransform):
    """A mean of each parameter beside it; what kind of mean, `weight` says."""

    def weight(self) -> Tensor:
        """How much of the mean the newest value is; 1 at the first update."""
        raise NotImplementedError

    def after(self, parameter: Tensor, new: Tensor, rate: Tensor) -> Updates:
        """a' = a + w (θ' - a)"""
        mean = self.state(NAME, like=parameter)
        return {parameter: new, mean: mean + self.rounded(self.weight()) * (new - mean)}

    def of(self, parameter: Tensor) -> Tensor:
        """The state that holds the mean of `parameter`."""
        if (parameter, NAME) not in self._slots:
            known = ", ".join(p.name for p, _ in self._slots if p is not None) or "none"
            raise GraphError(
                f"{type(self).__name__} has no mean of {parameter.name}; it has: {known}"
            )
        return self._slots[parameter, NAME]

    def applied(self) -> AbstractContextManager[None]:
        """Within it, parameters have their means as values: to evaluate, predict, save.

        Afterwards they are as before. Raises `GraphError` before the first update, and
        for an update within.
        """
        return self._applied(user_line())

    @contextmanager
    def _applied(self, where: Where) -> Iterator[None]:
        made = int(self.count.value)
        if not made:
            raise GraphError(
                f"{type(self).__name__} has no means before the first update", where
            )
        means = {p: mean for (p, _), mean in self._slots.items() if p is not None}
        held = {parameter: parameter.value.copy() for parameter in means}
        for parameter, mean in means.items():
            parameter.value = mean.value
        try:
            yield
        finally:
            for parameter, value in held.items():
                parameter.value = value
        if int(self.count.value) != made:
            raise GraphError(
                "parameters were trained while they had their means as values; what was "
                "trained is lost, train outside of applied()",
                where,
            )


class PolyakAverage(_Average):
    """The mean of all values since update `start`; the latest value before.

    Polyak and Juditsky 1992, Acceleration of stochastic approximation by averaging.

    >>> import exprgrad as eg
    >>> w = eg.parameter("w", init=1.0)
    >>> mean = PolyakAverage()
    >>> step = eg.function([], None, eg.optim.Chain(eg.optim.SGD(0.25), mean).updates(w * w))
    >>> step(), step()
    (None, None)
    >>> with mean.applied():
    ...     float(w.value)
    0.375
    >>> float(w.value)
    0.25
    """

    start: Hyper = 0

    def weight(self) -> Tensor:
        """1 / max(t - start, 1)"""
        return 1 / maximum(self.exact("t") - self.exact("start"), 1.0)


class EMA(_Average):
    """A mean in which a value fades by `decay` with each update; at first the value.

    As PyTorch's `AveragedModel` with `get_ema_multi_avg_fn(decay)`. Shadow variables of
    TensorFlow, Tarvainen and Valpola 2017's mean teacher.

    >>> import exprgrad as eg
    >>> EMA()
    EMA(decay=0.999)
    """

    decay: Fading = 0.999

    def weight(self) -> Tensor:
        """1 - decay, and 1 at the first update."""
        return where(equal(self.exact("t"), 1.0), 1.0, 1 - self.exact("decay"))
