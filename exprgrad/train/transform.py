"""What may stand beside an optimizer in a chain: changes of gradients, of new values."""

from __future__ import annotations

from collections.abc import Sequence

from exprgrad.graph.tensor import Tensor
from exprgrad.train.hyper import Part
from exprgrad.train.rule import Optimizer, Updates


class GradientTransform(Part):
    """Base of what changes gradients before the optimizer sees them.

    Write `change` for a rule of one gradient at a time, or `gradients` for one that
    looks at all together. Fields are as in `Optimizer`.

    >>> import exprgrad as eg
    >>> class Sign(GradientTransform):
    ...     def change(self, parameter, gradient):
    ...         return eg.sign(gradient)
    >>> print(eg.formula(eg.optim.Chain(Sign(), eg.optim.SGD())))
    g' = sign(g)
    θ' = θ - η * g'
    """

    def change(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        """What takes the place of the gradient by `parameter`."""
        raise NotImplementedError(f"{type(self).__name__} needs a change of gradients")

    def gradients(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]
    ) -> list[Tensor]:
        """What takes the place of each gradient."""
        found = []
        for parameter, gradient in zip(parameters, gradients, strict=True):
            with self._working_in(parameter.dtype):
                found.append(self.change(parameter, gradient))
        return found


class ParameterTransform(Part):
    """Base of what sees the new values of parameters, and may change them.

    >>> import exprgrad as eg
    >>> class Positive(ParameterTransform):
    ...     def after(self, parameter, new, rate):
    ...         return {parameter: eg.maximum(new, 0)}
    >>> print(eg.formula(eg.optim.Chain(eg.optim.SGD(), Positive())))
    θ' = maximum(θ - η * g, 0.0)
    """

    def after(self, parameter: Tensor, new: Tensor, rate: Tensor) -> Updates:
        """The value in place of `new`, and states; `rate` is the learning rate."""
        raise NotImplementedError(f"{type(self).__name__} needs a change of parameters")

    def changes(self, found: Updates, optimizer: Optimizer) -> Updates:
        """What takes the place of the new values of parameters in `found`."""
        changed: Updates = {}
        for parameter, new in found.items():
            if parameter.op == "parameter":
                with self._working_in(parameter.dtype):
                    rate = optimizer.rate_of(parameter)
                    changed.update(self.after(parameter, new, rate))
        return changed
