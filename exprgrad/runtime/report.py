"""What the compiler tells about its work: the stages, their text, their time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the compiler; `text` prints what it made, when somebody asks."""

    name: str
    milliseconds: float
    text: Callable[[], str]


class Reporting(Protocol):
    """A compiled program that can say how it came about."""

    @property
    def notes(self) -> list[str]:
        """What the user should know: slower ways taken, and why."""

    def report(self) -> list[Stage]:
        """The stages in the order in which they ran."""
