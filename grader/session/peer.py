"""The process at the other end of a socket, as the operating system vouches for it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys

from grader.in_kernel.system import CAN_SANDBOX
from grader.session import processes

# macOS, sys/un.h: SOL_LOCAL and LOCAL_PEERPID, which Python does not name.
_SOL_LOCAL = 0
_LOCAL_PEERPID = 2
_STOPS_MAX = 50


class Peer:
    """The process that connected a Unix socket: its number, its processor time, its end.

    pid : int, or None where the socket does not tell (loopback)
    Nothing that the process says of itself is used: it could name another one, to be killed.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.pid = _peer_pid(connection)
        self._pidfd = _open_pidfd(self.pid)

    def cpu_s(self) -> float | None:
        """Seconds of processor time that the process and its descendants used; None if unknown."""
        if self.pid is None or not CAN_SANDBOX:
            return None
        return processes.tree_cpu_s(self.pid)

    def waited_s(self) -> float | None:
        """Seconds for which its threads waited for a processor; None if unknown."""
        return None if self.pid is None else processes.waited_s(self.pid)

    def go_on(self) -> bool:
        """Make the process and its descendants go on that are stopped; whether any were."""
        return self.pid is not None and processes.go_on(self.pid)

    def kill(self, *, group: bool) -> bool:
        """Kill the process and all its descendants; False where it is not known or gone.

        group : also all of the process group that it leads
        """
        if self.pid is None or self.pid in (0, 1, os.getpid()):
            return False
        descendants = self._stop_tree()
        try:
            # Fails once the process was waited for: its number may be another's by now.
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
        """Return the descendants, stopped: what starts others as fast as it can must not get away.

        Theirs are listed again, until nothing new has come.
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
        """Let go of the process, dead or alive."""
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
