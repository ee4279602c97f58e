"""A guard process ends the command when Ctrl-C comes during a check that runs C code.

    with standing_by():              early in the command: to fork a small process is cheap
        with listening() as guarded:     False without a guard
            ...

Python handles a signal between two of its own instructions. An instructor's check computes in the
command itself and may stay in one call of C for minutes. If that call holds the interpreter's lock,
as a regular expression search does, no other thread runs either. Only the C handler of the signal
runs: it writes the signal's number to a pipe, which the guard reads. If the command does not answer
soon that it handles the signal, or does not end soon after that answer, the guard kills the
processes that the command has started, deletes its folders, and sends the signal again. The second
signal ends the command: after the first, the signal has its default effect until Python handles it.
So a shell sees the usual exit code of a program that Ctrl-C has ended: 130.

The guard ends with the command. If the command was killed, the guard deletes its folders first.
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
_ENDS_S = 10.0
"""How long a command may take to end after it has handled the signal, on a busy machine too."""
_GONE_S = 1.0
_HANDLES_S = 0.2
_LOOK_S = 0.01
_AFTER_DEATH_S = (0.1, 0.4)
"""Meanwhile the processes of a killed command end and release its folders."""
# Bytes in the pipe, beside the numbers of signals: the command handles the signal; it has left
# listening(); it ends.
_HANDLED, _LEFT, _BYE = 128, 129, 130


class Guard:
    """The command's side of the guard. Close it after use.

    in_check : whether a check runs, which may catch the exception of a signal handler
    """

    in_check = False

    def __init__(self) -> None:
        """Fork the guard. Raises OSError."""
        _reap()
        read_end, self._pipe = os.pipe()
        command = os.getpid()
        # A Ctrl-C waits until the guard ignores the signal.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _be_guard(read_end, command)
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            os.close(read_end)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.set_blocking(self._pipe, False)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block, watch the signals that have a Python handler."""
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        wrapped = {
            number: self._reporting(handler)
            for number, handler in handlers.items()
            if callable(handler)
        }
        woken = signal.set_wakeup_fd(self._pipe, warn_on_full_buffer=False)
        for number, handler in wrapped.items():
            signal.signal(number, handler)
            _handle_once(number)
        try:
            yield
        finally:
            for number, handler in wrapped.items():
                if signal.getsignal(number) is handler:
                    signal.signal(number, handlers[number])
            signal.set_wakeup_fd(woken)
            self._send(_LEFT)

    def _reporting(self, handler: Callable[[int, FrameType | None], Any]) -> Any:
        """Return the same handler, which first tells the guard that the signal is handled."""
        times = 0

        def report(number: int, frame: FrameType | None) -> None:
            nonlocal times
            times += 1
            if times == 1:  # a third Ctrl-C wants an immediate end
                signal.signal(number, report)
                _handle_once(number)
            if not self.in_check:
                self.report_handled()
            handler(number, frame)

        return report

    def report_handled(self) -> None:
        self._send(_HANDLED)

    def _send(self, byte: int) -> None:
        with contextlib.suppress(OSError):  # the guard was killed
            os.write(self._pipe, bytes([byte]))

    def close(self) -> None:
        """Tell the guard to end, without waiting for its end. May be called twice."""
        if self._pipe >= 0:
            self._send(_BYE)
            os.close(self._pipe)
            self._pipe = -1
            _ending.append(self.pid)


_standing: list[Guard] = []
_ending: list[int] = []


def _reap() -> None:
    """Reap the guards of earlier blocks: in a long program, only the latest remains a zombie."""
    for pid in [*_ending]:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                continue
        _ending.remove(pid)


@contextlib.contextmanager
def standing_by() -> Iterator[None]:
    """Within the block, listening() has a guard, if the process can fork one.

    It can't on Windows, nor in a process that has several threads.
    """
    guard = None
    if not _standing and may_fork():
        with contextlib.suppress(OSError):  # too many processes or open files
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
    """Within the block, a signal ends the command whatever the main thread does.

    Yields whether there is a guard, which ensures it.
    """
    with standing_by():
        if not _standing:
            yield False
            return
        with _standing[0].listening():
            yield True


