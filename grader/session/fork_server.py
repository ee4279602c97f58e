"""The grader's side of a fork server: a process that has imported everything and forks kernels.

To start an interpreter and import what a notebook needs takes a second; a fork takes some
milliseconds. Where forking is impossible, each kernel starts by itself (provisioner.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import site
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from grader.closing import Closing
from grader.errors import GraderFault
from grader.in_kernel.system import CAN_SANDBOX
from grader.session.processes import KILL
from grader.session.scratch import Scratch, kernel_environment

if TYPE_CHECKING:
    # Not loaded before the process starts: its classes take as long as a tenth of a notebook.
    from grader.records import Sandbox

PARENT = Path(__file__).resolve().parent.parent / "in_kernel" / "fork_server.py"
HUGE_HEAP = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Makes glibc (2.35 and later) use huge pages for its heap, so that a fork copies fewer page table
entries: 2.4 of 15 ms less, with what a notebook imports. Other C libraries ignore it. Kernels don't
inherit it, since each gets an environment of its own."""
# The first answer waits for the imports; torch takes seconds.
_ANSWER_S = 120.0


class Process(Protocol):
    """The part of subprocess.Popen that a kernel's process offers, however it was started."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class CannotFork(Exception):
    """The fork server can't fork: kernels must start by themselves."""


class Forked:
    """A child of the fork server. No other process gets its pid before close().

    status_pipe : the fork server writes the child's exit code to it
    first : the first process of its pid namespace, which adopts orphans; 0 if there is none
    lost : whether the fork server ended before it reported how the child ended
    """

    lost = False

    def __init__(self, pid: int, status_pipe: int, first: int) -> None:
        self.pid = pid
        self.first = first
        self._status_pipe = status_pipe
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return None while it lives, else its exit code (negative: the signal)."""
        if self._code is None and self._has_ended(0.0):
            self._code = self._read()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code once it has ended. Raises subprocess.TimeoutExpired."""
        if self._code is None:
            if not self._has_ended(timeout):
                raise subprocess.TimeoutExpired("a forked kernel", timeout or 0.0)
            self._code = self._read()
        return self._code

    def close(self) -> None:
        """Let the fork server reap the child. May be called twice."""
        if self._status_pipe >= 0:
            os.close(self._status_pipe)
            self._status_pipe = -1

    def _has_ended(self, wait_s: float | None) -> bool:
        """Return whether it ends within so many seconds; None waits for ever."""
        poll = select.poll()  # not select(), which takes no descriptor above 1023
        poll.register(self._status_pipe, select.POLLIN)
        return bool(poll.poll(None if wait_s is None else max(0.0, wait_s) * 1000))

    def _read(self) -> int:
        status = os.read(self._status_pipe, 8)
        if len(status) < 8:
            self.lost = True
            return -int(KILL)
        return int(struct.unpack("=q", status)[0])


class ForkServer(Closing):
    """A process that forks kernels, at the other end of a connection. Close it after use.

    It has imported what every kernel needs; preload() names what else its notebooks import.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._lock = threading.Lock()
        self._socket = connection
        self._socket.settimeout(_ANSWER_S)

    @property
    def alive(self) -> bool:
        if self._socket.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(self._socket, 0)
        return not poll.poll(0)  # it has hung up

    def preload(
        self,
        imports: Sequence[str],
        *,
        datasets_dir: Path | None,
        sets: Sequence[str],
        draw: bool = False,
    ) -> None:
        """Have it import modules and read data sets, before it forks. Returns at once.

        imports : names of modules; one that can't be imported is skipped
        datasets_dir : where fetch_openml finds data sets
        sets : names of the data sets to read
        draw : whether figures will become pictures
        Raises GraderFault.
        """
        request = {
            "imports": [*imports],
            "datasets": str(datasets_dir.resolve()) if datasets_dir is not None else None,
            "sets": [*sets],
            "draw": draw,
        }
        with self._connected() as connection:
            connection.send(json.dumps(request).encode())

    def run_given(
        self, request: Mapping[str, Any], on_cell: Callable[[int], None] = lambda count: None
    ) -> str:
        """Have it run cells that all its kernels have in common; return why it can't, or "".

        request : see in_kernel/given.py
        on_cell : called with the number of cells that have run
        If it can't, the process must not be used any more. Raises GraderFault.
        """
        with self._connected() as connection:
            connection.send(json.dumps({"given": request}).encode())
            while True:
                text = connection.recv(1 << 12)
                if not text:  # it reached its time limit, or the cells have ended it
                    raise self._gone(None)
                answer = json.loads(text)
                if "ran" not in answer:
                    return str(answer.get("unfit", ""))
                on_cell(int(answer["ran"]))

    def fork(
        self,
        options: Mapping[str, Any],
        *,
        environment: Mapping[str, str],
        folder: Path,
        passed: Sequence[int],
    ) -> Forked:
        """Return a new kernel's process. May be called from several threads.

        options : of in_kernel/launch.py; passed : the file descriptors `control` and `report`
        Raises CannotFork, GraderFault.
        """
        request = {"options": options, "environment": environment, "folder": str(folder)}
        mine, status_pipe = os.pipe()
        try:
            with self._connected() as connection:
                socket.send_fds(connection, [json.dumps(request).encode()], [status_pipe, *passed])
                answer = connection.recv(1 << 12)
        except GraderFault:
            os.close(mine)
            raise
        finally:
            os.close(status_pipe)
        reply = json.loads(answer or b"{}")
        if "pid" in reply:
            return Forked(reply["pid"], mine, reply["first"])
        os.close(mine)
        raise CannotFork(reply["error"]) if reply else self._gone(None)

    def clone(self, *, many: bool = False) -> socket.socket:
        """Return a connection to a copy of the process, which need not have started yet.

        many : the copy will fork dozens of kernels, so that huge pages pay
            (in_kernel/huge_pages.py)
        Pass the connection to ForkServer, here or in a process that inherits it.
        Raises GraderFault.
        """
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs, self._connected() as connection:
                request = json.dumps({"clone": True, "many": many}).encode()
                socket.send_fds(connection, [request], [theirs.fileno()])
        except GraderFault:
            mine.close()
            raise
        return mine

    def close(self) -> None:
        """Close the connection; the process then ends. May be called twice."""
        self._socket.close()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        """Give the connection to one thread. Raises GraderFault where the process has ended."""
        try:
            with self._lock:
                yield self._socket
        except OSError as error:
            raise self._gone(error) from error

    def _gone(self, error: OSError | None) -> GraderFault:
        why = self._refusal() or error or "no answer"
        return GraderFault(f"the process that kernels are forked from has ended: {why}")

    def _refusal(self) -> str:
        """Return what the process said last, if it has ended by an error, or ""."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            # A socket with a time limit never blocks a plain read.
            return str(json.loads(os.read(self._socket.fileno(), 1 << 12))["error"])
        return ""


