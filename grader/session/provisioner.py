"""The one place that decides how a kernel process starts, how it is sandboxed, and how it ends.

Where there is a sandbox, the process that is started here is the launcher of
grader/in_kernel/sandbox/confine.py: it closes the kernel in, waits for it, and ends as it did.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from grader.in_kernel.system import CAN_SANDBOX, HAS_SIGNALS
from grader.records import Isolation, Limits, Sandbox
from grader.session import processes, sandbox
from grader.session.fork_server import Forked, ForkServer, Process, Unfit, python_command
from grader.session.processes import KILL
from grader.session.scratch import Scratch, kernel_environment
from grader.session.watchdog import Watchdog

LAUNCHER = Path(__file__).resolve().parent.parent / "in_kernel" / "launch.py"
# How long the launcher may take to end all that is inside: many processes, much memory.
_END_S = 10.0


class Provisioner:
    """A kernel of this interpreter or an assignment's, in a session and process group of its own.

    The notebook's kernelspec has no say: it names a program to run.

    options : what in_kernel/launch.py gets; seen : what a closed kernel may read besides Python
    fork_server : forks it, where it can; python : starts it, else
    isolation : what closes it in, once it has started
    """

    def __init__(
        self,
        scratch: Scratch,
        *,
        limits: Limits,
        sandbox: Sandbox,
        options: dict[str, Any],
        seen: tuple[Path, ...] = (),
        fork_server: ForkServer | None = None,
        python: Path | None = None,
    ) -> None:
        self.scratch = scratch
        self.limits = limits
        self.sandbox = sandbox
        self.seen = seen
        self.isolation = Isolation()
        self.exit_code: int | None = None
        self.pid = 0
        self._options = options
        self._fork_server = fork_server
        self._python = python
        self._process: Process | None = None
        self._watchdog: Watchdog | None = None
        self._user = 0
        self._lifeline: int | None = None  # a kernel without a launcher ends when this is closed
        self._control: int | None = None  # the launcher ends all when this is closed
        self._report: int | None = None  # what the launcher says of its layers
        self._passed: tuple[int, ...] = ()  # the launcher's ends of these two

    def launch(self) -> None:
        """Start the process. Raises OSError."""
        options = self._options
        if self.sandbox != "none":
            options = options | {"plan": self._plan()}
        try:
            self._process = self._fork(options) or self._start(options)
        except BaseException:
            self._let_go()
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
                self.limits,
                first=self._first,
                disk=[scratch.work, scratch.home, scratch.tmp],
            )

    def _fork(self, options: dict[str, Any]) -> Process | None:
        """Return a fork of the fork server; None where it can't give one."""
        if self._fork_server is None:
            return None
        with contextlib.suppress(Unfit):
            return self._fork_server.fork(
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
            python_command(LAUNCHER, json.dumps(options), python=self._python),
            cwd=self.scratch.work,
            env=kernel_environment(self.scratch),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self._passed,
        )

    def _plan(self) -> dict[str, Any]:
        plan = sandbox.plan(self.scratch.folders(), self.limits, self.sandbox, seen=self.seen)
        self._user = plan["user"]
        if not HAS_SIGNALS:
            return plan
        inner, self._control = os.pipe()
        self._report, outer = os.pipe()
        self._passed = (inner, outer)
        return plan | {"control": inner, "report": outer}

    def read_report(self) -> None:
        """Learn which layers hold. Call it before any student code runs: what comes is trusted."""
        if self._report is None:
            return
        report, self._report = self._report, None  # it is closed there in any case
        self.isolation = sandbox.read_report(report)
        if self._watchdog is not None and "files" in self.isolation.applied:
            self._watchdog.no_disk()

    def begin_serving(self) -> None:
        """From now on, what uses too much is a check, not the notebook."""
        if self._watchdog is not None:
            self._watchdog.serving = True

    @property
    def lost(self) -> bool:
        """Tell whether the kernel's end is unknown, since its fork server is gone."""
        return isinstance(self._process, Forked) and self._process.lost

    def why_killed(self, pid: int | None = None) -> str:
        """Return the limit for which a process (None: the kernel) was killed, "" if for none."""
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
            self._let_go()  # the launcher must outlive the processes that it kills
        else:
            self._signal_group(signum)

    def _let_go(self) -> None:
        for name in ("_control", "_report", "_lifeline"):
            descriptor = getattr(self, name)
            if descriptor is not None:
                os.close(descriptor)
                setattr(self, name, None)

    def _signal_group(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            (os.killpg if HAS_SIGNALS else os.kill)(self.pid, signum)

    def kill_now(self) -> None:
        """End every process of the kernel's session, and reap the kernel. Never raises."""
        if not self.pid:
            return
        launched = self._control is not None
        self._let_go()
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
        """Kill what moved to a group of its own; again, since it may have started more."""
        for _ in range(100):
            others = [pid for pid in processes.session_members(self.pid) if pid != self.pid]
            if not others:
                return
            for pid in others:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, KILL)
            time.sleep(0.005)

    def running(self) -> frozenset[int]:
        """Return the numbers of all threads of all the kernel's processes; none if unknown."""
        if not self.pid:
            return frozenset()
        members = {self.pid, *self._others(), *processes.descendants(self.pid)}
        return frozenset(thread for pid in members for thread in processes.threads(pid))

    def cpu_s(self) -> float:
        """Return the CPU time that the kernel and its children have used, in seconds."""
        return processes.cpu_s(self.pid, *self._others()) if self.pid else 0.0

    def go_on(self) -> bool:
        """Make those of its processes go on that are stopped; whether any were."""
        return bool(self.pid) and processes.go_on(self.pid, *self._others())

    @property
    def _first(self) -> int:
        return self._process.first if isinstance(self._process, Forked) else 0

    def _others(self) -> list[int]:
        """Return the kernel's processes that its own tree has lost."""
        if self._first:
            return processes.descendants(self._first)
        return processes.session_members(self.pid)

    def waited_s(self) -> float | None:
        """Return how long they waited for a processor; None where that is unknown."""
        if not self.pid:
            return None
        return processes.waited_s(self.pid, *self._others())
