"""Reads /proc: the members of a process tree, its processor time and its memory.

Without /proc, all trees are empty.
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
_VSIZE = 20  # an index into _fields(); source: proc_pid_stat(5), field 23
_TREE_MAX = 10_000


def children(pid: int) -> list[int]:
    """Return the children of a process, of all its threads."""
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
    """Return the thread ids of a process; the main thread's is the pid."""
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
    """Return whether a process exists and has memory.

    The first process of a killed namespace has none, but stays until the others are reaped.
    """
    fields = _fields(pid)
    return bool(fields) and fields[0] not in "ZX" and fields[_VSIZE] != "0"


def cpu_s(pid: int, *others: int) -> float:
    """Return the CPU time in seconds of a process and all its descendants, living or dead.

    others : processes that count although they are not descendants
    Without /proc: a number that grows with the wall clock, so that limits still hold.
    """
    if not _stat(pid) and not Path("/proc/self/stat").exists():
        return time.monotonic()
    return tree_cpu_s(pid, *others) or 0.0


def tree_cpu_s(pid: int, *others: int) -> float | None:
    """Return the same as cpu_s(), but None if the process is gone."""
    # A process that has ended and waits to be reaped still has its counters.
    own = _ticks(pid)
    if own is None:
        return None
    members = {*descendants(pid), *others} - {pid}
    return (own + sum(_ticks(member) or 0 for member in members)) / _TICKS_PER_S


def waited_s(pid: int, *others: int) -> float | None:
    """Return how long the threads of a process's tree have waited for a processor, in seconds.

    A thread that neither runs nor waits is asleep. None if the system does not tell.
    Source: the kernel's Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat.
    """
    members = {pid, *others, *descendants(pid)}
    texts = [text for member in members for text in _of_each_task(member, "schedstat") if text]
    return sum(int(text.split()[1]) for text in texts) / 1e9 if texts else None


def resume(pid: int, *others: int) -> bool:
    """Continue the processes of a tree that a signal has stopped; return whether there were any.

    others : processes that count although they are not descendants
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
    """Return how long this thread has run, and has waited for a processor, in seconds.

    Meanwhile, a student's process that has already answered sleeps. Zeros if the system does not
    tell.
    """
    try:
        with open("/proc/thread-self/schedstat") as file:  # noqa: PTH123
            ran, waited, *_ = map(int, file.read().split())
    except (OSError, ValueError):
        return 0.0, 0.0
    return ran / 1e9, waited / 1e9


def memory_mib(pids: list[int], *, enough: float) -> float:
    """Return the memory of these processes together; shared memory counts once.

    enough : up to this, a larger estimate is returned: the exact number needs a walk of the page
        tables
    """
    resident = resident_mib(pids)
    if resident <= enough:
        return resident
    return sum(map(_own_share, pids)) / 2**20


def resident_mib(pids: list[int]) -> float:
    """Return the resident memory of these processes, with files; shared memory counts for each."""
    return sum(map(_resident, pids)) / 2**20


def most_shared_mib(pids: list[int]) -> float:
    """Return the shared memory of the process that has most of it."""
    return max(map(_shared, pids), default=0) / 2**20


def unix_sockets(pid: int) -> int:
    """Return how many Unix sockets exist in the network namespace of a process, open or in flight.

    Source: /proc/<pid>/net/protocols, the third column.
    """
    try:
        text = Path(f"/proc/{pid}/net/protocols").read_text()
    except (OSError, ValueError):
        return 0
    lines = [line.split() for line in text.splitlines()]
    return sum(int(line[2]) for line in lines if line[0].startswith("UNIX"))


def socket_mib() -> float:
    """Return how much may wait in one Unix socket. Source: socket(7), SO_SNDBUF."""
    try:
        largest = int(Path("/proc/sys/net/core/wmem_max").read_text())
    except (OSError, ValueError):
        largest = 212_992  # Linux's default
    return 2 * max(largest, 1 << 16) / 2**20


def _resident(pid: int) -> int:
    """Return the resident bytes of a process, with program files and shared memory."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _shared(pid: int) -> int:
    return _sum_bytes(f"/proc/{pid}/status", "RssShmem") or 0


def _own_share(pid: int) -> int:
    """Return the resident bytes that no file backs; a page that n processes share counts 1/n.

    If smaps_rollup can't be read, shared pages count in full.
    """
    share = _sum_bytes(f"/proc/{pid}/smaps_rollup", "Pss_(?:Anon|Shmem)")
    if share is None:
        share = _sum_bytes(f"/proc/{pid}/status", "Rss(?:Anon|Shmem)")
    return share or 0


def _sum_bytes(file: str, names: str) -> int | None:
    """Return the sum of a file's lines "name: 12 kB", in bytes; None if it has no such line.

    names : a regular expression
    """
    try:
        # A process may give itself a name that is no UTF-8.
        text = Path(file).read_text("utf-8", "replace")
    except OSError:
        return None
    sizes = re.findall(rf"^{names}:\s+(\d+) kB", text, re.MULTILINE)
    return sum(map(int, sizes)) * 1024 if sizes else None


def _ticks(pid: int) -> int | None:
    """Return the user and system time of a process and of the children that it has waited for.

    Source: proc_pid_stat(5), fields 14 to 17.
    """
    fields = _fields(pid)
    return sum(int(ticks) for ticks in fields[11:15]) if fields else None


def _of_each_task(pid: int, name: str) -> list[str]:
    """Return the text of a file of /proc for each thread of a process."""
    texts = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  ten times a second
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/{name}") as file:  # noqa: PTH123
                texts.append(file.read())
    return texts


def _stat(pid: int) -> list[int]:
    """Return the numbers of /proc/<pid>/stat from the parent's pid on: [0, ppid, pgrp, ...].

    Empty for a process that is gone, or that has ended and waits to be reaped.
    """
    fields = _fields(pid)
    return [] if not fields or fields[0] in "ZX" else [0, *(int(field) for field in fields[1:])]


def _fields(pid: int) -> list[str]:
    """Return /proc/<pid>/stat from the state on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return []
    # The process name before the state is in brackets; it may contain blanks and brackets.
    return text.rpartition(")")[2].split()
