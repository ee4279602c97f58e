"""Answers calls into the notebook's namespace, from inside the student's process.

`serve` turns the kernel's main thread into a server: it forks once for every check, and each
fork answers that check's calls from the state that the notebook left. Here is the protocol,
version 1. It is all that crosses the border; codec.py has the bytes of a frame.

Streams. The grader listens at an address: "unix:PATH", or "tcp:HOST:PORT" where there are no
Unix sockets. A stream opens with a hello from this side,

    ["hello", VERSION, token, {"python": "3.11.7", "numpy": "2.3.5"}]

and goes on with requests from the grader and one reply to each, in turn:

    [number, operation, *arguments]        request; the reply repeats its number
    [number, "value", value]               it went well
    [number, "raised", failure]            the student's code raised
    [number, "missing", text]              a name or an attribute isn't there
    [number, "too large", text]            the value holds more than a reply may

    failure = [kind, text, cell, line, source, index]
        the exception's class name and message; the student's innermost line: the cell's number
        (None where no cell is known), the line in it, its text; the index of the call in a map

The serving stream (its token comes with `serve`) knows

    ["fork", token, reply_bytes]           -> the fork's pid; the fork opens a stream with token
    ["in place", token, reply_bytes]       the same where there is no fork: a stream is opened,
                                           served until the grader closes it, then comes the reply
    ["ended", pid]                         -> how a fork ended: ["signal", 11], ["exit", 0], None

A check's stream knows

    ["call", base, path, args, kwargs]     -> what it returns
    ["map", base, path, items]             -> list of what the calls return; an item is the one
                                           argument, or a tuple of arguments
    ["observe", base, path, args, kwargs, count_steps]
        -> {"value", "error": failure or None, "arguments": tuple of the arguments after the call,
            "warnings": list of str, "seconds": float, "steps": int or None, "printed": str}
    ["get", base, path]                    -> value
    ["keep", base, path]                   -> a handle, of plain values too
    ["set", base, path, value]
    ["item", base, key]                    -> value
    ["has", base, path]                    -> bool
    ["store", value]                       -> a handle on the value
    ["tensor", array]                      -> a handle on a torch.Tensor with these values
    ["figures"]                            -> the figures, as plain dicts

A torch.Tensor that a reply holds is sent as the array of its values.

base is None for the notebook's namespace, else the number of a handle; path a dotted name, ""
for the base itself. Handles live and die with the fork.

Student code may have replaced any function of builtins, numpy or the standard library by the
time that a call comes. What is needed here is held from the import on: functions by name, the
builtins in a private copy. So replies stay honest about values unless the student rewrites this
module, and then they are what every reply is to the grader: a claim.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import builtins
import ctypes
import gc
import io
import linecache
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from os import O_RDWR, _exit, close, devnull, dup2, fstat, getpid, getppid, listdir, write
from os import open as open_descriptor
from stat import S_ISSOCK
from sys import getrecursionlimit, gettrace, setprofile, setrecursionlimit, settrace
from time import perf_counter
from types import CodeType, FrameType
from typing import Any, NoReturn

from numpy import __version__ as numpy_version
from numpy import errstate, ndarray

from grader.in_kernel import codec
from grader.in_kernel.sandbox import limits

globals()["__builtins__"] = dict(vars(builtins))

VERSION = 1

_TEXT_CHARS = 2000
_SHARED = frozenset((type(None), bool, int, float, complex, str, bytes, tuple))
_PRINTED_CHARS = 1 << 16
_WARNINGS = 100
# The grader is trusted, and its inputs may be a data set.
_REQUEST = codec.Limits(size=1 << 34, items=1 << 27, nodes=1 << 24)
# numpy's own default, whatever the notebook set: a check wants to see an overflow.
_default_errstate = partial(errstate, divide="warn", over="warn", under="ignore", invalid="warn")

# None where there is no fork: the grader then asks for "in place".
_fork = getattr(os, "fork", None)
_setsid = getattr(os, "setsid", None)
_waitpid = os.waitpid
_waitid = getattr(os, "waitid", None)
# The C functions: those of `signal` pass through Python, which asks builtins.isinstance.
_set_handler = _signal.signal
_catch_warnings = warnings.catch_warnings
_simplefilter = warnings.simplefilter
_getline = linecache.getline
_freeze = gc.freeze
_limit_behind = limits.limit_behind
_limit_this_check = limits.limit_this_check
_name_of = type.__dict__["__name__"].__get__


def serve(
    address: str,
    token: str,
    namespace: dict[str, Any],
    *,
    figures: Callable[[], list[dict[str, Any]]] | None = None,
    locate: Callable[[str], int | None] | None = None,
) -> NoReturn:
    """Serve the grader until it closes the stream, then end this process at once.

    Call it on the main thread, after the notebook ran. It takes sys.stdout, sys.stderr, sys.stdin
    and input() away from the kernel, which has no use for them any more.

    address, token : as the grader's listener gives them
    namespace : the notebook's own, `__main__`'s dict
    figures : gives the open figures as plain dicts; called in a fork
    locate : the number to show of the cell that a code object's file name belongs to, or None
    """
    try:
        state = _State(namespace, figures, locate)
        stream = Stream(address, token)
        _mute(state.printed)
        _set_handler(_signal.SIGINT, _signal.SIG_IGN)  # Ctrl-C is for the grader
        _freeze()  # copy-on-write: the collector would touch, and so copy, every object in a fork
        _serve_grader(stream, address, state)
    except BaseException as error:
        write(2, f"agent: {_type_name(error)}: {_text(error)}\n".encode())
        _exit(1)
    finally:
        # Not sys.exit: an atexit handler or a destructor of the student's could hang.
        _exit(0)


@dataclass
class _State:
    """What a fork inherits."""

    namespace: dict[str, Any]
    figures: Callable[[], list[dict[str, Any]]] | None
    find_cell: Callable[[str], int | None] | None
    printed: _Printed = field(default_factory=lambda: _Printed())

    def locate(self, filename: str) -> int | None:
        """The cell that a code object's file name belongs to."""
        if self.find_cell is None:
            return None
        try:
            cell = self.find_cell(filename)
        except Exception:  # the student may have changed what it looks at
            return None
        return cell if type(cell) is int else None


