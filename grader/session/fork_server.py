"""The grader's side of a fork server: a process that has imported everything and forks kernels.

Starting an interpreter and importing what a notebook needs takes a second, a fork some
milliseconds. Where no fork can be had, each kernel starts by itself (provisioner.py).
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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from grader.errors import GraderFault
from grader.in_kernel.system import CAN_SANDBOX
from grader.records import Sandbox
from grader.session.processes import KILL
from grader.session.scratch import Scratch, kernel_environment

PARENT = Path(__file__).resolve().parent.parent / "in_kernel" / "fork_server.py"
HUGE_HEAP = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""glibc (2.35 and later) asks for huge pages for its heap, so that a fork copies fewer entries: it
takes 2.4 of 15 ms less, with what a notebook imports. Other C libraries pass it over. No kernel has
it: its environment is its own."""
# The first answer waits for the imports; torch takes seconds.
_ANSWER_S = 120.0


class Process(Protocol):
    """The part of subprocess.Popen that a kernel's process offers, however it was started."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class Unfit(Exception):
    """The fork server can't be forked: kernels must start by themselves."""


class Forked:
    """A child of the fork server. No other process gets its number before close().

    pid : its number; status_pipe : where the fork server writes how it ended
    first : the first process of its pids, which adopts orphans; 0 where there is none
    lost : whether the parent ended before it reported
    """

    lost = False

    def __init__(self, pid: int, status_pipe: int, first: int) -> None:
        self.pid = pid
        self.first = first
        self._status_pipe = status_pipe
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return None while it lives, else its exit code (negative: the signal)."""
        if self._code is None and select.select([self._status_pipe], [], [], 0)[0]:
            self._code = self._read()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code once it has ended. Raises subprocess.TimeoutExpired."""
        if self._code is None:
            if not select.select([self._status_pipe], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a forked kernel", timeout or 0.0)
            self._code = self._read()
        return self._code

    def close(self) -> None:
        """Let the parent reap it. May be called twice."""
        if self._status_pipe >= 0:
            os.close(self._status_pipe)
            self._status_pipe = -1

    def _read(self) -> int:
        status = os.read(self._status_pipe, 8)
        if len(status) < 8:
            self.lost = True
            return -int(KILL)
        return int(struct.unpack("=q", status)[0])


class ForkServer:
    """A process that forks kernels, at the other end of a connection. close() it.

    It has imported what every kernel needs; preload() says what else its notebooks want.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._lock = threading.Lock()
        self._socket = connection
        self._socket.settimeout(_ANSWER_S)

    @property
    def alive(self) -> bool:
        poll = select.poll()
        poll.register(self._socket, 0)
        return not poll.poll(0)  # it has hung up

    def preload(
        self, imports: Sequence[str], *, datasets_dir: Path | None, sets: Sequence[str]
    ) -> None:
        """Have it import modules and read data sets, before it forks. Does not wait for it.

        imports : what can't be imported is passed over
        datasets_dir : the data sets that fetch_openml finds; sets : those of them to read
        Raises GraderFault.
        """
        request = {
            "imports": [*imports],
            "datasets": str(datasets_dir.resolve()) if datasets_dir is not None else None,
            "sets": [*sets],
        }
        try:
            with self._lock:
                self._socket.send(json.dumps(request).encode())
        except OSError as error:
            raise self._gone(error) from error

    def run_given(self, request: Mapping[str, Any]) -> str:
        """Have it run cells that all its kernels have in common; return why it can't be, or "".

        request : as in_kernel/given.py has it
        Where it can't, the process is of no use any more. Raises GraderFault.
        """
        try:
            with self._lock:
                self._socket.send(json.dumps({"given": request}).encode())
                answer = self._socket.recv(1 << 12)
        except OSError as error:
            raise self._gone(error) from error
        if not answer:  # the time was over, or the cells have ended it
            raise self._gone(None)
        return str(json.loads(answer).get("unfit", ""))

    def fork(
        self,
        options: Mapping[str, Any],
        *,
        environment: Mapping[str, str],
        folder: Path,
        passed: Sequence[int],
    ) -> Forked:
        """Return a new kernel. Called from several threads.

        options : as in_kernel/launch.py has them; passed : its `control` and `report`
        Raises Unfit, GraderFault.
        """
        request = {"options": options, "environment": environment, "folder": str(folder)}
        mine, status_pipe = os.pipe()
        try:
            with self._lock:
                socket.send_fds(
                    self._socket, [json.dumps(request).encode()], [status_pipe, *passed]
                )
                answer = self._socket.recv(1 << 12)
        except OSError as error:
            os.close(mine)
            raise self._gone(error) from error
        finally:
            os.close(status_pipe)
        if answer and "pid" in (said := json.loads(answer)):
            return Forked(said["pid"], mine, said["first"])
        os.close(mine)
        if not answer:
            raise self._gone(None)
        raise Unfit(said["error"])

    def clone(self, *, many: bool = False) -> socket.socket:
        """Return the end of a connection to a copy of the process, as soon as there is one.

        many : it is to fork dozens of kernels, so that huge pages pay (in_kernel/huge_pages.py)
        ForkServer takes it, in this process or in one that inherits it. Raises GraderFault.
        """
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs, self._lock:
                request = json.dumps({"clone": True, "many": many}).encode()
                socket.send_fds(self._socket, [request], [theirs.fileno()])
        except OSError as error:
            mine.close()
            raise self._gone(error) from error
        return mine

    def close(self) -> None:
        """Let go of the process, which then ends. May be called twice."""
        self._socket.close()

    def _gone(self, error: OSError | None) -> Exception:
        """Return what to raise when the process does not answer."""
        return GraderFault(
            f"the process that kernels are forked from has ended: {error or 'no answer'}"
        )

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class StartedForkServer(ForkServer):
    """One that was started here. It warms up while the caller goes on.

    apart : fork kernels into namespaces, where there are any
    python : the interpreter that kernels run in; this very one where None
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
        """End the process. Its children end by themselves, or have ended. May be called twice."""
        super().close()
        self._process.kill()  # it may still be importing
        self._process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        self._scratch.remove()


@contextlib.contextmanager
def started_early(sandbox: Sandbox) -> Iterator[None]:
    """Let a fork server warm up while the caller imports the modules it needs.

    Within the block the first start_fork_server() returns it, where it is of that kind. One that
    nobody asked for ends with the block.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # the request for one reports the error
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
    """Return a fork server; None where processes with libraries in them are not to be forked.

    sandbox : how its kernels will be sandboxed
    python : the interpreter that they run in; this very one where None
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
    """Return the command that runs one of our files, with this interpreter or another."""
    if python is not None:
        # Python has -P from 3.11 on; else the scripts take their folder off sys.path themselves.
        return [str(python), "-s", str(script), *arguments]
    # -P: the file's folder is not on sys.path; -s: nor are the user's packages.
    user = [] if site.ENABLE_USER_SITE else ["-s"]
    return [sys.executable, *user, "-P", str(script), *arguments]
