"""The protocol between the grader and the student's process, version 1, and one stream of it.

This is all that crosses the border; codec.py has the bytes of a frame.

Streams. The grader listens at an address: "unix:PATH", or "tcp:HOST:PORT" where there are no
Unix sockets. A stream opens with a hello from this side,

    ["hello", VERSION, token, {"python": "3.11.7", "numpy": "2.3.5"}]

and goes on with requests from the grader and one reply to each, in turn:

    [number, operation, *arguments]        request; the reply repeats its number
    [number, "value", value]               it went well
    [number, "raised", failure]            the student's code raised
    [number, "missing", text]              a name or an attribute isn't there
    [number, "too large", text]            the value holds more than a reply may
    [number, "passed on", [own, failure]]  the student's code let an exception of the check's pass

A check's function may travel as an argument. While a request is being answered, the student's code
may call one, so a message comes in place of the reply, and the reply after the answer to it:

    [number, "calls", function, kwargs, *args]      from this side
    [number, "returned", value]            from the grader: what the function returned
    [number, "raised", own, kind, args]    it raised exception number `own`; the builtin class that
                                           it extends, and its arguments where they are plain

Before that answer the grader may send further requests, with numbers of their own.

    failure = [kind, text, cell, line, source, index, base, sizes]
        the exception's class name and message; the student's innermost line: the cell's number
        (None where no cell is known), the line in it, its text; the index of the call in a map;
        the nearest builtin class that the exception extends; the whole numbers above 3 that
        the line's function has written in it

The serving stream (its token comes with `serve`) knows

    ["fork", token, reply_bytes]           -> the fork's pid; the fork opens a stream with token
    ["in place", token, reply_bytes]       the same where there is no fork: a stream is opened,
                                           served until the grader closes it, then comes the reply
    ["ended", pid]                         -> how a fork ended: ["signal", 11], ["exit", 0], None

A check's stream knows

    ["call", base, path, args, kwargs]     -> what it returns
    ["map", base, path, items]             -> list of what the calls return; an item is the one
                                           argument, or a tuple of arguments
    ["observe", base, path, args, kwargs, count_steps, count_memory, count_operations]
        -> {"value", "error": failure or None, "arguments": tuple of the arguments after the call,
            "warnings": list of str, "seconds": float, "steps": int or None,
            "operations": list of int, as counting.KINDS has them, or None,
            "memory": [bytes that are kept, bytes at the most] or None, "printed": str}
    ["get", base, path]                    -> value
    ["keep", base, path]                   -> a handle, of plain values too
    ["set", base, path, value]
    ["item", base, key]                    -> value
    ["has", base, path]                    -> bool
    ["operate", name, *operands]           -> what an operator (operators.py) gives; "next" gives a
                                           tuple of the element, or an empty one
    ["names"]                              -> the notebook's public names, the latest last
    ["store", value]                       -> a handle on the value
    ["tensor", array]                      -> a handle on a torch.Tensor with these values
    ["figures"]                            -> the figures, as plain dicts

A torch.Tensor that a reply holds is sent as the array of its values.

base is None for the notebook's namespace, else the number of a handle; path a dotted name, ""
for the base itself. Handles live and die with the fork.

An operation is added in four places: here, in words; its handler in operations.py; the form of its
reply in session/replies.py, where it has one; what a check calls in session/proxies.py (on a name
or an object) or session/student.py (on the whole process).
"""

from __future__ import annotations

import _socket
import builtins
import sys
from collections.abc import Callable
from typing import Any

from numpy import __version__ as numpy_version

from grader.in_kernel import codec

# Student code may replace builtins: see operations.py.
globals()["__builtins__"] = dict(vars(builtins))

VERSION = 1
PYTHON = ".".join(str(part) for part in sys.version_info[:3])

# The grader is trusted, and its inputs may be a data set.
REQUEST_LIMITS = codec.Limits(size=1 << 34, items=1 << 27, nodes=1 << 24)


class Closed(Exception):
    """The grader closed the stream."""


class Stream:
    """One connection to the grader. Uses the C socket: `socket.socket` can be patched."""

    def __init__(self, address: str, token: str) -> None:
        self._ahead: memoryview | None = None
        self._start = self._end = 0  # of what was read ahead
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
        versions = {"python": PYTHON, "numpy": numpy_version}
        self.send(codec.encode(["hello", VERSION, token, versions]))

    def fileno(self) -> int:
        return self._socket.fileno()

    def read_ahead(self) -> None:
        """Read as much at once as has come: small messages take one system call each."""
        self._ahead = memoryview(bytearray(codec.READ_AHEAD))

    def close(self) -> None:
        self._socket.close()

    def receive(self, handle: Callable[[codec.Handle | codec.Function], Any]) -> list[Any]:
        request = codec.decode(self.fill, handle=handle, limits=REQUEST_LIMITS)
        return list(request)

    def send(self, pieces: list[codec.Buffer]) -> None:
        for piece in pieces:
            self._socket.sendall(piece)

    def fill(self, target: memoryview) -> None:
        """Fill target with what comes next. Raises Closed."""
        ahead = self._ahead
        while target:
            if self._start < self._end:
                assert ahead is not None
                start = self._start
                end = self._start = min(start + len(target), self._end)
                target[: end - start] = ahead[start:end]
                target = target[end - start :]
                continue
            if ahead is None or len(target) >= len(ahead):
                count = self._socket.recv_into(target)
                target = target[count:]
            else:
                count = self._socket.recv_into(ahead)
                self._start, self._end = 0, count
            if not count:
                raise Closed
