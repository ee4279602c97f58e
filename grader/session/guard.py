"""A process that ends the command where the command can't: Ctrl-C in a check that stays in C.

    with standing_by():            early in the command: a fork of a small process costs least
        with listening() as heard:     heard is False without a guard
            ...

Python hears a signal between two of its own instructions. A check of the instructor's, which
computes in the command itself, may be in one call of C for minutes; where that call holds the
interpreter's lock, as a search for a regular expression does, no thread runs, either. Only the
system's own handler does: it writes the signal's number to a pipe. The guard reads it. Where the
command doesn't say soon that it has heard, and soon after that it is on its way out, the guard
kills what the command has started, deletes its folders, and sends the signal once more. That one
ends the command: after the first, the signal has its default effect, until Python hears. So a
shell sees the usual exit code of a program that Ctrl-C has ended: 130.

The guard ends with the command. Where that was killed, its folders are deleted first.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from grader.in_kernel.system import may_fork

NAME = "grade-guard"
"""As `ps` shows it."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE_S = 1.0
"""Part of the promised two seconds; the rest is for ending processes and deleting files."""
_ENDS_S = 5.0
"""For how long a command that has heard may be on its way out."""
_GONE_S = 1.0
_HEARS_S = 0.2
_LOOK_S = 0.01
_AFTER_DEATH_S = (0.1, 0.4)
"""What a killed command has started ends meanwhile, and lets go of its folders."""
# In the pipe, beside the numbers of signals.
_HEARD, _LEFT, _BYE = 128, 129, 130


class Guard:
    """The command's side of the guard. close() it.

    in_check : a check runs, which may catch what a handler raises
    """

    in_check = False

    def __init__(self) -> None:
        """Raises OSError."""
        _reap()
        read_end, self._way = os.pipe()
        command = os.getpid()
        # A Ctrl-C that comes before the guard is deaf to it waits.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _be_guard(read_end, command)
        except OSError:
            os.close(self._way)
            raise
        finally:
            os.close(read_end)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.set_blocking(self._way, False)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """For the time of the block, signals that have a handler of Python's are heard."""
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        wrapped = {
            number: self._telling(handler)
            for number, handler in handlers.items()
            if callable(handler)
        }
        woken = signal.set_wakeup_fd(self._way, warn_on_full_buffer=False)
        for number, handler in wrapped.items():
            signal.signal(number, handler)
            _have_once(number)
        try:
            yield
        finally:
            for number, handler in wrapped.items():
                if signal.getsignal(number) is handler:
                    signal.signal(number, handlers[number])
            signal.set_wakeup_fd(woken)
            self._tell(_LEFT)

    def _telling(self, handler: Callable[[int, FrameType | None], Any]) -> Any:
        times = 0

        def tell(number: int, frame: FrameType | None) -> None:
            nonlocal times
            times += 1
            if times == 1:  # a third Ctrl-C wants an immediate end
                signal.signal(number, tell)
                _have_once(number)
            if not self.in_check:
                self.tell_heard()
            handler(number, frame)

        return tell

    def tell_heard(self) -> None:
        self._tell(_HEARD)

    def _tell(self, what: int) -> None:
        with contextlib.suppress(OSError):  # it was killed
            os.write(self._way, bytes([what]))

    def close(self) -> None:
        """Let the guard go, without waiting for its end. May be called twice."""
        if self._way >= 0:
            self._tell(_BYE)
            os.close(self._way)
            self._way = -1
            _ending.append(self.pid)


_standing: list[Guard] = []
_ending: list[int] = []


def _reap() -> None:
    """Reap the guards of earlier blocks: in a program that goes on, only the latest is left."""
    for pid in [*_ending]:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                continue
        _ending.remove(pid)


@contextlib.contextmanager
def standing_by() -> Iterator[None]:
    """For the time of the block, listening() has a guard, where there can be one.

    There is none where a fork is not to be had: on Windows, in a process of several threads.
    """
    guard = None
    if not _standing and may_fork():
        with contextlib.suppress(OSError):  # no process, no descriptor left
            guard = Guard()
            _standing.append(guard)
    try:
        yield
    finally:
        if guard is not None:
            _standing.remove(guard)
            guard.close()


@contextlib.contextmanager
def listening() -> Iterator[bool]:
    """Within the block a signal is heard, whatever the main thread is doing.

    Gives whether a guard sees to that.
    """
    with standing_by():
        if not _standing:
            yield False
            return
        with _standing[0].listening():
            yield True


@contextlib.contextmanager
def checking() -> Iterator[None]:
    """A check runs in the block: only when that is left, the signal has been heard."""
    if not _standing:
        yield
        return
    guard = _standing[0]
    guard.in_check = True
    try:
        yield
    except KeyboardInterrupt:
        guard.tell_heard()
        raise
    finally:
        guard.in_check = False


