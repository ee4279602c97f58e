"""One live kernel: starts it, runs cells within their time limits, tells how it died.

Kernel.start(), .run(), .serve(), .disconnect() are coroutines of one event loop;
Kernel.kill() may be called from anywhere, also after the loop has ended.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from grader.errors import GraderFault, StudentFault
from grader.in_kernel import codec
from grader.in_kernel.sandbox import confine
from grader.records import Limits
from grader.session.cell_runner import cell_runner, code_cell
from grader.session.deadline import Deadline
from grader.session.ending import how_it_ended
from grader.session.messages import HUNG_UP, Client
from grader.session.processes import KILL
from grader.session.provisioner import KernelSetup, Provisioner
from grader.session.scratch import Scratch
from grader.session.stream import Listener, Stream, new_token

GRACE_S = 2.0  # between SIGINT and SIGKILL
ENDING_S = 1.0  # a dying kernel closes its connection a little before it is gone
START_S = 120.0
POLL_S = 0.02
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
    """

    status: Literal["ok", "error", "timeout"]
    seconds: float = 0.0
    kind: str = ""
    text: str = ""
    line: int | None = None
    outputs: tuple[Mapping[str, object], ...] = ()


def cell_share(limits: Limits) -> int:
    """Return how many bytes of output the kernel may send for one cell."""
    return max(limits.output_mib * 2**20 // CELL_SHARE, 2**16)


class Kernel:
    """A kernel process and the connection to it. Its setup's options lack its own files."""

    def __init__(self, scratch: Scratch, setup: KernelSetup) -> None:
        self.scratch = scratch
        self._setup = setup
        self.output_left = setup.limits.output_mib * 2**20
        self._cell_share = cell_share(setup.limits)
        self._fault = scratch.root / "fault.txt"
        self._client: Client | None = None
        self._accepted: Stream | None = None
        self._serving = False
        self._notebook: Any = None
        self.provisioner: Provisioner | None = None

    async def start(self) -> None:
        """Start the process and wait until it has connected.

        Raises GraderFault: no student code has run yet.
        """
        token = new_token()
        listener = Listener(folder=self.scratch.calls, name="messages")
        try:
            provisioner = self.provisioner = self._provisioner(listener.address, token)
            provisioner.launch()
            # Imported while the kernel boots: these imports take as long as its own.
            self._notebook = cell_runner()

            def accept() -> Stream:
                # Stored here: if the start is cancelled, no caller receives the returned stream.
                stream = self._accepted = listener.accept(
                    token,
                    timeout_s=START_S,
                    reply_limits=_NOTHING,
                    alive=lambda: provisioner.poll_now() is None,
                )
                return stream

            stream = await asyncio.to_thread(accept)
        except OSError as error:
            raise GraderFault(f"no kernel could be started: {error}") from error
        except StudentFault as fault:
            raise self._not_started() from fault
        finally:
            listener.close()
        self._accepted = None
        client = self._client = Client(stream.detach())
        await client.open(self._hang_up)
        provisioner.read_report()
        self._notebook.kc = client

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

    def _hang_up(self) -> None:
        """Kill a kernel that no longer sends messages, instead of waiting for its time limit.

        A kernel that dies closes its connection too. Its exit code tells more, so wait for it.
        """
        if not self._serving and self._client is not None:
            wait_s = ENDING_S if self._client.broken == HUNG_UP else 0.0
            asyncio.get_running_loop().call_later(wait_s, self._kill_mute)

    def _kill_mute(self) -> None:
        if self.provisioner is not None and not self._serving:
            # If it is dead already, something else killed it, perhaps through no fault of its own.
            self._ended_as_mute = self.provisioner.poll_now() is None
            self.provisioner.signal_now(KILL)

    async def run(self, cell: int, source: str, *deadlines: Deadline) -> Executed:
        """Run one cell until the first of the deadlines expires.

        Raises KernelDied if the process ended, or had to be killed because SIGINT did not stop it.
        """
        assert self._client is not None and self.provisioner is not None
        if not source.strip():
            return Executed("ok")
        node = code_cell(source)
        runner = self._notebook
        runner.nb.cells = [node]
        self._client.begin_cell(cell, self._cell_share)
        runner.begin_cell(min(self._cell_share, self.output_left))
        start = time.monotonic()
        for deadline in deadlines:
            deadline.start()
        watch = asyncio.ensure_future(self._watch(deadlines))
        try:
            await runner.async_execute_cell(node, 0)
        except runner.dead_kernel_error:
            # nbclient raises this too when the task is cancelled.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError from None
            raise self._death() from None
        except Exception as error:  # a forged message may lack anything
            self.provisioner.kill_now()
            raise KernelDied("it sent something that is not a reply") from error
        finally:
            watch.cancel()
            for deadline in deadlines:
                deadline.stop()
        self.output_left -= runner.used
        reply = runner.reply
        status = "timeout" if self._interrupted else str(reply.get("status"))
        line = reply.get("line")
        return Executed(
            status="timeout" if status == "timeout" else "ok" if status == "ok" else "error",
            seconds=time.monotonic() - start,
            kind=str(reply.get("ename", "")),
            text=str(reply.get("evalue", "")),
            line=line if type(line) is int and line > 0 else None,
            outputs=runner.outputs_of(node),
        )

    _interrupted = False
    _hung = False
    _ended_as_mute = False

    async def _watch(self, deadlines: tuple[Deadline, ...]) -> None:
        """Interrupt the cell when its time is over; kill the kernel if that does not help."""
        assert self.provisioner is not None
        self._interrupted = self._hung = False
        grace: Deadline | None = None
        while self.provisioner.poll_now() is None:
            running = (*deadlines, grace) if grace is not None else deadlines
            await asyncio.sleep(min((one.wait_s(POLL_S) for one in running), default=POLL_S))
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
        # nbclient waits for the reply in a task. When the task is cancelled, nbclient reports a
        # dead kernel.
        while (waiting := self._notebook.task_poll_for_reply) is None or waiting.done():
            await asyncio.sleep(POLL_S)
        waiting.cancel()

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

    async def serve(self, address: str, token: str) -> None:
        """Have the kernel connect to `address` and answer the requests from there."""
        assert self._client is not None
        self._serving = True
        await self._client.send("grade_serve_request", {"address": address, "token": token})

    def disconnect(self) -> None:
        """Close the connection for messages. The process lives on if it serves."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._notebook = None

    def kill(self) -> None:
        """End the process and all that it started."""
        if self._accepted is not None:
            self._accepted.close()
        if self.provisioner is not None:
            self.provisioner.kill_now()
