"""Serves the grader from inside the student's process, with a fork for every check.

`serve` turns the kernel's main thread into a server. It forks once for every check, and each fork
answers that check's requests from the state that the notebook left (operations.py). The protocol is
in protocol.py.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import builtins
import ctypes
import gc
import os
import warnings
from collections.abc import Callable
from os import O_RDWR, _exit, close, devnull, dup2, fstat, getpid, getppid, listdir, write
from os import open as open_descriptor
from stat import S_ISSOCK
from sys import getrecursionlimit, setprofile, setrecursionlimit, settrace
from typing import Any, NoReturn

from grader.in_kernel import codec
from grader.in_kernel.operations import Check, State, failure, text_of, type_name
from grader.in_kernel.printing import mute
from grader.in_kernel.protocol import Closed, Stream
from grader.in_kernel.sandbox import limits

# Student code may replace builtins: see operations.py.
globals()["__builtins__"] = dict(vars(builtins))

# None on a system without fork: the grader then requests "in place".
_fork = getattr(os, "fork", None)
_setsid = getattr(os, "setsid", None)
_waitpid = os.waitpid
_waitid = getattr(os, "waitid", None)
# The C functions. Those of `signal` are Python code that calls builtins.isinstance.
_set_handler = _signal.signal
_catch_warnings = warnings.catch_warnings
_simplefilter = warnings.simplefilter
_freeze = gc.freeze
_limit_this_check = limits.limit_this_check


def serve(
    address: str,
    token: str,
    namespace: dict[str, Any],
    *,
    figures: Callable[[], list[dict[str, Any]]] | None = None,
    locate: Callable[[str], int | None] | None = None,
) -> NoReturn:
    """Serve the grader until it closes the stream, then end this process at once.

    Call it on the main thread, after the notebook ran. It replaces sys.stdout, sys.stderr,
    sys.stdin and input(), which the kernel does not need any more.

    address, token : from the grader's listener
    namespace : the notebook's: the dict of `__main__`
    figures : returns the open figures as plain dicts; called in a fork
    locate : returns the cell number for a code object's file name, or None
    """
    try:
        state = State(namespace, figures, locate)
        stream = Stream(address, token)
        mute(state.printed)
        _set_handler(_signal.SIGINT, _signal.SIG_IGN)  # Ctrl-C is for the grader
        _freeze()  # otherwise the collector would write to every object in a fork, and so copy it
        _serve_grader(stream, address, state)
    except BaseException as error:
        write(2, f"agent: {type_name(error)}: {text_of(error)}\n".encode())
        _exit(1)
    finally:
        # Not sys.exit: the student's atexit handlers or destructors could hang.
        _exit(0)


def _serve_grader(stream: Stream, address: str, state: State) -> None:
    children: dict[int, list[Any] | None] = {}
    while True:
        try:
            number, operation, *arguments = stream.receive(_no_object)
        except Closed:
            return
        answer: list[Any]
        if operation == "fork":
            try:
                pid = _fork_for_check(stream, address, state, *arguments)
            except OSError as error:  # too many processes, no memory
                answer = ["raised", failure(error, state)]
            else:
                children[pid] = None
                answer = ["value", pid]
        elif operation == "in place":
            token, reply_bytes = arguments
            check = Stream(address, token)
            Check(check, state, reply_bytes).serve()
            check.close()
            answer = ["value", None]
        elif operation == "ended":
            answer = ["value", _how_it_ended(children, *arguments)]
        else:
            answer = ["missing", "no such operation"]
        # A dead fork is reaped late on purpose: until then the system does not reuse its pid, so
        # that the grader can kill by pid.
        if operation != "ended":
            for pid in [pid for pid, end in children.items() if end is None]:
                _reap(children, pid)
        stream.send(codec.encode([number, *answer]))


def _no_object(handle: codec.Handle | codec.Function) -> Any:
    raise ValueError("the serving stream has no handles")


def _reap(children: dict[int, list[Any] | None], pid: int) -> None:
    try:
        ended, status = _waitpid(pid, os.WNOHANG)
    except OSError:  # the student's code has waited for it
        children[pid] = ["unknown", 0]
        return
    if ended == pid:
        if os.WIFSIGNALED(status):
            children[pid] = ["signal", os.WTERMSIG(status)]
        else:
            children[pid] = ["exit", os.WEXITSTATUS(status)]


def _how_it_ended(children: dict[int, list[Any] | None], pid: int) -> list[Any] | None:
    if pid in children and children[pid] is None:
        if _waitid is None:
            _reap(children, pid)
            return children[pid]
        # WNOWAIT does not reap it: the grader must kill the processes that it left first.
        try:
            end = _waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except OSError:
            return ["unknown", 0]
        if end is None:
            return None
        return ["exit" if end.si_code == os.CLD_EXITED else "signal", end.si_status]
    return children.get(pid)


def _fork_for_check(
    stream: Stream, address: str, state: State, token: str, reply_bytes: int
) -> int:
    if _fork is None:
        raise OSError("no fork on this system")
    parent = getpid()
    with _catch_warnings():
        _simplefilter("ignore")  # Python 3.12 warns when a process with threads forks
        pid = int(_fork())
    if pid:
        return pid
    try:
        stream.close()
        _detach(parent)
        check = Stream(address, token)
        Check(check, state, reply_bytes).serve()
    finally:
        _exit(0)


def _detach(parent: int) -> None:
    """Detach a fork from the kernel's terminal, sockets and signal handlers.

    The fork leads a session and a process group of its own, so that the grader can kill it
    together with all processes that it starts.
    """
    if _setsid is not None:
        _setsid()
    _die_with_parent()
    if getppid() != parent:
        _exit(0)
    _limit_this_check()
    settrace(None)
    setprofile(None)
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGALRM, _signal.SIGPROF):
        _set_handler(number, _signal.SIG_DFL)
    _signal.set_wakeup_fd(-1)
    _close_sockets()
    null_device = open_descriptor(devnull, O_RDWR)
    for descriptor in (0, 1, 2):
        dup2(null_device, descriptor)
    if null_device > 2:
        close(null_device)
    # With a lower limit the agent itself could not answer.
    setrecursionlimit(max(getrecursionlimit(), 1000))


def _prctl() -> Callable[..., int] | None:
    try:
        return ctypes.CDLL(None).prctl
    except (OSError, AttributeError, TypeError):  # not on Linux
        return None


_PRCTL = _prctl()
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the kernel's main thread ends."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, int(_signal.SIGKILL), 0, 0, 0)


def _close_sockets() -> None:
    """Close every inherited socket: the grader's stream, the kernel's channels, the student's."""
    try:
        # Not pathlib, which is Python code that a student can change.
        descriptors = [int(name) for name in listdir("/proc/self/fd")]  # noqa: PTH208
    except OSError:
        descriptors = list(range(3, 256))
    for descriptor in descriptors:
        try:
            if descriptor > 2 and S_ISSOCK(fstat(descriptor).st_mode):
                close(descriptor)
        except OSError:
            continue
