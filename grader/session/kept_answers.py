"""What a submission's processes answered to its checks, kept for a changed check.

    answers = KeptAnswers()                   while a submission is graded
    answers.listen(student, root)             keeps what this process replies from now on
    data = answers.packed()                   bytes for the file of results
    earlier = unpacked(data)                  later, for kept_session.py

A process starts from the state that the notebook left. So its reply depends on the requests that it
has had, and is kept under a hash of all of them, byte by byte. Replies are kept as the bytes that
came. They are untrusted claims, then as now: only the codec reads them, within the limits of a live
process, and here they are not looked at.

Not kept are replies after a count of steps, memory or operations was asked for, and those of a
process that replies two things to the same requests. A process that ended or was too slow has left
no whole reply.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from typing import Any

from grader.in_kernel import codec
from grader.session.deadline import Deadline
from grader.session.stream import Stream
from grader.session.student import Student, wire_of

MAX_CHECK_BYTES = 64 << 10
"""Replies to one process; those of a process that replies more are not kept."""
MAX_BYTES = 2 << 20
"""Replies of one submission."""
MAX_UNPACKED_BYTES = 4 * MAX_BYTES
"""A submission's answers may lie in several parts: a later run keeps what was asked anew."""

KEY_BYTES = 16
_RECORD = struct.Struct(f"<{KEY_BYTES}sBI")  # key, kind, bytes of what follows
_REPLY, _NO_ANSWER, _USED, _BEGAN = range(4)
_SECONDS = struct.Struct("<d")
# A hash of what the processes were asked costs more than it saves beyond level 1.
_LEVEL = 1


class KeptAnswers:
    """The replies of one submission's processes.

    replies : by the hash of all requests up to the one that is answered; None for a request that
        was answered in two ways
    used_s : for how long a process computed or slept, by the hash of all of its requests
    began : hashes with which a check began in a process that earlier checks had asked
    """

    def __init__(self) -> None:
        self.replies: dict[bytes, bytes | None] = {}
        self.used_s: dict[bytes, float] = {}
        self.began: set[bytes] = set()
        self._bytes = 0

    def listen(self, student: Student, root: bytes) -> None:
        """Keep what this process replies from now on.

        root : what the state depends on that it starts from, by root_of
        """
        wire = wire_of(student)
        if not isinstance(wire.stream, _HeardStream):
            wire.stream = _HeardStream(wire.stream)
        wire.stream.listen(self, root)

    def add(self, key: bytes, reply: bytes) -> bool:
        """Keep a reply; return whether there was none to these requests yet, and room for it."""
        if key in self.replies:
            if self.replies[key] != reply:
                self.replies[key] = None
            return False
        if self._bytes + len(reply) > MAX_BYTES:
            return False
        self._bytes += len(reply)
        self.replies[key] = reply
        return True

    def forget(self, key: bytes) -> None:
        self._bytes -= len(self.replies.pop(key, None) or b"")

    def packed(self) -> bytes:
        """Return all of it as bytes, which may be joined with others of the same submission."""
        parts: list[bytes] = []
        for key, reply in self.replies.items():
            kind = _NO_ANSWER if reply is None else _REPLY
            parts += (_RECORD.pack(key, kind, len(reply or b"")), reply or b"")
        for key, seconds in self.used_s.items():
            parts += (_RECORD.pack(key, _USED, _SECONDS.size), _SECONDS.pack(seconds))
        parts += (_RECORD.pack(key, _BEGAN, 0) for key in self.began)
        return zlib.compress(b"".join(parts), _LEVEL)


def unpacked(data: bytes) -> KeptAnswers | None:
    """Return what was packed, of several parts what all of them hold; None for what is no such."""
    answers = KeptAnswers()
    left = MAX_UNPACKED_BYTES
    try:
        while data:
            part = zlib.decompressobj()
            text = part.decompress(data, max(1, left))
            if not part.eof:
                return None
            left -= len(text)
            data = part.unused_data
            _read(memoryview(text), answers)
    except (zlib.error, struct.error, ValueError):
        return None
    return answers


