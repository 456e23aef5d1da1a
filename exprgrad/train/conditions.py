"""Several hyper-parameters together, some of which are there only beside others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exprgrad.errors import InputError
from exprgrad.train.space import Domain, Float

Values = dict[str, Any]


@dataclass(frozen=True)
class Space:
    """Domains by name, in an order in which conditions name only earlier ones."""

    domains: Mapping[str, Domain]

    @property
    def scalars(self) -> frozenset[str]:
        """The names of those that a compiled step reads when it runs."""
        return frozenset(n for n, d in self.domains.items() if isinstance(d, Float))

    def at(self, parts: Mapping[str, float]) -> Values:
        """The values at numbers from 0 to 1, of those hyper-parameters that are there."""
        values: Values = {}
        for name, domain in self.domains.items():
            if self.active(name, values):
                values[name] = domain.at(parts[name])
        return values

    def active(self, name: str, values: Mapping[str, Any]) -> bool:
        """Whether a hyper-parameter is there beside these values."""
        condition = self.domains[name].condition
        return all(n in values and values[n] == v for n, v in condition.items())

    def columns(self, values: Mapping[str, Any]) -> list[float]:
        """The values as numbers from 0 to 1; of what is not there, the middle."""
        found: list[float] = []
        for name, domain in self.domains.items():
            width = len(domain.columns(domain.at(0.5)))
            absent = [0.5] * width
            found += domain.columns(values[name]) if name in values else absent
        return found

    def suggested(self, trial: Any) -> Values:
        """Values for a trial of Optuna's."""
        values: Values = {}
        for name, domain in self.domains.items():
            if self.active(name, values):
                values[name] = domain.suggested(trial, name)
        return values

    def exact(self, values: Mapping[str, Any]) -> Values:
        """The values as they are used."""
        return {n: d.exact(values[n]) for n, d in self.domains.items() if n in values}

    def __repr__(self) -> str:
        return ", ".join(f"{name}: {domain}" for name, domain in self.domains.items())


def checked_space(space: Mapping[str, Domain]) -> Space:
    """The space of a search.

    Raises `InputError` for what is no domain, and for conditions on hyper-parameters
    that do not stand before, or on values that they cannot have.
    """
    if not isinstance(space, Mapping) or not space:
        raise InputError(f"a space maps names to domains of eg.space, not {space!r}")
    earlier: dict[str, Domain] = {}
    for name, domain in space.items():
        if not isinstance(domain, Domain):
            raise InputError(
                f"{name} is one of eg.space, such as eg.space.uniform(0, 1), not {domain!r}"
            )
        for other, value in domain.condition.items():
            if other not in earlier:
                raise InputError(
                    f"{name} depends on {other}, which does not stand before it"
                )
            if not earlier[other].holds(value):
                raise InputError(
                    f"{name} is there when {other} is {value!r}, which {earlier[other]} "
                    f"never is"
                )
        earlier[name] = domain
    return Space(earlier)
