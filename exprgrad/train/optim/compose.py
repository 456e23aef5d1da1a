"""Optimizers made of others: a chain of changes, groups of parameters, frozen ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from exprgrad.errors import GraphError
from exprgrad.graph.tensor import Tensor
from exprgrad.train.hyper import Part
from exprgrad.train.rule import Optimizer, Updates
from exprgrad.train.transform import GradientTransform, ParameterTransform


class Chain(Optimizer):
    """An optimizer between changes of gradients and changes of parameters.

    Data flow from left to right, as in Optax: the gradient through each
    `GradientTransform`, through the one `Optimizer` (which may be `Groups`), the new
    parameters through each `ParameterTransform`. Hyper-parameters of the optimizer are
    also those of the chain. Raises `GraphError` where the parts stand in another order.

    >>> import exprgrad as eg
    >>> o = eg.optim
    >>> chain = o.Chain(o.ClipByNorm(1.0), o.Adam(1e-3), o.WeightDecay(1e-2))
    >>> chain.learning_rate = 1e-4
    >>> chain.parts[1]
    Adam(learning_rate=0.0001, beta1=0.9, beta2=0.999, epsilon=1e-08)
    """

    def __init__(self, *parts: Part) -> None:
        order = [_place(part) for part in parts]
        if order.count(1) != 1 or order != sorted(order):
            given = ", ".join(type(part).__name__ for part in parts) or "nothing"
            raise GraphError(
                f"a chain is changes of gradients, one optimizer, changes of parameters, "
                f"in this order, not {given}"
            )
        self._parts = parts
        self._rule: Optimizer = parts[order.index(1)]  # type: ignore[assignment]
        super().__init__()
        self._count = self._rule.count
        for part in parts:
            if self.searches and isinstance(part, GradientTransform):
                raise _disturbs(part, "gradients")

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts, in the order in which data flow."""
        return self._parts

    @property
    def slots(self) -> tuple[Tensor, ...]:
        """The states of all parts."""
        return tuple(slot for part in self._parts for slot in part.slots)

    def point(self, parameter: Tensor) -> Tensor:
        """Where the optimizer wants the gradient."""
        return self._rule.point(parameter)

    def points(self, parameters: Sequence[Tensor]) -> Updates:
        """Where the optimizer wants gradients, of those taken elsewhere."""
        return self._rule.points(parameters)

    @property
    def searches(self) -> bool:
        """Whether the optimizer compares losses."""
        return self._rule.searches

    def moves(self, parameter: Tensor) -> bool:
        """Whether the optimizer changes `parameter`."""
        return self._rule.moves(parameter)

    def rate_of(self, parameter: Tensor) -> Tensor:
        """The optimizer's learning rate of `parameter`."""
        return self._rule.rate_of(parameter)

    def changes(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], loss: Tensor
    ) -> Updates:
        """The new values that come out at the end of the chain."""
        found: Updates = {}
        for part in self._parts:
            if isinstance(part, GradientTransform):
                gradients = part.gradients(parameters, gradients)
            elif isinstance(part, ParameterTransform):
                changed = part.changes(found, self._rule)
                moved = any(found.get(p, new) is not new for p, new in changed.items())
                if self.searches and moved:
                    raise _disturbs(part, "parameters")
                found.update(changed)
            else:
                found.update(self._rule.changes(parameters, gradients, loss))
            found[part.count] = part.count + 1
        return found

    def forgetful(self) -> Self:
        """The same parts, without the states of any parameter."""
        return type(self)(*(part.forgetful() for part in self._parts))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._rule.fields:
            raise AttributeError(f"{type(self).__name__} has no {name}")
        return getattr(self._rule, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            setattr(self._rule, name, value)

    def __repr__(self) -> str:
        return f"Chain({', '.join(map(repr, self._parts))})"


class Groups(Optimizer):
    """An optimizer for each group of parameters; `rest` for those in none.

    A group is a pair of an optimizer, which may be a chain, and its parameters. Raises
    `GraphError` for a parameter in two groups, in none where there is no `rest`, or in a
    group though it is not trained.

    >>> import exprgrad as eg
    >>> w, b = eg.parameter("w", (3,)), eg.parameter("b")
    >>> Groups((eg.optim.SGD(0.1), [b]), rest=eg.optim.Momentum(0.01)).of(b)
    SGD(learning_rate=0.1)
    """

    def __init__(
        self,
        *groups: tuple[Optimizer, Sequence[Tensor]],
        rest: Optimizer | None = None,
    ) -> None:
        self._rest = rest
        self._members: dict[Tensor, Optimizer] = {}
        for group in groups:
            optimizer, parameters = _pair(group)
            for parameter in parameters:
                if parameter in self._members:
                    raise GraphError(f"{parameter.name} is in two groups")
                self._members[parameter] = optimizer
        super().__init__()

    @property
    def optimizers(self) -> tuple[Optimizer, ...]:
        """The optimizers of the groups, each once, then that of the rest."""
        rest = () if self._rest is None else (self._rest,)
        return tuple(dict.fromkeys((*self._members.values(), *rest)))

    @property
    def slots(self) -> tuple[Tensor, ...]:
        """The states of all groups."""
        return tuple(slot for member in self.optimizers for slot in member.slots)

    def of(self, parameter: Tensor) -> Optimizer:
        """The optimizer of `parameter`."""
        member = self._members.get(parameter, self._rest)
        if member is None:
            raise GraphError(
                f"{parameter.name} is in no group; name it in one, or give an optimizer "
                f"for the rest: Groups(..., rest=Adam())"
            )
        return member

    def point(self, parameter: Tensor) -> Tensor:
        """Where the group's optimizer wants the gradient."""
        return self.points([parameter]).get(parameter, parameter)

    def points(self, parameters: Sequence[Tensor]) -> Updates:
        """Where the groups' optimizers want gradients, of those taken elsewhere."""
        found: Updates = {}
        for parameter in parameters:
            found.update(self.of(parameter).points([parameter]))
        return found

    @property
    def searches(self) -> bool:
        """Whether one of the optimizers compares losses."""
        return any(member.searches for member in self.optimizers)

    def moves(self, parameter: Tensor) -> bool:
        """Whether the group's optimizer changes `parameter`."""
        return self.of(parameter).moves(parameter)

    def rate_of(self, parameter: Tensor) -> Tensor:
        """The learning rate of the group."""
        return self.of(parameter).rate_of(parameter)

    def changes(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], loss: Tensor
    ) -> Updates:
        """The new values of all groups."""
        self._require_trained(parameters)
        if self.searches and len({self.of(p) for p in parameters}) > 1:
            raise GraphError(
                "a search along a line compares losses, which other groups change, too; "
                "give all parameters that move to one optimizer"
            )
        found: Updates = {self._count: self._count + 1}
        for member in self.optimizers:
            own = [i for i, p in enumerate(parameters) if self.of(p) is member]
            if own:
                moved, slopes = [parameters[i] for i in own], [gradients[i] for i in own]
                found.update(member.changes(moved, slopes, loss))
        return found

    def _require_trained(self, parameters: Sequence[Tensor]) -> None:
        for parameter in self._members:
            if self.moves(parameter) and parameter not in set(parameters):
                raise GraphError(
                    f"{parameter.name} is in a group, but the loss does not depend on it, "
                    f"or it is not among the parameters that are trained"
                )

    def forgetful(self) -> Self:
        """Groups have no formula of their own."""
        raise GraphError("each group has a formula: eg.formula(groups.of(parameter))")

    def __repr__(self) -> str:
        named = [
            f"({o!r}, [{', '.join(p.name for p, m in self._members.items() if m is o)}])"
            for o in dict.fromkeys(self._members.values())
        ]
        rest = [] if self._rest is None else [f"rest={self._rest!r}"]
        return f"Groups({', '.join([*named, *rest])})"


