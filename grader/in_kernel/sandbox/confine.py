"""Closes the student's process in, from the inside, just before its first line of code.

enter_sandbox(plan) forks: the caller goes on in the child, sandboxed for good. Three processes:

    the launcher      stays outside; ends what is inside when the grader lets go of `control`, and
                      ends as the student's process did
      the first       of its own pids; reaps; all processes inside die with it
        the student's process, in which enter_sandbox() returns

Where there are no namespaces, the student's process is the launcher's child, and what it leaves
behind is handed to the launcher, who kills it.

Each layer is used if the kernel offers it, and works by itself:

    limits        rlimits: memory, processor time, processes, open files, size of a file
    privileges    no_new_privs, and every capability dropped
    account       as root: a user number that owns nothing (root's files, processes and limits)
    namespaces    processes, network, IPC and names of its own
    files         a root folder in memory: Python, system libraries, its own folders, no more
    landlock      the same by another part of the kernel; no TCP; no signal to others
    seccomp       system calls that numerical Python never needs

The plan (JSON, from grader.session.sandbox):

    strict        refuse to start where a layer is missing
    layers        the names of those to use
    root          the session's folder; in it
    box, work, home, tmp    an empty folder, and the student's own
    calls         where the grader listens
    seen          further paths to read
    user          a number that nobody has; 0 where the grader is not root
    memory_mib, processes, scratch_mib, open_files, cpu_s, check_cpu_s
    control, report    file descriptors: the grader's hand, and where the layers are told:
                       {"applied": [str], "missing": {layer: reason}}
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import select
import signal
import stat
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from grader.in_kernel.sandbox import landlock, libc, limits, namespaces, seccomp
from grader.in_kernel.system import CAN_SANDBOX

IN_KERNEL = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LAYERS = ("limits", "privileges", "account", "namespaces", "files", "landlock", "seccomp")
LIMITS = ("memory_mib", "processes", "scratch_mib", "open_files", "cpu_s", "check_cpu_s")
REFUSED = 78  # the exit code of a launcher that may not start; sysexits.h calls it EX_CONFIG

_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
    "/etc/fonts", "/etc/localtime", "/etc/timezone", "/etc/mime.types", "/etc/os-release",
    "/etc/nsswitch.conf", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/python3",
    "/sys/devices/system/cpu",
)  # fmt: skip
# Of a Python's folder, since someone may have made it amid his other files.
_OF_PYTHON = ("bin", "lib", "lib32", "lib64", "libexec", "include", "share", "etc", "ssl",
              "pyvenv.cfg")  # fmt: skip
# Of /proc where it shows the host's processes.
_OF_PROC = ("/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/filesystems",
            "/proc/sys/vm/overcommit_memory")  # fmt: skip
# Address space is reserved in large pieces that are never used (thread stacks, arenas of malloc);
# RLIMIT_DATA counts what can be used, so this one only stops what is absurd.
_SPARE_ADDRESSES_MIB = 8192
# From here on a user namespace counts processes by itself, not together with the user's others.
_COUNTED_BY_NAMESPACE = (5, 14)


@dataclass
class Layers:
    """What became of each layer that was wanted."""

    wanted: frozenset[str]
    applied: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def apply(self, name: str, step: Callable[..., object], *arguments: object) -> bool:
        """Take a layer's step if it is wanted; an OSError means that it is missing."""
        if name not in self.wanted:
            return False
        try:
            step(*arguments)
        except OSError as error:
            self.missing[name] = error.strerror or str(error)
            return False
        self.applied.append(name)
        return True


def enter_sandbox(plan: dict[str, Any]) -> None:
    """Return in a child process that is sandboxed; the caller's process only waits for it."""
    layers = Layers(frozenset(plan["layers"]))
    if not CAN_SANDBOX:
        layers.missing = dict.fromkeys(plan["layers"], f"not on {platform.system()}")
        _report(plan, layers)
        return
    apart = make_namespaces(plan, layers)
    user = int(plan["user"]) if "account" in plan["layers"] else 0
    if not apart:
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
    told, tell = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        os.close(plan["report"])
        _supervise(child, plan["control"], told, None if apart else user)
    os.close(plan["control"])
    os.close(told)
    _set_up(plan, layers, apart)
    _report(plan, layers)
    if apart:
        student = os.fork()
        if student:
            _reap(student, tell)
    os.close(tell)
    _begin(plan, layers)


def join_sandbox(plan: dict[str, Any], spaces: Sequence[int], made: Mapping[str, Any]) -> None:
    """Go on sandboxed, in a sandbox that is set up already (see spawner.py).

    spaces : its namespaces, of which the process must have been born into the pids; closed here
    made : {"applied", "missing"}: the sandbox's layers
    """
    layers = Layers(frozenset(plan["layers"]), [*made["applied"]], dict(made["missing"]))
    libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    seen = [*_readable(plan)]
    namespaces.join(spaces)
    for space in spaces:
        os.close(space)
    _restrict(plan, layers, seen, has_root="files" in layers.applied, apart=True)
    _report(plan, layers)
    _begin(plan, layers)


