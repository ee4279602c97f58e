"""The one place that decides how a kernel process starts, how it is closed in, and how it ends.

Scratch              the folders that a kernel has for its own
Provisioner          starts, signals, measures and kills the process

Where there is a sandbox, the process that is started here is the launcher of
grader/in_kernel/confine.py: it closes the kernel in, waits for it, and ends as the kernel did.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import site
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from grader.records import Isolation, Limits, Sandbox
from grader.session import processes, sandbox
from grader.session.processes import KILL
from grader.session.watchdog import Watchdog

LAUNCHER = Path(__file__).resolve().parent.parent / "in_kernel" / "launch.py"
BACKEND = "module://grader.in_kernel.figures"

# What a kernel may know of its host's environment. Everything else stays out: secrets, proxies,
# and settings (PYTHONSTARTUP, MPLBACKEND, IPYTHONDIR) that would change what a notebook does.
ALLOWED_ENVIRONMENT = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "VIRTUAL_ENV", "CONDA_PREFIX", "SYSTEMROOT",
)  # fmt: skip
# One thread each: a fork is then twice as fast, and several sessions share the machine's cores.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
           "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")  # fmt: skip
# Files that a program would read of its own accord from the folder that it runs in.
NEVER_COPIED = {"matplotlibrc", ".matplotlibrc", ".git", "__pycache__", "__MACOSX",
                ".ipynb_checkpoints", "ipython_config.py", "ipython_kernel_config.py"}  # fmt: skip
# How long the launcher may take to end all that is inside: many processes, much memory.
_END_S = 10.0


class Scratch:
    """Private folders of one session; remove() deletes them all.

    work : where the notebook runs: a copy of what the student handed in
    home, tmp : what the kernel sees as HOME and as its temporary directory
    box : empty, to build a closed kernel's root folder on
    run : the connection file and the sockets of the kernel
    calls : where the grader listens
    The last two lie apart: a closed kernel may write anywhere in /tmp, but no files beside them.
    """

    def __init__(self, folder: Path | None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="grade-"))
        try:
            self.sockets = Path(tempfile.mkdtemp(prefix="grade-", dir=_place_of_sockets()))
            self.work, self.home, self.tmp, self.box = (
                self.root / name for name in ("work", "home", "tmp", "box")
            )
            self.run, self.calls = self.sockets / "run", self.sockets / "calls"
            for path in (self.work, self.home, self.tmp, self.box, self.run, self.calls):
                path.mkdir(mode=0o700)
            if folder is not None:
                _copy_tree(folder, self.work)
            _copy_font_list(self.home / "matplotlib")
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Delete the folders, also those that were made read-only."""
        for folder in (self.root, getattr(self, "sockets", self.root)):
            for attempt in range(3):
                if attempt:
                    _make_writable(folder)
                shutil.rmtree(folder, ignore_errors=True)
                if not folder.exists():
                    break

    def folders(self) -> dict[str, Path]:
        """Return every folder by its name."""
        names = ("root", "box", "work", "home", "tmp", "sockets", "run", "calls")
        return {name: getattr(self, name) for name in names}


def _place_of_sockets() -> str | None:
    """Return a folder for sockets that is not the temporary one; None where there is no other."""
    for name in (os.environ.get("XDG_RUNTIME_DIR", ""), "/var/tmp"):
        folder = Path(name)
        if name and folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return name
    return None


def _copy_tree(source: Path, target: Path) -> None:
    """Copy plain files and folders; links, devices and sockets are left where they are."""
    for entry in os.scandir(source):
        if entry.name in NEVER_COPIED or entry.is_symlink():
            continue
        if entry.is_dir():
            (target / entry.name).mkdir(exist_ok=True)
            _copy_tree(Path(entry.path), target / entry.name)
        elif entry.is_file():
            shutil.copyfile(entry.path, target / entry.name)


def _copy_font_list(target: Path) -> None:
    """Give the kernel the user's list of fonts: matplotlib takes a second to make a new one.

    The list alone: a matplotlibrc that may lie beside it is the user's, not the assignment's.
    """
    target.mkdir(mode=0o700)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matplotlib"
    for font_list in cache.glob("fontlist-*.json"):
        with contextlib.suppress(OSError):
            shutil.copyfile(font_list, target / font_list.name)


def _make_writable(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o700)


