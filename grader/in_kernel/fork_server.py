"""The fork server: it has imported what notebooks import, and forks a kernel on request.

    python -P fork_server.py HOME DESCRIPTOR LIFELINE apart|together

It never runs a student's code. It holds Python modules and data sets, but no check, no reference
solution, no thread, and one socket: DESCRIPTOR, connected to the grader's. It ends with the pipe
LIFELINE (see lifeline.py). Requests come over the socket as datagrams:

    {"imports": ["sklearn.datasets", ...], "datasets": "folder" or null, "sets": ["mnist", ...],
     "draw": whether figures will become pictures}
    {"clone": true, "many": bool} with a file descriptor: the end of another such socket pair. A
    copy of this process serves it until the other end is closed, or {"error": "..."} is all that
    comes from there. many: the copy will fork many kernels
    {"given": {...}}: run cells that all kernels have in common (see given.py); the answers are
    {"ran": 1} after the first cell, and so on, then {"ready": true} or {"unfit": "..."}
    {"options": {...}, "environment": {...}, "folder": "..."} with file descriptors: `status`, and
    with a plan (see launch.py) its `control` and `report`: fork a kernel

The answer to the last one is {"pid": 123, "first": 122} (see spawner.py; 0 for no sandbox) or
{"error": "..."}. When a child and all its processes have ended, its exit code (8 bytes) is written
to its `status`. A child without a sandbox is reaped only when the grader has closed its end of
`status`: until then no other process gets its pid, so that the grader can signal it. The process
ends when the grader closes the socket.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.in_kernel.huge_pages import ObjectsInHeap
    from grader.in_kernel.sandbox.spawner import Sandbox, Spawner

_DATAGRAM_MAX = 1 << 20
_REASON_MAX = 500


def main(home: str, descriptor: int, lifeline: int, *, apart: bool) -> None:
    """Import modules, then fork kernels until the grader disconnects.

    home : an empty folder
    apart : whether to fork kernels into namespaces, if the machine has them
    """
    from grader.in_kernel.lifeline import end_with
    from grader.in_kernel.system import lift_memory_limit

    end_with(lifeline)
    lift_memory_limit()
    with _told(descriptor):
        _serve(home, descriptor, lifeline, apart=apart)


def _serve(home: str, descriptor: int, lifeline: int, *, apart: bool) -> None:
    spawner = _start_spawner(descriptor) if apart else None
    gc.disable()  # imports leave little garbage, and collecting it takes a sixth of their time
    from grader.in_kernel import figures, huge_pages, launch

    imported_into_heap = huge_pages.ObjectsInHeap()
    try:
        kernel = launch.prepare(str(Path(home) / "profile"))
        with contextlib.suppress(ImportError):  # an assignment's own environment may lack it
            import matplotlib.pyplot  # noqa: F401  nearly every notebook imports it

            figures.rehearse()
        with contextlib.suppress(ImportError):  # before Python 3.10
            import importlib.readers  # noqa: F401  what reads a package's data, as load_digits does
        ForkServer(kernel, descriptor, lifeline, spawner, imported_into_heap).run()
    finally:
        imported_into_heap.end()


def _start_spawner(descriptor: int) -> Spawner | None:
    """Return a spawner of sandboxes; None if each kernel must sandbox itself (launch.py)."""
    from grader.in_kernel.sandbox import spawner

    with contextlib.suppress(OSError):
        return spawner.Spawner(not_for_it=descriptor)
    return None


class ForkServer:
    """Answers the grader's requests and watches its children."""

    def __init__(
        self,
        kernel: Any,
        descriptor: int,
        lifeline: int,
        spawner: Spawner | None,
        imported_into_heap: ObjectsInHeap,
    ) -> None:
        self._kernel = kernel
        self._imported_into_heap = imported_into_heap
        self._lifeline = lifeline
        self._spawner = spawner
        # All by pid. `_codes` has the exit code of a child until its sandbox has ended as well.
        self._sandboxes: dict[int, Sandbox] = {}
        self._codes: dict[int, int] = {}
        self._grader = socket.socket(fileno=descriptor)
        self._status_pipes: dict[int, int] = {}
        self._ended: set[int] = set()
        self._clones: set[int] = set()
        self._collapsed = False
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)  # the terminal's signals are for the grader

    def run(self) -> None:
        """Answer requests until the grader disconnects."""
        self._woken, self._waker = os.pipe()
        for end in (self._woken, self._waker):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._waker)
        poll = self._poll = select.poll()
        poll.register(self._grader, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if self._woken in ready:
                os.read(self._woken, 1 << 10)
                self._note_ends()
            for pid in [pid for pid in self._codes if self._sandboxes[pid].gone in ready]:
                self._leave(pid)
            for pid in [pid for pid in self._ended if self._status_pipes[pid] in ready]:
                self._reap(pid)
            if self._grader.fileno() in ready and not self._answer():
                return

    def _note_ends(self) -> None:
        """Note which children have ended."""
        for pid in self._status_pipes.keys() - self._ended - self._codes.keys():
            end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if end is None:
                continue
            code = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
            if pid in self._sandboxes:
                # The sandbox must end before the grader is told. It can't end before its dead
                # processes are reaped.
                os.waitpid(pid, 0)
                self._codes[pid] = code
                os.close(self._sandboxes[pid].lives)
                self._poll.register(self._sandboxes[pid].gone, select.POLLIN)
            else:
                self._report(pid, code)
        self._clones = {pid for pid in self._clones if os.waitpid(pid, os.WNOHANG) == (0, 0)}

    def _leave(self, pid: int) -> None:
        sandbox = self._sandboxes.pop(pid)
        self._poll.unregister(sandbox.gone)
        for descriptor in (sandbox.gone, *sandbox.spaces):
            os.close(descriptor)
        with contextlib.suppress(BrokenPipeError):
            os.write(self._status_pipes[pid], struct.pack("=q", self._codes.pop(pid)))
        os.close(self._status_pipes.pop(pid))

    def _report(self, pid: int, code: int) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._status_pipes[pid], struct.pack("=q", code))
        self._ended.add(pid)
        self._poll.register(self._status_pipes[pid], 0)  # POLLERR: the grader closed its end

    def _reap(self, pid: int) -> None:
        self._poll.unregister(self._status_pipes[pid])
        os.waitpid(pid, 0)
        os.close(self._status_pipes.pop(pid))
        self._ended.discard(pid)

    def _answer(self) -> bool:
        """Answer one request; return False if the grader has disconnected."""
        text, descriptors, _, _ = socket.recv_fds(self._grader, _DATAGRAM_MAX, 3)
        if not text:
            return False
        request = json.loads(text)
        if "imports" in request:
            _preload(request)
            return True
        if "clone" in request:
            if request["many"] and not self._collapsed:
                from grader.in_kernel import huge_pages

                self._collapsed = True
                huge_pages.collapse()
            with contextlib.suppress(OSError), _told(descriptors[0]):
                self._make_clone(descriptors[0])
            os.close(descriptors[0])
            return True
        if "given" in request:
            self._grader.send(json.dumps(self._run_given(request["given"])).encode())
            return True
        try:
            answer: dict[str, Any] = self._fork(request, *descriptors)
        except OSError as error:
            os.close(descriptors[0])
            answer = {"error": _reason(error)}
        for end in descriptors[1:]:
            os.close(end)
        self._grader.send(json.dumps(answer).encode())
        return True

    def _run_given(self, request: dict[str, Any]) -> dict[str, Any]:
        from grader.in_kernel import given

        def on_cell(count: int) -> None:
            self._grader.send(json.dumps({"ran": count}).encode())

        try:
            self._settle()
            given.run_given(self._kernel, request, on_cell)
            self._settle()
        except Exception as error:  # after any error, kernels are forked from another process
            return {"unfit": _reason(error)}
        return {"ready": True}

    def _settle(self) -> None:
        """Prepare this process for forking."""
        self._imported_into_heap.end()
        gc.freeze()  # otherwise the collector writes to every object in each child, and copies it
        gc.enable()
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208
            raise OSError("an imported module has started threads")

    def _make_clone(self, descriptor: int) -> None:
        """Fork a copy of this process that serves another descriptor."""
        self._settle()
        pid = os.fork()
        if pid:
            self._clones.add(pid)
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            self._grader.close()
            needed = self._spawner.descriptors if self._spawner is not None else set()
            for end in self._inherited(None) - needed:
                os.close(end)
            self._grader = socket.socket(fileno=descriptor)
            self._lifeline = -1  # closed above: a clone ends when its own socket is closed
            for known in (
                self._sandboxes,
                self._codes,
                self._status_pipes,
                self._ended,
                self._clones,
            ):
                known.clear()
            with _told(descriptor):
                if self._spawner is not None:
                    self._spawner.clone()
                self.run()
            code = 0
        finally:
            os._exit(code)

    def _fork(self, request: dict[str, Any], status_pipe: int, *passed: int) -> dict[str, Any]:
        from grader.in_kernel.sandbox import namespaces, readable, seccomp

        # The same in each child, which then knows it.
        readable.python_paths()
        seccomp.program_here()
        self._settle()
        server = os.getpid()
        sandbox = None
        if self._spawner is not None and "plan" in request["options"]:
            sandbox = self._spawner.sandbox(request["options"]["plan"], passed[0])
        pid = -1
        try:
            with sandbox.pids() if sandbox is not None else contextlib.nullcontext() as ours:
                pid = os.fork()
                if pid == 0:
                    os.close(status_pipe)
                    if ours is not None:
                        os.close(ours)
                    self._be_child(request, passed, sandbox, server)
        except OSError:
            if pid > 0:  # the grader will start another kernel: end this one
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            if sandbox is not None:
                sandbox.give_up()
            raise
        self._status_pipes[pid] = status_pipe
        if sandbox is not None:
            self._sandboxes[pid] = sandbox
        first = sandbox.first if sandbox is not None else 0
        return {"pid": namespaces.number_outside(pid), "first": first}

    def _be_child(
        self, request: dict[str, Any], passed: Sequence[int], sandbox: Sandbox | None, server: int
    ) -> None:
        """Become a kernel. Never returns."""
        from grader.in_kernel import launch
        from grader.in_kernel.sandbox import confine, libc

        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._grader.close()
            for end in self._inherited(sandbox):
                os.close(end)
            os.chdir(request["folder"])
            os.environ.clear()
            os.environ.update(request["environment"])
            tempfile.tempdir = None
            options = request["options"]
            with launch.fault_written(options):
                plan = options.pop("plan", {})
                plan |= dict(zip(("control", "report"), passed, strict=False))
                if sandbox is not None:
                    os.close(plan["control"])
                    confine.join_sandbox(plan, sandbox.spaces, sandbox.layers)
                elif plan:
                    confine.enter_sandbox(plan)
                else:
                    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                        signal.signal(number, signal.SIG_DFL)
                    libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))
                    if os.getppid() != server:  # the fork server ended before the prctl
                        os._exit(1)
                launch.become_kernel(self._kernel, options)
            code = 0
        finally:
            os._exit(code)

    def _inherited(self, sandbox: Sandbox | None) -> set[int]:
        """Return the descriptors that a child must close: all but those to enter its sandbox."""
        ends = {self._woken, self._waker, *self._status_pipes.values()} | {self._lifeline} - {-1}
        for pid, other in self._sandboxes.items():
            ends |= {other.gone, *other.spaces}
            if pid not in self._codes:  # else it is closed already
                ends.add(other.lives)
        if sandbox is not None:
            ends |= {sandbox.lives, sandbox.gone}
        if self._spawner is not None:
            ends |= self._spawner.descriptors
        return ends