class StartedForkServer(ForkServer):
    """A fork server that this process starts. It imports modules while the caller goes on.

    apart : whether to fork kernels into namespaces, if the machine has them
    python : the interpreter of the kernels; None for this one
    Raises OSError.
    """

    def __init__(self, *, apart: bool, python: Path | None = None) -> None:
        self.apart = apart
        with contextlib.ExitStack() as undone, contextlib.ExitStack() as given:
            mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            given.enter_context(theirs)
            undone.callback(mine.close)
            super().__init__(mine)
            self._scratch = Scratch(None)
            undone.callback(self._scratch.remove)
            lifeline, self._lifeline = os.pipe()
            given.callback(os.close, lifeline)
            undone.callback(os.close, self._lifeline)
            self._process = subprocess.Popen(
                python_command(
                    PARENT,
                    str(self._scratch.home),
                    str(theirs.fileno()),
                    str(lifeline),
                    "apart" if apart else "together",
                    python=python,
                ),
                cwd=self._scratch.work,
                env=kernel_environment(self._scratch) | HUGE_HEAP,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[theirs.fileno(), lifeline],
            )
            undone.pop_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        """End the process; its children end by themselves. May be called twice."""
        super().close()
        self._process.kill()  # it may still be importing
        self._process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        self._scratch.remove()


@contextlib.contextmanager
def started_early(sandbox: Sandbox) -> Iterator[None]:
    """Start a fork server while the caller imports the modules that it needs itself.

    Within the block, the first call of start_fork_server() that fits returns this fork server. If
    no call does, the fork server ends with the block.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # start_fork_server() reports the error
            _early.append(StartedForkServer(apart=sandbox != "none"))
    try:
        yield
    finally:
        while _early:
            _early.pop().close()


_early: list[StartedForkServer] = []


def start_fork_server(
    sandbox: Sandbox = "auto", python: Path | None = None
) -> StartedForkServer | None:
    """Return a fork server; None on a system where a process that has libraries can't be forked.

    sandbox : how its kernels will be sandboxed
    python : the interpreter of the kernels; None for this one
    Raises GraderFault.
    """
    if not CAN_SANDBOX:
        return None
    if python is None and _early and _early[0].apart == (sandbox != "none"):
        return _early.pop()
    try:
        return StartedForkServer(apart=sandbox != "none", python=python)
    except OSError as error:
        raise GraderFault(f"no process to fork kernels from could be started: {error}") from error


def python_command(script: Path, *arguments: str, python: Path | None = None) -> list[str]:
    """Return the command that runs one of the grader's files, with this interpreter or another."""
    if python is not None:
        # Only Python 3.11 and later has -P: the scripts take their folder off sys.path themselves.
        return [str(python), "-s", str(script), *arguments]
    # -P keeps the file's folder off sys.path, -s the user's packages.
    user = [] if site.ENABLE_USER_SITE else ["-s"]
    return [sys.executable, *user, "-P", str(script), *arguments]
