"""Answers of a solved notebook, kept so that the same request is sent only once.

    with replayed(session, cache, limit_s=20) as reference:
        reference.f(x)

A check sends the reference the same requests for every submission, since its inputs come from the
seed. While the requests equal the cached ones byte by byte, the cache answers. At the first one
that differs, a process is forked; it gets the requests so far again, and then the new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from grader.in_kernel import codec
from grader.session.callbacks import CheckFunctions
from grader.session.deadline import Deadline
from grader.session.opened import Session
from grader.session.proxies import Remote
from grader.session.stream import Stream
from grader.session.student import Student, wire_of
from grader.session.wire import Wire

MAX_BYTES = 16 << 20
"""The size of one check's steps; steps beyond it are sent each time."""


class Replies(Protocol):
    """The known replies to requests, step by step."""

    def reply(self, step: int, request: bytes) -> bytes | None:
        """Return the reply to that request after the earlier ones; None if unknown."""

    def before(self, step: int) -> Iterable[bytes]:
        """Return the requests of all earlier steps."""

    def add(self, step: int, request: bytes, reply: bytes) -> None:
        """Store a process's reply."""


@dataclass
class ReplayCache:
    """The requests of one check and their replies, in order, as frames.

    functions : the check's functions that it sent to the process
    """

    steps: list[tuple[bytes, bytes]] = field(default_factory=list)
    functions: CheckFunctions | None = None
    _bytes: int = 0

    def reply(self, step: int, request: bytes) -> bytes | None:
        known = step < len(self.steps) and self.steps[step][0] == request
        return self.steps[step][1] if known else None

    def before(self, step: int) -> Iterable[bytes]:
        return [request for request, _ in self.steps[:step]]

    def add(self, step: int, request: bytes, reply: bytes) -> None:
        """Store a request and its reply as step number `step`; drop all later steps."""
        self._bytes -= sum(len(part) for pair in self.steps[step:] for part in pair)
        del self.steps[step:]
        size = len(request) + len(reply)
        if len(self.steps) == step and self._bytes + size <= MAX_BYTES:
            self.steps.append((request, reply))
            self._bytes += size


def replayed(
    session: Session, cache: ReplayCache, *, limit_s: float, reply_mib: int | None = None
) -> Student:
    """Return a Student of the session that answers from the cache if it can. Close it."""
    stream = ReplayingStream(lambda: session.student(limit_s=limit_s, reply_mib=reply_mib), cache)
    wire = Wire(
        stream,
        Deadline(limit_s),
        represent=Remote,
        end=lambda stuck: stream.close(),
        how_it_ended=stream.how_it_ended,
    )
    cache.functions = wire.functions
    return Student(wire, session.notebook)


class ReplayingStream(Stream):
    """A stream that starts a process only when the cache can't answer.

    begin : forks the process
    """

    def __init__(self, begin: Callable[[], Student], cache: Replies) -> None:
        self._begin = begin
        self._cache = cache
        self._number = 0
        self.limits = codec.Limits()
        self._step = 0
        self._request = bytearray()
        self._reply = bytearray()
        self._replayed: memoryview | None = None
        self._student: Student | None = None

    def read_ahead(self) -> None:
        """Do nothing: this stream has no connection of its own."""

    def close(self) -> None:
        if self._student is not None:
            self._student.close()

    def how_it_ended(self) -> str:
        return "" if self._student is None else wire_of(self._student).how_it_ended()

    def receive(
        self,
        deadline: Deadline,
        limits: codec.Limits,
        handle: codec.Resolve = codec.refuse_handle,
    ) -> Any:
        request = bytes(self._request)
        self._request.clear()
        self._reply.clear()
        known = self._cache.reply(self._step, request) if self._student is None else None
        if known is not None:
            self._replayed = memoryview(known)
        else:
            self._replayed = None
            live = self._live(deadline)
            live.send(request, deadline)
            limits = live.limits
        value = super().receive(deadline, limits, handle)
        if self._replayed is None:
            self._cache.add(self._step, request, bytes(self._reply))
        self._step += 1
        return value

    def _live(self, deadline: Deadline) -> Stream:
        if self._student is None:
            self._student = self._begin()
            stream = wire_of(self._student).stream
            for request in self._cache.before(self._step):
                stream.send(request, deadline)
                stream.receive(deadline, stream.limits, handle=lambda handle: handle)
        return wire_of(self._student).stream

    def _send(self, rest: memoryview, deadline: Deadline) -> None:
        self._request += rest

    def _fill(self, target: memoryview, deadline: Deadline) -> None:
        if self._replayed is not None:
            target[:] = self._replayed[: len(target)]
            self._replayed = self._replayed[len(target) :]
            return
        self._live(deadline)._fill(target, deadline)
        self._reply += target
