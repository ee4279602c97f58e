"""Starts a student's kernel: `python -P launch.py '{"connection_file": "...", ...}'`.

Run by path, from the folder that holds a copy of what the student handed in. Options (JSON):

    connection_file   where jupyter_client wrote the sockets' addresses and the key
    profile           an empty folder for IPython
    seed              of `random` and `np.random` before the first cell
    output_bytes      how much of a cell's output leaves the kernel
    datasets          folder of the data sets that are served offline, or null
    fault             file that says why the kernel did not start, if it didn't
    plan              how this process is closed in (see confine.py); absent where it isn't

The kernel is ipykernel's with what a closed run has no use for taken out (debugger, history,
heartbeat, config files, startup files), and with two things put in:

  - the request "grade_serve_request" {"address": str, "token": str}: stop being a kernel, and
    answer the grader's calls (grader.in_kernel.agent). No reply.
  - an execute_reply that holds "line": the line of the cell at which it stopped, where it did.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import re
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent
# Of one cell. ZMQ drops messages beyond some 1000 that wait, also the one that says "idle".
MAX_MESSAGES = 2000
MAX_INPUTS = 20
MAX_ERROR_TEXT = 2000
CUT = "\n[the rest of this output was cut]\n"

# No file of a submission stands in for these, be it called random.py or numpy.py. `test` may.
OURS_FIRST = (sys.stdlib_module_names - {"test", "this", "antigravity"}) | {
    "numpy", "scipy", "matplotlib", "mpl_toolkits", "pandas", "sklearn", "PIL", "joblib",
    "threadpoolctl", "cycler", "kiwisolver", "contourpy", "pyparsing", "packaging", "dateutil",
    "six", "fontTools", "IPython", "ipykernel", "jupyter_client", "jupyter_core", "zmq", "tornado",
    "traitlets", "comm", "psutil", "pygments", "stack_data", "decorator", "prompt_toolkit",
    "wcwidth", "jedi", "parso", "torch", "torchvision", "autograd", "jax", "tensorflow",
}  # fmt: skip


def main(options: dict[str, Any]) -> None:
    """Run the kernel until it serves the grader or is killed."""
    _hollow_package()
    if "plan" in options:
        from grader.in_kernel import confine

        confine.enclose(options.pop("plan"))
    import numpy as np

    from grader.in_kernel import agent, figures, legacy  # noqa: F401  agent: before any student code

    legacy.install()
    if options["datasets"]:
        _serve_data_offline(options["datasets"])
    random.seed(options["seed"])
    np.random.seed(options["seed"])
    _without_debugger()
    app = _app_class().instance(
        connection_file=options["connection_file"], log_level=50, capture_fd_output=False
    )
    app.options = options
    app.initialize([])
    _add_working_folder()
    sys.argv = [""]  # a notebook that parses arguments finds none, not these options
    options.pop("fault").close()
    app.start()


def _hollow_package() -> None:
    """Let `grader.in_kernel` be imported without running grader/__init__.py.

    A student's notebook may hold `grader.check()`: here it does nothing, since nothing of the
    verdict is in this process.
    """
    package = ModuleType("grader")
    package.__path__ = [str(PACKAGE)]
    package.check = package.load_ipython_extension = _nothing  # type: ignore[attr-defined]
    sys.modules["grader"] = package


def _nothing(*args: object, **kwargs: object) -> None: ...


def _serve_data_offline(datasets: str) -> None:
    try:
        from grader.in_kernel import offline_data
    except ImportError:
        return
    offline_data.install(datasets)


def _without_debugger() -> None:
    """debugpy takes 60 ms to import and a thread to run."""
    stub = ModuleType("ipykernel.debugger")
    stub._is_debugpy_available = False  # type: ignore[attr-defined]
    stub.Debugger = type("Debugger", (), {})  # type: ignore[attr-defined]
    sys.modules["ipykernel.debugger"] = stub


def _add_working_folder() -> None:
    """Let the student's own modules be imported, as in Jupyter, from the folder of the notebook.

    First on the path, too, but for names that libraries import among themselves.
    """
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    sys.meta_path.insert(0, _OursFirst(folder))


class _OursFirst(importlib.abc.MetaPathFinder):
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is not None or fullname not in OURS_FIRST:
            return None
        elsewhere = [p for p in sys.path if p and not p.startswith(self.folder)]
        return importlib.machinery.PathFinder.find_spec(fullname, elsewhere)


def locate(filename: str) -> int | None:
    """Return the index of the cell that a code object's file name stands for."""
    match = re.match(r"<cell (\d+)", filename)
    return int(match[1]) if match else None