def _have_once(number: int) -> None:
    """Have Python's handler called once; from then on the signal has its default effect.

    Where the C library doesn't offer that, the guard kills.
    Source: sysv_signal(3); PyOS_getsig in CPython's Include/pylifecycle.h.
    """
    import ctypes

    with contextlib.suppress(AttributeError):
        python_s = ctypes.pythonapi.PyOS_getsig
        python_s.restype, python_s.argtypes = ctypes.c_void_p, [ctypes.c_int]
        install = ctypes.CDLL(None).sysv_signal
        install.restype, install.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
        install(number, python_s(number))


# --- in the guard ---------------------------------------------------------------------------


def _be_guard(read_end: int, command: int) -> NoReturn:
    try:
        handle = -1
        with contextlib.suppress(OSError):  # before Linux 5.3
            handle = os.pidfd_open(command)
        gc.disable()  # what it would collect may close a descriptor's number
        os.setsid()  # what a terminal sends is for the command
        signal.set_wakeup_fd(-1)
        for number in (*SIGNALS, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        _let_go({read_end, handle, 2})
        with contextlib.suppress(OSError):
            Path("/proc/self/comm").write_text(NAME)
        unheard = _waited(read_end)
        if unheard and os.getppid() == command:
            _end(command, unheard, handle)
        elif unheard is not None:
            _tidy_up()
    finally:
        os._exit(0)


def _let_go(kept: set[int]) -> None:
    """Close the command's open locks and pipes, except those in `kept`."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nothing, number)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) > 1 and int(name) not in kept:
            with contextlib.suppress(OSError):  # the list's own
                os.close(int(name))


def _waited(read_end: int) -> int | None:
    """Return the signal that the command doesn't hear, 0 where it was killed, None at its end."""
    poll = select.poll()
    poll.register(read_end, select.POLLIN)
    number, until = 0, None
    while True:
        left_ms = None if until is None else max(0.0, until - time.monotonic()) * 1000
        if not poll.poll(left_ms):
            return number
        told = os.read(read_end, 64)
        if not told:
            return 0
        for byte in told:
            if byte == _BYE:
                return None
            if byte == _LEFT:
                until = None
            elif byte == _HEARD:
                until = time.monotonic() + _ENDS_S
            elif byte in SIGNALS and until is None:
                number, until = byte, time.monotonic() + PATIENCE_S


def _end(command: int, number: int, handle: int) -> None:
    """End the command and all its descendants. A missed one ends by itself when its pipe closes."""
    from grader.session import processes
    from grader.temporary import delete_tree

    with contextlib.suppress(OSError):
        os.write(2, b"grade: interrupted in a check\n")
    victims = {*processes.descendants(command)} - {os.getpid()}
    for pid in victims:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    for folder in _folders_of(command):
        delete_tree(folder)
    until = time.monotonic() + _GONE_S
    while any(map(processes.lives, victims)) and time.monotonic() < until:
        time.sleep(_LOOK_S)
    _remove_leftovers()
    # Twice more at most: a check may catch the exception of the second.
    _ = _ended_by(command, number, handle) or _ended_by(command, number, handle)
    _send(command, signal.SIGKILL, handle)
    _remove_leftovers()


def _ended_by(command: int, number: int, handle: int) -> bool:
    """Send a signal; return whether it has ended the command."""
    fatal = not _is_handled(command, number)
    _send(command, number, handle)
    until = time.monotonic() + (_GONE_S if fatal else _HEARS_S)
    while os.getppid() == command and time.monotonic() < until:
        time.sleep(_LOOK_S)
    return os.getppid() != command


def _send(command: int, number: int, handle: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if handle >= 0:
            signal.pidfd_send_signal(handle, number)
        elif os.getppid() == command:  # else it has ended, and that number may be anybody's
            os.kill(command, number)


def _folders_of(command: int) -> list[Path]:
    """Return the temporary folders that a process has locked (grader/temporary.py).

    Only where such folders are made: what a student hands in may hold files of the same name.
    """
    from grader.session.scratch import place_of_sockets
    from grader.temporary import is_lock

    temporary = tempfile.gettempdir()
    places = {os.path.realpath(place) for place in (temporary, place_of_sockets() or temporary)}
    found = []
    opened = f"/proc/{command}/fd"
    with contextlib.suppress(OSError):
        for name in os.listdir(opened):  # noqa: PTH208
            with contextlib.suppress(OSError):
                path = Path(os.readlink(f"{opened}/{name}"))  # noqa: PTH115
                if is_lock(path) and str(path.parent.parent) in places:
                    found.append(path.parent)
    return found


def _is_handled(pid: int, number: int) -> bool:
    """Whether a signal would call a handler of the process. Source: proc_pid_status(5), SigCgt."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, mask = line.partition(":")
            if name == "SigCgt":
                return bool(int(mask, 16) >> (number - 1) & 1)
    return True


def _tidy_up() -> None:
    """Delete the leftovers of a killed command, while nothing waits for it."""
    os.dup2(0, 2)
    for pause_s in _AFTER_DEATH_S:
        time.sleep(pause_s)
        _remove_leftovers()


def _remove_leftovers() -> None:
    from grader.session.scratch import remove_session_leftovers

    with contextlib.suppress(OSError):
        remove_session_leftovers()
