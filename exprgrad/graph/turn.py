"""Whose turn it is: programs that update states of which they share one run one after
another.
"""

from __future__ import annotations

import os
import threading
from weakref import WeakSet

_joining = threading.Lock()
_held: list[threading.Lock] = []  # while the process is being forked


class Turn:
    """A lock that may be joined with others: they are one from then.

    To hold the lock of many states is to take one lock, however many there are. Who has
    waited for a lock asks again whether it is still this one:

    >>> a, b = Turn(), Turn()
    >>> a.join(b)
    >>> lock = a.lock
    >>> with lock:
    ...     lock is b.lock
    True
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._joined = WeakSet([self])
        with _joining:
            _turns.add(self)

    def join(self, other: Turn) -> None:
        """Make two locks one, as soon as nobody holds either."""
        with _joining:
            if self.lock is other.lock:
                return
            few, many = sorted([self, other], key=lambda turn: len(turn._joined))
            with few.lock, many.lock:
                many._joined |= few._joined
                for turn in few._joined:
                    turn.lock, turn._joined = many.lock, many._joined


_turns: WeakSet[Turn] = WeakSet()


def _take_all() -> None:
    """Wait until no program runs: a child has memory as it is between two steps, and no lock
    of a thread that it lacks.
    """
    _joining.acquire()
    _held.extend({turn.lock for turn in _turns})
    for lock in _held:
        lock.acquire()


def _give_all_back() -> None:
    while _held:
        _held.pop().release()
    _joining.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_take_all, after_in_parent=_give_all_back, after_in_child=_give_all_back
    )
