"""Jupyter messages over one stream to the grader, instead of ZMQ's sockets and threads.

A forked kernel should start fast, without opening five sockets; and since checks are forks of it,
it must have no threads of its own. A frame is its length (4 bytes, big-endian) and JSON:

    from the kernel  {"channel": "shell" | "iopub", "header": {"msg_type": str},
                      "parent_header": {"msg_id": str}, "metadata": {}, "content": {}}
    from the grader  {"header": {"msg_id": str, "msg_type": str}, "metadata": {}, "content": {}}

Outlet      the connection; it counts what is sent, so that a cell's output is cut in time
Messages    replaces ipykernel's session; it sends through the outlet
Printer     replaces sys.stdout and sys.stderr
"""

from __future__ import annotations

import _socket
import contextlib
import io
import json
import os
import threading
import time
from typing import Any

from jupyter_client.jsonutil import json_default
from jupyter_client.session import Session

from grader.in_kernel.protocol import Closed, Stream
from grader.in_kernel.system import CAN_FORK

# For one cell; no honest notebook shows so many figures and texts.
MAX_MESSAGES = 2000
CUT = "\n[the rest of this output was cut]\n"
# Text is sent when there is this much of it, or when it has waited this long.
_SEND_CHARS = 1 << 14
_SEND_S = 0.2
# So often in a cell, text is sent in the order in which two streams were written to. After that it
# waits for more: a loop that writes to both would send a message for each line.
_TURNS = 100
# The text of a process that the notebook started travels in pieces of this many characters.
_PIECE = 1 << 13

_UPDATE = "update_display_data"

Sent = tuple[str, str, Any, Any]
"""A message: channel, kind, content, metadata."""


class Meter:
    """Admits a cell's messages until they are too large or too many.

    A cell that prints a gigabyte must not fill the memory of this process or the grader's.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.begin()

    def begin(self) -> None:
        self.left = self.limit
        self.text_left = self.limit // 2
        self.messages = MAX_MESSAGES
        self.turns = _TURNS

    def take(self, text: str) -> str:
        """Return the part of a text that may still be printed, with a note if it was cut."""
        if self.text_left <= 0:
            return ""
        taken = text[: self.text_left]
        self.text_left -= len(text)
        return taken if self.text_left > 0 else taken + CUT

    def admits(self, kind: str, size: int) -> bool:
        self.messages -= 1
        if kind != "stream":  # take() counts text
            self.left -= size
        return self.left > 0 and self.messages > 0


class Outlet:
    """The kernel's connection to the grader. Any thread may send."""

    def __init__(self) -> None:
        self.meter = Meter(0)
        self.request: dict[str, Any] = {}  # the grader's request that is being answered
        self._stream: Stream | None = None
        self._owner = 0
        self._lock = threading.RLock()
        self._printers: list[Printer] = []
        self._writing: Printer | None = None
        self._recorded: list[Sent] | None = None
        # The last new content of each display. It waits for the cell's end, since it may change
        # a thousand times, and only so many messages are sent.
        self._updates: dict[str, tuple[Any, Any]] = {}
        # For text from processes that the notebook starts: they must not write to the stream.
        self._inlet: _socket.socket | None = None
        self._children: _socket.socket | None = None
        if CAN_FORK:
            os.register_at_fork(after_in_child=self._after_fork)

    def open(self, address: str, token: str, output_bytes: int) -> None:
        """Connect to the grader."""
        self.meter = Meter(output_bytes)
        self._recorded = None
        self._stream = Stream(address, token)
        self._owner = os.getpid()
        if CAN_FORK:
            self._inlet, self._children = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_DGRAM)
            for end in (self._inlet, self._children):
                end.setblocking(False)

    def record(self, output_bytes: int) -> None:
        """Store messages instead of sending them, until open()."""
        self.meter = Meter(output_bytes)
        self._owner = os.getpid()
        self._recorded = []

    def recorded(self) -> list[Sent]:
        """Return the messages that were stored since the last call."""
        sent, self._recorded = self._recorded or [], []
        return sent

    def fileno(self) -> int:
        assert self._stream is not None
        return self._stream.fileno()

    def receive(self) -> dict[str, Any]:
        """Return the grader's next message. Ends the process if the grader has disconnected."""
        assert self._stream is not None
        try:
            size = bytearray(4)
            self._stream.fill(memoryview(size))
            frame = bytearray(int.from_bytes(size, "big"))
            self._stream.fill(memoryview(frame))
        except (Closed, OSError):
            os._exit(0)
        message: dict[str, Any] = json.loads(frame)
        return message

    def send(self, channel: str, kind: str, content: Any, metadata: Any = None) -> None:
        """Send a message as an answer to the current request."""
        if os.getpid() != self._owner:
            return
        if kind == "status" or channel == "shell":
            updates, self._updates = self._updates, {}
            for update in updates.values():
                self._send_now("iopub", _UPDATE, *update)
        elif display := _display_of(content):
            self._updates.pop(display, None)  # a new display changes those of its id as well
            if kind == _UPDATE:
                self._updates[display] = (content, metadata)
                return
        self._send_now(channel, kind, content, metadata)

    def _send_now(self, channel: str, kind: str, content: Any, metadata: Any) -> None:
        message = {
            "channel": channel,
            "header": {"msg_type": kind},
            "parent_header": {"msg_id": self.request.get("header", {}).get("msg_id", "")},
            "metadata": metadata or {},
            "content": content,
        }
        try:
            frame = json.dumps(message, default=json_default).encode()
        except (TypeError, ValueError, RecursionError):
            if channel == "iopub":  # skip an output that is not JSON
                return
            raise
        if channel == "iopub" and kind != "status" and not self.meter.admits(kind, len(frame)):
            return
        if self._recorded is not None:
            self._recorded.append((channel, kind, content, metadata))
            return
        with self._lock:
            assert self._stream is not None
            try:
                self._stream.send([len(frame).to_bytes(4, "big") + frame])
            except OSError:  # the grader has disconnected, or the notebook closed the descriptor
                os._exit(0)

    def send_text(self, name: str, text: str) -> None:
        """Send printed text; a process that the notebook started passes it to the notebook's."""
        if os.getpid() == self._owner:
            self.send("iopub", "stream", {"name": name, "text": text})
        elif self._children is not None:
            for start in range(0, len(text), _PIECE):
                with contextlib.suppress(OSError):  # the buffer is full: drop the text, don't wait
                    piece = [name, text[start : start + _PIECE]]
                    self._children.send(json.dumps(piece).encode())

    def flush(self) -> None:
        """Send all printed text, of this process and of processes that the notebook started."""
        for printer in self._printers:
            printer.flush()
        while self._inlet is not None:
            try:
                name, text = json.loads(self._inlet.recv(1 << 17))
                self.send_text("stderr" if name == "stderr" else "stdout", self.meter.take(text))
            except (OSError, ValueError, TypeError):
                return

    def turn_to(self, printer: Printer) -> None:
        """Send what other printers have, so that the order of texts does not depend on the time."""
        self._writing = printer
        if self.meter.turns > 0:
            self.meter.turns -= 1
            for other in self._printers:
                if other is not printer:
                    other.flush()

    def is_turn_of(self, printer: Printer) -> bool:
        return self._writing is printer

    def printer(self, name: str) -> Printer:
        printer = Printer(name, self)
        self._printers.append(printer)
        return printer

    def end_a_copy(self) -> None:
        """End this process if it is a fork that the notebook made and did not end."""
        if os.getpid() != self._owner:
            for printer in self._printers:
                printer.flush()
            os._exit(0)

    def _after_fork(self) -> None:
        # A copy must not read messages for the notebook's own process.
        for end in (self._stream, self._inlet):
            if end is not None:
                end.close()
        self._inlet = None
        self._lock = threading.RLock()
        for printer in self._printers:
            printer.forget()