@contextlib.contextmanager
def _told(descriptor: int) -> Iterator[None]:
    """If the block fails, write why to the socket before it is closed, as its last datagram."""
    try:
        yield
    except Exception as error:
        with contextlib.suppress(OSError):  # the grader has closed its end
            os.write(descriptor, json.dumps({"error": _reason(error)}).encode())
        raise


def _reason(error: Exception) -> str:
    return str(error)[:_REASON_MAX] or type(error).__name__


def _preload(request: dict[str, Any]) -> None:
    """Import modules and read data sets, so that the children have them."""
    from grader.in_kernel import docstrings, figures, offline_data

    with docstrings.as_written(request["imports"]):
        for name in request["imports"]:
            # If a module is missing or broken, the student's own import shows the error.
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    if "sklearn.datasets" in sys.modules:
        with contextlib.suppress(ImportError):  # load_digits imports them to find its files
            import sklearn.datasets.data
            import sklearn.datasets.descr  # noqa: F401
    if request["datasets"]:
        offline_data.install(request["datasets"])
        offline_data.keep(request["datasets"], request["sets"])
    if request["draw"] and "matplotlib" in sys.modules:
        with contextlib.suppress(Exception):
            figures.rehearse(figures.FORMULA)


if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):  # started without -P
        del sys.path[0]  # this file's folder
    # Imported by path, since hollow_package() must run before any import of `grader`.
    _spec = importlib.util.spec_from_file_location("launch", Path(__file__).with_name("launch.py"))
    assert _spec is not None and _spec.loader is not None
    _launch = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(_launch)
    _launch.hollow_package()
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), apart=sys.argv[4] == "apart")
