"""Every EXPRGRAD_* switch in one table; none of them changes a result.

A switch is read from the environment each time it is asked for, so that a test or a
session may change it at any moment.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from exprgrad.errors import ExprgradError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Switch(Generic[T]):
    """A variable of the environment: calling the switch gives its value now."""

    name: str
    default: str
    meaning: str
    parse: Callable[[str], T]

    def __call__(self) -> T:
        """The value now."""
        text = os.environ.get(self.name, "").strip() or self.default
        try:
            return self.parse(text)
        except ValueError as error:
            rule = f"{self.name}: {self.meaning}; {text!r} is none of these"
            raise ExprgradError(rule) from error


def _flag(text: str) -> bool:
    return {"0": False, "off": False, "1": True, "on": True}[_known(text)]


def _known(text: str) -> str:
    if text not in ("0", "off", "1", "on"):
        raise ValueError(text)
    return text


def _folder(text: str) -> Path | None:
    return None if text in ("0", "off") else Path(text).expanduser()


def _count(text: str) -> int:
    if not text.isdigit():
        raise ValueError(text)
    return int(text)


def _level(text: str) -> int:
    levels = logging.getLevelNamesMapping()
    if text.upper() not in levels:
        raise ValueError(text)
    return levels[text.upper()]


CACHE = Switch(
    "EXPRGRAD_CACHE",
    "~/.cache/exprgrad",
    "the folder of compiled code, or 0 to keep none",
    _folder,
)
CACHE_SIZE = Switch(
    "EXPRGRAD_CACHE_SIZE", "512", "megabytes that the folder may hold, a number", _count
)
CHECK = Switch(
    "EXPRGRAD_CHECK", "0", "1 checks the program after every stage, 0 does not", _flag
)
THREADS = Switch(
    "EXPRGRAD_THREADS",
    "0",
    "threads a step runs on, a number; 0 chooses by timing",
    _count,
)
PIN = Switch(
    "EXPRGRAD_PIN",
    "0",
    "1 keeps each thread of a call on a core of its own, 0 leaves that to the system",
    _flag,
)
LOG = Switch("EXPRGRAD_LOG", "warning", "debug, info, warning or error", _level)

SWITCHES: tuple[Switch[Any], ...] = (CACHE, CACHE_SIZE, CHECK, THREADS, PIN, LOG)


def logger() -> logging.Logger:
    """The package's log at the level that EXPRGRAD_LOG asks for.

    >>> logger().name
    'exprgrad'
    """
    log = logging.getLogger("exprgrad")
    log.setLevel(LOG())
    if LOG.name in os.environ and not log.handlers:
        log.addHandler(logging.StreamHandler())
    return log