class Closed(Exception):
    """The grader closed the stream."""


class Stream:
    """One connection to the grader. Uses the C socket: `socket.socket` can be patched."""

    def __init__(self, address: str, token: str) -> None:
        family, _, place = address.partition(":")
        if family == "unix":
            self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            self._socket.settimeout(None)
            self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, codec.SEND_BYTES)
            self._socket.connect(place)
        else:
            host, _, port = place.rpartition(":")
            self._socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
            self._socket.settimeout(None)
            self._socket.connect((host, int(port)))
            self._socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        versions = {"python": _PYTHON, "numpy": numpy_version}
        self.send(codec.encode(["hello", VERSION, token, versions]))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def receive(self, handle: Callable[[codec.Handle], Any]) -> list[Any]:
        request = codec.decode(self.fill, handle=handle, limits=_REQUEST)
        return list(request)

    def send(self, pieces: list[codec.Buffer]) -> None:
        for piece in pieces:
            self._socket.sendall(piece)

    def fill(self, target: memoryview) -> None:
        """Fill target with what comes next. Raises Closed."""
        while target:
            count = self._socket.recv_into(target)
            if not count:
                raise Closed
            target = target[count:]


_PYTHON = ".".join(str(part) for part in sys.version_info[:3])


# --- serving the grader: forks ------------------------------------------------------------


def _serve_grader(stream: Stream, address: str, state: _State) -> None:
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
                answer = ["raised", _failure(error, state)]
            else:
                children[pid] = None
                answer = ["value", pid]
        elif operation == "in place":
            token, reply_bytes = arguments
            check = Stream(address, token)
            _Check(check, state, reply_bytes).serve()
            check.close()
            answer = ["value", None]
        elif operation == "ended":
            answer = ["value", _how_it_ended(children, *arguments)]
        else:
            answer = ["missing", "no such operation"]
        # Reaped late on purpose: until then the kernel gives a dead fork's pid to nobody else,
        # and the grader can kill by pid.
        if operation != "ended":
            for pid in [pid for pid, end in children.items() if end is None]:
                _reap(children, pid)
        stream.send(codec.encode([number, *answer]))


def _no_object(handle: codec.Handle) -> Any:
    raise ValueError("the serving stream has no handles")


def _reap(children: dict[int, list[Any] | None], pid: int) -> None:
    try:
        ended, status = _waitpid(pid, os.WNOHANG)
    except OSError:  # somebody else waited for it
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
        # WNOWAIT leaves it unreaped: the grader has yet to kill what it left behind.
        try:
            end = _waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except OSError:
            return ["unknown", 0]
        if end is None:
            return None
        return ["exit" if end.si_code == os.CLD_EXITED else "signal", end.si_status]
    return children.get(pid)


