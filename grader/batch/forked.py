"""Forks grading processes from the command, which has loaded everything that they need.

A new interpreter must import pytest and nbformat and collect the checks, which takes a second of
processor time, as much as ten small notebooks. A fork has all that.

A fork has only the thread that made it, and a lock that another thread held stays locked in it. So
may_fork() of in_kernel/system.py returns False if there is a second thread, of Python or of a
library. workers.py then starts a new interpreter, as on systems without fork.
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
    """A child of this process, with the methods of subprocess.Popen that workers.py uses."""

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
        # Not reaped yet, so its pid is its own.
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
    """Return a child that calls work() and ends.

    passed : the descriptors that stay open in it
    stderr : its standard error; standard input and output are the null device
    environment : variables to set in it
    Raises OSError.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    gc.freeze()  # otherwise the collector writes to every object in the child, and so copies it
    pid = os.fork()
    if pid:
        return Forked(pid)
    code = 1
    try:
        os.setpgid(0, 0)  # Ctrl-C must reach only the parent, which then stops this process
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(-1)
        os.environ.update(environment)
        tempfile.tempdir = None
        _replace_descriptors({*passed}, stderr.fileno())
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        # None of the parent's `with` blocks may end here: the parent cleans up itself.
        os._exit(code)


def _replace_descriptors(keep: set[int], stderr: int) -> None:
    """Replace the parent's open descriptors by the null device, except those to keep.

    They are not closed: an object of the parent may close its number later, which could then
    belong to another file.
    """
    null_device = os.open(os.devnull, os.O_RDWR)
    os.dup2(stderr, 2)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if (number := int(name)) not in {*keep, 2, null_device}:
            os.dup2(null_device, number, inheritable=number < 2)