def _begin(plan: dict[str, Any], layers: Layers) -> None:
    """Make the student's process out of one that is sandboxed."""
    # The grader's user may look at how much memory is used. (A change of user had forbidden it.)
    libc.prctl(libc.PR_SET_DUMPABLE, 1)
    if "limits" in layers.applied:
        limits.in_force.update({name: int(plan[name]) for name in LIMITS})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def _report(plan: dict[str, Any], layers: Layers) -> None:
    """Tell the grader what holds; end here where that is too little."""
    text = json.dumps({"applied": layers.applied, "missing": layers.missing})
    os.write(plan["report"], text.encode())
    os.close(plan["report"])
    if plan["strict"] and layers.missing:
        os._exit(REFUSED)


# --- the processes --------------------------------------------------------------------------


def make_namespaces(plan: dict[str, Any], layers: Layers) -> bool:
    """Move this process into namespaces; whether the next child is the first of its pids."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # meant for the student's process alone
    user = int(plan["user"]) if "account" in plan["layers"] else 0
    if user:
        try:
            _hand_over(plan, user)
        except (
            OSError
        ) as error:  # a number that is not mapped here: its own pids may map root alone
            layers.missing["account"] = error.strerror or str(error)
            plan["user"] = 0
    return layers.apply("namespaces", namespaces.separate)


def set_up_files(plan: dict[str, Any], layers: Layers) -> None:
    """Give this process, the first of its pids, a root folder that holds what may be seen."""
    layers.apply("files", _set_up_root, plan, [*_readable(plan)])


def wait_or_kill(child: int, control: int) -> int:
    """Wait for the child, kill it when the grader is gone; return its status."""
    _wait_for_either(child, control)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)  # where it is dead, it is not reaped yet
    return os.waitpid(child, 0)[1]


def _supervise(child: int, control: int, told: int, user: int | None) -> NoReturn:
    """Wait for the child, end it when the grader is gone, and end as it did.

    user : None where the child's death ends all others; else who may own them (0: no one apart)
    """
    try:
        status = wait_or_kill(child, control)
        if user is not None:
            _kill_orphans(user)
        how = os.read(told, 8)
        if len(how) == 8:
            status = struct.unpack("=q", how)[0]
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            with contextlib.suppress(OSError, ValueError):  # SIGKILL has no handler
                signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    finally:
        os._exit(1)


def _wait_for_either(child: int, control: int) -> None:
    """Return when the child has ended or the grader's end of `control` is closed."""
    poll = select.poll()
    poll.register(control, select.POLLHUP)
    try:
        poll.register(os.pidfd_open(child), select.POLLIN)
    except OSError:  # before Linux 5.3
        while not poll.poll(20):
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return
        return
    poll.poll()


def _kill_orphans(user: int) -> None:
    """Kill all that the student's process left: they became children of this one."""
    if user and os.fork() == 0:
        # Its own number: the kernel then kills every process of that number, in one go.
        try:
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    while True:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _reap(student: int, tell: int) -> NoReturn:
    """Be the first process of its pids: reap until the student's process ends, tell how it did."""
    try:
        libc.prctl(libc.PR_SET_DUMPABLE, 0)
        while True:
            pid, status = os.wait()
            if pid == student:
                os.write(tell, struct.pack("=q", status))
                os._exit(0)
    finally:
        os._exit(1)


# --- the layers -----------------------------------------------------------------------------


def _set_up(plan: dict[str, Any], layers: Layers, apart: bool) -> None:
    libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    seen = [*_readable(plan)]
    has_root = layers.apply("files", _set_up_root if apart else _no_place, plan, seen)
    _restrict(plan, layers, seen, has_root=has_root, apart=apart)


def _restrict(
    plan: dict[str, Any], layers: Layers, seen: list[str], *, has_root: bool, apart: bool
) -> None:
    user = int(plan["user"]) if "account" in layers.wanted else 0
    with contextlib.suppress(OSError):
        os.chdir(plan["work"])
    layers.apply("limits", _set_limits, plan, bool(user) or apart)
    if user and layers.apply("account", _change_user, user, seen, has_root):
        libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))  # lost with the change
    elif user:
        _give(plan, os.geteuid())  # without its privileges, root is a user like others
    elif "account" in layers.wanted and os.geteuid() == 0:
        layers.missing.setdefault("account", "no user number is free here")
    layers.apply("privileges", _drop_privileges)
    layers.apply("landlock", landlock.restrict, _rules(plan, seen, has_root))
    layers.apply("seccomp", seccomp.install)


def _no_place(plan: dict[str, Any], seen: list[str]) -> None:
    raise OSError("no namespace to hold them")


