"""The pool of threads and the barrier between them."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from exprgrad.backend.barrier import FLAGS_SIZE, emit_barrier
from exprgrad.backend.jit import Library, compile_module, host
from exprgrad.backend.text import Code, Function, Module
from exprgrad.backend.threads import Pool

SLOTS = 512


def rounds_program() -> Library:
    """Each round every thread writes the round's number, waits, reads its neighbour's
    number, counts a fault if it differs, waits. Context: rounds, faults, flags, slots.
    """
    module = Module(target=host())
    arguments = "ptr %context, i64 %thread, i64 %threads"
    function = Function(module, "entry", arguments, host().attributes)
    code = Code(function)
    rounds = code.op("load i64, ptr %context")
    faults = code.op("getelementptr i8, ptr %context, i64 64")
    flags = code.op("getelementptr i8, ptr %context, i64 128")
    slots = code.op(f"getelementptr i8, ptr %context, i64 {128 + FLAGS_SIZE}")
    mine = code.op(f"getelementptr i64, ptr {slots}, i64 %thread")
    after = code.op("add i64 %thread, 1")
    neighbour = code.op(f"urem i64 {after}, %threads")
    theirs = code.op(f"getelementptr i64, ptr {slots}, i64 {neighbour}")
    entry, loop, done = code.block, function.block(), function.block()
    code.jump(loop)
    code.block = loop
    code.do(f"%n = phi i64 [ 0, %{entry.label} ], [ %next, %{loop.label} ]")
    code.do("%next = add i64 %n, 1")
    code.do(f"store i64 %next, ptr {mine}")
    emit_barrier(code, flags, "%threads")
    seen = code.op(f"load i64, ptr {theirs}")
    wrong = code.op(f"icmp ne i64 {seen}, %next")
    fault = code.op(f"zext i1 {wrong} to i64")
    code.op(f"atomicrmw add ptr {faults}, i64 {fault} monotonic")
    emit_barrier(code, flags, "%threads")
    code.branch(code.op(f"icmp slt i64 %next, {rounds}"), loop, done)
    done.end = "ret void"
    return compile_module(str(module))


def faults_of(threads: int, rounds: int) -> tuple[int, list[int]]:
    context = np.zeros(SLOTS // 8, np.int64)
    context[0] = rounds
    library = rounds_program()
    Pool(threads).run(library.address("entry"), context.ctypes.data)
    first = (128 + FLAGS_SIZE) // 8
    return int(context[8]), context[first : first + threads].tolist()


@pytest.mark.parametrize(("threads", "rounds"), [(1, 1000), (2, 50_000), (3, 2000)])
def test_what_was_written_before_the_barrier_is_seen_after(
    threads: int, rounds: int
) -> None:
    assert faults_of(threads, rounds) == (0, [rounds] * threads)


def test_barrier_is_defined_once() -> None:
    assert rounds_program().ir.count("void @barrier(ptr %flags") == 1


def test_each_thread_runs_once_and_thread_0_is_the_caller() -> None:
    pool = Pool(4)
    for count in (1, 3, 4, 2):
        ran: dict[int, int] = {}
        pool.each(lambda i, ran=ran: ran.update({i: threading.get_ident()}), count)
        assert sorted(ran) == list(range(count))
        assert ran[0] == threading.get_ident()
        assert len(set(ran.values())) == count


def test_threads_are_kept() -> None:
    pool = Pool(2)
    idents = set()
    for _ in range(5):
        pool.each(lambda i: idents.add((i, threading.get_ident())), 2)
    assert len(idents) == 2


@pytest.mark.parametrize("culprit", [0, 1])
def test_exceptions_reach_the_caller_after_all_have_ended(culprit: int) -> None:
    ended = []

    def work(thread: int) -> None:
        if thread == culprit:
            raise KeyError(thread)
        time.sleep(0.05)
        ended.append(thread)

    pool = Pool(2)
    with pytest.raises(KeyError):
        pool.each(work, 2)
    assert ended == [1 - culprit]
    pool.each(lambda thread: ended.append(thread), 2)
    assert sorted(ended[1:]) == [0, 1]


@pytest.mark.parametrize("culprit", [0, 1])
def test_ctrl_c_waits_until_all_threads_have_met(culprit: int) -> None:
    """Wherever in the caller the signal comes: threads wait for one another."""
    pool = Pool(2)
    meeting = threading.Barrier(2, timeout=10)
    met = []

    def work(thread: int) -> None:
        if thread == culprit:
            os.kill(os.getpid(), signal.SIGINT)
        meeting.wait()
        met.append(thread)

    handler = signal.default_int_handler
    before = signal.signal(signal.SIGINT, handler)  # a background job has none
    try:
        with pytest.raises(KeyboardInterrupt):
            pool.each(work, 2)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(met) == [0, 1]
    pool.each(lambda thread: met.append(thread), 2)
    assert sorted(met) == [0, 0, 1, 1]


def test_too_many() -> None:
    with pytest.raises(ValueError, match="pool of 2 threads cannot run 3"):
        Pool(2).each(lambda thread: None, 3)


def test_threads_end_with_their_pool() -> None:
    before = set(threading.enumerate())
    pool = Pool(3)
    pool.each(lambda thread: None, 3)
    own = set(threading.enumerate()) - before
    assert len(own) == 2
    del pool
    gc.collect()
    for thread in own:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in own)


def test_callers_take_turns() -> None:
    pool = Pool(2)
    inside: list[int] = []
    most: list[int] = []

    def work(thread: int) -> None:
        inside.append(thread)
        most.append(len(inside))
        time.sleep(0.002)
        inside.remove(thread)

    callers = [threading.Thread(target=pool.each, args=(work, 2)) for _ in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert max(most) <= 2
    assert len(most) == 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_threads_of_its_own() -> None:
    program = """