class Frozen(Optimizer):
    """Leaves its parameters as they are; no gradient by them is computed.

    >>> import exprgrad as eg
    >>> w, b = eg.parameter("w", init=2.0), eg.parameter("b", init=2.0)
    >>> groups = Groups((Frozen(), [w]), rest=eg.optim.SGD(0.1))
    >>> [s.name for s in groups.updates(w * b)]
    ['updates', 'b', 'updates']
    """

    def moves(self, parameter: Tensor) -> bool:
        """No parameter moves."""
        return False

    def update(self, parameter: Tensor, gradient: Tensor) -> Updates:
        """Nothing changes."""
        return {}


def _pair(group: Any) -> tuple[Optimizer, list[Tensor]]:
    """A group, checked."""
    if isinstance(group, tuple) and len(group) == 2:
        optimizer, parameters = group
        listed = isinstance(parameters, list | tuple) and all(map(_is_parameter, parameters))
        if isinstance(optimizer, Optimizer) and listed:
            return optimizer, list(parameters)
    raise GraphError(
        f"a group is an optimizer and a list of parameters, as in (Adam(), [w]), not "
        f"{group!r}"
    )


def _is_parameter(given: Any) -> bool:
    return isinstance(given, Tensor) and given.op == "parameter"


def _disturbs(part: Part, what: str) -> GraphError:
    return GraphError(
        f"a search along a line compares losses along the way of their gradients, so "
        f"that nothing may change {what} beside it, but {type(part).__name__} does; "
        f"write what it stands for into the loss"
    )


def _place(part: Part) -> int:
    """0 before the optimizer, 1 for it, 2 after it."""
    kinds = (GradientTransform, Optimizer, ParameterTransform)
    for place, kind in enumerate(kinds):
        if isinstance(part, kind):
            return place
    raise GraphError(
        f"a chain is made of what eg.optim has, made by a call, not {part!r}"
    )
