"""The kernel that runs a student's cells: ipykernel's, without its sockets, threads and files.

make_kernel()   opens nothing, so that a fork server can call it before it forks
Kernel.run()    answers the grader's messages until the grader disconnects or requests the agent

Parts that a graded run does not need are removed (debugger, history, heartbeat, completion, config
and startup files). Two things are added:

  - the request "grade_serve_request" {"address": str, "token": str}: stop being a kernel, and
    answer the grader's calls (grader.in_kernel.agent). It has no reply.
  - an execute_reply has "line": the line of the cell where an error stopped it.
"""

from __future__ import annotations

import asyncio
import bdb  # noqa: F401  IPython imports it at the first cell: once here, not in each fork
import contextlib
import contextvars
import logging
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from grader.in_kernel import agent, figure_data, figures
from grader.in_kernel.sandbox.limits import limit_behind


def _without_debugger() -> None:
    """Replace debugpy, which takes 60 ms to import and starts a thread."""
    stub = ModuleType("ipykernel.debugger")
    stub._is_debugpy_available = False  # type: ignore[attr-defined]
    stub.Debugger = type("Debugger", (), {})  # type: ignore[attr-defined]
    sys.modules["ipykernel.debugger"] = stub


_without_debugger()

with contextlib.suppress(ImportError):
    import IPython.core.logger  # noqa: F401  as bdb

from ipykernel.compiler import XCachingCompiler  # noqa: E402
from ipykernel.ipkernel import IPythonKernel  # noqa: E402
from ipykernel.zmqshell import ZMQInteractiveShell  # noqa: E402
from IPython.core.profiledir import ProfileDir  # noqa: E402
from traitlets import Type  # noqa: E402
from traitlets.config import Config  # noqa: E402

from grader.in_kernel.messages import Messages, Outlet, Sent  # noqa: E402

if TYPE_CHECKING:
    from grader.in_kernel.given import Given

MAX_INPUTS = 20
MAX_ERROR_TEXT = 2000


def make_kernel(profile: str) -> Kernel:
    """Return a kernel with its shell, ready to run(). Call it once in a process.

    profile : an empty folder, for IPython
    """
    outlet = Outlet()
    session = Messages(key=b"")
    session.outlet = outlet
    # No configuration file, of the user or a student, affects how a notebook is graded.
    config = Config(
        HistoryManager={"enabled": False},
        InteractiveShell={"cache_size": 0},
        Kernel={"_execute_sleep": 0.0},  # before a reply, for the sockets that are not there
        ProfileDir={"location": profile},
    )
    log = logging.getLogger("grade.kernel")  # nobody reads its messages
    log.setLevel(logging.CRITICAL + 1)
    kernel: Kernel = Kernel.instance(
        config=config,
        session=session,
        log=log,
        iopub_socket="iopub",
        profile_dir=ProfileDir.create_profile_dir(profile, config),
    )
    kernel.outlet = outlet
    _show_figures_in(kernel.shell)
    # The first cell compiles the regular expressions of Python's tokenizer: once here, not in each
    # fork.
    kernel.shell.transform_cell("x = 'y'\n")
    return kernel


def locate(filename: str) -> int | None:
    """Return the index of the cell behind a code object's file name."""
    match = re.match(r"<cell (\d+)", filename)
    return int(match[1]) if match else None


