"""Sends requests to one check's process; turns its replies into values and faults.

A request carries the name of its operation as text (in_kernel/protocol.py lists them), so this
module need not change for a new operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grader.errors import (
    BadReply,
    EnoughAsked,
    Missing,
    NotDefined,
    PassedOn,
    ReferenceFault,
    StudentDied,
    StudentError,
    StudentFault,
    StudentTimeout,
)
from grader.in_kernel import codec
from grader.session.callbacks import CalledTooOften, CheckFunctions, is_function
from grader.session.deadline import Deadline
from grader.session.ending import KILLED
from grader.session.mirror import Mirror
from grader.session.replies import NAME_CHARS, clean, student_error
from grader.session.stream import Stream

# All replies to a check that have _LARGE bytes or more may together be this many times as large as
# one reply may be: a check may keep them all in memory.
_LARGE = 1 << 20
_LARGE_TOGETHER = 8
_CALLS = frozenset(("call", "map", "observe"))
# They run no student code.
_OWN = frozenset(("figures", "names", "store", "tensor"))
_LOOK_AT_SHAPES = ". Look at the shapes: (m, 1) with (m,) makes (m, m)."


@dataclass(frozen=True)
class Place:
    """Where an object is: a dotted path from the namespace (base None) or from a handle.

    base : the number of the handle; label : the object in messages
    """

    wire: Wire
    base: int | None
    path: str
    label: str


class Proxy:
    """Stands for an object in the student's process; its attributes are the object's attributes."""

    __slots__ = ("_place",)

    _place: Place


def place_of(proxy: Proxy) -> Place:
    """Return the place of a proxy's object. Not a method, which would hide the object's own."""
    return proxy._place


class Wire:
    """Asks one check's process, and turns what it claims into values and faults.

    deadline : the time for all its calls together
    represent : makes the proxy of an object that stays in the process, at a place, of a class
    end : ends the process and all that it started; its argument: whether it is stuck or broken
    how_it_ended : "killed by SIGSEGV", "" where that is unknown
    """

    def __init__(
        self,
        stream: Stream,
        deadline: Deadline,
        *,
        represent: Callable[[Place, str], Proxy],
        end: Callable[[bool], None],
        how_it_ended: Callable[[], str] = lambda: "",
    ) -> None:
        self.stream = stream
        stream.read_ahead()
        self.how_it_ended = how_it_ended
        self._represent = represent
        self._end_process = end
        self._fault: StudentFault | None = None
        self._closed = False
        self.is_reference = False
        self._begin(deadline)

    def _begin(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self._large_bytes = 0
        self.requests = 0
        """How many requests the check has sent, without those of its own functions."""
        self.calls = 0
        """How often the student's code has called a function of the check."""
        self.repeated = 0  # requests among them that only explain a failure
        self.most_requests = math.inf
        self.was_refused = False  # whether the check wanted to send more than the most
        self.last_called = ""
        """The path that the check called last."""
        # Called with the operation and the content of each reply.
        self.on_reply: Callable[[str, Any], None] | None = None
        self.mirror: Mirror | None = None  # while a course's own test runs
        self.functions = CheckFunctions()
        # Attributes that were methods; names that were functions, while a course's own test runs.
        self.methods: set[tuple[int | None, str]] = set()
        # The figures of the latest reply; None after a request that may run student code.
        self.figures: list[dict[str, Any]] | None = None

    def renew(self, limit_s: float) -> bool:
        """Begin another check, with its own time limit; return False if the process has ended."""
        if self._closed or self._fault is not None:
            return False
        self._begin(Deadline(limit_s, self.stream.peer))
        return True

    def ask(self, called: Callable[[], str], operation: str, *arguments: Any) -> Any:
        """Return the reply's value.

        called : returns the call as text, for messages
        Raises StudentError, StudentTimeout, StudentDied, BadReply, Missing; for the solved
        notebook ReferenceFault in place of each.
        """
        try:
            if self.mirror is not None:
                self.mirror.push()
            return self._ask(called, operation, *arguments)
        except (StudentFault, Missing) as fault:
            if self.is_reference:
                raise ReferenceFault(f"the solved notebook: {fault}") from fault
            raise

    def _ask(self, called: Callable[[], str], operation: str, *arguments: Any) -> Any:
        if self._closed:
            raise RuntimeError(f"{called()}: the check's process was closed")
        if self._fault is not None:
            raise type(self._fault)(*self._fault.args)
        if not self.functions.depth:
            if self.requests >= self.most_requests:
                self.was_refused = True
                raise EnoughAsked(f"{called()}: not asked, since it would only explain a failure")
            self.requests += 1
            self.functions.begin()
        if operation not in _OWN:
            self.figures = None
        if operation == "set":
            self.methods.discard((arguments[0], arguments[1]))
        if operation in _CALLS and arguments[1]:
            self.last_called = arguments[1]
        try:
            status, content = self._request(operation, arguments)
        except StudentTimeout:
            if self._fault is not None:  # from a call that a function of the check made
                raise
            limit = f"{self.deadline.limit_s:g} s"
            raise self._end(
                StudentTimeout(
                    f"{called()} did not return: all calls of a check together may take {limit}"
                )
            ) from None
        except StudentDied:
            if self._fault is not None:
                raise
            how = self.how_it_ended()
            text = "ended the student's process" + (f" ({how})" if how else "")
            death = StudentDied(f"{called()} {text}")
            death.killed = how in ("", KILLED)
            raise self._end(death) from None
        except CalledTooOften as often:
            raise self._end(StudentTimeout(f"{called()} {often}")) from None
        except BadReply as fault:
            if self._fault is not None:
                raise
            raise self._end(BadReply(f"{called()}: {fault}")) from fault
        self._note_reply(called, operation, content)
        if status == "value":
            return content
        if status == "raised":
            error = student_error(called(), content)
            raise error if isinstance(error, StudentError) else self._end(error)
        if status == "passed on":
            raise self._passed_on(called, content)
        if status == "missing" and len(arguments) > 1:  # else the operation looks up no name
            base, path = arguments[:2]
            raise NotDefined(path if base is None else called())
        if status == "too large" and type(content) is str:
            # The text of the process is not used.
            limit = f"{self.stream.limits.size >> 20} MiB"
            raise BadReply(
                f"{called()} returned more than {limit}, with its numbers as float64: the limit of "
                f"an answer to this check{_LOOK_AT_SHAPES}"
            )
        raise self.bad_reply(called)

    def _request(self, operation: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
        """Send a request; return the status and content of the reply.

        Meanwhile, answer calls of the check's functions. A fault in one of them ends the process.
        """
        stream, deadline = self.stream, self.deadline
        number = stream.request(operation, *arguments, deadline=deadline, keep=self._keep)
        status, content = stream.reply(number, deadline=deadline, handle=self._remote)
        while status == "calls":
            self.calls += 1
            self._note_reply(lambda: "a call of the check's function", operation, content)
            try:
                with deadline.shared():
                    answer = self.functions.answer(content)
                stream.answer(number, *answer, deadline=deadline, keep=self._keep)
            except codec.MalformedFrame as error:
                raise BadReply(f"not a valid reply: {error}") from error
            except (CalledTooOften, StudentTimeout, StudentDied, BadReply):
                raise
            except BaseException:
                if self._fault is None:
                    self._end(StudentDied("the check ended it while it called the check back"))
                raise
            status, content = stream.reply(number, deadline=deadline, handle=self._remote)
        return status, content

    def _passed_on(self, called: Callable[[], str], content: Any) -> BaseException:
        """Return the exception of a check's function that the student's code let pass.

        Its cause tells where in the student's code it passed.
        """
        if type(content) is not list or len(content) != 2:
            return self.bad_reply(called)
        own = self.functions.raised(content[0])
        passed = student_error(called(), content[1])
        if own is None or not isinstance(passed, StudentError):
            return self.bad_reply(called)
        if own.__cause__ is None:
            own.__cause__ = PassedOn(passed.called, passed.kind, passed.text, passed.where)
        return own

    def _note_reply(self, called: Callable[[], str], operation: str, content: Any) -> None:
        """Pass a reply to on_reply, and count its size. Raises BadReply at the common limit."""
        if self.on_reply is not None:
            self.on_reply(operation, content)
        if self.stream.last_bytes < _LARGE:
            return
        self._large_bytes += self.stream.last_bytes
        together = _LARGE_TOGETHER * self.stream.limits.size
        if self._large_bytes > together:
            raise self._end(
                BadReply(
                    f"{called()}: with it, the answers to this check hold more than "
                    f"{together >> 20} MiB, their limit together{_LOOK_AT_SHAPES}"
                )
            )

    def bad_reply(self, called: Callable[[], str]) -> StudentFault:
        """End the process after a reply that breaks the protocol; return the fault."""
        return self._end(BadReply(f"{called()}: not a valid reply"))

    def close(self) -> None:
        """End the process."""
        if not self._closed:
            self._closed = True
            if self._fault is None:
                self._end_process(False)
                self.stream.close()

    def _end(self, fault: StudentFault) -> StudentFault:
        self._fault = fault
        self._end_process(True)
        self.stream.close()
        return fault

    def _keep(self, value: Any) -> codec.Handle | codec.Function:
        """Return the record that is sent for an argument that is not a plain value."""
        if not isinstance(value, Proxy):
            if is_function(value):
                return self.functions.stand_in(value)
            raise TypeError(f"a {type(value).__name__} can't be sent to the student's process")
        place = place_of(value)
        if place.wire is not self:
            raise TypeError(f"{place.label} belongs to another process")
        if place.base is not None and not place.path:
            return codec.Handle(place.base, "")
        kept = self.ask(lambda: place.label, "keep", place.base, place.path)
        base = place_of(kept).base if isinstance(kept, Proxy) else None
        if base is None:
            raise self.bad_reply(lambda: place.label)
        return codec.Handle(base, "")

    def _remote(self, handle: codec.Handle | codec.Function) -> Any:
        if isinstance(handle, codec.Function):
            return self.functions.of(handle)
        type_name = clean(handle.type_name, NAME_CHARS)
        return self._represent(Place(self, handle.id, "", type_name), type_name)
