"""Watches what no rlimit covers: the memory of a whole process tree, and folders on disk."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Sequence, Set
from pathlib import Path

from grader.records import Limits
from grader.session import processes
from grader.session.processes import KILL

_LOOK_S = 0.1
_DISK_LOOKS = 5  # a folder is walked at every fifth look
# While a process grows fast, a walk of its page tables takes a second or more. Growth is fast from
# _FAST_MIB between two looks on; then the walk is put off for up to _FAST_LOOKS looks.
_FAST_MIB = 32.0
_FAST_LOOKS = 5
# Honest code opens a few dozen sockets. On machines that allow large buffers, fewer of them could
# hold a notebook's memory.
_SOCKETS_ALLOWED = 256


class Watchdog:
    """A thread that kills processes that exceed a limit, and remembers the limit.

    launcher : the root of the watched process tree; with `first`, the notebook's process itself
    first : the first process of its pid namespace, which adopts orphans; 0 if there is none
    disk : scratch folders on the host's disk; none if scratch lies in memory
    serving : whether the notebook has run, so that a check is killed instead of the notebook
    """

    def __init__(
        self,
        launcher: int,
        limits: Limits,
        *,
        first: int = 0,
        disk: Sequence[Path],
    ) -> None:
        self._launcher = launcher
        self._first = first
        self._limits = limits
        self._disk = [*disk]
        self._devices = {folder.stat().st_dev for folder in disk}
        self._disk_kib = sum(map(_kib, disk)) + limits.scratch_mib * 1024
        self._reasons: dict[int, str] = {}
        self._stop = threading.Event()
        self._kernel: int | None = launcher if first else None
        self.serving = False
        self._sockets_max: int | None = None
        self._resident_mib = 0.0
        self._fast_looks = 0
        self._thread = threading.Thread(target=self._watch, name="grade-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. May be called twice."""
        self._stop.set()
        self._thread.join()

    def why(self, pid: int | None = None) -> str:
        """Return the limit that a killed process exceeded; "" if the watchdog did not kill it.

        pid : of the process; None for the notebook's
        """
        killed = self._kernel if pid is None else pid
        return "" if killed is None else self._reasons.get(killed, "")

    def no_disk(self) -> None:
        """Don't watch the disk: scratch lies in memory, and its file system has a maximum size."""
        self._disk = []

    def own_network(self) -> None:
        """Limit sockets, too: all in the processes' network namespace are theirs.

        What waits in a socket is memory that belongs to no process.
        """
        at_most = int(self._limits.memory_mib / processes.socket_mib())
        self._sockets_max = max(_SOCKETS_ALLOWED, at_most)

    def _watch(self) -> None:
        looks = 0
        while not self._stop.wait(_LOOK_S):
            looks += 1
            # Whatever one look meets, the next one follows: without them, no limit holds.
            with contextlib.suppress(Exception):
                self._look(disk=looks % _DISK_LOOKS == 0)

    def _look(self, *, disk: bool) -> None:
        limits = self._limits
        if self._kernel is None:  # before any student code: there is no other process yet
            self._kernel = _notebook_process(self._launcher)
        # Parents come first. Otherwise, when a check ends between the two measurements, the memory
        # that it shares with its parent would count one and a half times.
        members = processes.descendants(self._launcher)
        if self._first:
            members = [self._launcher, *members, *processes.descendants(self._first)]
        if self._is_too_large(members):
            self._kill(f"used more than {limits.memory_mib} MiB of memory")
        elif self._has_too_many_sockets():
            self._kill(f"opened more than {self._sockets_max} sockets")
        # The kernel's own limit answers with an error; it does not bind root.
        elif len(members) > 2 * limits.processes:
            self._kill(f"started more than {limits.processes} processes")
        elif disk and self._disk and (reason := self._too_much_on_disk(members)):
            self._kill(reason)

    def _too_much_on_disk(self, members: Sequence[int]) -> str:
        """Return which limit of the disk these processes exceed; "" for none."""
        try:
            kib = sum(map(_kib, self._disk)) + _deleted_kib(members, self._devices)
        except _OutOfReach:
            return "made a folder that can't be looked into: closed, or nested too deeply"
        return f"wrote more than {self._limits.scratch_mib} MiB" if kib > self._disk_kib else ""

    def _has_too_many_sockets(self) -> bool:
        if self._sockets_max is None or self._kernel is None:
            return False
        return processes.unix_sockets(self._kernel) > self._sockets_max

    def _is_too_large(self, members: list[int]) -> bool:
        """Tell whether these processes hold more memory than they may.

        While they grow fast, the walk is put off: shared memory of one process may decide sooner.
        """
        limit = self._limits.memory_mib
        before, self._resident_mib = self._resident_mib, processes.resident_mib(members)
        if self._resident_mib <= limit:
            return False
        if processes.most_shared_mib(members) > limit:
            return True
        if self._resident_mib - before > _FAST_MIB and self._fast_looks < _FAST_LOOKS:
            self._fast_looks += 1
            return False
        self._fast_looks = 0
        return processes.memory_mib(members, enough=limit) > limit

    def _kill(self, reason: str) -> None:
        """Kill the notebook's process; while it serves, the check that uses most memory instead."""
        if self._kernel is None:
            return
        victims = [self._kernel]
        if self.serving and (checks := processes.children(self._kernel)):
            weights = {
                check: processes.memory_mib([check, *processes.descendants(check)], enough=0)
                for check in checks
            }
            worst = max(checks, key=weights.__getitem__)
            victims = [worst, *processes.descendants(worst)]
        for pid in victims:
            self._reasons[pid] = reason
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, KILL)


def _notebook_process(launcher: int) -> int | None:
    """Return the launcher's child; where that is the first of a pid namespace, its child."""
    born = processes.children(launcher)
    if not born:
        return None
    first = born[0]
    try:
        numbers = [
            line.split()[1:]
            for line in Path(f"/proc/{first}/status").read_text("utf-8", "replace").splitlines()
            if line.startswith("NSpid:")
        ]
    except OSError:
        return None
    if not numbers or numbers[0][-1] != "1" or len(numbers[0]) < 2:
        return first
    inside = processes.children(first)
    return min(inside) if inside else None


class _OutOfReach(Exception):
    """A folder that can't be looked into: it is closed, or its path is too long."""


def _kib(folder: Path) -> int:
    """Return the size of what lies in a folder, in KiB, and 1 for each entry.

    Raises _OutOfReach.
    """
    total = 0
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        total += 1 + entry.stat(follow_symlinks=False).st_blocks // 2
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.ENAMETOOLONG):
                raise _OutOfReach from None
    return total


def _deleted_kib(pids: Sequence[int], devices: Set[int]) -> int:
    """Return the size of files that these processes have deleted but hold open, in KiB.

    devices : the file systems that count
    """
    sizes: dict[tuple[int, int], int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
                with contextlib.suppress(OSError):
                    state = os.stat(f"/proc/{pid}/fd/{name}")  # noqa: PTH116
                    if not state.st_nlink and state.st_dev in devices:
                        sizes[state.st_dev, state.st_ino] = 1 + state.st_blocks // 2
    return sum(sizes.values())
