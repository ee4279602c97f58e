"""Ctrl-C ends the command soon, also while a check of the instructor's computes in C.

    with interruptible_in_c():
        ...

Python hears a signal between two of its own instructions: a decomposition of a large matrix, which
a check computes here, is none of them for minutes. On Linux the command's guard sees to that
(session/guard.py). Elsewhere, and in a program of several threads that calls grade(), the system's
own handler writes to a pipe at once. A thread reads it, and where nothing was heard soon, it ends
what was started, removes what would be left, and the program with it. What holds the interpreter's
lock all the while, as a search for a regular expression does, keeps this thread waiting, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from grader.session import guard, processes
from grader.session.scratch import remove_session_leftovers
from grader.temporary import remove_all

_INTERRUPTED = 130  # the exit code, as cli/options.py has it


@contextlib.contextmanager
def interruptible_in_c() -> Iterator[None]:
    """For the time of the block, Ctrl-C is heard while the main thread is not in Python.

    Does nothing if Ctrl-C is already handled in another way, or outside the main thread.
    """
    handler = signal.getsignal(signal.SIGINT)
    interruptible = handler is signal.default_int_handler
    if (
        threading.current_thread() is not threading.main_thread()
        # A background process of a shell ignores Ctrl-C, but not SIGTERM.
        or not (interruptible or handler == signal.SIG_IGN)
        or os.name != "posix"
    ):
        yield
        return
    with (
        guard.listening() as guarded,
        contextlib.nullcontext() if guarded or not interruptible else _by_a_thread(),
    ):
        yield


@contextlib.contextmanager
def _by_a_thread() -> Iterator[None]:
    heard = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        heard.set()
        raise KeyboardInterrupt

    try:
        read_end, write_end = os.pipe()
    except OSError:  # no descriptor is left: Ctrl-C works as usual
        yield
        return
    os.set_blocking(write_end, False)
    before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, interrupt)
    thread = threading.Thread(target=_wait, args=(read_end, heard), name="Ctrl-C", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no thread is left, either
        os.close(read_end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(before)
        os.close(write_end)  # which ends the thread
        if thread.ident is not None:
            thread.join()  # a process that has a second one is not forked


def _wait(read_end: int, heard: threading.Event) -> None:
    with os.fdopen(read_end, "rb", buffering=0) as pipe:
        while numbers := pipe.read(64):
            if signal.SIGINT in numbers and not heard.wait(guard.PATIENCE_S):
                _end()


def _end() -> NoReturn:
    """End this process and all its descendants. A missed one ends when its pipe closes."""
    for pid in processes.descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, processes.KILL)
    with contextlib.suppress(OSError, ValueError):
        print("grade: interrupted in a check", file=sys.stderr, flush=True)
    remove_all()
    remove_session_leftovers()  # theirs
    os._exit(_INTERRUPTED)
