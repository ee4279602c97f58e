"""Ties a process of ours to the program that started it: it ends when that does, at once.

    read_end, write_end = os.pipe()        in the program, which keeps write_end open and silent
    end_with(read_end)                     first of all in the process

The kernel closes write_end however the program ends. It then sends SIGKILL itself (fcntl's
F_SETSIG), so that it doesn't matter what the process is at: code that never returns to Python,
or that holds the interpreter's lock, ends too. The parent-death signal of prctl would not do: it
looks at the thread that started the process, and threads end before their program does.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import sys
import threading

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def end_with(read_end: int) -> None:
    """Have this process killed as soon as the other end of the pipe is closed everywhere.

    read_end : kept open from now on
    Does nothing on Windows, where no pipe can be waited for.
    """
    if sys.platform == "linux" and hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(read_end, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(read_end, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(read_end, fcntl.F_SETFL, fcntl.fcntl(read_end, fcntl.F_GETFL) | os.O_ASYNC)
        # It may have been closed before there was a signal to send.
        if select.select([read_end], [], [], 0)[0]:
            _end()
    elif os.name == "posix":
        threading.Thread(target=_wait, args=(read_end,), name="lifeline", daemon=True).start()


def end_with_parent() -> None:
    """Have this process of a pool killed as soon as the one that made the pool ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        end_with(parent.sentinel)


def _wait(read_end: int) -> None:
    select.select([read_end], [], [])
    _end()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
