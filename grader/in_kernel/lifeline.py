"""Ends a process at once when the program that started it ends.

    read_end, write_end = os.pipe()        in the program, which keeps write_end open, unused
    end_with(read_end)                     at the start of the process

However the program ends, the operating system closes write_end, and then sends SIGKILL itself
(fcntl's F_SETSIG). So a process ends too if its code never returns to Python or holds the
interpreter's lock. prctl's parent-death signal does not fit: it comes when the thread that started
the process ends, and threads end before their program.
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
    """Have this process killed as soon as no process holds the write end of the pipe any more.

    read_end : stays open
    Does nothing on Windows, where a process can't wait for a pipe.
    """
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(read_end, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(read_end, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(read_end, fcntl.F_SETFL, fcntl.fcntl(read_end, fcntl.F_GETFL) | os.O_ASYNC)
        # The write end may have been closed before the signal was set up.
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
