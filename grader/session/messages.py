"""The grader's end of a kernel's messages: counted first, then parsed.

Student code can reach the kernel's connection and write anything to it. So bytes, messages and
JSON values are counted for each cell before anything is parsed, whatever their kind
and whichever request they claim to answer. What an honest kernel sends (its Meter limits it, see
in_kernel/messages.py) stays far below these limits.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from grader.session.stream import new_token

# For one cell; the kernel's own Meter stops at 2000.
MAX_MESSAGES = 2200
_SPARE_BYTES = 2**20  # for the reply and the kernel's status messages
_SPARE_NODES = 10_000
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)

HUNG_UP = "it closed its connection"
_CHANNELS = ("shell", "iopub")
_HEAD = 4  # bytes before each message: its size
_READ_BYTES = 1 << 18
# select() takes no descriptor above 1023, and a grader may hold thousands. Windows has no poll().
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class TooMuch(Exception):
    """A kernel sent more than it may. The text says what."""


@dataclass
class Allowance:
    """What a kernel may still send while a cell runs."""

    bytes_max: int
    nodes_max: int
    bytes_sent: int = 0
    messages_sent: int = 0
    nodes_sent: int = 0

    @classmethod
    def of_a_cell(cls, output_bytes: int) -> Allowance:
        """Return the allowance for one cell.

        output_bytes : how many bytes of output the kernel sends for one cell. Half of them may be
            text, which JSON makes up to six times longer. Each value takes two bytes or more.
        """
        return cls(4 * output_bytes + _SPARE_BYTES, output_bytes // 2 + _SPARE_NODES)

    def take_bytes(self, count: int) -> None:
        """Count one more message of `count` bytes. Raises TooMuch."""
        self.messages_sent += 1
        self.bytes_sent += count
        if self.messages_sent > MAX_MESSAGES:
            raise TooMuch(f"it sent more than {MAX_MESSAGES} messages")
        if self.bytes_sent > self.bytes_max:
            raise TooMuch(f"it sent more than {self.bytes_max >> 20} MiB of messages")

    def take_nodes(self, frame: bytes) -> None:
        """Count the JSON values that a parser would find in a message. Raises TooMuch."""
        nodes = _nodes(frame)
        if self.nodes_sent + nodes > self.nodes_max:
            # Commas and brackets inside strings don't count.
            nodes = _nodes(_STRING.sub(b"", frame))
        self.nodes_sent += nodes
        if self.nodes_sent > self.nodes_max:
            raise TooMuch(f"it sent messages of more than {self.nodes_max} values")


def _nodes(text: bytes) -> int:
    """Return at least the number of JSON values in a text.

    A value follows a comma, or is the first of a container; each container opens a bracket.
    """
    return text.count(b",") + text.count(b"[") + text.count(b"{")


# The content of a request to execute a cell, without the code.
EXECUTE = {
    "silent": False,
    # IPython would format every exception once more for its history: 0.1 s.
    "store_history": False,
    "user_expressions": {},
    "allow_stdin": False,
    "stop_on_error": False,
}


class Message(NamedTuple):
    """What a kernel sent: a claim of the student's process.

    channel : "shell" for a reply, else "iopub"
    request : the id of the request that it answers
    """

    channel: str
    kind: str
    request: str
    content: dict[str, Any]


class Client:
    """Sends requests to a kernel and reads its messages. Nothing waits longer than it is told.

    cell : the index of the cell that runs
    broken : why no more messages come; "" while the connection works
    """

    def __init__(self, connection: socket.socket) -> None:
        self.cell = 0
        self.broken = ""
        self._left = Allowance.of_a_cell(0)
        self._requests = 0
        self._connection = connection
        connection.setblocking(False)
        self._selector: selectors.BaseSelector = _Selector()
        self._watched = self._selector.register(connection, selectors.EVENT_READ)
        self._unread = bytearray()
        self._size: int | None = None  # of the next message, once it is counted
        self._unsent = memoryview(b"")

    def begin_cell(self, cell: int, output_bytes: int) -> None:
        """Count messages for this cell from now on, whatever they claim to answer.

        output_bytes : how many bytes of output the kernel sends for one cell
        """
        self.cell = cell
        self._left = Allowance.of_a_cell(output_bytes)

    def send(self, kind: str, content: Mapping[str, Any]) -> str:
        """Send a request; return its id, which the answers carry.

        receive() sends the rest of a request that the kernel does not take at once.
        """
        self._requests += 1
        number = f"{self._requests}-{new_token()}"
        request = {
            "header": {"msg_id": number, "msg_type": kind},
            "metadata": {"cellId": str(self.cell)},
            "content": content,
        }
        frame = json.dumps(request).encode()
        self._unsent = memoryview(bytes(self._unsent) + len(frame).to_bytes(4, "big") + frame)
        self._send_more()
        return number

    def receive(self, wait_s: float) -> Message | None:
        """Return the next message; None if none has arrived after wait_s seconds, or none will."""
        until = time.monotonic() + wait_s
        looked = False
        while not self.broken:
            try:
                if (message := self._next()) is not None:
                    return message
            except TooMuch as limit:
                self.broken = str(limit)
                return None
            except (KeyError, TypeError, ValueError, RecursionError):
                self.broken = "it sent something that is not a message"
                return None
            rest_s = until - time.monotonic()
            if looked and rest_s <= 0:  # a message that trickles in must not delay the caller
                return None
            looked = True
            self._wait(max(0.0, rest_s))
        return None

    def close(self) -> None:
        self._selector.close()
        self._connection.close()

    def _wait(self, wait_s: float) -> None:
        """Read what has come, and send what is left of the requests, once either is possible."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        if wanted != self._watched.events:
            self._watched = self._selector.modify(self._connection, wanted)
        for _, events in self._selector.select(wait_s):
            if events & selectors.EVENT_WRITE:
                self._send_more()
            if events & selectors.EVENT_READ:
                self._read_more()

    def _send_more(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._connection.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:  # the end of what it sent tells that a kernel has died
            self._unsent = memoryview(b"")

    def _read_more(self) -> None:
        try:
            more = self._connection.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        self._unread += more
        if not more:
            self.broken = HUNG_UP

    def _next(self) -> Message | None:
        """Return the next message if it has arrived. Raises as the parser does, and TooMuch."""
        if self._size is None:
            if len(self._unread) < _HEAD:
                return None
            self._size = int.from_bytes(self._unread[:_HEAD], "big")
            self._left.take_bytes(self._size)
        end = _HEAD + self._size
        if len(self._unread) < end:
            return None
        frame = bytes(self._unread[_HEAD:end])
        del self._unread[:end]
        self._size = None
        self._left.take_nodes(frame)
        return _message(json.loads(frame))


def _message(claimed: Any) -> Message:
    """Return a message. Raises KeyError or TypeError if it does not have the form of one."""
    header, parent = claimed["header"], claimed["parent_header"]
    channel, content = claimed["channel"], claimed["content"]
    for part in (header, parent, claimed["metadata"], content):
        if type(part) is not dict:
            raise TypeError("not an object")
    message = Message(channel, header["msg_type"], parent["msg_id"], content)
    if not all(type(text) is str for text in message[:3]) or channel not in _CHANNELS:
        raise TypeError("not a text")
    return message