class Messages(Session):
    """ipykernel's session, which sends messages through the outlet instead of ZMQ.

    A "socket" here is the name of a channel: "shell" or "iopub".
    """

    outlet: Outlet

    def msg(
        self,
        msg_type: str,
        content: Any = None,
        parent: Any = None,
        header: Any = None,
        metadata: Any = None,
    ) -> dict[str, Any]:
        return {
            "header": {"msg_type": msg_type},
            "msg_type": msg_type,
            "parent_header": {},
            "content": {} if content is None else content,
            "metadata": metadata or {},
        }

    def send(
        self,
        stream: Any,
        msg_or_type: Any,
        content: Any = None,
        parent: Any = None,
        ident: Any = None,
        buffers: Any = None,
        track: bool = False,
        header: Any = None,
        metadata: Any = None,
    ) -> dict[str, Any]:
        message: dict[str, Any] = msg_or_type
        if isinstance(msg_or_type, str):
            message = self.msg(msg_or_type, content, metadata=metadata)
        # The grader knows the code that it sent.
        if message["msg_type"] != "execute_input" and stream is not None:
            self.outlet.flush()
            self.outlet.send(stream, message["msg_type"], message["content"], message["metadata"])
        return message


class Printer(io.TextIOBase):
    """A text stream that sends its text to the grader, up to the meter's limit."""

    encoding = "UTF-8"
    errors = "strict"

    def __init__(self, name: str, outlet: Outlet) -> None:
        self.name = f"<{name}>"
        self._name = name
        self._outlet = outlet
        self._lock = threading.RLock()
        self.forget()

    def forget(self) -> None:
        """Drop unsent text: a fork would send it a second time."""
        self._lock = threading.RLock()
        self._text: list[str] = []
        self._chars = 0
        self._sent = 0.0

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if not self._outlet.is_turn_of(self):
            self._outlet.turn_to(self)  # before the lock: another thread may write to the other one
        with self._lock:
            taken = self._outlet.meter.take(text)
            if taken:
                self._text.append(taken)
                self._chars += len(taken)
                if self._chars >= _SEND_CHARS or _now() - self._sent >= _SEND_S:
                    self.flush()
        return len(text)

    def flush(self) -> None:
        with self._lock:
            if not self._text:
                return
            text = "".join(self._text)
            self._text.clear()
            self._chars = 0
            self._sent = _now()
        self._outlet.send_text(self._name, text)

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Stay open: a notebook that closes its output must not lose that of later cells."""


def _display_of(content: Any) -> str:
    """Return the id of the display that a message shows or changes; "" for none."""
    transient = content.get("transient") if isinstance(content, dict) else None
    named = transient.get("display_id") if isinstance(transient, dict) else None
    return named if isinstance(named, str) else ""


_now = time.monotonic
