"""Processes as /proc shows them: a tree's members, its processor time, its memory.

Without /proc, the trees are empty.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path

# Windows has no SIGKILL; its SIGTERM can't be refused either.
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_VSIZE = 20  # of the fields from the state on; source: proc_pid_stat(5), field 23
_TREE_MAX = 10_000


def children(pid: int) -> list[int]:
    """Return a process's children, of all its threads."""
    found: list[int] = []
    for text in _of_each_task(pid, "children"):
        found += map(int, text.split())
    return found


def descendants(pid: int) -> list[int]:
    """Return children, their children, and so on; parents come first."""
    found: list[int] = []
    waiting = [pid]
    while waiting and len(found) < _TREE_MAX:
        born = children(waiting.pop())
        found += born
        waiting += born
    return found


def threads(pid: int) -> list[int]:
    """Return the numbers of a process's threads; its own is the main thread's."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208
    except OSError:
        return []


def session_members(session: int) -> list[int]:
    """Return the live processes of this session."""
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    except OSError:
        return []
    return [pid for pid in pids if (stat := _stat(pid)) and stat[3] == session]


def lives(pid: int) -> bool:
    """Return whether it is there and has memory of its own.

    The first process of a namespace that was killed has none, but stays until others are reaped.
    """
    fields = _fields(pid)
    return bool(fields) and fields[0] not in "ZX" and fields[_VSIZE] != "0"


def cpu_s(pid: int, *others: int) -> float:
    """Return the CPU time in seconds of a process, of all it started, and of their dead.

    others : processes that count although they have left the tree

    Without /proc: a number that grows with the wall clock, so that limits still hold.
    """
    if not _stat(pid) and not Path("/proc/self/stat").exists():
        return time.monotonic()
    return tree_cpu_s(pid, *others) or 0.0


def tree_cpu_s(pid: int, *others: int) -> float | None:
    """Return the CPU time of a process's tree, and of its dead; None where it is gone.

    others : processes that count although they have left the tree
    """
    # One that ended and waits to be reaped has used its time as well.
    own = _ticks(pid)
    if own is None:
        return None
    members = {*descendants(pid), *others} - {pid}
    return (own + sum(_ticks(member) or 0 for member in members)) / _TICKS_PER_S


def waited_s(pid: int, *others: int) -> float | None:
    """Return how long the threads of a process's tree have waited for a processor, in seconds.

    What neither runs nor waits is asleep. None where the system does not tell.
    Source: the kernel's Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat.
    """
    told = [_waited_ns(member) for member in {pid, *others, *descendants(pid)}]
    known = [waited for waited in told if waited is not None]
    return sum(known) / 1e9 if known else None


def go_on(pid: int, *others: int) -> bool:
    """Make the processes of a tree go on that a signal has stopped; return whether any were.

    others : processes that count although they have left the tree
    """
    stopped = [
        member
        for member in {pid, *others, *descendants(pid)}
        if (fields := _fields(member)) and fields[0] == "T"
    ]
    for member in stopped:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(member, signal.SIGCONT)
    return bool(stopped)


def own_awake() -> tuple[float, float]:
    """Return for how long this thread has run, and has waited for a processor, in seconds.

    While the grader is kept from its work, a student's process that has answered already sleeps.
    Zeros where the system does not tell.
    """
    try:
        with open("/proc/thread-self/schedstat") as file:  # noqa: PTH123
            ran, waited, *_ = map(int, file.read().split())
    except (OSError, ValueError):
        return 0.0, 0.0
    return ran / 1e9, waited / 1e9


def memory_mib(pids: list[int], *, enough: float) -> float:
    """Return the memory of these processes together; what they share counts once.

    enough : the exact number is of interest above this only, and costs a walk of the page tables
    """
    resident = resident_mib(pids)
    if resident <= enough:
        return resident
    return sum(map(_own_share, pids)) / 2**20


def resident_mib(pids: list[int]) -> float:
    """Return what these processes hold, files included; what they share counts for each."""
    return sum(map(_resident, pids)) / 2**20


def most_shared_mib(pids: list[int]) -> float:
    """Return the shared memory of that one of these processes that holds most of it."""
    return max(map(_shared, pids), default=0) / 2**20


def _resident(pid: int) -> int:
    """Return the bytes in memory, files of programs and all that is shared with others included."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _shared(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return sum(int(kib) for kib in re.findall(r"^RssShmem:\s+(\d+) kB", text, re.MULTILINE)) * 1024


def _own_share(pid: int) -> int:
    """Return the bytes in memory that no file backs; a page of n processes counts for 1/n."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        shares = re.findall(r"^Pss_(?:Anon|Shmem):\s+(\d+) kB", text, re.MULTILINE)
        if shares:
            return sum(map(int, shares)) * 1024
    except OSError:  # gone, or it forbids to be looked at, and then all of it counts
        pass
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/status").read_text()
        sizes = re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+) kB", text, re.MULTILINE)
        return sum(map(int, sizes)) * 1024
    return 0


def _ticks(pid: int) -> int | None:
    """User and system time of a process and of the children that it has waited for.

    Source: proc_pid_stat(5), fields 14 to 17.
    """
    fields = _fields(pid)
    return sum(int(ticks) for ticks in fields[11:15]) if fields else None


def _waited_ns(pid: int) -> int | None:
    told = [int(text.split()[1]) for text in _of_each_task(pid, "schedstat") if text]
    return sum(told) if told else None


def _of_each_task(pid: int, name: str) -> list[str]:
    """Return a file of /proc for each thread of a process that is still there."""
    texts = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  ten times a second
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/{name}") as file:  # noqa: PTH123
                texts.append(file.read())
    return texts


def _stat(pid: int) -> list[int]:
    """Return /proc/<pid>/stat from the parent's pid on: [0, ppid, pgrp, session, ...].

    Empty for a process that is gone or has ended and only waits to be reaped.
    """
    fields = _fields(pid)
    return [] if not fields or fields[0] in "ZX" else [0, *(int(field) for field in fields[1:])]


def _fields(pid: int) -> list[str]:
    """Return /proc/<pid>/stat from the state on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return []
    # The name is in brackets and may itself hold blanks and brackets.
    return text.rpartition(")")[2].split()
