"""A recording: the requests of a check to the solved notebook, in order, for a replay.

    recorder = Recorder(session, lambda: suite.running)
    recording = recorder.recordings["3b-grad", "..."]
    replies = replay(student, recording)

It is kept as the frames of its requests, so that it is replayed byte by byte, and can be written
to a file. What a process replies is an untrusted claim here as anywhere.
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
"""Enough for every way in which a check calls; finite differences ask the same again and again."""
MAX_CALLS = 100_000
"""Of the check's functions, in answer to one request."""
MAX_BYTES = 3 << 20
"""Of a recording's requests together."""

CheckName = tuple[str, str]
"""The exercise and the name of a check."""


@dataclass(frozen=True)
class Recording:
    """What one check asked of the solved notebook at one seed.

    requests : frames, as they are sent; operations : what each asks for
    functions : the check's own that the process was given: they are called again as they are asked
    reply_mib : what a reply to the check may hold; None for the assignment's limit
    """

    requests: tuple[bytes, ...] = ()
    operations: tuple[str, ...] = ()
    functions: CheckFunctions | None = None
    reply_mib: int | None = None


@dataclass
class Recorder:
    """A session that keeps the requests of checks.

    running : tells which check runs
    """

    session: Session
    running: Callable[[], CheckName | None]
    _heard: dict[CheckName, tuple[ReplayCache, int | None]] = field(default_factory=dict)

    def student(self, *, limit_s: float, reply_mib: int | None = None) -> Student:
        cache = ReplayCache()
        name = self.running()
        if name is not None:
            self._heard[name] = cache, reply_mib
        return replayed(self.session, cache, limit_s=limit_s, reply_mib=reply_mib)

    @property
    def recordings(self) -> Mapping[CheckName, Recording]:
        """What was heard, by check; a check that asked nothing has none."""
        return {name: _recording(*heard) for name, heard in self._heard.items() if heard[0].steps}


def _recording(cache: ReplayCache, reply_mib: int | None) -> Recording:
    requests: list[bytes] = []
    operations: list[str] = []
    size = 0
    called = 0  # running functions of the check: requests sent meanwhile are theirs
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
    """Return the last names of all that a recording asks for: "predict" of Model.predict."""
    names = set()
    for request in recording.requests:
        _, _, *arguments = codec.decode_bytes(request, handle=_object)
        path = arguments[1] if len(arguments) > 1 else ""
        if isinstance(path, str) and path:
            names.add(path.rpartition(".")[2])
    return frozenset(names)


def replay(student: Student, recording: Recording) -> Iterator[list[Any]]:
    """Yield what the process replies to each request, [status, content] each; keep none of it.

    An object that stays there is ("object", its class's name). It ends where the process does: the
    last reply is then ["ended", the fault's name].
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
                reply = _called(wire, recording.functions, reply)
        except StudentFault as fault:
            yield ["ended", type(fault).__name__]
            return
        if type(reply) is not list or len(reply) != 3:
            yield ["ended", "BadReply"]
            return
        yield reply[1:]


def _called(wire: Wire, functions: CheckFunctions, message: list[Any]) -> Any:
    """Answer the call of a function; return what the process says next."""
    try:
        answer = answer_of(functions, message[2:])
    except codec.MalformedFrame as error:
        raise BadReply("no legal reply") from error
    wire.stream.answer(message[0], *answer, deadline=wire.deadline, keep=functions.stand_in)
    return wire.stream.receive(wire.deadline, wire.stream.limits, _object)


def answer_of(functions: CheckFunctions, call: list[Any]) -> list[Any]:
    """Return what a check's function answers once its check has ended.

    Raises MalformedFrame for no call of a function that was sent.
    """
    try:
        return functions.answer(call)
    except codec.MalformedFrame:
        raise
    except Exception:  # it asked a process that is gone
        return ["raised", 0, "RuntimeError", []]


def _object(handle: codec.Handle | codec.Function) -> Any:
    if isinstance(handle, codec.Function):
        return ("function", handle.name)
    return ("object", handle.type_name)
