"""Grading processes that are forks of the command, which has loaded all that they need.

A process that starts by itself imports pytest and what reads notebooks, and collects the checks: a
second of a processor, as much as ten small notebooks take. A fork has all that.

A fork has only the thread that made it, and a lock that another thread held stays locked in it.
So may_fork() of in_kernel/system.py says no as soon as there is a second thread, of Python's or of
a library's; workers.py then starts a process by itself, as it does without fork.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from typing import BinaryIO

_LOOK_S = 0.01


class Forked:
    """A child of this process; what workers.py needs of subprocess.Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return None while it lives, else its exit code (negative: the signal)."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code once it has ended. Raises subprocess.TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("a worker", timeout or 0.0)
            time.sleep(_LOOK_S)
        return code

    def send_signal(self, number: int) -> None:
        # Not reaped yet, so its number is not reused.
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def fork(
    work: Callable[[], None],
    *,
    passed: Collection[int],
    stderr: BinaryIO,
    environment: Mapping[str, str],
) -> Forked:
    """Return a child that does the work and ends.

    passed : the descriptors that it keeps
    stderr : where what it says goes; what it would read or print elsewhere is nowhere
    environment : what changes in its environment
    Raises OSError.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    gc.freeze()  # the collector would write to, and so copy, every object in the child
    pid = os.fork()
    if pid:
        return Forked(pid)
    code = 1
    try:
        os.setpgid(0, 0)  # Ctrl-C is for the parent, which stops it in good order
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(-1)
        os.environ.update(environment)
        tempfile.tempdir = None
        _let_go({*passed}, stderr.fileno())
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        # The parent ends what it has started: none of its `with` blocks goes on from here.
        os._exit(code)


def _let_go(kept: set[int], stderr: int) -> None:
    """Put the null device in the place of all that the parent has open, but for what is kept.

    In its place: an object of the parent's that still has the number closes nothing else by it.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(stderr, 2)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if (number := int(name)) not in {*kept, 2, nothing}:
            os.dup2(nothing, number, inheritable=number < 2)