class Compiler(XCachingCompiler):
    """Names code objects by their cell, so that a traceback and the agent know a line's cell."""

    cell = 0
    seen: dict[int, int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen = {}

    def get_code_name(self, raw_code: str, code: str, number: int) -> str:
        part = self.seen[self.cell] = self.seen.get(self.cell, 0) + 1
        return f"<cell {self.cell}>" if part == 1 else f"<cell {self.cell}, part {part}>"


class _NoOutputs(dict[int, list[Any]]):
    """Replaces IPython's store of each cell's outputs, which nobody reads."""

    def __missing__(self, cell: int) -> list[Any]:
        return []


class Shell(ZMQInteractiveShell):
    stopped_at: int | None = None
    limit = ""  # the limit that caused the error, if any
    transformed: tuple[str, str] | None = None

    def transform_cell(self, raw_cell: str) -> str:
        """Return Python for a cell. For each cell, ipykernel asks first, IPython again."""
        if self.transformed is None or self.transformed[0] != raw_cell:
            self.transformed = raw_cell, super().transform_cell(raw_cell)
        return self.transformed[1]

    def init_environment(self) -> None: ...

    def init_history(self) -> None:
        super().init_history()
        history: Any = self.history_manager
        history.outputs = _NoOutputs()

    @contextlib.contextmanager
    def _tee(self, channel: str) -> Iterator[None]:
        """Copy nothing: IPython's copies of endless output would fill the memory."""
        yield

    def init_completer(self) -> None:
        """Do nothing: completion is not needed, and jedi is slow to import."""
        self.Completer: Any = None

    def ask_exit(self) -> None:
        """Print a note instead of ending: exit() in one cell must not stop the other cells."""
        print("[exit() does not end a notebook that is being graded]")

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        """Report an exception in plain text, which is fast and safe to show."""
        try:
            kind, value, tb = self._get_exc_info(exc_tuple)
        except ValueError:
            return
        self._report(kind, value, tb)

    def showsyntaxerror(self, filename: Any = None, running_compiled_code: bool = False) -> None:
        self._report(*sys.exc_info())

    def showindentationerror(self) -> None:
        self._report(*sys.exc_info())

    def _report(self, kind: Any, value: Any, tb: Any) -> None:
        self.limit = limit_behind(value)
        frames = [f for f in traceback.extract_tb(tb, 60) if f.filename.startswith("<cell")]
        place = next((f for f in frames if f.name in ("<module>", "<cell line: 1>")), None)
        self.stopped_at = place.lineno if place else None
        if isinstance(value, SyntaxError) and str(value.filename).startswith("<cell"):
            self.stopped_at = value.lineno
        lines = [f"{f.filename}, line {f.lineno}, in {f.name}:\n    {f.line}" for f in frames]
        self._showtraceback(kind, _text_of(value), [*lines, f"{kind.__name__}: {_text_of(value)}"])


class Kernel(IPythonKernel):
    shell: Any
    shell_class = Type(Shell)
    compiler_class = Type(Compiler)
    _supports_kernel_subshells = False
    outlet: Outlet
    given: Given | None = None
    inputs = 0
    _streams_are_open = False
    _interruptible = False

    def open_streams(self) -> None:
        """Send printed text to the outlet. Done only once: cells may keep the streams."""
        if self._streams_are_open:
            return
        self._streams_are_open = True
        sys.stdout = self.outlet.printer("stdout")
        sys.stderr = self.outlet.printer("stderr")
        self._stdout, self._stderr = sys.stdout, sys.stderr  # type: ignore[assignment]

    async def record(self, cell: int, content: dict[str, Any]) -> list[Sent]:
        """Execute a cell; return the messages instead of sending them (see given.py)."""
        request = {
            "header": {"msg_id": "", "msg_type": "execute_request"},
            "metadata": {"cellId": str(cell)},
            "content": content,
        }
        await self._answer(request)
        return self.outlet.recorded()

    def run(self) -> None:
        """Answer the grader's messages, one after another. Never returns."""
        self.open_streams()
        signal.signal(signal.SIGINT, self.on_interrupt)
        loop = self.begin_loop()
        context = contextvars.copy_context() if self.given is None else self.given.context
        while True:
            context.run(loop.run_until_complete, self._answer_all(loop))

    def begin_loop(self) -> asyncio.AbstractEventLoop:
        """Return a new event loop, which is this thread's from now on."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        # ipykernel uses these attributes of its own loop and thread when a cell awaits.
        self.io_loop = SimpleNamespace(add_callback=loop.call_soon_threadsafe)  # type: ignore[assignment]
        self.shell_channel_thread = SimpleNamespace(parent_thread=threading.main_thread())
        return loop

    async def _answer_all(self, loop: asyncio.AbstractEventLoop) -> None:
        readable = asyncio.Event()
        while True:
            self.outlet.end_a_copy()
            # The notebook's own tasks run while no cell does.
            loop.add_reader(self.outlet.fileno(), readable.set)
            await readable.wait()
            loop.remove_reader(self.outlet.fileno())
            readable.clear()
            await self._answer(self.outlet.receive())

    async def _answer(self, request: dict[str, Any]) -> None:
        self.outlet.request = request
        self.set_parent(b"", request)
        if request["header"]["msg_type"] == "grade_serve_request":
            self._serve(request["content"])
        if self.given is not None and self._show_again(request, self.given):
            return
        await self.execute_request("shell", b"", request)
        self.outlet.flush()
        self.outlet.send("iopub", "status", {"execution_state": "idle"})

    def _show_again(self, request: dict[str, Any], given: Given) -> bool:
        """Send the messages of a cell that has run already; return False if it has not."""
        cell = int(str(request["metadata"].get("cellId") or 0))
        sent = given.shown(cell, str(request["content"].get("code")))
        if sent is None:
            return False
        self.outlet.meter.begin()
        for channel, kind, content, metadata in sent:
            self.outlet.send(channel, kind, content, metadata)
        return True

    def _serve(self, content: dict[str, Any]) -> None:
        self.outlet.flush()
        agent.serve(
            content["address"],
            content["token"],
            self.shell.user_ns,
            figures=figures.records,
            locate=locate,
        )

    def on_interrupt(self, *_: object) -> None:
        if self._interruptible:
            raise KeyboardInterrupt

    async def do_execute(self, code: str, silent: bool, *args: Any, **kwargs: Any) -> Any:
        cell = self.shell.compile.cell = int(str(kwargs.get("cell_id") or 0))
        if cell in self.shell.compile.seen:
            # The rest of the cell runs in pieces: a hook that hung the cell would hang each piece.
            for hooks in self.shell.events.callbacks.values():
                hooks.clear()
        self.shell.transformed = None
        self.shell.stopped_at = None
        self.shell.limit = ""
        self.inputs = 0
        self.outlet.meter.begin()
        figures.begin_cell(self.shell.compile.cell)
        try:
            self._interruptible = True
            reply = await super().do_execute(code, silent, *args, **kwargs)
            figures.flush()
        except BaseException as error:
            # An exception whose text raises, or a late interrupt. The grader waits for a reply.
            reply = {
                "status": "error",
                "ename": type(error).__name__,
                "evalue": _text_of(error),
            }
        finally:
            self._interruptible = False
        if reply.get("status") == "error":
            text = str(reply.get("evalue", ""))[:MAX_ERROR_TEXT]
            if limit := self.shell.limit:
                text = f"{text} ({limit})" if text else limit
            reply["evalue"] = text
            reply["traceback"] = []
            reply["line"] = self.shell.stopped_at
        reply["payload"] = []
        return reply

    def raw_input(self, prompt: object = "") -> str:
        """Return an empty answer, with which most notebooks go on.

        A loop that repeats input() until it gets a certain answer ends with EOFError.
        """
        self.inputs += 1
        if self.inputs > MAX_INPUTS:
            raise EOFError("input() gets no answer while a notebook is graded")
        print(prompt)
        return ""

    def getpass(self, prompt: object = "", *args: Any, **kwargs: Any) -> str:
        return self.raw_input(prompt)


def _text_of(error: BaseException) -> str:
    """Return the exception's message; "" if it raises itself."""
    try:
        return str(error)[:MAX_ERROR_TEXT]
    except Exception:
        return ""


def _show_figures_in(shell: Any) -> None:
    """Show figures as the inline backend does: when they close, and as a cell's value."""

    def publish(png: bytes, text: str, fingerprint: str) -> None:
        data: dict[str, Any] = {"text/plain": text}
        metadata = {}
        if png:
            data["image/png"] = png
            metadata["image/png"] = {figure_data.METADATA: fingerprint}
        shell.display_pub.publish(data, metadata)

    figures.set_publisher(publish)
    formatter = shell.display_formatter.formatters["image/png"]
    formatter.for_type_by_name("matplotlib.figure", "Figure", figures.png_of)