def _fork_for_check(
    stream: Stream, address: str, state: _State, token: str, reply_bytes: int
) -> int:
    if _fork is None:
        raise OSError("no fork on this system")
    parent = getpid()
    with _catch_warnings():
        _simplefilter("ignore")  # Python 3.12 warns of threads, which a kernel has
        pid = int(_fork())
    if pid:
        return pid
    try:
        stream.close()
        _detach(parent)
        check = Stream(address, token)
        _Check(check, state, reply_bytes).serve()
    finally:
        _exit(0)


def _detach(parent: int) -> None:
    """Leave behind what belongs to the kernel: its terminal, its sockets, its signal handlers.

    The fork leads a session and a process group of its own, so that the grader can kill it
    together with all that it starts.
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
    nothing = open_descriptor(devnull, O_RDWR)
    for descriptor in (0, 1, 2):
        dup2(nothing, descriptor)
    if nothing > 2:
        close(nothing)
    # Below this the agent itself could not answer.
    setrecursionlimit(max(getrecursionlimit(), 1000))


def _prctl() -> Callable[..., int] | None:
    try:
        return ctypes.CDLL(None).prctl
    except (OSError, AttributeError, TypeError):  # no Linux
        return None


_PRCTL = _prctl()
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the kernel's main thread is gone."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, int(_signal.SIGKILL), 0, 0, 0)


def _close_sockets() -> None:
    """Close every inherited socket: the grader's stream, the kernel's channels, the student's."""
    try:
        # Not pathlib, which is Python that a student can change.
        descriptors = [int(name) for name in listdir("/proc/self/fd")]  # noqa: PTH208
    except OSError:
        descriptors = list(range(3, 256))
    for descriptor in descriptors:
        try:
            if descriptor > 2 and S_ISSOCK(fstat(descriptor).st_mode):
                close(descriptor)
        except OSError:
            continue


# --- serving a check ------------------------------------------------------------------------


class _Missing(Exception):
    """A name that isn't defined."""


class _Raised(Exception):
    """The student's code raised; carries the reply's failure."""

    def __init__(self, failure: list[Any]) -> None:
        self.failure = failure


