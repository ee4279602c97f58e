"""Tie a process to the program that started it: it ends at once when that program ends.

    read_end, write_end = os.pipe()        in the program, which keeps write_end open and silent
    end_with(read_end)                     first of all in the process

The kernel closes write_end however the program ends. It then sends SIGKILL itself (fcntl's
F_SETSIG), so that it doesn't matter what the process is at: code that never returns to Python,
or that holds the interpreter's lock, ends too. The parent-death signal of prctl would not do: it
looks at the thread that started the process, and threads end before their program does.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading

from grader.in_kernel.system import HAS_SIGNALS

_F_SETSIG = 10  # linux/fcntl.h; Python 3.11 does not name it everywhere


def end_with(read_end: int) -> None:
    """Have this process killed as soon as the other end of the pipe is closed everywhere.

    read_end : kept open from now on
    Does nothing on Windows, where no pipe can be waited for.
    """
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(read_end, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(read_end, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(read_end, fcntl.F_SETFL, fcntl.fcntl(read_end, fcntl.F_GETFL) | os.O_ASYNC)
        # It may have been closed before there was a signal to send.
        _wait(read_end, patience_ms=0)
    elif HAS_SIGNALS:
        threading.Thread(target=_wait, args=(read_end,), name="lifeline", daemon=True).start()


def _wait(read_end: int, patience_ms: int | None = None) -> None:
    # Not select(), which takes no descriptor above 1023.
    poll = select.poll()
    poll.register(read_end, select.POLLIN)
    if poll.poll(patience_ms):
        _end()


def _end() -> None:
    try:
        os.kill(os.getpid(), signal.SIGKILL)
    finally:
        os._exit(1)  # the first process of a namespace can't kill itself
