"""Keeps the replies of a submission's processes to its checks, for a changed check.

    answers = KeptAnswers()                   while a submission is graded
    answers.listen(student, root)             keeps the further replies of this process
    data = answers.packed()                   bytes for the file of results
    earlier = unpacked(data)                  later, for kept_session.py

A process starts from the state that the notebook left. So a reply depends only on the requests so
far, and is kept under a hash of all their bytes. Replies are kept as the bytes that came. They stay
untrusted claims: only the codec reads them, within the limits of a live process.

These replies are not kept: those after a request to count steps, memory or operations, and those of
processes that reply differently to the same requests. A process that ended or was too slow has not
sent a whole reply.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Any

from grader.in_kernel import codec
from grader.session.deadline import Deadline
from grader.session.stream import Stream
from grader.session.student import Student, wire_of

MAX_CHECK_BYTES = 64 << 10
"""The replies of one process; if it sends more, none of them is kept."""
MAX_BYTES = 2 << 20
"""All replies of one submission."""
MAX_UNPACKED_BYTES = 4 * MAX_BYTES
"""A submission's answers may have several parts: a later run keeps the replies to new requests."""

KEY_BYTES = 16
_RECORD = struct.Struct(f"<{KEY_BYTES}sBI")  # key, kind, size of the content that follows
_REPLY, _NO_ANSWER, _USED, _BEGAN = range(4)
_SECONDS = struct.Struct("<d")
# The hashes don't compress: a higher level takes more time and saves little.
_LEVEL = 1


class KeptAnswers:
    """The replies of one submission's processes.

    replies : by the hash of all requests up to the answered one; None if processes replied
        differently
    used_s : how many seconds a process computed or slept, by the hash of all its requests
    began : the hashes with which checks began in a process that earlier checks had used
    """

    def __init__(self) -> None:
        self.replies: dict[bytes, bytes | None] = {}
        self.used_s: dict[bytes, float] = {}
        self.began: set[bytes] = set()
        self._bytes = 0

    def listen(self, student: Student, root: bytes) -> None:
        """Keep the further replies of this process.

        root : the hash of its initial state, from root_of()
        """
        wire = wire_of(student)
        if not isinstance(wire.stream, _RecordingStream):
            wire.stream = _RecordingStream(wire.stream)
        wire.stream.listen(self, root)

    def add(self, key: bytes, reply: bytes) -> bool:
        """Keep a reply; return False if these requests have one already, or there is no room."""
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
        """Return all answers as bytes, which may be joined with others of the same submission."""
        parts: list[bytes] = []
        for key, reply in self.replies.items():
            kind = _NO_ANSWER if reply is None else _REPLY
            parts += (_RECORD.pack(key, kind, len(reply or b"")), reply or b"")
        for key, seconds in self.used_s.items():
            parts += (_RECORD.pack(key, _USED, _SECONDS.size), _SECONDS.pack(seconds))
        parts += (_RECORD.pack(key, _BEGAN, 0) for key in self.began)
        return zlib.compress(b"".join(parts), _LEVEL)


def unpacked(data: bytes) -> KeptAnswers | None:
    """Return the answers in one or more packed parts; None if the bytes are not valid."""
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
    """Return the hash of a process's initial state, before any request.

    notebook : its name in the submission; reply_mib : the largest reply
    check : a check that uses a process after other checks; "" for a fresh copy of the state
    """
    return hashlib.sha256(repr((notebook, reply_mib, check)).encode()).digest()[:KEY_BYTES]


def key_after(key: bytes, request: codec.Buffer) -> bytes:
    """Return the hash of all requests, given the hash of the earlier ones."""
    digest = hashlib.sha256(key)
    digest.update(request)
    return digest.digest()[:KEY_BYTES]


def note_used(student: Student, used_s: float) -> None:
    """Keep how many seconds a process has computed or slept, if its answers are kept."""
    stream = wire_of(student).stream
    if isinstance(stream, _RecordingStream):
        stream.note_used(used_s)


class _RecordingStream(Stream):
    """A connection that records the replies."""

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
        self._recording = True
        # Requests contain their numbers, which begin at 1 in a fresh copy as well.
        self._number = 0

    def note_used(self, used_s: float) -> None:
        if self._recording:
            self._answers.used_s[self._key] = used_s

    def request(
        self,
        operation: str,
        *arguments: Any,
        deadline: Deadline,
        keep: codec.Keep = codec.no_handles,
    ) -> int:
        if operation == "observe" and any(arguments[-3:]):
            self._stop()  # counts are never kept
        return super().request(operation, *arguments, deadline=deadline, keep=keep)

    def send(self, frame: codec.Buffer, deadline: Deadline) -> None:
        if self._recording:
            if self._hash is None:
                self._hash = hashlib.sha256(self._key)
            self._hash.update(frame)
        self._stream.send(frame, deadline)

    def receive(
        self,
        deadline: Deadline,
        limits: codec.Limits,
        handle: codec.Resolve = codec.refuse_handle,
    ) -> Any:
        value = super().receive(deadline, limits, handle)
        if self._recording and self._hash is not None:
            self._key, self._hash = self._hash.digest()[:KEY_BYTES], None
            if self._answers.add(self._key, bytes(self._reply)):
                self._added.append(self._key)
            self._reply.clear()
        return value

    def _fill(self, target: memoryview, deadline: Deadline) -> None:
        self._stream._fill(target, deadline)
        if self._recording:
            self._left -= len(target)
            if self._left < 0:
                self._stop()
            else:
                self._reply += target

    def _stop(self) -> None:
        """Keep no reply of this process: a check can't use only a part of them."""
        self._recording = False
        self._reply.clear()
        for key in self._added:
            self._answers.forget(key)
        self._added.clear()

    def close(self) -> None:
        self._stream.close()


def _read(text: memoryview, answers: KeptAnswers) -> None:
    """Add the records in a text to `answers`. Raises struct.error, ValueError for invalid ones."""
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