def root_of(notebook: str, reply_mib: int | None, check: str = "") -> bytes:
    """Return what the answers of a process begin with.

    notebook : its name in the submission; reply_mib : what a reply may hold
    check : that asks a process after other checks; "" for a fresh copy of the state
    """
    return hashlib.sha256(repr((notebook, reply_mib, check)).encode()).digest()[:KEY_BYTES]


def key_after(key: bytes, request: codec.Buffer) -> bytes:
    """Return the hash of all requests, given that of those before."""
    digest = hashlib.sha256(key)
    digest.update(request)
    return digest.digest()[:KEY_BYTES]


def note_used(student: Student, used_s: float) -> None:
    """Keep for how long a process has computed or slept, if its answers are kept."""
    stream = wire_of(student).stream
    if isinstance(stream, _HeardStream):
        stream.note_used(used_s)


class _HeardStream(Stream):
    """A connection whose replies are kept as they pass."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.peer = stream.peer
        self.limits = stream.limits

    def listen(self, answers: KeptAnswers, root: bytes) -> None:
        self._answers = answers
        self._key = root
        self._hash: Any = None
        self._reply = bytearray()
        self._left = MAX_CHECK_BYTES
        self._added: list[bytes] = []
        self._heard = True
        # The numbers are in the requests: in a fresh copy they begin at 1, too.
        self._number = 0

    def note_used(self, used_s: float) -> None:
        if self._heard:
            self._answers.used_s[self._key] = used_s

    def request(
        self,
        operation: str,
        *arguments: Any,
        deadline: Deadline,
        keep: Callable[[Any], codec.Handle | codec.Function] | None = None,
    ) -> int:
        if operation == "observe" and any(arguments[-3:]):
            self._stop()  # counts: they are taken anew
        return super().request(operation, *arguments, deadline=deadline, keep=keep)

    def send(self, frame: codec.Buffer, deadline: Deadline) -> None:
        if self._heard:
            if self._hash is None:
                self._hash = hashlib.sha256(self._key)
            self._hash.update(frame)
        self._stream.send(frame, deadline)

    def receive(
        self,
        deadline: Deadline,
        limits: codec.Limits,
        handle: Callable[[codec.Handle | codec.Function], Any] | None = None,
    ) -> Any:
        value = super().receive(deadline, limits, handle)
        if self._heard and self._hash is not None:
            self._key, self._hash = self._hash.digest()[:KEY_BYTES], None
            if self._answers.add(self._key, bytes(self._reply)):
                self._added.append(self._key)
            self._reply.clear()
        return value

    def _fill(self, target: memoryview, deadline: Deadline) -> None:
        self._stream._fill(target, deadline)
        if self._heard:
            self._left -= len(target)
            if self._left < 0:
                self._stop()
            else:
                self._reply += target

    def _stop(self) -> None:
        """Keep nothing of this process: a part of its answers would help no check."""
        self._heard = False
        self._reply.clear()
        for key in self._added:
            self._answers.forget(key)
        self._added.clear()

    def close(self) -> None:
        self._stream.close()


def _read(text: memoryview, answers: KeptAnswers) -> None:
    """Raises struct.error and ValueError for what `packed` doesn't write."""
    place = 0
    while place < len(text):
        key, kind, size = _RECORD.unpack_from(text, place)
        place += _RECORD.size
        content = bytes(text[place : place + size])
        if len(content) != size:
            raise ValueError("cut off")
        place += size
        if kind == _REPLY:
            if answers.replies.setdefault(key, content) != content:
                answers.replies[key] = None
        elif kind == _NO_ANSWER:
            answers.replies[key] = None
        elif kind == _USED:
            (answers.used_s[key],) = _SECONDS.unpack(content)
        elif kind == _BEGAN:
            answers.began.add(key)
        else:
            raise ValueError("of another version")
