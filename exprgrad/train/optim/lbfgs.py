"""L-BFGS: Newton's direction, by what the last steps told of the curvature."""

# ruff: noqa: RUF002 - the papers' Greek letters

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exprgrad.errors import GraphError
from exprgrad.graph import leaves
from exprgrad.graph.dtype import float64
from exprgrad.graph.elementwise import (
    abs,
    astype,
    both,
    either,
    equal,
    maximum,
    sqrt,
    where,
)
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from exprgrad.train.hyper import Amount, Hyper, Option
from exprgrad.train.optim.line import MOST, Place, begun, held, tried
from exprgrad.train.optim.pairs import (
    Memory,
    Pair,
    Vector,
    chosen,
    dot,
    minus,
    plus,
    scaled,
    summed,
    two_loops,
)
from exprgrad.train.rule import Optimizer, Updates

SEARCHES = (None, "armijo", "wolfe")  # ways to a rate


class LBFGS(Optimizer):
    """Steps along -H g, where the last m steps make H, which is near the inverse Hessian.

    Nocedal and Wright 2006, Numerical optimization, algorithms 7.4 and 7.5 (Liu and
    Nocedal 1989, On the limited memory BFGS method), at a fixed rate: 1 is Newton's, a
    loss far from a quadratic needs less, or a search along the line. As PyTorch's with
    `max_iter=1`, without its tolerances: the first rate is η min(1, 1/‖g‖₁), and a
    pair whose s·y is not above ε is left out. Parameters of whatever shapes are one
    vector of n elements; the states are 2 m + 2 such vectors.

    With a `line_search` η is the first rate α that is tried: a step looks at one place
    f(α) = J(θ + α d), d = -H g, and θ moves when it is good. "wolfe" asks for f(α) <=
    f(0) + c₁ α f'(0) and |f'(α)| <= c₂ |f'(0)|, where c₁ is 10⁻⁴ and c₂ 0.9 (equations
    3.7, by algorithms 3.5 and 3.6; PyTorch's "strong_wolfe"), "armijo" for the first
    alone. The best of 25 places is taken, good or not; where none is below the start,
    the pairs are forgotten. A pair is left out unless s·y is above ε ‖s‖ ‖y‖. The loss
    of a step is that at θ and never rises, but by rounding; the gradient being taken
    elsewhere, it costs a second forward pass where it is asked for.

    For `batch_size=None`: gradients of different batches differ by more than the step
    between them, y is noise, γ falls to nothing, and the walk stands still far from a
    minimum. Raises `GraphError` unless m, the `history_size`, is an integer of at least
    1, for another `line_search`, and for a search where the loss depends on `eg.step`.

    >>> import exprgrad as eg
    >>> w = eg.parameter("w", (2,), init=[3.0, 1.0])
    >>> loss = (w * w).sum()
    >>> step = eg.function([], loss, LBFGS(history_size=3).updates(loss))
    >>> [round(float(step()), 6) for _ in range(3)]
    [10.0, 5.625, 0.0]
    """

    learning_rate: Hyper = 1.0
    epsilon: Amount = 1e-10
    history_size: Option = 10
    line_search: Option = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        size = self.history_size
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise GraphError(
                f"history_size of LBFGS, the number of steps that it remembers, is an "
                f"integer of at least 1, not {size!r}"
            )
        if self.line_search not in SEARCHES:
            raise GraphError(
                f'line_search of LBFGS is "armijo", "wolfe" or None, not '
                f"{self.line_search!r}"
            )

    @property
    def searches(self) -> bool:
        """Whether rates are tried before one is taken."""
        return self.line_search is not None

    def point(self, parameter: Tensor) -> Tensor:
        """θ + α d, the place that a search tries."""
        if not self.searches:
            return parameter
        way, rate = self.state("way", like=parameter), self._scalar("rate")
        return parameter + self.rounded(rate) * way

    def changes(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], loss: Tensor
    ) -> Updates:
        """θ' = θ - η H' g; with a search θ' = θ + α d where α is good, and d' = -H' g."""
        theta, g = list(parameters), list(gradients)
        slope = [self.state("slope", like=p) for p in theta]
        found = {self._count: self._count + 1}
        if self.searches:
            return found | self._tried(theta, g, slope, astype(loss, float64))
        before = [self.state("before", like=p) for p in theta]
        memory, t, epsilon = self._memory(theta), self.exact("t"), self.exact("epsilon")
        known = memory.after(t > 1, minus(theta, before), minus(g, slope), epsilon)
        step = scaled(self._rate(equal(t, 1.0), g), two_loops(g, known))
        states = [*memory.tensors, *before, *slope, *theta]
        values = [*known.tensors, *theta, *g, *minus(theta, step)]
        return found | dict(zip(states, values, strict=True))

    def _tried(self, theta: Vector, g: Vector, slope: Vector, loss: Tensor) -> Updates:
        """The place θ + α d tried: taken, and a new line begun, or another is next."""
        changing = {leaves.step, leaves.epoch} & set(walk([loss]))
        if changing:
            raise GraphError(
                f"a search along a line compares the losses of two steps, but this loss "
                f"is another in each: it depends on {changing.pop().name}, by a schedule or "
                f"by random numbers"
            )
        way = [self.state("way", like=p) for p in theta]
        rate, left = self._scalar("rate"), self._scalar("left")
        line, trial = held(self._scalar), Place(rate, loss, dot(g, way))
        good, narrowed, next_rate = tried(line, trial, self.line_search == "wolfe")
        taken = either(good, equal(left, 0.0))  # and none but this can be tried
        anew = both(taken, equal(rate, 0.0))  # as nothing along the line was better
        memory, s, y = self._memory(theta), scaled(rate, way), minus(g, slope)
        least = self.exact("epsilon") * sqrt(dot(s, s) * dot(y, y))
        known = memory.without(anew).after(taken, s, y, least)
        ahead = [-part for part in two_loops(g, known)]
        more = where(taken, float(MOST), left - 1)
        following = where(equal(more, 0.0), narrowed.low.rate, next_rate)
        states = [*memory.tensors, *theta, *way, *slope, *line.scalars, left, rate]
        begin = begun(loss, dot(g, ahead)).scalars
        moved = [*plus(theta, s), *ahead, *g, *begin]
        kept = [*theta, *way, *slope, *narrowed.scalars]
        values = [*known.tensors, *chosen(taken, moved, kept), more]
        values.append(where(taken, self._rate(anew, g), following))
        return dict(zip(states, values, strict=True))

    def _rate(self, first: Tensor, gradient: Vector) -> Tensor:
        """η, at the first step η min(1, 1/‖g‖₁)."""
        shortened = 1 / maximum(summed([abs(part) for part in gradient]), 1.0)
        return self.exact("learning_rate") * where(first, shortened, 1.0)

    def _memory(self, theta: Vector) -> Memory:
        """The states of all pairs."""
        gamma = self.state("gamma", init=1.0, dtype=float64)
        pairs = [
            Pair(
                [self.state(f"s{i}", like=p) for p in theta],
                [self.state(f"y{i}", like=p) for p in theta],
                self._scalar(f"rho{i}"),
            )
            for i in range(1, self.history_size + 1)
        ]
        return Memory(pairs, gamma)

    def _scalar(self, name: str) -> Tensor:
        return self.state(name, dtype=float64)