@contextlib.contextmanager
def checking() -> Iterator[None]:
    """Run a check in the block: a signal counts as handled only when the block has ended."""
    if not _standing:
        yield
        return
    guard = _standing[0]
    guard.in_check = True
    try:
        yield
    except KeyboardInterrupt:
        guard.report_handled()
        raise
    finally:
        guard.in_check = False


def _handle_once(number: int) -> None:
    """Have the next signal call Python's handler; after it, the signal has its default effect.

    If the C library does not offer that, the guard kills the command.
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
        gc.disable()  # a collected object may close a descriptor that is in use here
        os.setsid()  # signals of the terminal go to the command alone
        signal.set_wakeup_fd(-1)
        for number in (*SIGNALS, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        _close_descriptors({read_end, handle, 2})
        with contextlib.suppress(OSError):
            Path("/proc/self/comm").write_text(NAME)
        unhandled = _wait(read_end)
        if unhandled and os.getppid() == command:
            _end(command, unhandled, handle)
        elif unhandled is not None:
            _tidy_up()
    finally:
        os._exit(0)


def _close_descriptors(keep: set[int]) -> None:
    """Close the command's open locks and pipes, except the descriptors in `keep`."""
    null_device = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(null_device, number)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) > 1 and int(name) not in keep:
            with contextlib.suppress(OSError):  # listdir's own is closed already
                os.close(int(name))


def _wait(read_end: int) -> int | None:
    """Wait for an unhandled signal or the command's end.

    Return the number of a signal that the command does not handle in time, 0 if the command was
    killed, None if it has ended.
    """
    poll = select.poll()
    poll.register(read_end, select.POLLIN)
    number, until = 0, None
    while True:
        left_ms = None if until is None else max(0.0, until - time.monotonic()) * 1000
        if not poll.poll(left_ms):
            return number
        received = os.read(read_end, 64)
        if not received:
            return 0
        for byte in received:
            if byte == _BYE:
                return None
            if byte == _LEFT:
                until = None
            elif byte == _HANDLED:
                until = time.monotonic() + _ENDS_S
            elif byte in SIGNALS and until is None:
                number, until = byte, time.monotonic() + PATIENCE_S


def _end(command: int, number: int, handle: int) -> None:
    """End the command and all its descendants. One that is missed ends when its pipe closes."""
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
    # At most twice more: a check may catch the exception of the second signal.
    _ = _ended_by(command, number, handle) or _ended_by(command, number, handle)
    _send(command, signal.SIGKILL, handle)
    _remove_leftovers()


def _ended_by(command: int, number: int, handle: int) -> bool:
    """Send a signal; return whether it has ended the command."""
    fatal = not _is_handled(command, number)
    _send(command, number, handle)
    until = time.monotonic() + (_GONE_S if fatal else _HANDLES_S)
    while os.getppid() == command and time.monotonic() < until:
        time.sleep(_LOOK_S)
    return os.getppid() != command


def _send(command: int, number: int, handle: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if handle >= 0:
            signal.pidfd_send_signal(handle, number)
        elif os.getppid() == command:  # else it has ended, and another process may have its pid
            os.kill(command, number)


def _folders_of(command: int) -> list[Path]:
    """Return the temporary folders that a process has locked (grader/temporary.py).

    Only folders where the grader makes them: a submission may hold files of the same name.
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
    """Return whether the process has a handler for a signal. Source: proc_pid_status(5), SigCgt."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, mask = line.partition(":")
            if name == "SigCgt":
                return bool(int(mask, 16) >> (number - 1) & 1)
    return True


def _tidy_up() -> None:
    """Delete the leftovers of a killed command. Its shell does not wait for this."""
    os.dup2(0, 2)
    for pause_s in _AFTER_DEATH_S:
        time.sleep(pause_s)
        _remove_leftovers()


def _remove_leftovers() -> None:
    from grader.session.scratch import remove_session_leftovers

    with contextlib.suppress(OSError):
        remove_session_leftovers()