class _Meter:
    """Lets a cell's messages out of the kernel until they are too large or too many.

    A cell that prints a gigabyte must fill neither this process nor the grader's.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.begin()

    def begin(self) -> None:
        self.left = self.limit
        self.text_left = self.limit // 2
        self.messages = MAX_MESSAGES

    def take(self, text: str) -> str:
        """Return as much of a text as may still be printed, and the word that it was cut."""
        if self.text_left <= 0:
            return ""
        taken = text[: self.text_left]
        self.text_left -= len(text)
        return taken if self.text_left > 0 else taken + CUT

    def admits(self, parts: Sequence[Any]) -> bool:
        # The first part is the topic: kernel.<id>.status, stream.stdout, display_data...
        topic = bytes(parts[0]) if parts else b""
        if topic.endswith((b".status", b".execute_input")):
            return True
        self.messages -= 1
        if not topic.startswith(b"stream."):  # text is counted where it is written
            self.left -= sum(len(part) for part in parts)
        return self.left > 0 and self.messages > 0


def _app_class() -> Any:
    """Return the kernel's application class. ipykernel is imported here, after the agent."""
    import zmq
    from ipykernel import kernelapp
    from ipykernel.compiler import XCachingCompiler
    from ipykernel.iostream import IOPubThread, OutStream
    from ipykernel.ipkernel import IPythonKernel
    from ipykernel.kernelapp import IPKernelApp
    from ipykernel.zmqshell import ZMQInteractiveShell
    from IPython.core.profiledir import ProfileDir
    from traitlets import Type
    from traitlets.config import Config
    from zmq.eventloop.zmqstream import ZMQStream

    from grader.in_kernel import agent, figures
    from grader.in_kernel.limits import limit_behind

    class Outlet(IOPubThread):
        """What subprocesses print comes over a Unix socket: no other ones are to be had."""

        pipe_address = ""

        def _setup_pipe_in(self) -> None:
            self._pipe_uuid = os.urandom(16)
            pipe = self.socket.context.socket(zmq.PULL)
            pipe.linger = 0
            pipe.bind(self.pipe_address)
            self._pipe_in = ZMQStream(pipe, self.io_loop)
            self._pipe_in.on_recv(self._handle_pipe_msg)

        def _setup_pipe_out(self) -> tuple[Any, Any]:
            context = zmq.Context()  # one of the subprocess's own
            pipe = context.socket(zmq.PUSH)
            pipe.linger = 1000
            pipe.connect(self.pipe_address)
            return context, pipe

    class Stream(OutStream):
        meter: _Meter

        def write(self, string: str) -> int:
            if not isinstance(string, str):
                raise TypeError(f"write() argument must be str, not {type(string).__name__}")
            taken = self.meter.take(string)
            if taken:
                super().write(taken)
            return len(string)

    class Compiler(XCachingCompiler):
        """Names code by its cell: tracebacks, and the agent, can tell where a line stands."""

        cell = 0
        seen: dict[int, int]

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.seen = {}

        def get_code_name(self, raw_code: str, code: str, number: int) -> str:
            part = self.seen[self.cell] = self.seen.get(self.cell, 0) + 1
            return f"<cell {self.cell}>" if part == 1 else f"<cell {self.cell}, part {part}>"

    class Shell(ZMQInteractiveShell):
        stopped_at: int | None = None
        limit = ""  # what the error came from, where a limit was hit

        def init_environment(self) -> None: ...

        def init_completer(self) -> None:
            """Nobody types here; jedi takes a while to import."""
            self.Completer: Any = None

        def ask_exit(self) -> None:
            """A cell that says exit() or quit() must not take the others with it."""
            print("[exit() does not end a notebook that is being graded]")

        def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
            """Report an exception in plain text: quick, and safe to show."""
            try:
                kind, value, tb = self._get_exc_info(exc_tuple)
            except ValueError:
                return
            self._report(kind, value, tb)

        def showsyntaxerror(
            self, filename: Any = None, running_compiled_code: bool = False
        ) -> None:
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
            self._showtraceback(
                kind, _text_of(value), [*lines, f"{kind.__name__}: {_text_of(value)}"]
            )

    class Kernel(IPythonKernel):
        shell: Any
        shell_class = Type(Shell)
        compiler_class = Type(Compiler)
        msg_types: list[str] = [*IPythonKernel.msg_types, "grade_serve_request"]  # noqa: RUF012
        _supports_kernel_subshells = False
        inputs = 0

        def start(self) -> None:
            super().start()
            # Cells that await ask which thread they run on.
            self.shell_channel_thread = SimpleNamespace(parent_thread=threading.main_thread())

        async def do_execute(self, code: str, silent: bool, *args: Any, **kwargs: Any) -> Any:
            self.shell.compile.cell = int(str(kwargs.get("cell_id") or 0))
            self.shell.stopped_at = None
            self.shell.limit = ""
            self.inputs = 0
            Stream.meter.begin()
            figures.begin_cell(self.shell.compile.cell)
            try:
                reply = await super().do_execute(code, silent, *args, **kwargs)
                figures.flush()
            except BaseException as error:
                # An exception whose own text raises, an interrupt that comes late: without a
                # reply, the grader would wait for one.
                reply = {
                    "status": "error",
                    "ename": type(error).__name__,
                    "evalue": _text_of(error),
                }
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
            """An empty answer lets most notebooks go on; a loop that asks until it likes the
            answer ends by the error that a closed input raises."""
            self.inputs += 1
            if self.inputs > MAX_INPUTS:
                raise EOFError("input() has nobody to answer it while a notebook is graded")
            print(prompt)
            return ""

        def getpass(self, prompt: object = "", *args: Any, **kwargs: Any) -> str:
            return self.raw_input(prompt)

        async def poll_stopped_queue(self) -> None:
            """There is no debugger to stop."""

        def grade_serve_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
            content = parent["content"]
            agent.serve(
                content["address"],
                content["token"],
                self.shell.user_ns,
                figures=figures.records,
                locate=locate,
            )

    class App(IPKernelApp):
        kernel_class = Type(Kernel)
        options: dict[str, Any]

        def init_profile_dir(self) -> None:
            self.profile_dir = ProfileDir.create_profile_dir(self.options["profile"], self.config)

        def load_config_file(self, *args: Any, **kwargs: Any) -> None:
            """No file decides how a notebook is graded: neither the user's nor a student's."""
            self.update_config(
                Config(
                    HistoryManager={"enabled": False},
                    InteractiveShell={"cache_size": 0},
                    ProfileDir={"location": self.options["profile"]},
                )
            )

        def init_config_files(self) -> None: ...

        def init_extensions(self) -> None: ...

        def init_gui_pylab(self) -> None: ...

        def init_code(self) -> None:
            """No startup files."""

        def init_pdb(self) -> None: ...

        def init_crash_handler(self) -> None: ...

        def init_heartbeat(self) -> None:
            """The grader watches the process itself."""

        def init_control(self, context: Any) -> None:
            super().init_control(context)
            # Without subshells, requests come straight to the main thread: one thread less to
            # fork beside, one hop less a message.
            self.shell_channel_thread = None

        def init_iopub(self, context: Any) -> None:
            if self.transport == "ipc":
                Outlet.pipe_address = f"ipc://{self.ip}-pipe"
                kernelapp.IOPubThread = Outlet  # type: ignore[misc]
            super().init_iopub(context)
            meter = Stream.meter = _Meter(self.options["output_bytes"])
            send = self.iopub_thread.send_multipart

            def send_multipart(parts: Any, *args: Any, **kwargs: Any) -> None:
                if meter.admits(parts):
                    send(parts, *args, **kwargs)

            self.iopub_thread.send_multipart = send_multipart

        def init_io(self) -> None:
            module = ModuleType("_grade_streams")
            module.Stream = Stream  # type: ignore[attr-defined]
            sys.modules["_grade_streams"] = module
            self.outstream_class = "_grade_streams.Stream"
            super().init_io()

        def init_shell(self) -> None:
            super().init_shell()
            _show_figures_in(self.shell)

    return App


def _text_of(error: BaseException) -> str:
    """Return the exception's message, which may be anything, or raise itself."""
    try:
        return str(error)[:MAX_ERROR_TEXT]
    except Exception:
        return ""


def _show_figures_in(shell: Any) -> None:
    """Show figures as the inline backend does: when they are closed, and as a cell's value."""
    from grader.in_kernel import figures

    def publish(png: bytes, text: str) -> None:
        data: dict[str, Any] = {"text/plain": text}
        if png:
            data["image/png"] = png
        shell.display_pub.publish(data)

    figures.set_publisher(publish)
    formatter = shell.display_formatter.formatters["image/png"]
    formatter.for_type_by_name("matplotlib.figure", "Figure", figures.png_of)


if __name__ == "__main__":
    _options = json.loads(sys.argv[1])
    # Opened now: a process that is closed in makes no file there.
    _fault = Path(_options["fault"]).open("w", encoding="utf-8")  # noqa: SIM115
    _options["fault"] = _fault
    try:
        main(_options)
    except BaseException:
        if not _fault.closed:
            _fault.write(traceback.format_exc())
            _fault.close()
        raise