class Provisioner:
    """A kernel of this very interpreter, in a session and process group of its own.

    The notebook's kernelspec has no say: it names a program to run.

    options : what in_kernel/launch.py is told; seen : what a closed kernel may read besides Python
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
    ) -> None:
        self.scratch = scratch
        self.limits = limits
        self.sandbox = sandbox
        self.seen = seen
        self.isolation = Isolation()
        self.exit_code: int | None = None
        self.pid = 0
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None
        self._user = 0
        self._control: int | None = None  # the launcher ends all when this is closed
        self._report: int | None = None  # what the launcher says of its layers
        self._passed: tuple[int, ...] = ()  # the launcher's ends of these two

    def launch(self) -> None:
        """Start the process. Raises OSError."""
        options = self._options
        if self.sandbox != "none":
            options = options | {"plan": self._plan()}
        if self.sandbox == "none" or sys.platform != "linux":
            options = options | {"parent": os.getpid()}
        # -P: the launcher's folder is not on sys.path; -s: neither is the user's own.
        command = [sys.executable, "-P", str(LAUNCHER), json.dumps(options)]
        if not site.ENABLE_USER_SITE:
            command.insert(1, "-s")
        try:
            self._process = subprocess.Popen(
                command,
                cwd=self.scratch.work,
                env=kernel_environment(self.scratch),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=self._passed,
            )
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
                disk=[scratch.work, scratch.home, scratch.tmp],
                sockets=scratch.run,
            )

    def _plan(self) -> dict[str, Any]:
        plan = sandbox.plan(self.scratch.folders(), self.limits, self.sandbox, seen=self.seen)
        self._user = plan["user"]
        if sys.platform == "win32":
            return plan
        inner, self._control = os.pipe()
        self._report, outer = os.pipe()
        self._passed = (inner, outer)
        return plan | {"control": inner, "report": outer}

    def read_report(self) -> None:
        """Learn which layers hold. Call it before any student code runs: what comes is trusted."""
        if self._report is None:
            return
        self.isolation = sandbox.read_report(self._report)
        self._report = None
        if self._watchdog is not None and "files" in self.isolation.applied:
            self._watchdog.no_disk()

    def begin_serving(self) -> None:
        """From now on, what uses too much is a check, not the notebook."""
        if self._watchdog is not None:
            self._watchdog.serving = True

    def why_killed(self, pid: int | None = None) -> str:
        """Return the limit for which a process (None: the kernel) was killed, "" if for none."""
        return self._watchdog.why(pid) if self._watchdog is not None else ""

    def poll_now(self) -> int | None:
        """Return None while the kernel lives, else its exit code (negative: the signal)."""
        if self._process is not None:
            self.exit_code = self._process.poll()
        return self.exit_code

    def signal_now(self, signum: int) -> None:
        """Signal the kernel and whatever it started within its process group."""
        if self.poll_now() is not None:
            return
        if signum == KILL and self._control is not None:
            self._let_go()  # the launcher must outlive what it is to kill
        else:
            self._signal_group(signum)

    def _let_go(self) -> None:
        for name in ("_control", "_report"):
            descriptor = getattr(self, name)
            if descriptor is not None:
                os.close(descriptor)
                setattr(self, name, None)

    def _signal_group(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                os.kill(self.pid, signum)
            else:
                os.killpg(self.pid, signum)

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
        self._kill_session()
        if self._process is not None:
            self.exit_code = self._process.wait()
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

    def cpu_s(self) -> float:
        """Return the CPU time that the kernel and its children have used, in seconds."""
        return processes.cpu_s(self.pid) if self.pid else 0.0

    def waited_s(self) -> float | None:
        """Return how long they waited for a processor; None where nobody knows."""
        if not self.pid:
            return None
        return processes.waited_s(self.pid, *processes.session_members(self.pid))


def kernel_environment(scratch: Scratch) -> dict[str, str]:
    """Return the whole environment of a kernel."""
    environment = {k: os.environ[k] for k in ALLOWED_ENVIRONMENT if k in os.environ}
    environment.setdefault("LANG", "C.UTF-8")
    environment.update(dict.fromkeys(THREADS, "1"))
    if site.ENABLE_USER_SITE:
        environment["PYTHONUSERBASE"] = site.getuserbase()
    return environment | {
        "HOME": str(scratch.home),
        "USERPROFILE": str(scratch.home),
        "TMPDIR": str(scratch.tmp),
        "USER": "student",
        "LOGNAME": "student",
        "IPYTHONDIR": str(scratch.home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(scratch.home / "jupyter"),
        "JUPYTER_DATA_DIR": str(scratch.home / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(scratch.home / "jupyter"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "MPLCONFIGDIR": str(scratch.home / "matplotlib"),
        "MPLBACKEND": BACKEND,
        "PYTHONHASHSEED": "0",  # the order of a set must not change a score
        "PYTHONUTF8": "1",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }
