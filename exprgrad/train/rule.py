"""What an optimizer is: one update rule, and the step that it makes of a loss."""

from __future__ import annotations

from collections.abc import Sequence

from exprgrad.errors import GraphError
from exprgrad.grad import grad
from exprgrad.graph.leaves import step
from exprgrad.graph.mode import replaced
from exprgrad.graph.node import walk
from exprgrad.graph.tensor import Tensor
from exprgrad.train.hyper import Part

Updates = dict[Tensor, Tensor]


class Optimizer(Part):
    """Base of optimizers: name the hyper-parameters, write one `update`.

    A rule that looks at all parameters together writes `changes` in place of it.
    A field annotated `Hyper` is an argument of the constructor, in the order of the
    class. A number becomes a scalar in memory: setting it later, as in
    `optimizer.learning_rate = 0.1`, acts on the next step and compiles nothing. An
    expression of `eg.step` is a schedule; there, `step` is the number of updates that
    this optimizer has made. A field annotated `Option` is an argument by name that
    chooses between formulas.

    >>> from exprgrad.train.hyper import Hyper
    >>> class Plain(Optimizer):
    ...     rate: Hyper = 0.5
    ...     def update(self, parameter, gradient):
    ...         return {parameter: parameter - self.rate * gradient}
    >>> Plain(rate=0.1)
    Plain(rate=0.1)
    """

    _moved: frozenset[Tensor] = frozenset()  # for which it has given updates

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """The new value of `parameter` and of this optimizer's states for it."""
        raise NotImplementedError(f"{type(self).__name__} needs an update rule")

    def point(self, parameter: Tensor) -> Tensor:
        """Where the gradient is taken: at `parameter`, unless a rule looks elsewhere."""
        return parameter

    @property
    def searches(self) -> bool:
        """Whether it compares losses, so that nothing else may change its parameters."""
        return False

    def moves(self, parameter: Tensor) -> bool:
        """Whether this optimizer changes `parameter`."""
        return True

    def rate_of(self, parameter: Tensor) -> Tensor:
        """The learning rate of `parameter`, in its dtype."""
        if "learning_rate" not in self.fields:
            known = ", ".join(self.fields) or "none"
            raise GraphError(
                f"{type(self).__name__} has no hyper-parameter learning_rate, by which "
                f"a change of parameters is scaled; it has: {known}"
            )
        with self._working_in(parameter.dtype):
            return self.rounded(self.exact("learning_rate"))

    def points(self, parameters: Sequence[Tensor]) -> Updates:
        """Where each gradient is taken, of those taken elsewhere than at the parameter."""
        found: Updates = {}
        for parameter in parameters:
            with self._working_in(parameter.dtype):
                found[parameter] = self.point(parameter)
        return {p: point for p, point in found.items() if point is not p}

    def changes(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], loss: Tensor
    ) -> Updates:
        """New values of `parameters` and of all states, given the gradients.

        `loss` is its value where the gradients are taken.
        """
        found: Updates = {}
        for parameter, gradient in zip(parameters, gradients, strict=True):
            with self._working_in(parameter.dtype):
                found.update(self.update(parameter, gradient))
        found[self._count] = self._count + 1
        return found

    def updates(
        self, loss: Tensor, parameters: Sequence[Tensor] | None = None
    ) -> Updates:
        """New values for one step down the gradient of `loss`, for `eg.function`.

        `parameters` are all that the loss depends on, when not given. Raises
        `GraphError` when there are none, the loss is not a scalar, or this optimizer has
        counted updates of other parameters and what it does depends on their number.

        >>> import exprgrad as eg
        >>> w = eg.parameter("w", init=3.0)
        >>> f = eg.function([], w * w, eg.optim.SGD(0.25).updates(w * w))
        >>> float(f()), float(w.value)
        (9.0, 1.5)
        """
        given = parameters_of(loss) if parameters is None else parameters
        chosen = [parameter for parameter in given if self.moves(parameter)]
        if not chosen:
            raise GraphError("no parameter is left to train: all of them are frozen")
        gradients: list[Tensor] = grad(loss, chosen)
        points = self.points(chosen)
        if points:
            image = replaced([loss, *gradients], points)
            loss, gradients = image[loss], [image[gradient] for gradient in gradients]
        found = self.changes(chosen, gradients, loss)
        self._require_own(chosen, found)
        return found

    def _require_own(self, parameters: Sequence[Tensor], updates: Updates) -> None:
        """Refuse to go on counting from the updates of others where the count matters."""
        made, before = int(self.count.value), self._moved
        values = [new for state, new in updates.items() if state is not self.count]
        counts = not {self.count, step}.isdisjoint(walk(values))
        if made and counts and before and before.isdisjoint(parameters):
            first, other = (", ".join(sorted(p.name for p in of)) for of in (before, parameters))
            raise GraphError(
                f"this {type(self).__name__} has made {made} updates of others, {first}; what "
                f"it does depends on how many, and would go on from there for {other}: make "
                f"one anew"
            )
        self._moved = before | set(parameters)


def parameters_of(expression: Tensor) -> list[Tensor]:
    """The parameters that an expression depends on, in the order of their making.

    Raises `GraphError` when there are none.
    """
    found = [node for node in walk([expression]) if node.op == "parameter"]
    if not found:
        raise GraphError("the loss depends on no parameter; make one with eg.parameter")
    return sorted(found, key=lambda node: node.cell.number)