import os, warnings
warnings.simplefilter("ignore")
from exprgrad.backend.threads import Pool
pool = Pool(2)
ran = []
pool.each(ran.append, 2)
child = os.fork()
pool.each(ran.append, 2)
if not child:
    os._exit(7 if sorted(ran) == [0, 0, 1, 1] else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), sorted(ran))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )
    assert done.stdout.strip() == "7 [0, 0, 1, 1]", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_while_a_program_runs_may_run_it_too() -> None:
    program = """
import os, signal, threading, warnings
import numpy as np
import exprgrad as eg
warnings.simplefilter("ignore")
x = eg.input("x", ("n", 300))
w = eg.parameter("w", (300, 300), init=eg.init.normal(0, 0.05))
step = eg.function([x], eg.tanh(x @ w).sum(), updates={w: w * 1.0})
rows, ended = np.ones((4000, 300), np.float32), threading.Event()
step(rows)
def again():
    while not ended.is_set():
        step(rows)
thread = threading.Thread(target=again)
thread.start()
codes = []
for _ in range(5):
    child = os.fork()
    if not child:
        signal.alarm(20)
        step(rows[:2])
        os._exit(7)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
ended.set()
thread.join()
step(rows)
print(codes)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=200
    )
    assert done.stdout.strip() == "[7, 7, 7, 7, 7]", done.stderr


def test_the_gil_is_released() -> None:
    library = compile_module(
        "declare i32 @usleep(i32)\n"
        "define void @entry(ptr %c, i64 %t, i64 %n) "
        "{ %r = call i32 @usleep(i32 300000) ret void }"
    )
    ticks = 0
    caller = threading.Thread(target=Pool(1).run, args=(library.address("entry"), 0))
    caller.start()
    while caller.is_alive():
        ticks += 1
        time.sleep(0.01)
    assert ticks > 2


def test_interpreter_exit_does_not_hang() -> None:
    program = "from exprgrad.backend.threads import Pool; Pool(3).each(print, 3)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=30
    )
    assert done.returncode == 0


def test_idle_threads_take_no_time() -> None:
    """Once a call has ended its threads are parked, also when they have waited long."""
    pool = Pool(3)
    pool.each(lambda thread: time.sleep(0.01 * thread), 3)
    before = time.process_time()
    time.sleep(0.4)
    assert time.process_time() - before < 0.1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_pinned_threads_have_a_core_each_and_get_theirs_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = os.sched_getaffinity(0)
    pool, seen = Pool(2), {}

    def look(thread: int) -> None:
        seen[thread] = os.sched_getaffinity(0)

    for pin in ("1", "0"):
        monkeypatch.setenv("EXPRGRAD_PIN", pin)
        pool.each(look, 2)
        cores = sorted(before)
        wanted = {n: {cores[n % len(cores)]} for n in (0, 1)}
        assert seen == (wanted if pin == "1" else {0: before, 1: before})
        assert os.sched_getaffinity(0) == before
