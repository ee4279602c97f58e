"""The protocol between the grader and the student's process, version 1, and one stream of it.

Nothing else passes between the two; codec/ has the bytes of a frame.

Streams. The grader listens at an address: "unix:PATH", or "tcp:HOST:PORT" where there are no
Unix sockets. A stream opens with a hello from this side,

    ["hello", VERSION, token, {"python": "3.11.7", "numpy": "2.3.5"}]

and goes on with requests from the grader, each followed by one reply:

    [number, operation, *arguments]        request; the reply repeats its number
    [number, "value", value]               the result
    [number, "raised", failure]            the student's code raised
    [number, "missing", text]              a name or an attribute does not exist
    [number, "too large", text]            the value is larger than a reply may be
    [number, "passed on", [own, failure]]  an exception of the check's function, number `own`,
                                           passed through the student's code

A check may send its functions as arguments. The student's code may call one before it answers a
request. Then a call comes instead of the reply; the reply follows after the grader's answer:

    [number, "calls", function, kwargs, *args]      from this side
    [number, "returned", value]            from the grader: what the function returned
    [number, "raised", own, kind, args]    it raised exception number `own`: the builtin class that
                                           the exception extends, and its plain arguments

Before that answer the grader may send further requests, with numbers of their own.

    failure = [kind, text, cell, line, source, index, base, sizes]
        the exception's class name and message; the student's innermost line: the cell's number
        (None if no cell is known), the line in it, its text; the index of the call in a map;
        the nearest builtin class that the exception extends; the integers above 3 that appear in
        the code of the line's function

Operations on the serving stream (its token comes with `serve`):

    ["fork", token, reply_bytes]           -> the fork's pid; the fork opens a stream with token
    ["in place", token, reply_bytes]       the same on a system without fork: the process opens a
                                           stream, serves it until the grader closes it, then
                                           replies
    ["ended", pid]                         -> how a fork ended: ["signal", 11], ["exit", 0], None

Operations on a check's stream:

    ["call", base, path, args, kwargs]     -> what it returns
    ["map", base, path, items]             -> list of what the calls return; an item is the only
                                           argument, or a tuple of arguments
    ["observe", base, path, args, kwargs, count_steps, count_memory, count_operations]
        -> {"value", "error": failure or None, "arguments": tuple of the arguments after the call,
            "warnings": list of str, "seconds": float, "steps": int or None,
            "operations": list of int, in the order of counting.KINDS, or None,
            "memory": [bytes that stay allocated, the peak] or None, "printed": str}
    ["get", base, path]                    -> value
    ["keep", base, path]                   -> a handle, even to a plain value
    ["set", base, path, value]
    ["item", base, key]                    -> value
    ["has", base, path]                    -> bool
    ["operate", name, *operands]           -> the result of an operator (operators.py); "next"
                                           returns a tuple of the element, or an empty one
    ["names"]                              -> the notebook's public names, in order of definition
    ["store", value]                       -> a handle to the value
    ["tensor", array]                      -> a handle to a torch.Tensor with these values
    ["figures"]                            -> the figures, as plain dicts

A torch.Tensor in a reply is sent as the array of its values.

base is None for the notebook's namespace, else the number of a handle; path is a dotted name, ""
for the base itself. Handles end with the fork.

A new operation is added in four places: described here; its handler in operations.py; the form of
its reply in session/replies.py, if it has one; and the method that a check calls, in
session/proxies.py (on a name or an object) or session/student.py (on the whole process).
"""

from __future__ import annotations

import _socket
import builtins
import sys
from typing import Any

from numpy import __version__ as numpy_version

from grader.in_kernel import codec

# Student code may replace builtins: see operations.py.
globals()["__builtins__"] = dict(vars(builtins))

VERSION = 1
PYTHON = ".".join(str(part) for part in sys.version_info[:3])

# Large: the grader is trusted, and may send a data set.
REQUEST_LIMITS = codec.Limits(size=1 << 34, items=1 << 27, nodes=1 << 24)


class Closed(Exception):
    """The grader closed the stream."""


class Stream:
    """One connection to the grader. Uses the C socket, since student code may patch `socket`."""

    def __init__(self, address: str, token: str) -> None:
        self._ahead: memoryview | None = None
        self._start = self._end = 0  # of the bytes in the read-ahead buffer
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
        """Read all available bytes at once: a small message then takes one system call."""
        self._ahead = memoryview(bytearray(codec.READ_AHEAD))

    def close(self) -> None:
        self._socket.close()

    def receive(self, handle: codec.Resolve) -> list[Any]:
        request = codec.decode(self.fill, handle=handle, limits=REQUEST_LIMITS)
        return list(request)

    def send(self, pieces: list[codec.Buffer]) -> None:
        for piece in pieces:
            self._socket.sendall(piece)

    def fill(self, target: memoryview) -> None:
        """Fill `target` with the next bytes. Raises Closed."""
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
