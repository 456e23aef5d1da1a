"""Several Python threads at once: results and states right, the GIL free."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import exprgrad as eg
from exprgrad.graph.turn import Turn

CALLS = 300


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def together(*works: Callable[[], None]) -> None:
    """Run all at once and raise what any of them raised."""
    faults: list[BaseException] = []

    def kept(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=kept, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def layers(name: str, scale: float) -> Any:
    x = eg.input(name, ("n", 16))
    return eg.function([x], eg.softmax(eg.tanh(x @ eg.permute_dims(x, (1, 0))) * scale))


def numpy_layers(x: np.ndarray, scale: float) -> np.ndarray:
    e = np.exp(np.tanh(x @ x.T) * scale)
    return e / e.sum(-1, keepdims=True)


def agrees(f: Any, scale: float, seed: int) -> Callable[[], None]:
    rng = np.random.default_rng(seed)
    cases = [rng.normal(size=(n, 16)).astype(np.float32) for n in (3, 40, 1, 17)]
    wanted = [numpy_layers(x.astype(np.float64), scale) for x in cases]

    def work() -> None:
        for i in range(CALLS):
            np.testing.assert_allclose(f(cases[i % 4]), wanted[i % 4], rtol=1e-4)

    return work


@pytest.mark.parametrize("threads", ["1", "2"])
def test_one_function_and_two(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPRGRAD_THREADS", threads)
    f, g = layers("x", 1.0), layers("y", 2.0)
    together(agrees(f, 1.0, 0), agrees(f, 1.0, 1), agrees(g, 2.0, 2))


def test_no_update_of_a_shared_state_is_lost() -> None:
    w = eg.parameter("w", (20_000,), init=0.0)
    x = eg.input("x", (20_000,))
    functions = [eg.function([x], None, {w: w + n * x}) for n in (1, 2)]
    ones = np.ones(20_000, np.float32)

    def calls(f: Any) -> Callable[[], None]:
        return lambda: [f(ones) for _ in range(CALLS)] and None

    together(*map(calls, functions))
    assert set(w.value.tolist()) == {3.0 * CALLS}


def test_functions_take_turns_on_a_state() -> None:
    w = eg.parameter("w", (3,), init=0.0)
    add, double = (eg.function([], w, {w: new}) for new in (w + 1, w * 2))
    for _ in range(3):
        add(), double()
    assert w.value.tolist() == [14.0] * 3


def test_who_waits_for_one_state_waits_for_all_that_are_joined_to_it() -> None:
    turns = [Turn() for _ in range(4)]
    others_held: list[bool] = []

    def work(number: int) -> Callable[[], None]:
        def take() -> None:
            with turns[number].lock:
                others_held.append(turns[0].lock.locked())

        return take

    threads = [threading.Thread(target=work(number)) for number in (1, 2)]
    with turns[0].lock:
        turns[1].join(turns[3])
        joins = threading.Thread(
            target=lambda: [turns[0].join(turns[n]) for n in (1, 2, 3)] and None
        )
        joins.start()
    joins.join()
    with turns[3].lock:
        for thread in threads:
            thread.start()
        assert not others_held
        assert all(turn.lock.locked() for turn in turns)
    for thread in threads:
        thread.join()
    assert others_held == [True, True]
    assert not any(turn.lock.locked() for turn in turns)


def test_a_call_waits_again_where_its_lock_was_joined_meanwhile() -> None:
    w = eg.parameter("w", (3,), init=0.0)
    f = eg.function([], None, {w: w + 1})
    turn = f.program.program._turn
    old, new = turn.lock, threading.Lock()
    caller = threading.Thread(target=f)
    with new:
        with old:
            caller.start()
            caller.join(0.1)  # until it waits for the old lock
            turn.lock = new
        caller.join(0.1)
        assert w.value.tolist() == [0.0] * 3
    caller.join()
    assert w.value.tolist() == [1.0] * 3


def test_other_threads_run_during_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPRGRAD_THREADS", "1")  # more of them leave no core to others
    x = eg.input("x", (400, 400))
    y = x
    for _ in range(8):
        y = eg.tanh(y @ x)
    f = eg.function([x], y)
    given = np.full((400, 400), 0.01, np.float32)
    f(given)
    span: list[float] = []

    def call() -> None:
        span.append(time.perf_counter())
        f(given)
        span.append(time.perf_counter())

    thread = threading.Thread(target=call)
    thread.start()
    ticks = []
    while len(span) < 2:
        ticks.append(time.perf_counter())
    thread.join()
    start, end = span
    middle = (start + 0.3 * (end - start), end - 0.3 * (end - start))
    assert any(middle[0] < tick < middle[1] for tick in ticks)


def test_a_function_that_is_let_go_while_it_runs() -> None:
    x = eg.input("x", (300, 300))
    y = x
    for _ in range(6):
        y = eg.tanh(y @ x)
    f = eg.function([x], y)
    given = np.random.default_rng(0).normal(0, 0.05, (300, 300)).astype(np.float32)
    wanted, found = f(given), []
    thread = threading.Thread(target=lambda f: found.append(f(given)), args=(f,))
    thread.start()
    del f
    gc.collect()
    thread.join()
    np.testing.assert_array_equal(found[0], wanted)
