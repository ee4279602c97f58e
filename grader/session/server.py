"""The grader's side of agent.serve: it starts a new process for every check."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader.closing import Closing
from grader.errors import BadReply, StudentDied, StudentFault, StudentTimeout
from grader.in_kernel import codec
from grader.in_kernel.system import CAN_FORK
from grader.records import Limits, Notebook
from grader.session.deadline import Deadline
from grader.session.ending import how_it_ended
from grader.session.proxies import Remote
from grader.session.replies import student_error
from grader.session.stream import Listener, Stream, new_token
from grader.session.student import Student
from grader.session.wire import Wire

# A fork of a kernel takes 5 to 40 ms; a machine that swaps may need seconds.
_FORK_S = 10.0
# The fork then says hello at once; a kernel whose forks do not is replaced.
_HELLO_S = 5.0
_HELLO_AT_LAST_S = 60.0  # a Deadline of _HELLO_S expires long before
# For requests that the agent answers without the student's code.
_ANSWER_S = 5.0
_SMALL = codec.Limits(size=1 << 16, items=256, nodes=256, depth=8)


class AgentServer(Closing):
    """Listens for one kernel's agent and hands out a Student for each check.

    address, token : arguments of agent.serve
    in_place : answer in the kernel itself, without a fork. A check then sees what earlier checks
        changed, and a check that hangs ends the session
    kill : ends the kernel when a call in place exceeds its limit; used if the socket does not tell
        the kernel's pid
    why_killed : returns the limit that a killed process exceeded, by its pid; "" for none
    folder : of the socket; None for a new one
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        notebook: Notebook | None = None,
        in_place: bool = not CAN_FORK,
        loopback: bool | None = None,
        kill: Callable[[], None] | None = None,
        why_killed: Callable[[int], str] = lambda pid: "",
        folder: Path | None = None,
    ) -> None:
        if loopback is None:
            self._listener = Listener(folder=folder)
        else:
            self._listener = Listener(loopback=loopback, folder=folder)
        self._why_killed = why_killed
        self._inner_pids: dict[Stream, int] = {}  # a check's pid in its kernel's pid namespace
        self.address = self._listener.address
        self.token = new_token()
        self._reply_mib = (limits or Limits()).reply_mib
        self._notebook = notebook
        self._in_place = in_place
        self._kill_kernel = kill
        self._stream: Stream | None = None
        self._fault: StudentFault | None = None
        self._open: set[Student] = set()
        self._latest: Wire | None = None
        self.gave_up = False  # whether the kernel was killed because it did not answer
        self._in_place_number = 0  # of the latest request "in place"

    @property
    def pid(self) -> int | None:
        """The kernel's pid, as the system reports it; None if it has not said hello."""
        return None if self._stream is None else self._stream.peer.pid

    @property
    def alive(self) -> bool:
        """Whether the agent has said hello and has answered every request so far."""
        return self._stream is not None and self._fault is None

    @property
    def last_called(self) -> str:
        """The path that the latest check called last; "" for none."""
        return "" if self._latest is None else self._latest.last_called

    def wait(self, timeout_s: float = 30.0, alive: Callable[[], bool] = lambda: True) -> None:
        """Return once the agent has said hello.

        alive : called repeatedly; False means that the kernel is gone
        Raises StudentTimeout, StudentDied.
        """
        self._stream = self._listener.accept(
            self.token, timeout_s=timeout_s, reply_limits=_SMALL, alive=alive
        )

    def student(self, limit_s: float = 20.0, *, reply_mib: int | None = None) -> Student:
        """Return a Student for one check, in a process of its own: close it after the check.

        limit_s : seconds for all its calls together
        reply_mib : the largest reply; None for the assignment's limit
        Raises StudentTimeout, StudentDied, BadReply.
        """
        token = new_token()
        limits = codec.Limits(size=(self._reply_mib if reply_mib is None else reply_mib) << 20)
        open_stream = self._answer_in_place if self._in_place else self._fork
        stream = open_stream(token, limits)
        wire = Wire(
            stream,
            Deadline(limit_s, stream.peer),
            represent=Remote,
            end=lambda stuck: self._end(stream, stuck),
            how_it_ended=lambda: self._how_it_ended(stream),
        )
        self._latest = wire
        student = Student(wire, self._notebook, on_close=self._forget)
        self._open.add(student)
        return student

    def close(self) -> None:
        """Close every stream and remove the socket. The agent ends when it sees its stream end."""
        for student in [*self._open]:
            student.close()
        if self._stream is not None:
            self._stream.close()
        self._listener.close()

    # Forks.

    def _fork(self, token: str, limits: codec.Limits) -> Stream:
        status, pid = self._ask("fork", token, limits.size)
        if status == "raised":
            why = student_error("a fork of the notebook's process", pid)
            raise StudentDied(str(why))
        if status != "value" or type(pid) is not int:
            raise self._broken(BadReply("the kernel did not fork"))
        patience = Deadline(_HELLO_S, self._serving().peer)
        patience.start()
        stream = self._listener.accept(
            token,
            timeout_s=_HELLO_AT_LAST_S,
            reply_limits=limits,
            alive=lambda: self._ended(pid) is None and not patience.expired(),
        )
        self._inner_pids[stream] = pid
        return stream

    def _answer_in_place(self, token: str, limits: codec.Limits) -> Stream:
        if self._open:
            raise RuntimeError("a check's Student is still open, and there is only one process")
        deadline = Deadline(_ANSWER_S)
        number = self._serving().request("in place", token, limits.size, deadline=deadline)
        stream = self._listener.accept(token, timeout_s=_FORK_S, reply_limits=limits)
        self._in_place_number = number
        return stream

    def _forget(self, student: Student) -> None:
        if student not in self._open:
            return
        self._open.discard(student)
        if self._in_place and self._fault is None:
            # The reply to "in place" comes once the check's stream is closed.
            try:
                self._serving().reply(
                    self._in_place_number, deadline=Deadline(_ANSWER_S, self._serving().peer)
                )
            except StudentFault as fault:
                self._broken(fault)

    def _end(self, stream: Stream, stuck: bool) -> None:
        """End a check's process and all that it started; in place, only if it is stuck."""
        if not self._in_place:
            stream.peer.kill(group=True)
            self._inner_pids.pop(stream, None)
        if not self._in_place or not stuck:
            return
        self._broken(StudentDied("the kernel was ended with an earlier check"))
        if not stream.peer.kill(group=False) and self._kill_kernel is not None:
            self._kill_kernel()

    def _how_it_ended(self, stream: Stream) -> str:
        """Return how a check's process ended: "killed by SIGSEGV", "exit code 3"; "" if unknown."""
        if self._in_place or stream.peer.pid is None:
            return ""
        if limit := self._why_killed(stream.peer.pid):
            return f"it {limit}"
        pid = self._inner_pids.get(stream, stream.peer.pid)
        ended = self._ended(pid)
        for _ in range(20):  # the stream ends a little before the process
            if ended is not None:
                break
            time.sleep(0.01)
            ended = self._ended(pid)
        if ended is None:
            return ""
        how, number = ended
        codes = {"exit": number, "signal": -number}
        return how_it_ended(codes[how]) if how in codes else ""

    def _ended(self, pid: int) -> tuple[str, int] | None:
        """Return how a fork ended, as its kernel reports; None while it lives."""
        try:
            status, content = self._ask("ended", pid)
        except StudentFault:
            return ("unknown", 0)
        if status == "value" and type(content) is list and len(content) == 2:
            how, number = content
            if type(how) is str and type(number) is int and 0 <= number < 1 << 16:
                return how, number
        return None

    # The serving stream.

    def _serving(self) -> Stream:
        if self._fault is not None:
            raise type(self._fault)(*self._fault.args)
        if self._stream is None:
            raise RuntimeError("no agent has said hello yet: call wait()")
        return self._stream

    def _ask(
        self, operation: str, *arguments: Any, deadline: Deadline | None = None
    ) -> tuple[str, Any]:
        stream = self._serving()
        if deadline is None:
            deadline = Deadline(_FORK_S, stream.peer)
        try:
            number = stream.request(operation, *arguments, deadline=deadline)
            return stream.reply(number, deadline=deadline)
        except StudentTimeout as fault:
            # A check may have stopped the kernel. After its end, another kernel can replace it.
            self.gave_up = True
            stream.peer.kill(group=False)
            raise self._broken(StudentDied("it did not answer any more")) from fault
        except (StudentDied, BadReply) as fault:
            raise self._broken(fault) from fault

    def _broken(self, fault: StudentFault) -> StudentFault:
        """Store the first fault of the kernel's agent, which is not used any more; return it."""
        if self._fault is None:
            self._fault = type(fault)(f"the notebook's process: {fault}")
        return self._fault
