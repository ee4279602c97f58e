"""The one place that decides how a kernel process starts, how it is closed in, and how it ends.

Scratch              the folders that a kernel has for its own
Provisioner          starts, signals, measures and kills the process (jupyter_client calls it)

A sandbox against hostile code belongs here, and here alone: in `Provisioner.launch_kernel`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerBase

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
# Windows has no SIGKILL; its SIGTERM can't be refused either.
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
# A Unix socket's path holds at most 107 bytes (103 on macOS); "/k-5" is appended.
_SOCKET_PATH_MAX = 95


class Scratch:
    """Private folders of one session; remove() deletes them all.

    work : where the notebook runs: a copy of what the student handed in
    home, tmp : what the kernel sees as HOME and as its temporary directory
    run : the connection file and the sockets of the kernel
    """

    def __init__(self, folder: Path | None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="grade-"))
        try:
            self.work, self.home, self.tmp, self.run = (
                self.root / name for name in ("work", "home", "tmp", "run")
            )
            for path in (self.work, self.home, self.tmp, self.run):
                path.mkdir(mode=0o700)
            if folder is not None:
                _copy_tree(folder, self.work)
            _copy_font_list(self.home / "matplotlib")
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Delete the folders, also those that were made read-only."""
        for attempt in range(3):
            if attempt:
                _make_writable(self.root)
            shutil.rmtree(self.root, ignore_errors=True)
            if not self.root.exists():
                return


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


class Provisioner(KernelProvisionerBase):
    """A kernel of this very interpreter, in a session and process group of its own.

    The notebook's kernelspec has no say: it names a program to run.
    """

    scratch: Scratch
    extra_argv: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    pid: int = 0
    exit_code: int | None = None

    @property
    def has_process(self) -> bool:
        return self.process is not None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        manager: Any = self.parent
        manager.write_connection_file()
        self.connection_info = manager.get_connection_info()
        # -P: the launcher's folder is not on sys.path; -s: neither is the user's own.
        command = [sys.executable, "-P", str(LAUNCHER), *self.extra_argv]
        if not site.ENABLE_USER_SITE:
            command.insert(1, "-s")
        kwargs["env"] = kernel_environment(self.scratch)
        return await super().pre_launch(cmd=command, **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        self.process = subprocess.Popen(
            cmd,
            cwd=self.scratch.work,
            env=kwargs["env"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.pid = self.process.pid
        return self.connection_info

    async def poll(self) -> int | None:
        return self.poll_now()

    def poll_now(self) -> int | None:
        """Return None while the kernel lives, else its exit code (negative: the signal)."""
        if self.process is not None:
            self.exit_code = self.process.poll()
        return self.exit_code

    async def wait(self) -> int | None:
        while self.poll_now() is None:
            await asyncio.sleep(0.005)
        self.process = None
        return self.exit_code

    async def send_signal(self, signum: int) -> None:
        self.signal_now(signum)

    def signal_now(self, signum: int) -> None:
        """Signal the kernel and whatever it started within its process group."""
        if self.poll_now() is None:
            self._signal_group(signum)

    def _signal_group(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                os.kill(self.pid, signum)
            else:
                os.killpg(self.pid, signum)

    async def kill(self, restart: bool = False) -> None:
        self.kill_now()

    async def terminate(self, restart: bool = False) -> None:
        self.kill_now()

    def kill_now(self) -> None:
        """End every process of the kernel's session, and reap the kernel. Never raises."""
        if not self.pid:
            return
        # Before the kernel is reaped, its number can't belong to anyone else.
        self._signal_group(KILL)
        self._kill_session()
        if self.process is not None:
            self.exit_code = self.process.wait()
            self.process = None
        self.pid = 0

    def _kill_session(self) -> None:
        """Kill what moved to a group of its own; again, since it may have started more."""
        for _ in range(100):
            others = [pid for pid in session_processes(self.pid) if pid != self.pid]
            if not others:
                return
            for pid in others:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, KILL)
            time.sleep(0.005)

    async def cleanup(self, restart: bool = False) -> None:
        self.kill_now()

    def cpu_s(self) -> float:
        """Return the CPU time that the kernel and its children have used, in seconds."""
        return cpu_s(self.pid) if self.pid else 0.0


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
        "IPYTHONDIR": str(scratch.home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(scratch.home / "jupyter"),
        "JUPYTER_DATA_DIR": str(scratch.home / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(scratch.run),
        "JUPYTER_PLATFORM_DIRS": "1",
        "MPLCONFIGDIR": str(scratch.home / "matplotlib"),
        "MPLBACKEND": BACKEND,
        "PYTHONHASHSEED": "0",  # the order of a set must not change a score
        "PYTHONUTF8": "1",
        "NO_COLOR": "1",
        "TERM": "dumb",
        # ipykernel ends the kernel when this process is gone.
        "JPY_PARENT_PID": str(os.getpid()),
    }


def socket_prefix(scratch: Scratch) -> str | None:
    """Return the path that the kernel's sockets begin with; None where TCP has to do."""
    prefix = str(scratch.run / "k")
    if sys.platform == "win32" or len(prefix.encode()) > _SOCKET_PATH_MAX:
        return None
    return prefix


# --- /proc ------------------------------------------------------------------------------

_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def cpu_s(pid: int) -> float:
    """Return the CPU time in seconds of all processes in pid's session, and of their dead.

    Where there is no /proc: a number that grows with the wall clock, so that limits still hold.
    """
    processes = session_processes(pid)
    if not processes and not Path("/proc/self/stat").exists():
        return time.monotonic()
    return sum(sum(_stat(process)[11:15]) for process in processes) / _TICKS_PER_S


def session_processes(session: int) -> list[int]:
    """Return the live processes whose session this is; none where there is no /proc."""
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    except OSError:
        return []
    return [pid for pid in pids if (stat := _stat(pid)) and stat[3] == session]


def _stat(pid: int) -> list[int]:
    """Return /proc/<pid>/stat from the parent's pid on: [0, ppid, pgrp, session, ...].

    Empty for a process that is gone or has ended and only waits to be reaped.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, UnicodeDecodeError):
        return []
    # The name stands in brackets and may hold blanks and brackets itself.
    fields = text.rpartition(")")[2].split()
    return [] if fields[0] in "ZX" else [0, *(int(field) for field in fields[1:])]
