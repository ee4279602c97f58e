"""One live kernel: starts it, runs cells within their time limits, tells how it died.

Kernel.kill() may be called from any thread, the others from one.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn

from grader.errors import GraderFault, StudentFault
from grader.in_kernel import codec
from grader.in_kernel.sandbox import confine
from grader.records import Limits
from grader.session import cell_outputs
from grader.session.cell_outputs import CellOutputs, Displays
from grader.session.deadline import Deadline
from grader.session.ending import how_it_ended
from grader.session.messages import EXECUTE, HUNG_UP, Client
from grader.session.processes import KILL
from grader.session.provisioner import KernelSetup, Provisioner
from grader.session.scratch import Scratch
from grader.session.stopping import Stop
from grader.session.stream import Listener, new_token

GRACE_S = 2.0  # between SIGINT and SIGKILL
ENDING_S = 1.0  # a dying kernel closes its connection a little before it is gone
START_S = 120.0
POLL_S = 0.02
KILLED_S = 10.0  # a killed process that has much memory or many children takes a while to end
IDLE_S = 2.0  # after its reply, a kernel says at once that it is idle
# One cell may use a fourth of the notebook's output: a cell that prints without end must leave some
# for the others.
CELL_SHARE = 4
_NOTHING = codec.Limits(size=1 << 10, items=8, nodes=8, depth=2)


class KernelDied(Exception):
    """The kernel ended, or the grader had to end it.

    reason : for people: "killed by SIGSEGV"
    hung : whether SIGINT could not stop it
    killed : whether SIGKILL ended it that the grader did not send: from itself or the machine
    """

    def __init__(self, reason: str, *, hung: bool = False, killed: bool = False) -> None:
        self.reason = reason
        self.hung = hung
        self.killed = killed
        super().__init__(reason)


@dataclass(frozen=True)
class Executed:
    """The kernel's report on one cell: a claim of the student's process.

    seconds : measured by the grader
    kind, text : the class and the message of the exception
    line : of the cell, where it stopped; None if unknown
    changed : the outputs of earlier cells whose displays it has changed, by the cell's index
    """

    status: Literal["ok", "error", "timeout"]
    seconds: float = 0.0
    kind: str = ""
    text: str = ""
    line: int | None = None
    outputs: tuple[Mapping[str, object], ...] = ()
    changed: Mapping[int, tuple[Mapping[str, object], ...]] = field(default_factory=dict)


def cell_share(limits: Limits) -> int:
    """Return how many bytes of output the kernel may send for one cell."""
    return max(limits.output_mib * 2**20 // CELL_SHARE, 2**16)


class Kernel:
    """A kernel process and the connection to it. Its setup's options lack its own files.

    stop : start() and run() raise CalledOff once it is called
    """

    def __init__(self, scratch: Scratch, setup: KernelSetup, stop: Stop) -> None:
        self.scratch = scratch
        self._setup = setup
        self._stop = stop
        self.output_left = setup.limits.output_mib * 2**20
        self._cell_share = cell_share(setup.limits)
        self._displays = Displays()
        self._cells: dict[CellOutputs, int] = {}
        self._fault = scratch.root / "fault.txt"
        self._client: Client | None = None
        self.provisioner: Provisioner | None = None

    def start(self) -> None:
        """Start the process and wait until it has connected.

        Raises GraderFault: no student code has run yet.
        """
        self._stop.check()
        token = new_token()
        listener = Listener(folder=self.scratch.calls, name="messages")
        try:
            provisioner = self.provisioner = self._provisioner(listener.address, token)
            provisioner.launch()
            cell_outputs.load()  # while the kernel boots, which takes as long

            def alive() -> bool:
                self._stop.check()
                return provisioner.poll_now() is None

            stream = listener.accept(token, timeout_s=START_S, reply_limits=_NOTHING, alive=alive)
        except OSError as error:
            raise GraderFault(f"no kernel could be started: {error}") from error
        except StudentFault as fault:
            raise self._not_started() from fault
        finally:
            listener.close()
        self._client = Client(stream.detach())
        provisioner.read_report()

    def _provisioner(self, address: str, token: str) -> Provisioner:
        own = {
            "output_bytes": self._cell_share,
            "address": address,
            "token": token,
            "profile": str(self.scratch.home / "profile"),
            "fault": str(self._fault),
        }
        return Provisioner(self.scratch, replace(self._setup, options=self._setup.options | own))

    def _not_started(self) -> GraderFault:
        assert self.provisioner is not None
        code = self.provisioner.poll_now()
        if self.provisioner.lost:
            return GraderFault("the process that kernels are forked from has ended")
        if code == confine.REFUSED:
            self.provisioner.read_report()
            return GraderFault(self.provisioner.isolation.line())
        why = self._fault.read_text().strip() if self._fault.exists() else ""
        what = "did not answer" if code is None else f"ended ({how_it_ended(code)})"
        last_line = why.splitlines()[-1] if why else "it left no message"
        return GraderFault(f"the kernel {what} before the notebook ran: {last_line}")

    def run(self, cell: int, source: str, *deadlines: Deadline, shown: bool = True) -> Executed:
        """Run one cell until the first of the deadlines expires.

        shown : whether its outputs become the cell's
        Raises KernelDied if the process ended, or had to be killed because SIGINT did not stop it.
        """
        assert self._client is not None and self.provisioner is not None
        if not source.strip():
            return Executed("ok")
        self._client.begin_cell(cell, self._cell_share)
        displays = self._displays if shown else Displays()
        outputs = CellOutputs(min(self._cell_share, self.output_left), displays)
        start = time.monotonic()
        for deadline in deadlines:
            deadline.start()
        try:
            reply = self._execute(source, outputs, deadlines)
            status = "timeout" if self._interrupted else str(reply["status"])
        except (KernelDied, GraderFault):
            raise
        except Exception as error:  # a forged message may lack anything
            self.provisioner.kill_now()
            raise KernelDied("it sent something that is not a reply") from error
        finally:
            for deadline in deadlines:
                deadline.stop()
        self.output_left -= outputs.used
        if outputs.displays and shown:
            self._cells[outputs] = cell
        line = reply.get("line")
        return Executed(
            status="timeout" if status == "timeout" else "ok" if status == "ok" else "error",
            seconds=time.monotonic() - start,
            kind=str(reply.get("ename", "")),
            text=str(reply.get("evalue", "")),
            line=line if type(line) is int and line > 0 else None,
            outputs=outputs.all(),
            changed={self._cells[earlier]: earlier.all() for earlier in outputs.changed},
        )

    _interrupted = False
    _hung = False
    _ended_as_mute = False

    def _execute(
        self, source: str, outputs: CellOutputs, deadlines: tuple[Deadline, ...]
    ) -> dict[str, Any]:
        """Have the kernel run code; return its reply, once it is idle again.

        Interrupt the code when its time is over; kill the kernel if that does not help.
        """
        assert self._client is not None and self.provisioner is not None
        self._interrupted = self._hung = False
        grace: Deadline | None = None
        reply: dict[str, Any] | None = None
        idle, idle_by = False, 0.0
        request = self._client.send("execute_request", {**EXECUTE, "code": source})
        while reply is None or not (idle or time.monotonic() > idle_by):
            self._stop.check()
            running = (*deadlines, grace) if grace is not None else deadlines
            # Asked first: what a dead kernel has sent is read to its end.
            ended = self.provisioner.poll_now() is not None
            message = self._client.receive(
                min((one.wait_s(POLL_S) for one in running), default=POLL_S)
            )
            if message is None and ended:
                raise self._death()
            if message is None and self._client.broken:
                self._end_mute()
            if message is not None and message.request == request:
                if message.channel == "shell":
                    if reply is None:
                        reply, idle_by = message.content, time.monotonic() + IDLE_S
                elif message.kind == "status":
                    idle = idle or message.content["execution_state"] == "idle"
                elif not idle:
                    outputs.take(message.kind, message.content)
            if reply is not None:
                continue
            if grace is None:
                if any(one.expired() for one in deadlines):
                    self._interrupted = True
                    self.provisioner.signal_now(signal.SIGINT)
                    grace = Deadline(GRACE_S, self.provisioner)
                    grace.start()
            elif grace.expired():
                self._hung = True
                self.provisioner.signal_now(KILL)
                grace = None
                deadlines = ()
        return reply

    def _end_mute(self) -> NoReturn:
        """Kill a kernel that no longer sends messages, instead of waiting for its time limit.

        A kernel that dies closes its connection too. Its exit code tells more, so wait for it.
        Raises KernelDied, GraderFault.
        """
        assert self._client is not None and self.provisioner is not None
        wait_s = ENDING_S if self._client.broken == HUNG_UP else 0.0
        if not self._has_ended(wait_s):
            # If it is dead already, something else killed it, perhaps through no fault of its own.
            self._ended_as_mute = True
            self.provisioner.signal_now(KILL)
            self._has_ended(KILLED_S)
        raise self._death()

    def _has_ended(self, wait_s: float) -> bool:
        """Return whether the process has ended, after waiting for it."""
        assert self.provisioner is not None
        until = time.monotonic() + wait_s
        while self.provisioner.poll_now() is None:
            self._stop.check()
            if time.monotonic() >= until:
                return False
            time.sleep(POLL_S / 10)
        return True

    def _death(self) -> KernelDied | GraderFault:
        assert self.provisioner is not None
        code = self.provisioner.poll_now()
        if self.provisioner.lost:
            return GraderFault("the process that kernels are forked from has ended")
        if self._hung:
            return KernelDied("it could not be interrupted", hung=True)
        if limit := self.provisioner.why_killed():
            return KernelDied(limit)
        broken = self._client.broken if self._client is not None else ""
        if self._ended_as_mute or broken not in ("", HUNG_UP):
            return KernelDied(broken)
        return KernelDied(how_it_ended(code) if code is not None else "lost", killed=code == -KILL)

    def serve(self, address: str, token: str) -> None:
        """Have the kernel connect to `address` and answer the requests from there."""
        assert self._client is not None
        self._client.send("grade_serve_request", {"address": address, "token": token})

    def read_on(self) -> None:
        """Drop what the kernel still sends: before it serves, it must not wait for a reader."""
        while self._client is not None and self._client.receive(0.0) is not None:
            pass

    def disconnect(self) -> None:
        """Close the connection for messages. The process lives on if it serves."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def begin_end(self) -> None:
        """Have the process end, with all that it started, while something else is done."""
        if self.provisioner is not None:
            self.provisioner.begin_end()

    def kill(self) -> None:
        """End the process and all that it started."""
        if self.provisioner is not None:
            self.provisioner.kill_now()