class _Check:
    """Answers one check's requests, in the order in which they come."""

    def __init__(self, stream: Stream, state: _State, reply_bytes: int) -> None:
        self._stream = stream
        self._state = state
        self._limits = codec.Limits(size=reply_bytes)
        self._objects: list[Any] = []
        self._handles: dict[int, codec.Handle] = {}
        self._operations: dict[str, Callable[..., Any]] = {
            "call": self._call,
            "map": self._map,
            "observe": self._observe,
            "get": self._get,
            "keep": self._keep,
            "set": self._set,
            "item": self._item,
            "has": self._has,
            "store": self._store,
            "tensor": self._tensor,
            "figures": self._figures,
        }

    def serve(self) -> None:
        """Answer until the grader closes the stream."""
        while True:
            try:
                number, operation, *arguments = self._stream.receive(self._object)
                pieces = self._answer(number, operation, arguments)
                del arguments
                self._stream.send(pieces)
            except (Closed, OSError):
                return

    def _answer(self, number: int, operation: str, arguments: list[Any]) -> list[codec.Buffer]:
        try:
            value = self._operations[operation](*arguments)
            return self._encode([number, "value", value])
        except _Raised as raised:
            answer = [number, "raised", raised.failure]
        except _Missing as missing:
            answer = [number, "missing", missing.args[0]]
        except codec.TooLarge as large:
            answer = [number, "too large", large.args[0]]
        except BaseException as error:  # MemoryError in the encoder, a property's error
            answer = [number, "raised", _failure(error, self._state)]
        return self._encode(answer)

    def _encode(self, answer: list[Any]) -> list[codec.Buffer]:
        return codec.encode(answer, keep=self._array_or_handle, limits=self._limits)

    # Handles.

    def _array_or_handle(self, value: Any) -> ndarray | codec.Handle:
        values = _values_of_tensor(value)
        return self._handle(value) if values is None else values

    def _handle(self, value: Any) -> codec.Handle:
        """The handle of an object; the same one whenever the object comes again."""
        known = self._handles.get(id(value))
        if known is None:
            known = codec.Handle(len(self._objects), _type_name(value))
            self._objects.append(value)
            self._handles[id(value)] = known
        return known

    def _object(self, handle: codec.Handle) -> Any:
        return self._objects[handle.id]

    def _target(self, base: int | None, path: str) -> Any:
        """What a dotted name stands for. Raises _Missing, _Raised."""
        names = path.split(".") if path else []
        if base is not None:
            target = self._objects[base]
        else:
            name = names.pop(0)
            try:
                target = dict.__getitem__(self._state.namespace, name)
            except KeyError:
                raise _Missing(f"`{name}` is not defined") from None
        for name in names:
            target = self._attribute(target, name)
        return target

    def _attribute(self, target: Any, name: str) -> Any:
        try:
            return getattr(target, name)
        except AttributeError as error:
            # A property of the student's that fails inside names another object or attribute.
            if error.obj is target and error.name == name:
                raise _Missing(f"no attribute `{name}`") from None
            raise

    # Operations.

    def _call(self, base: int | None, path: str, args: Any, kwargs: dict[str, Any]) -> Any:
        function = self._target(base, path)
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            raise _Raised(_failure(error, self._state)) from None
        return self._returned(function, value)

    def _returned(self, function: Any, value: Any) -> Any:
        """An instance that a class makes stays here, also where the class extends dict or list."""
        if _is_class(function) and codec.base_value(value) is not value:
            return self._handle(value)
        return value

    def _map(self, base: int | None, path: str, items: list[Any]) -> list[Any]:
        function = self._target(base, path)
        values: list[Any] = []
        append = values.append
        try:
            for item in items:
                append(function(*item) if type(item) is tuple else function(item))
        except BaseException as error:
            raise _Raised(_failure(error, self._state, len(values))) from None
        if _is_class(function):
            return [self._returned(function, value) for value in values]
        return values

    def _observe(
        self, base: int | None, path: str, args: Any, kwargs: dict[str, Any], count_steps: bool
    ) -> dict[str, Any]:
        function = self._target(base, path)
        value = failure = steps = None
        printed = self._state.printed
        printed.take()
        with _catch_warnings(record=True) as caught, _default_errstate():
            _simplefilter("always")
            start = perf_counter()
            try:
                if count_steps:
                    value, steps = _count_steps(function, args, kwargs)
                else:
                    value = function(*args, **kwargs)
            except BaseException as error:
                seconds = perf_counter() - start
                failure = _failure(error, self._state)
            else:
                seconds = perf_counter() - start
        # An argument that came as a handle goes back as one, a data set above all. Scalars go
        # back as they are: Python shares small ones, so their identity tells nothing.
        after = tuple(
            argument if type(argument) in _SHARED else self._handles.get(id(argument), argument)
            for argument in args
        )
        return {
            "value": self._returned(function, value),
            "error": failure,
            "arguments": after,
            "warnings": [_warning_text(one) for one in caught[:_WARNINGS]],
            "seconds": seconds,
            "steps": steps,
            "printed": printed.take(),
        }

    def _get(self, base: int | None, path: str) -> Any:
        return self._target(base, path)

    def _keep(self, base: int | None, path: str) -> codec.Handle:
        return self._handle(self._target(base, path))

    def _set(self, base: int | None, path: str, value: Any) -> None:
        owner, _, name = path.rpartition(".")
        if base is None and not owner:
            self._state.namespace[name] = value
        else:
            setattr(self._target(base, owner), name, value)

    def _item(self, base: int | None, key: Any) -> Any:
        return self._target(base, "")[key]

    def _has(self, base: int | None, path: str) -> bool:
        try:
            self._target(base, path)
        except _Missing:
            return False
        return True

    def _store(self, value: Any) -> codec.Handle:
        return self._handle(value)

    def _tensor(self, values: ndarray) -> codec.Handle:
        import torch  # where a check asks for tensors, the exercise requires it

        return self._handle(torch.tensor(values))

    def _figures(self) -> list[dict[str, Any]]:
        return [] if self._state.figures is None else self._state.figures()


def _count_steps(function: Any, args: Any, kwargs: Any) -> tuple[Any, int | None]:
    """What the call returns, and the bytecodes that Python ran for it, numpy's own included.

    The steps are None where the student's code traces itself.
    """
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event == "opcode":
            count += 1
        elif event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        return trace

    settrace(trace)
    try:
        value = function(*args, **kwargs)
    finally:
        undisturbed = gettrace() is trace
        settrace(None)
    return value, count if undisturbed else None


# --- what went wrong, in plain values -------------------------------------------------------


def _failure(error: BaseException, state: _State, index: int | None = None) -> list[Any]:
    """The reply's failure: [kind, text, cell, line, source, index]."""
    cell, line, source = _innermost(error, state)
    text = _text(error)
    if limit := _limit_behind(error):
        text = f"{text} ({limit})" if text else limit
    return [_type_name(error), text, cell, line, source, index]


