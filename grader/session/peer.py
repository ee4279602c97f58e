"""The process at the other end of a socket, as the operating system reports it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys

from grader.in_kernel.system import CAN_SANDBOX
from grader.session import processes

# macOS, sys/un.h: SOL_LOCAL and LOCAL_PEERPID, which Python's socket module lacks.
_SOL_LOCAL = 0
_LOCAL_PEERPID = 2
_STOPS_MAX = 50


class Peer:
    """The process that connected to a Unix socket: its pid, its processor time, how to kill it.

    pid : int, or None if the socket does not tell (loopback)
    The pid never comes from the process itself: it could name another process, to be killed.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.pid = _peer_pid(connection)
        self._pidfd = _open_pidfd(self.pid)

    def cpu_s(self) -> float | None:
        """Return the processor time of the process and its descendants; None if unknown."""
        if self.pid is None or not CAN_SANDBOX:
            return None
        return processes.tree_cpu_s(self.pid)

    def waited_s(self) -> float | None:
        """Return how many seconds its threads waited for a processor; None if unknown."""
        return None if self.pid is None else processes.waited_s(self.pid)

    def resume(self) -> bool:
        """Continue stopped processes of its tree; return whether there were any."""
        return self.pid is not None and processes.resume(self.pid)

    def kill(self, *, group: bool) -> bool:
        """Kill the process and all its descendants; return False if it is unknown or gone.

        group : whether to kill the process group that it leads as well
        """
        if self.pid is None or self.pid in (0, 1, os.getpid()):
            return False
        descendants = self._stop_tree()
        try:
            # A pidfd fails once the process was reaped; its pid may belong to another by then.
            if self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return False
        if group and self.pid != os.getpgrp():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        for pid in descendants:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        return True

    def _stop_tree(self) -> list[int]:
        """Stop the process and its descendants; return the descendants.

        A stopped process can't start others while the tree is killed. The tree is listed again
        until no new process appears.
        """
        assert self.pid is not None
        stopped: dict[int, None] = {}
        for _ in range(_STOPS_MAX):
            found = [pid for pid in processes.descendants(self.pid) if pid not in stopped]
            if not found:
                break
            for pid in found if stopped else [self.pid, *found]:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGSTOP)
            stopped.update(dict.fromkeys(found))
        return [*stopped]

    def close(self) -> None:
        """Close the handle of the process."""
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def _peer_pid(connection: socket.socket) -> int | None:
    if connection.family != getattr(socket, "AF_UNIX", None):
        return None
    try:
        if hasattr(socket, "SO_PEERCRED"):
            size = struct.calcsize("3i")
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            return int(struct.unpack("3i", raw)[0])
        if sys.platform == "darwin":
            return connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID)
    except OSError:
        return None
    return None


def _open_pidfd(pid: int | None) -> int | None:
    if pid is None or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # gone already, or an old Linux
        return None
