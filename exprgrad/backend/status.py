"""Where bad indices are reported: a word that says whether there is one, then a slot for
each thread with the number of a check and the index that failed it.

The threads of a call may meet bad indices at once. Each keeps the smallest that it met,
the caller takes the smallest of all, so that the report does not depend on the threads.
"""

from __future__ import annotations

from exprgrad.backend.text import Block, Code

# Bytes from slot to slot, a cache line; the word at the beginning has a line as well.
SLOT = 64


def status_size(threads: int) -> int:
    """The bytes of the status of a program on so many threads, all zero at first."""
    return SLOT * (1 + threads)


def report(code: Code, bad: str, number: int, index: str) -> None:
    """Where the flag `bad` holds, report that `index` failed a check: in %status, from
    %thread. Checks have numbers from 1 on.
    """
    found, keep, after = (code.function.block(name) for name in ("report", "keep", "after"))
    code.branch(bad, found, after)
    code.block = found
    line = code.imul(code.iadd("%thread", "1"), str(SLOT))
    slot = code.op(f"getelementptr i8, ptr %status, i64 {line}")
    place = code.op(f"getelementptr i64, ptr {slot}, i64 1")
    check, before = (code.op(f"load i64, ptr {where}") for where in (slot, place))
    none = code.op(f"icmp eq i64 {check}, 0")
    later = code.op(f"icmp ult i64 {number}, {check}")
    same = code.op(f"icmp eq i64 {number}, {check}")
    below = code.op(f"icmp slt i64 {index}, {before}")
    smaller = code.op(f"and i1 {same}, {below}")
    replaces = code.op(f"or i1 {none}, " + code.op(f"or i1 {later}, {smaller}"))
    code.branch(replaces, keep, after)
    code.block = keep
    code.do(f"store i64 {number}, ptr {slot}")
    code.do(f"store i64 {index}, ptr {place}")
    code.do("store i64 1, ptr %status")
    code.jump(after)
    code.block = after


def stop_if_bad(code: Code, status: str, skip: Block) -> None:
    """Decide for all threads whether to stop, and go to `skip` if so: what the last of
    them does when all have come to a barrier.
    """
    word = code.op(f"load i64, ptr {status}")
    code.do(f"store i64 {word}, ptr {_stop(code, status)}")
    _go_on(code, word, skip)


def leave_if_stopped(code: Code, status: str, leave: Block) -> None:
    """Go to `leave` where that was decided. It is another word than the one that reports
    set, as a thread that has gone on may set that one before all have read it.
    """
    _go_on(code, code.op(f"load i64, ptr {_stop(code, status)}"), leave)


def _stop(code: Code, status: str) -> str:
    return code.op(f"getelementptr i64, ptr {status}, i64 1")


def _go_on(code: Code, word: str, otherwise: Block) -> None:
    after = code.function.block("after")
    code.branch(code.op(f"icmp eq i64 {word}, 0"), after, otherwise)
    code.block = after