def _innermost(error: BaseException, state: _State) -> tuple[int | None, int, str]:
    """Cell, line and text of the last line of the student's own that the error passed."""
    found: tuple[CodeType, int, int] | None = None
    step = error.__traceback__
    cells: dict[CodeType, int | None] = {}
    while step is not None:
        code = step.tb_frame.f_code
        if code not in cells:
            cells[code] = state.locate(code.co_filename)
        cell = cells[code]
        if cell is not None:
            found = code, cell, step.tb_lineno
        step = step.tb_next
    if found is None:
        return None, 0, ""
    code, cell, line = found
    return cell, line or 0, _source_line(code.co_filename, line or 0)


def _source_line(filename: str, line: int) -> str:
    try:
        return str(_getline(filename, line)).strip()[:_TEXT_CHARS]
    except Exception:  # the student may have changed linecache's entries
        return ""


def _values_of_tensor(value: Any) -> ndarray | None:
    """The values of a torch.Tensor, without its gradient; None for anything else."""
    # Not imported here: there is no tensor in a process that has not imported torch.
    torch = dict.get(sys.modules, "torch")
    if torch is None or not issubclass(type(value), getattr(torch, "Tensor", ())):
        return None
    try:
        plain = value.detach().cpu()
        values = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    except Exception:  # a sparse one, one without storage: it stays here, behind a handle
        return None
    return values if type(values) is ndarray else None


def _is_class(value: Any) -> bool:
    """Whether an object is a class. Not by isinstance, which asks the object."""
    return issubclass(type(value), type)


def _type_name(value: Any) -> str:
    """The name of an object's class, as C knows it: a metaclass can't lie about it."""
    return str(_name_of(type(value)))[:_TYPE_NAME_CHARS]


_TYPE_NAME_CHARS = 200


def _text(value: Any) -> str:
    """str(value), cut; what its __str__ raises instead."""
    try:
        text = str(value)
        return str.__str__(text)[:_TEXT_CHARS]
    except BaseException as error:
        return f"<its text raises {_type_name(error)}>"


def _warning_text(caught: warnings.WarningMessage) -> str:
    kind = caught.category
    return f"{_name_of(kind) if _is_class(kind) else 'Warning'}: {_text(caught.message)}"


# --- a process without a terminal -----------------------------------------------------------


class _Printed(io.TextIOBase):
    """Where print() goes: the beginning is kept until it is taken, the rest dropped."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._room = _PRINTED_CHARS
        self.buffer = _Dropped()

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {_type_name(text)}")
        if self._room > 0 and text:
            part = str.__str__(text)[: self._room]
            self._parts.append(part)
            self._room -= len(part)
        return len(text)

    def take(self) -> str:
        """What was printed since the last time."""
        parts, self._parts, self._room = self._parts, [], _PRINTED_CHARS
        return "".join(parts)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1

    def close(self) -> None:
        """Stay open: later prints must not fail."""


class _Dropped(io.RawIOBase):
    """Takes all bytes, keeps none."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)


def _no_input(*prompt: object) -> NoReturn:
    raise EOFError("input(): nobody types while the grader calls")


def _mute(printed: _Printed) -> None:
    """Let print() end in `printed`, input() in EOFError, and display() nowhere."""
    for stream in (sys.stdout, sys.stderr):
        _redirect(stream, printed)
    sys.stdout = sys.stderr = printed
    sys.__stdout__ = sys.__stderr__ = printed  # type: ignore[misc, assignment]
    sys.stdin = sys.__stdin__ = io.StringIO()  # type: ignore[misc, assignment]
    builtins.input = _no_input
    if "IPython" in sys.modules:
        _mute_ipython()


def _redirect(stream: Any, printed: _Printed) -> None:
    """A logging handler may hold the old stream, which would speak to the kernel's sockets."""
    try:
        stream.write = printed.write
        stream.flush = printed.flush
    except Exception:  # a C stream takes no attributes; its descriptor leads nowhere in a fork
        return


def _nowhere(*args: object, **kwargs: object) -> None:
    """Takes anything, does nothing."""


def _mute_ipython() -> None:
    """display(), plt.show() and input() would speak to the kernel's sockets, which a fork lacks."""
    try:
        shell = sys.modules["IPython"].get_ipython()
        if shell is None:
            return
        for publisher in (shell.display_pub, type(shell.display_pub)):
            publisher.publish = publisher.clear_output = _nowhere
        kernel = getattr(shell, "kernel", None)
        if kernel is not None:
            kernel.raw_input = kernel.getpass = _no_input
    except Exception:  # another IPython than the one we know, or the student changed it
        return
