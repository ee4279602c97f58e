"""The one place that decides how a kernel process starts, how it is sandboxed, and how it ends.

With a sandbox, the process that starts here is the launcher of grader/in_kernel/sandbox/confine.py.
The launcher sandboxes the kernel, waits for it, and ends with the same exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.in_kernel.system import CAN_SANDBOX, HAS_SIGNALS
from grader.records import Isolation, Limits, Sandbox
from grader.session import processes, sandbox
from grader.session.fork_server import CannotFork, Forked, ForkServer, Process, python_command
from grader.session.processes import KILL
from grader.session.scratch import Scratch, kernel_environment
from grader.session.watchdog import Watchdog

LAUNCHER = Path(__file__).resolve().parent.parent / "in_kernel" / "launch.py"
# How long the launcher may take to end the sandbox: many processes and much memory take time.
_END_S = 10.0


@dataclass(frozen=True)
class KernelSetup:
    """How to start a kernel.

    options : of in_kernel/launch.py
    fork_server : forks the kernel if it can; None to start it by itself
    shared : the folder of the instructor's files, which it may read
    python : its interpreter; None for the grader's own
    """

    limits: Limits
    sandbox: Sandbox
    options: dict[str, Any]
    fork_server: ForkServer | None = None
    shared: Path | None = None
    python: Path | None = None


class Provisioner:
    """A kernel of this interpreter or an assignment's, in a session and process group of its own.

    The notebook's kernelspec is ignored: it names a program to run.

    isolation : the layers of its sandbox, known once it has started
    """

    def __init__(self, scratch: Scratch, setup: KernelSetup) -> None:
        self.scratch = scratch
        self.setup = setup
        self.isolation = Isolation()
        self.exit_code: int | None = None
        self.pid = 0
        self._process: Process | None = None
        self._watchdog: Watchdog | None = None
        self._user = 0
        self._ending = False
        # When the first is closed, a kernel without a launcher ends; at the second, the launcher
        # ends everything in the sandbox. Through the third, the launcher reports its layers.
        self._lifeline: int | None = None
        self._control: int | None = None
        self._report: int | None = None
        self._passed: tuple[int, ...] = ()  # the other ends, which the process inherits

    def launch(self) -> None:
        """Start the process. Raises OSError."""
        options = self.setup.options
        if self.setup.sandbox != "none":
            options = options | {"plan": self._plan()}
        try:
            self._process = self._fork(options) or self._start(options)
        except BaseException:
            self._close_pipes()
            raise
        finally:
            for descriptor in self._passed:
                os.close(descriptor)
            self._passed = ()
        self.pid = self._process.pid
        if self._control is not None:
            scratch = self.scratch
            self._watchdog = Watchdog(
                self.pid,
                self.setup.limits,
                first=self._first,
                disk=[scratch.work, scratch.home, scratch.tmp],
            )

    def _fork(self, options: dict[str, Any]) -> Process | None:
        """Return a fork of the fork server, or None if it can't fork."""
        if self.setup.fork_server is None:
            return None
        with contextlib.suppress(CannotFork):
            return self.setup.fork_server.fork(
                options,
                environment=kernel_environment(self.scratch),
                folder=self.scratch.work,
                passed=self._passed,
            )
        return None

    def _start(self, options: dict[str, Any]) -> Process:
        if HAS_SIGNALS and ("plan" not in options or not CAN_SANDBOX):
            lifeline, self._lifeline = os.pipe()
            self._passed = (*self._passed, lifeline)
            options = options | {"lifeline": lifeline}
        return subprocess.Popen(
            python_command(LAUNCHER, json.dumps(options), python=self.setup.python),
            cwd=self.scratch.work,
            env=kernel_environment(self.scratch),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self._passed,
        )

    def _plan(self) -> dict[str, Any]:
        setup = self.setup
        readable = [Path(path) for path in (setup.options["datasets"], setup.shared) if path]
        plan = sandbox.plan(self.scratch.folders(), setup.limits, setup.sandbox, seen=readable)
        self._user = plan["user"]
        if not HAS_SIGNALS:
            return plan
        inner, self._control = os.pipe()
        self._report, outer = os.pipe()
        self._passed = (inner, outer)
        return plan | {"control": inner, "report": outer}

    def read_report(self) -> None:
        """Read which layers hold. Call it before student code runs, since the report is trusted."""
        if self._report is None:
            return
        report, self._report = self._report, None  # read_report closes it in any case
        self.isolation = sandbox.read_report(report)
        if self._watchdog is not None and "files" in self.isolation.applied:
            self._watchdog.no_disk()
        if self._watchdog is not None and "namespaces" in self.isolation.applied:
            self._watchdog.own_network()

    def begin_serving(self) -> None:
        """Tell the watchdog that the notebook has run: from now on checks use the resources."""
        if self._watchdog is not None:
            self._watchdog.serving = True

    @property
    def lost(self) -> bool:
        """Whether it is unknown how the kernel ended, because its fork server is gone."""
        return isinstance(self._process, Forked) and self._process.lost

    def why_killed(self, pid: int | None = None) -> str:
        """Return the limit that a killed process exceeded; "" if no limit was the reason.

        pid : of the process; None for the kernel
        """
        return self._watchdog.why(pid) if self._watchdog is not None else ""

    def poll_now(self) -> int | None:
        """Return None while the kernel lives, else its exit code (negative: the signal)."""
        if self._process is not None:
            self.exit_code = self._process.poll()
        return self.exit_code

    def signal_now(self, signum: int) -> None:
        """Signal the kernel and all processes in its process group."""
        if self.poll_now() is not None:
            return
        if signum == KILL and self._control is not None:
            self._close_pipes()  # the launcher must outlive the processes that it kills
        else:
            self._signal_group(signum)

    def _close_pipes(self) -> None:
        for name in ("_control", "_report", "_lifeline"):
            descriptor = getattr(self, name)
            if descriptor is not None:
                os.close(descriptor)
                setattr(self, name, None)

    def _signal_group(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            (os.killpg if HAS_SIGNALS else os.kill)(self.pid, signum)

    def begin_end(self) -> None:
        """Have its processes end, and don't wait for it; kill_now() does the rest.

        Does nothing if no launcher can end them all.
        """
        if self._control is not None and "namespaces" in self.isolation.applied:
            if self._watchdog is not None:
                self._watchdog.stop()  # the kernel's number will soon be free for another process
            self._close_pipes()
            self._ending = True

    def kill_now(self) -> None:
        """End every process of the kernel's session, and reap the kernel. Never raises."""
        if not self.pid:
            return
        launched = self._ending or self._control is not None
        self._close_pipes()
        if launched and self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.exit_code = self._process.wait(_END_S)
        if self._watchdog is not None:
            self._watchdog.stop()
        # Before the kernel is reaped, its number can't belong to anyone else.
        if not launched or self.exit_code is None:
            self._signal_group(KILL)
        if "namespaces" not in self.isolation.applied:  # else all died with the first of its pids
            self._kill_session()
        if self._process is not None:
            self.exit_code = self._process.wait()
            if isinstance(self._process, Forked):
                self._process.close()
            self._process = None
        self.pid = 0
        sandbox.release_user(self._user)

    def _kill_session(self) -> None:
        """Kill processes that left the process group; repeat, since they may start others."""
        for _ in range(100):
            others = [pid for pid in processes.session_members(self.pid) if pid != self.pid]
            if not others:
                return
            for pid in others:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, KILL)
            time.sleep(0.005)

    def running(self) -> frozenset[int]:
        """Return the thread ids of all processes of the kernel; an empty set if unknown."""
        if not self.pid:
            return frozenset()
        members = {self.pid, *self._others(), *processes.descendants(self.pid)}
        return frozenset(thread for pid in members for thread in processes.threads(pid))

    def cpu_s(self) -> float:
        """Return the CPU time that the kernel and its children have used, in seconds."""
        return processes.cpu_s(self.pid, *self._others()) if self.pid else 0.0

    def resume(self) -> bool:
        """Continue those of its processes that are stopped; return whether there were any."""
        return bool(self.pid) and processes.resume(self.pid, *self._others())

    @property
    def _first(self) -> int:
        return self._process.first if isinstance(self._process, Forked) else 0

    def _others(self) -> list[int]:
        """Return the kernel's processes that are no longer its descendants."""
        if self._first:
            return processes.descendants(self._first)
        return processes.session_members(self.pid)

    def waited_s(self) -> float | None:
        """Return how many seconds its processes waited for a processor; None if unknown."""
        if not self.pid:
            return None
        return processes.waited_s(self.pid, *self._others())
