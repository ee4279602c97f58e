"""One live kernel: starts it, runs cells in it within their time, tells how it died.

Kernel.start(), .run(), .serve(), .disconnect() are coroutines of one event loop;
Kernel.kill() may be called from anywhere, also after the loop has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from grader.errors import GraderFault, StudentFault
from grader.in_kernel import codec
from grader.in_kernel.sandbox import confine
from grader.records import Limits, Sandbox
from grader.session.deadline import Deadline
from grader.session.ending import how_it_ended
from grader.session.fork_server import ForkServer
from grader.session.processes import KILL
from grader.session.provisioner import Provisioner
from grader.session.scratch import Scratch
from grader.session.stream import Listener, Stream, new_token

GRACE_S = 2.0  # between SIGINT and SIGKILL
ENDING_S = 1.0  # of a kernel that has hung up: it is gone soon, unless it is not at its end
START_S = 120.0
POLL_S = 0.02
# A cell's share of the notebook's output: a cell that prints without end must not leave the
# others without theirs.
CELL_SHARE = 4
MAX_OUTPUTS = 500
_NOTHING = codec.Limits(size=1 << 10, items=8, nodes=8, depth=2)
CUT = "\n[the rest of this output was cut]\n"


class KernelDied(Exception):
    """The process ended, or had to be ended. `reason` is for people: "killed by SIGSEGV".

    killed : by SIGKILL, and not by the grader: by itself, or by the machine
    """

    def __init__(self, reason: str, *, hung: bool = False, killed: bool = False) -> None:
        self.reason = reason
        self.hung = hung
        self.killed = killed
        super().__init__(reason)


@dataclass(frozen=True)
class Executed:
    """What the kernel says of one cell. All of it is the student's process's claim.

    line : where in the cell it stopped; None where that is unknown
    """

    status: Literal["ok", "error", "timeout"]
    seconds: float = 0.0
    kind: str = ""
    text: str = ""
    line: int | None = None
    outputs: tuple[Mapping[str, object], ...] = ()


class _Channel:
    """What nbclient reads messages from."""

    def __init__(self) -> None:
        # A flood is read no faster than nbclient makes outputs of it.
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=64)

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:
        return await self.messages.get()


class _Client:
    """The kernel's client, as nbclient wants it: requests go out, messages come in by channel.

    broken : why what came is no message of a kernel's; "" while all is well
    """

    def __init__(self, connection: socket.socket, *, message_max: int) -> None:
        self.cell = 0
        self.broken = ""
        self.shell_channel = _Channel()
        self.iopub_channel = _Channel()
        self._connection = connection
        self._message_max = message_max
        self._requests = 0
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self, when_broken: Callable[[], None]) -> None:
        """Read from now on; when_broken() is called once when nothing more will come."""
        reader, self._writer = await asyncio.open_connection(sock=self._connection, limit=2**20)
        self._reading = asyncio.ensure_future(self._read(reader, when_broken))

    async def execute(self, code: str, **options: Any) -> str:
        content = {
            "code": code,
            "silent": False,
            # IPython would format every exception once more for its history: 0.1 s.
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        return await self.send("execute_request", content)

    async def send(self, kind: str, content: Mapping[str, Any]) -> str:
        """Send a request; return its number, which the answers to it bear."""
        assert self._writer is not None
        self._requests += 1
        number = f"{self._requests}-{new_token()}"
        request = {
            "header": {"msg_id": number, "msg_type": kind},
            "metadata": {"cellId": str(self.cell)},
            "content": content,
        }
        frame = json.dumps(request).encode()
        with contextlib.suppress(OSError):  # a kernel that has died is noticed elsewhere
            self._writer.write(len(frame).to_bytes(4, "big") + frame)
            await self._writer.drain()
        return number

    def is_alive(self) -> bool:
        return not self.broken

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.transport.abort()
        self._connection.close()

    async def _read(self, reader: asyncio.StreamReader, when_broken: Callable[[], None]) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                if size > self._message_max:
                    raise ValueError("too long")
                channel, message = _message(json.loads(await reader.readexactly(size)))
                channels = {"shell": self.shell_channel, "iopub": self.iopub_channel}
                await channels[channel].messages.put(message)
        except (asyncio.IncompleteReadError, OSError):
            self.broken = "it closed its connection"
        except (KeyError, TypeError, ValueError, RecursionError):
            self.broken = "it sent what is no message"
        when_broken()


def _message(claimed: Any) -> tuple[str, dict[str, Any]]:
    """Return a message's channel and the message in the form that nbclient reads.

    Raises KeyError, TypeError where it is none.
    """
    header, parent = claimed["header"], claimed["parent_header"]
    metadata, content = claimed["metadata"], claimed["content"]
    for part in (header, parent, metadata, content):
        if type(part) is not dict:
            raise TypeError("no object")
    kind, number = header["msg_type"], parent["msg_id"]
    if type(kind) is not str or type(number) is not str:
        raise TypeError("no text")
    return claimed["channel"], {
        "header": {"msg_type": kind},
        "msg_type": kind,
        "parent_header": {"msg_id": number},
        "metadata": metadata,
        "content": content,
    }


class Kernel:
    """A kernel process and the connection to it.

    options : what in_kernel/launch.py is told besides where its files are
    """

    def __init__(
        self,
        scratch: Scratch,
        *,
        limits: Limits,
        sandbox: Sandbox,
        options: Mapping[str, Any],
        fork_server: ForkServer | None = None,
    ) -> None:
        self.scratch = scratch
        self._limits = limits
        self._sandbox = sandbox
        self._fork_server = fork_server
        self.output_left = limits.output_mib * 2**20
        self._cell_share = max(self.output_left // CELL_SHARE, 2**16)
        self._options = {**options, "output_bytes": self._cell_share}
        self._fault = scratch.root / "fault.txt"
        self._message_max = 2 * self.output_left + 2**20
        self._client: _Client | None = None
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
            # While the kernel boots: these imports take as long as its own.
            self._notebook = _cell_runner()

            def accept() -> Stream:
                # Kept here: where the start is called off, nobody receives what this returns.
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
        client = self._client = _Client(stream.detach(), message_max=self._message_max)
        await client.open(self._hang_up)
        provisioner.read_report()
        self._notebook.kc = client

    def _provisioner(self, address: str, token: str) -> Provisioner:
        datasets = self._options["datasets"]
        return Provisioner(
            self.scratch,
            limits=self._limits,
            sandbox=self._sandbox,
            seen=(Path(datasets),) if datasets else (),
            fork_server=self._fork_server,
            options=self._options
            | {
                "address": address,
                "token": token,
                "profile": str(self.scratch.home / "profile"),
                "fault": str(self._fault),
            },
        )

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
        """Kill a kernel that no longer speaks with us: it would only use its time up.

        One that has died hangs up as well, a little before its end is known: that tells more.
        """
        if not self._serving:
            asyncio.get_running_loop().call_later(ENDING_S, self._kill_mute)

    def _kill_mute(self) -> None:
        if self.provisioner is not None and not self._serving:
            # One that is dead by now was killed by someone else, perhaps for no fault of its own.
            self._ended_as_mute = self.provisioner.poll_now() is None
            self.provisioner.signal_now(KILL)

    async def run(self, cell: int, source: str, *deadlines: Deadline) -> Executed:
        """Run one cell until the first of the deadlines expires.

        Raises KernelDied when the process ended, or had to be ended since SIGINT did not stop it.
        """
        assert self._client is not None and self.provisioner is not None
        if not source.strip():
            return Executed("ok")
        from nbformat.v4 import new_code_cell

        node = new_code_cell(source)
        self._client.cell = cell
        runner = self._notebook
        runner.nb.cells = [node]
        runner.begin_cell(min(self._cell_share, self.output_left))
        start = time.monotonic()
        for deadline in deadlines:
            deadline.start()
        watch = asyncio.ensure_future(self._watch(deadlines))
        try:
            await runner.async_execute_cell(node, 0)
        except runner.dead_kernel_error:
            # nbclient takes it for the end of the kernel when all of this is called off.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError from None
            raise self._death() from None
        except Exception as error:  # a forged message: what it lacks can be anything
            self.provisioner.kill_now()
            raise KernelDied("it sent what is no reply") from error
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
        """Interrupt the cell when its time is over; kill the kernel when that does not help."""
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
        # nbclient waits for the reply in a task; cancelled, it says that the kernel died.
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
        if self._client is not None and self._ended_as_mute:
            return KernelDied(self._client.broken)
        return KernelDied(how_it_ended(code) if code is not None else "lost", killed=code == -KILL)

    async def serve(self, address: str, token: str) -> None:
        """Have the kernel connect to address and answer the calls that come from there."""
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


def _cell_runner() -> Any:
    """Return nbclient's NotebookClient, with its outputs bounded while they arrive."""
    from nbclient.client import NotebookClient
    from nbclient.exceptions import DeadKernelError
    from nbformat.v4 import new_notebook

    class CellRunner(NotebookClient):
        dead_kernel_error = DeadKernelError

        def begin_cell(self, limit: int) -> None:
            self.used = 0
            self.limit = limit
            self.reply: dict[str, Any] = {}

        def keep_reply(self, execute_reply: dict[str, Any], **kwargs: Any) -> None:
            self.reply = execute_reply["content"]

        def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
            if msg["msg_type"] in ("status", "clear_output"):
                return super().process_message(msg, cell, cell_index)
            if msg["msg_type"] not in ("stream", "display_data", "execute_result", "error"):
                return None
            content = msg["content"]
            last = cell.outputs[-1] if cell.outputs else {}
            self.used += _size(content)
            if self.used > self.limit or len(cell.outputs) >= MAX_OUTPUTS:
                if last.get("text") == CUT:
                    return None
                msg = {**msg, "msg_type": "stream", "content": {"name": "stdout", "text": CUT}}
                msg["header"] = {**msg["header"], "msg_type": "stream"}
            elif msg["msg_type"] == "stream" and last.get("name") == content.get("name"):
                last["text"] += str(content.get("text", ""))
                return None
            return super().process_message(msg, cell, cell_index)

        def outputs_of(self, cell: Any) -> tuple[Mapping[str, object], ...]:
            return tuple(json.loads(json.dumps(output)) for output in cell.outputs)

    logger = logging.getLogger("grade.nbclient")
    if not logger.handlers:  # one for a class of thousands
        logger.addHandler(logging.NullHandler())
    logger.propagate = False
    runner = CellRunner(
        new_notebook(),
        timeout=None,
        allow_errors=True,
        record_timing=False,
        store_widget_state=False,
        iopub_timeout=2,
        log=logger,
    )
    runner.on_cell_executed = runner.keep_reply
    return runner


def _size(content: Any) -> int:
    """Return about how many bytes a message's content holds."""
    if isinstance(content, str | bytes):
        return len(content)
    if isinstance(content, dict):
        return sum(len(str(key)) + _size(value) for key, value in content.items())
    if isinstance(content, list):
        return sum(map(_size, content))
    return 8
