"""The grader's end of a kernel's messages: counted first, then parsed, then handed to nbclient.

Student code can reach the kernel's connection and write anything to it. So bytes, messages and
JSON values are counted for each cell before anything is parsed, whatever their kind
and whichever request they claim to answer. What an honest kernel sends (its Meter limits it, see
in_kernel/messages.py) stays far below these limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from grader.session.stream import new_token

# For one cell; the kernel's own Meter stops at 2000.
MAX_MESSAGES = 2200
_SPARE_BYTES = 2**20  # for the reply and the kernel's status messages
_SPARE_NODES = 10_000
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)

HUNG_UP = "it closed its connection"


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


class Channel:
    """A queue of messages that nbclient reads from."""

    def __init__(self) -> None:
        # Bounded: a flood is read no faster than nbclient turns it into outputs.
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=64)

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:
        return await self.messages.get()


class Client:
    """The kernel's client for nbclient: it sends requests and sorts messages into channels.

    cell : the index of the cell that runs
    broken : why no more messages are read; "" while the connection works
    """

    def __init__(self, connection: socket.socket) -> None:
        self.cell = 0
        self._left = Allowance.of_a_cell(0)
        self.broken = ""
        self.shell_channel = Channel()
        self.iopub_channel = Channel()
        self._connection = connection
        self._requests = 0
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self, when_broken: Callable[[], None]) -> None:
        """Start to read; call when_broken() once when no more messages will come."""
        reader, self._writer = await asyncio.open_connection(sock=self._connection, limit=2**20)
        self._reading = asyncio.ensure_future(self._read(reader, when_broken))

    def begin_cell(self, cell: int, output_bytes: int) -> None:
        """Count messages for this cell from now on, whatever they claim to answer.

        output_bytes : how many bytes of output the kernel sends for one cell
        """
        self.cell = cell
        self._left = Allowance.of_a_cell(output_bytes)

    async def execute(self, code: str, **options: Any) -> str:
        return await self.send("execute_request", {**EXECUTE, "code": code})

    async def send(self, kind: str, content: Mapping[str, Any]) -> str:
        """Send a request; return its id, which the answers carry."""
        assert self._writer is not None
        self._requests += 1
        number = f"{self._requests}-{new_token()}"
        request = {
            "header": {"msg_id": number, "msg_type": kind},
            "metadata": {"cellId": str(self.cell)},
            "content": content,
        }
        frame = json.dumps(request).encode()
        with contextlib.suppress(OSError):  # _read notices that a kernel has died
            self._writer.write(len(frame).to_bytes(4, "big") + frame)
            await self._writer.drain()
        return number

    def is_alive(self) -> bool:
        return not self.broken

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.transport.abort()
        self._connection.close()

    async def _read(self, reader: asyncio.StreamReader, when_broken: Callable[[], None]) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                self._left.take_bytes(size)
                frame = await reader.readexactly(size)
                self._left.take_nodes(frame)
                channel, message = _message(json.loads(frame))
                channels = {"shell": self.shell_channel, "iopub": self.iopub_channel}
                await channels[channel].messages.put(message)
        except (asyncio.IncompleteReadError, OSError):
            self.broken = HUNG_UP
        except TooMuch as limit:
            self.broken = str(limit)
        except (KeyError, TypeError, ValueError, RecursionError):
            self.broken = "it sent something that is not a message"
        when_broken()


def _message(claimed: Any) -> tuple[str, dict[str, Any]]:
    """Return a message's channel and the message in the form that nbclient reads.

    Raises KeyError or TypeError if it does not have the form of a message.
    """
    header, parent = claimed["header"], claimed["parent_header"]
    metadata, content = claimed["metadata"], claimed["content"]
    for part in (header, parent, metadata, content):
        if type(part) is not dict:
            raise TypeError("not an object")
    kind, number = header["msg_type"], parent["msg_id"]
    if type(kind) is not str or type(number) is not str:
        raise TypeError("not a text")
    return claimed["channel"], {
        "header": {"msg_type": kind},
        "msg_type": kind,
        "parent_header": {"msg_id": number},
        "metadata": metadata,
        "content": content,
    }
