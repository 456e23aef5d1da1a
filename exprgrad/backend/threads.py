"""Threads that wait between calls: one native call each, all over the same program.

The entry of a program is `void entry(ptr context, i64 thread, i64 threads)`. The caller
runs thread 0 itself; the others are kept parked on a queue, which costs some 20
microseconds to wake them. That is nothing beside an epoch, and too much for one step.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from queue import SimpleQueue

from exprgrad import config

ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)

Work = Callable[[int], None]
Done = SimpleQueue[BaseException | None]
Job = tuple[Work, int, Done]
Jobs = SimpleQueue[Job | None]


class Pool:
    """Up to `threads` threads, the caller's among them; made when first needed.

    A process made by fork starts threads of its own. Only one program runs at a time:
    threads that wait for one another by spinning must all have begun.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._lock = threading.Lock()
        self._queues: list[Jobs] = []
        weakref.finalize(self, _stop, self._queues)
        _pools.add(self)

    def run(self, address: int, context: int, threads: int | None = None) -> None:
        """Call the native entry at `address` once on each thread, and wait for all.

        `context` is the address that each call gets first. The GIL is released.
        """
        native = ENTRY(address)
        count = self.threads if threads is None else threads
        if count == 1:
            native(context, 0, 1)
        else:
            self.each(lambda thread: native(context, thread, count), count)

    def each(self, work: Work, threads: int) -> None:
        """Call `work(thread)` on each of the threads, and wait for all.

        Raises the first exception met, after all threads have ended.
        """
        if not 1 <= threads <= self.threads:
            raise ValueError(f"a pool of {self.threads} threads cannot run {threads}")
        with self._lock, _without_interrupts():
            done: Done = SimpleQueue()
            self._start(threads - 1)
            for thread, queue in enumerate(self._queues[: threads - 1], 1):
                queue.put((work, thread, done))
            faults = [_call(work, 0), *(done.get() for _ in range(threads - 1))]
        for fault in faults:
            if fault is not None:
                raise fault

    def _start(self, workers: int) -> None:
        while len(self._queues) < workers:
            queue: Jobs = SimpleQueue()
            name = f"exprgrad-{len(self._queues) + 1}"
            threading.Thread(
                target=_serve, args=(queue,), name=name, daemon=True
            ).start()
            self._queues.append(queue)

    def _forget(self) -> None:
        """In a forked child: its parent's threads are not here."""
        self._lock = threading.Lock()
        self._queues.clear()


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _serve(queue: Jobs) -> None:
    while (job := queue.get()) is not None:
        work, thread, done = job
        done.put(_call(work, thread))
        # What the work refers to may be freed while this thread waits.
        del job, work, done


def _call(work: Work, thread: int) -> BaseException | None:
    try:
        with _pinned(thread) if config.PIN() else nullcontext():
            work(thread)
    except BaseException as fault:
        return fault
    return None


@contextmanager
def _pinned(thread: int) -> Iterator[None]:
    """Within, the calling thread stays on one of the cores that it may run on."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[thread % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C within takes effect at the end.

    Python raises it between any two of the caller's instructions: some threads would
    have begun and would wait for ever for one that had not, or they would go on after
    the caller has gone, and their arrays with it.
    """
    handler = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or not callable(handler):  # then it raises nothing here
        yield
        return
    pressed: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pressed:
            signal.raise_signal(signal.SIGINT)


def _stop(queues: list[Jobs]) -> None:
    for queue in queues:
        queue.put(None)


def _forget_all() -> None:
    for pool in _pools:
        pool._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
