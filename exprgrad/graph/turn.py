"""Whose turn it is: programs that update states of which they share one run one after
another.
"""

from __future__ import annotations

import threading

_joining = threading.Lock()


class Turn:
    """A lock, held within `with`, that may be joined with others: they are one from then.

    To hold the lock of many states is to take one lock, however many there are.

    >>> a, b = Turn(), Turn()
    >>> a.join(b)
    >>> with a:
    ...     b.is_taken()
    True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._joined: Turn | None = None

    def join(self, other: Turn) -> None:
        """Make two locks one, as soon as nobody holds either."""
        with _joining:
            one, two = self._head(), other._head()
            if one is not two:
                with one._lock, two._lock:
                    two._joined = one

    def is_taken(self) -> bool:
        """Whether anybody holds it now."""
        return self._head()._lock.locked()

    def _head(self) -> Turn:
        head = self
        while head._joined is not None:
            head = head._joined
        return head

    def __enter__(self) -> None:
        while True:
            head = self._head()
            head._lock.acquire()
            if head._joined is None:
                return
            head._lock.release()  # it was joined with another while this one waited

    def __exit__(self, *_: object) -> None:
        self._head()._lock.release()
