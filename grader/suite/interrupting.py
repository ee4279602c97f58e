"""Makes Ctrl-C end the command soon, even while an instructor's check computes in C.

    with interruptible_in_c():
        ...

Python handles a signal between two of its own instructions. A check that decomposes a large matrix
here executes none for minutes. On Linux the command's guard process handles this
(session/guard.py). On other systems, and in a program with several threads that calls grade(), the
C signal handler writes to a pipe at once, and a thread reads the pipe. If Python does not handle
the signal soon, the thread ends the started processes, deletes the temporary folders, and ends the
program. C code that holds the interpreter's lock, as a regular expression search does, delays this
thread too.
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

_INTERRUPTED = 130  # the same exit code as in cli/options.py


@contextlib.contextmanager
def interruptible_in_c() -> Iterator[None]:
    """Within the block, Ctrl-C works while the main thread runs C code.

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
    handled = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        handled.set()
        raise KeyboardInterrupt

    try:
        read_end, write_end = os.pipe()
    except OSError:  # too many open files: Ctrl-C works as usual
        yield
        return
    os.set_blocking(write_end, False)
    before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, interrupt)
    thread = threading.Thread(target=_wait, args=(read_end, handled), name="Ctrl-C", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # too many threads: Ctrl-C works as usual
        os.close(read_end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(before)
        os.close(write_end)  # which ends the thread
        if thread.ident is not None:
            thread.join()  # a process with a second thread can't fork


def _wait(read_end: int, handled: threading.Event) -> None:
    with os.fdopen(read_end, "rb", buffering=0) as pipe:
        while numbers := pipe.read(64):
            if signal.SIGINT in numbers and not handled.wait(guard.PATIENCE_S):
                _end()


def _end() -> NoReturn:
    """End this process and all its descendants. One that is missed ends when its pipe closes."""
    for pid in processes.descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, processes.KILL)
    with contextlib.suppress(OSError, ValueError):
        print("grade: interrupted in a check", file=sys.stderr, flush=True)
    remove_all()
    remove_session_leftovers()  # the descendants' folders
    os._exit(_INTERRUPTED)
