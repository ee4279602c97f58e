"""A recording: the requests of a check to the solved notebook, in order, for a replay.

    recorder = Recorder(session, lambda: suite.running)
    recording = recorder.recordings["3b-grad", "..."]
    replies = replay(student, recording)

A recording holds its requests as frames, so that they are replayed byte by byte and can be written
to a file. The replies of a process are untrusted claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from grader.errors import BadReply, StudentFault
from grader.in_kernel import codec
from grader.session.callbacks import CheckFunctions
from grader.session.opened import Session
from grader.session.replay_cache import ReplayCache, replayed
from grader.session.student import Student, wire_of
from grader.session.wire import Wire

MAX_REQUESTS = 240
"""Enough for each kind of call in a check; finite differences repeat the same kind often."""
MAX_CALLS = 100_000
"""How often one request may call the check's functions."""
MAX_BYTES = 3 << 20
"""The size of all requests of a recording."""

CheckName = tuple[str, str]
"""The exercise and the name of a check."""


@dataclass(frozen=True)
class Recording:
    """The requests of one check to the solved notebook, for one seed.

    requests : frames, as they are sent; operations : the name of each request's operation
    functions : the check's functions that it sent along; a replay calls them again
    reply_mib : the largest reply to the check; None for the assignment's limit
    """

    requests: tuple[bytes, ...] = ()
    operations: tuple[str, ...] = ()
    functions: CheckFunctions | None = None
    reply_mib: int | None = None


@dataclass
class Recorder:
    """A session that records the requests of checks. A check ends when its recording is full.

    running : returns the check that runs, or None
    """

    session: Session
    running: Callable[[], CheckName | None]
    _caches: dict[CheckName, tuple[ReplayCache, int | None]] = field(default_factory=dict)

    def student(self, *, limit_s: float, reply_mib: int | None = None) -> Student:
        cache = ReplayCache()
        name = self.running()
        if name is not None:
            self._caches[name] = cache, reply_mib
        student = replayed(self.session, cache, limit_s=limit_s, reply_mib=reply_mib)
        # A check may send thousands of requests: what comes after the last recorded one is useless.
        wire_of(student).most_requests = MAX_REQUESTS
        return student

    @property
    def recordings(self) -> Mapping[CheckName, Recording]:
        """The recording of each check that made a request."""
        return {
            name: _recording(cache, reply_mib)
            for name, (cache, reply_mib) in self._caches.items()
            if cache.steps
        }


def _recording(cache: ReplayCache, reply_mib: int | None) -> Recording:
    requests: list[bytes] = []
    operations: list[str] = []
    size = 0
    called = 0  # how many of the check's functions run: requests sent meanwhile are theirs
    for request, reply in cache.steps:
        size += len(request)
        if size > MAX_BYTES or len(requests) == MAX_REQUESTS:
            break
        operation = str(codec.decode_bytes(request, handle=_object)[1])
        if operation in ("returned", "raised"):
            called -= 1
        elif not called:
            requests.append(request)
            operations.append(operation)
        if cache.functions and codec.decode_bytes(reply, handle=_object)[1] == "calls":
            called += 1
    functions = cache.functions if cache.functions else None
    return Recording(tuple(requests), tuple(operations), functions, reply_mib)


def paths_of(recording: Recording) -> frozenset[str]:
    """Return the last part of each path in a recording's requests: "predict" of Model.predict."""
    names = set()
    for request in recording.requests:
        _, _, *arguments = codec.decode_bytes(request, handle=_object)
        path = arguments[1] if len(arguments) > 1 else ""
        if isinstance(path, str) and path:
            names.add(path.rpartition(".")[2])
    return frozenset(names)


def replay(student: Student, recording: Recording) -> Iterator[list[Any]]:
    """Yield the process's reply to each request: [status, content].

    An object that stays in the process is ("object", its class's name). If the process ends, the
    last item is ["ended", the fault's name].
    """
    wire = wire_of(student)
    for request in recording.requests:
        try:
            if recording.functions is not None:
                recording.functions.begin_again()
            wire.stream.send(request, wire.deadline)
            reply = wire.stream.receive(wire.deadline, wire.stream.limits, _object)
            for _ in range(MAX_CALLS):
                if (
                    recording.functions is None
                    or type(reply) is not list
                    or reply[1:2] != ["calls"]
                ):
                    break
                reply = _after_call(wire, recording.functions, reply)
        except StudentFault as fault:
            yield ["ended", type(fault).__name__]
            return
        if type(reply) is not list or len(reply) != 3:
            yield ["ended", "BadReply"]
            return
        yield reply[1:]


def _after_call(wire: Wire, functions: CheckFunctions, message: list[Any]) -> Any:
    """Answer a call of a check's function; return the next message of the process."""
    try:
        answer = answer_of(functions, message[2:])
    except codec.MalformedFrame as error:
        raise BadReply("not a valid reply") from error
    wire.stream.answer(message[0], *answer, deadline=wire.deadline, keep=functions.stand_in)
    return wire.stream.receive(wire.deadline, wire.stream.limits, _object)


def answer_of(functions: CheckFunctions, call: list[Any]) -> list[Any]:
    """Return the answer of a check's function after its check has ended.

    Raises MalformedFrame if `call` is not a call of a function that was sent.
    """
    try:
        return functions.answer(call)
    except codec.MalformedFrame:
        raise
    except Exception:  # the function used a process that is gone
        return ["raised", 0, "RuntimeError", []]


def _object(handle: codec.Handle | codec.Function) -> Any:
    if isinstance(handle, codec.Function):
        return ("function", handle.name)
    return ("object", handle.type_name)