def _set_up_root(plan: dict[str, Any], seen: list[str]) -> None:
    own = int(plan["user"]) if "account" in plan["layers"] else 0
    copied = {plan[name]: plan[name] for name in ("work", "home", "tmp")}
    namespaces.set_up_root(
        plan["box"],
        seen=[*seen, plan["calls"]],
        copied=copied,
        owner=(own, own) if own else (os.geteuid(), os.getegid()),
        size_mib=plan["scratch_mib"],
    )


def _hand_over(plan: dict[str, Any], user: int) -> None:
    """Give the session's folders to the user that the student's process will be."""
    for name in ("root", "calls"):
        os.chmod(plan[name], 0o711)  # to pass through, not to list
    _give(plan, user)


def _give(plan: dict[str, Any], user: int) -> None:
    for name in ("work", "home", "tmp"):
        for place, _, files in os.walk(plan[name]):
            os.chown(place, user, user)
            for file in files:
                # A link leads to what all kernels share, which is not theirs.
                os.lchown(os.path.join(place, file), user, user)


def _change_user(user: int, seen: list[str], has_root: bool) -> None:
    """Become a user that owns nothing. Raises OSError where it could not read Python either."""
    for path in seen:
        if path.startswith(_SYSTEM) or not os.path.exists(path):
            continue
        for part in [path] if has_root else _with_parents(os.path.realpath(path)):
            mode = os.stat(part).st_mode
            needed = 0o5 if part == path and stat.S_ISDIR(mode) else 0o1
            if stat.S_ISDIR(mode) and mode & needed != needed:
                raise PermissionError(f"{part} is for its owner's eyes alone, and is needed")
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _with_parents(path: str) -> Iterator[str]:
    while path != "/":
        yield path
        path = os.path.dirname(path)


def _drop_privileges() -> None:
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    # struct __user_cap_header_struct: version 3, this process; then three empty sets, twice 32 bits
    header = struct.pack("=Ii", 0x20080522, 0)
    libc.system_call(libc.CAPSET[platform.machine()], header, bytes(24))


def _set_limits(plan: dict[str, Any], counted_alone: bool) -> None:
    import resource

    mib = 2**20
    processes = plan["processes"]
    release = tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2])
    if not counted_alone or (os.geteuid() != 0 and release < _COUNTED_BY_NAMESPACE):
        processes += _tasks_of(os.getuid())
    wanted = {
        resource.RLIMIT_DATA: plan["memory_mib"] * mib,
        resource.RLIMIT_AS: (plan["memory_mib"] * 2 + _SPARE_ADDRESSES_MIB) * mib,
        resource.RLIMIT_CPU: int(plan["cpu_s"]),
        resource.RLIMIT_NPROC: processes,
        resource.RLIMIT_NOFILE: plan["open_files"],
        resource.RLIMIT_FSIZE: plan["scratch_mib"] * mib,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_RTPRIO: 0,
        resource.RLIMIT_NICE: 0,
        resource.RLIMIT_SIGPENDING: 1024,
    }
    for limit, value in wanted.items():
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))


def _tasks_of(user: int) -> int:
    """Return how many threads a user has on the whole machine: they all count."""
    tasks = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if entry.stat().st_uid == user:
                    tasks += len(os.listdir(f"/proc/{entry.name}/task"))
    return tasks


# --- what may be read and written -----------------------------------------------------------


def _readable(plan: dict[str, Any]) -> Iterator[str]:
    """Yield what a notebook reads: the system's libraries, Python, its packages, data sets."""
    yield from _SYSTEM
    prefixes = dict.fromkeys((sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix))
    for prefix in prefixes:
        yield from (os.path.join(prefix, name) for name in _OF_PYTHON)
    for path in [*sys.path, *os.environ.get("LD_LIBRARY_PATH", "").split(":")]:
        if path and os.path.isabs(path) and not _holds_others(path, plan):
            yield path
    yield IN_KERNEL
    yield from plan["seen"]


def _holds_others(path: str, plan: dict[str, Any]) -> bool:
    """Whether a folder of sys.path holds more than packages: a checkout, a home, everything."""
    import pwd

    private = [IN_KERNEL, plan["root"]]
    with contextlib.suppress(KeyError):
        private.append(pwd.getpwuid(os.getuid()).pw_dir)
    real = os.path.realpath(path)
    site = any(part in ("site-packages", "dist-packages") for part in real.split(os.sep))
    return not site and any(os.path.commonpath([real, p]) == real for p in private)


def _rules(plan: dict[str, Any], seen: list[str], has_root: bool) -> dict[int, list[str]]:
    read, write = list(seen), [plan["work"], plan["home"], plan["tmp"]]
    if has_root:
        # All of it lies in memory, and shows this sandbox alone.
        read += ["/proc", "/etc"]
        write += ["/tmp", "/dev/shm"]
    else:
        read += _OF_PROC
    return {
        landlock.READ: read,
        landlock.WRITE: write,
        landlock.DEVICE: [*namespaces.DEVICES],
    }
