"""Sandboxes the student's process, from the inside, just before its first line of code.

enter_sandbox(plan) forks. It returns in a child process that is sandboxed for good:

    the launcher      stays outside; ends the sandbox when the grader closes `control`; ends with
                      the exit code of the student's process
    the first       process of a pid namespace; reaps; all processes inside die with it
        the student's process, in which enter_sandbox() returns

Without namespaces, the student's process is the launcher's child. The launcher adopts the processes
that it leaves, and kills them.

Each layer is used if the operating system offers it, and works without the others:

    limits        rlimits: memory, processor time, processes, open files, size of a file
    privileges    no_new_privs, and no capabilities
    account       for root: a user id that owns nothing (no files, processes or limits of root's)
    namespaces    its own processes, network, IPC and host name
    files         a root folder in memory: only Python, system libraries and its own folders
    landlock      limits files by another mechanism; no TCP; no signals to other processes
    seccomp       refuses system calls that numerical Python never needs

The plan (JSON, from grader.session.sandbox):

    strict        refuse to start if a layer is missing
    layers        the names of the layers to use
    root          the session's folder; in it
    box, work, home, tmp    an empty folder, and the student's own
    calls         the folder of the grader's sockets
    seen          further paths to read
    user          a user id that nobody has; 0 if the grader is not root
    memory_mib, processes, scratch_mib, open_files, cpu_s, check_cpu_s
    control, report    file descriptors: the grader closes `control` to end the sandbox; `report`
                       gets the layers: {"applied": [str], "missing": {layer: reason}}
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from grader.in_kernel.sandbox import landlock, libc, limits, namespaces, readable, seccomp
from grader.in_kernel.system import CAN_SANDBOX

LAYERS = ("limits", "privileges", "account", "namespaces", "files", "landlock", "seccomp")
LIMITS = ("memory_mib", "processes", "scratch_mib", "open_files", "cpu_s", "check_cpu_s")
REFUSED = 78  # the exit code of a launcher that may not start; sysexits.h calls it EX_CONFIG

# The files of /proc that may be read if /proc shows the host's processes.
_OF_PROC = ("/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/filesystems",
            "/proc/sys/vm/overcommit_memory")  # fmt: skip
# Programs reserve large address ranges that they never use (thread stacks, arenas of malloc).
# RLIMIT_DATA limits usable memory, so RLIMIT_AS only stops absurd requests.
_SPARE_ADDRESSES_MIB = 8192
# From this Linux version on, a user namespace counts only its own processes, not all of the user's.
_COUNTED_BY_NAMESPACE = (5, 14)
_RELEASE = tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2])


@dataclass
class Layers:
    """The layers that are wanted, those that were applied, and why the others are missing."""

    wanted: frozenset[str]
    applied: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def apply(self, name: str, step: Callable[..., object], *arguments: object) -> bool:
        """Apply a layer by step(*arguments), if it is wanted; an OSError means that it is missing.

        Return whether it was applied.
        """
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
    status_read, status_write = os.pipe()
    child = os.fork()
    if child:
        os.close(status_write)
        os.close(plan["report"])
        _supervise(child, plan["control"], status_read, None if apart else user)
    os.close(plan["control"])
    os.close(status_read)
    _set_up(plan, layers, apart)
    _report(plan, layers)
    if apart:
        student = os.fork()
        if student:
            _reap(student, status_write)
    os.close(status_write)
    _begin(plan, layers)


def join_sandbox(plan: dict[str, Any], spaces: Sequence[int], made: Mapping[str, Any]) -> None:
    """Move this process into a sandbox that is set up already (see spawner.py).

    spaces : descriptors of its namespaces, closed here; the process must have been forked into the
        pid namespace
    made : {"applied", "missing"}: the sandbox's layers
    """
    layers = Layers(frozenset(plan["layers"]), [*made["applied"]], dict(made["missing"]))
    libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    seen = readable.paths(plan["root"], plan["seen"])
    namespaces.join(spaces)
    for space in spaces:
        os.close(space)
    _restrict(plan, layers, seen, has_root="files" in layers.applied, apart=True)
    _report(plan, layers)
    _begin(plan, layers)


def _begin(plan: dict[str, Any], layers: Layers) -> None:
    """Turn a sandboxed process into the student's."""
    # The grader must be able to read its memory use, which a change of user has forbidden.
    libc.prctl(libc.PR_SET_DUMPABLE, 1)
    if "limits" in layers.applied:
        limits.in_force.update({name: int(plan[name]) for name in LIMITS})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def _report(plan: dict[str, Any], layers: Layers) -> None:
    """Report the layers to the grader; end this process if a strict plan lacks one."""
    text = json.dumps({"applied": layers.applied, "missing": layers.missing})
    os.write(plan["report"], text.encode())
    os.close(plan["report"])
    if plan["strict"] and layers.missing:
        os._exit(REFUSED)


# --- the processes --------------------------------------------------------------------------


def make_namespaces(plan: dict[str, Any], layers: Layers, *, pids: bool = True) -> bool:
    """Move this process into new namespaces; return whether that worked.

    pids : if it did, the next child is the first process of a pid namespace. False for a process
        that is the first one itself
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # these signals are for the student's process
    user = int(plan["user"]) if "account" in plan["layers"] else 0
    if user:
        try:
            _hand_over(plan, user)
        except OSError as error:  # the user id is not mapped here
            layers.missing["account"] = error.strerror or str(error)
            plan["user"] = 0
    return layers.apply("namespaces", namespaces.separate, pids)


def set_up_files(plan: dict[str, Any], layers: Layers) -> None:
    """Give this process, the first of its pid namespace, a root folder with the readable paths."""
    layers.apply("files", _set_up_root, plan, readable.paths(plan["root"], plan["seen"]))


def wait_or_kill(child: int, control: int) -> int:
    """Wait for the child, and kill it if the grader is gone; return its wait status."""
    _wait_for_either(child, control)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)  # safe: a dead child is not reaped yet
    return os.waitpid(child, 0)[1]


def _supervise(child: int, control: int, status_pipe: int, user: int | None) -> NoReturn:
    """Wait for the child, kill it if the grader is gone, and end with the student's exit code.

    user : None if the child's death ends all other processes; else their user id (0: the grader's)
    """
    try:
        status = wait_or_kill(child, control)
        if user is not None:
            _kill_orphans(user)
        reported = os.read(status_pipe, 8)
        if len(reported) == 8:
            status = struct.unpack("=q", reported)[0]
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
    """Kill all processes that the student's process left: they are children of this one now."""
    if user and os.fork() == 0:
        # As that user, one call kills all processes of the user.
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


def _reap(student: int, status_pipe: int) -> NoReturn:
    """As first process of the pid namespace, reap until the student's ends; report its status."""
    try:
        libc.prctl(libc.PR_SET_DUMPABLE, 0)
        while True:
            pid, status = os.wait()
            if pid == student:
                os.write(status_pipe, struct.pack("=q", status))
                os._exit(0)
    finally:
        os._exit(1)


# --- the layers -----------------------------------------------------------------------------


def _set_up(plan: dict[str, Any], layers: Layers, apart: bool) -> None:
    libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    seen = readable.paths(plan["root"], plan["seen"])
    has_root = layers.apply("files", _set_up_root if apart else _no_namespace, plan, seen)
    _restrict(plan, layers, seen, has_root=has_root, apart=apart)


def _restrict(
    plan: dict[str, Any], layers: Layers, seen: list[str], *, has_root: bool, apart: bool
) -> None:
    user = int(plan["user"]) if "account" in layers.wanted else 0
    with contextlib.suppress(OSError):
        os.chdir(plan["work"])
    layers.apply("limits", _set_limits, plan, bool(user) or apart)
    if user and layers.apply("account", _change_user, user, seen, has_root):
        libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))  # the change of user has reset it
    elif user:
        _give(plan, os.geteuid())  # without its privileges, root must own the folders
    elif "account" in layers.wanted and os.geteuid() == 0:
        layers.missing.setdefault("account", "no user number is free here")
    layers.apply("privileges", _drop_privileges)
    layers.apply("landlock", landlock.restrict, _rules(plan, seen, has_root))
    layers.apply("seccomp", seccomp.install)


def _no_namespace(plan: dict[str, Any], seen: list[str]) -> None:
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
    """Give the session's folders to the user of the student's process."""
    for name in ("root", "calls"):
        os.chmod(plan[name], 0o711)  # the user may pass through, but not list
    _give(plan, user)


def _give(plan: dict[str, Any], user: int) -> None:
    for name in ("work", "home", "tmp"):
        for place, _, files in os.walk(plan[name]):
            os.chown(place, user, user)
            for file in files:
                # lchown: a link leads to a file that all kernels share, which must not change.
                os.lchown(os.path.join(place, file), user, user)


def _change_user(user: int, seen: list[str], has_root: bool) -> None:
    """Become a user that owns nothing. Raises OSError if that user could not read Python."""
    for path in seen:
        if path.startswith(readable.SYSTEM) or not os.path.exists(path):
            continue
        for part in [path] if has_root else _with_parents(os.path.realpath(path)):
            mode = os.stat(part).st_mode
            needed = 0o5 if part == path and stat.S_ISDIR(mode) else 0o1
            if stat.S_ISDIR(mode) and mode & needed != needed:
                raise PermissionError(f"only its owner can read {part}, which is needed")
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _with_parents(path: str) -> Iterator[str]:
    while path != "/":
        yield path
        path = os.path.dirname(path)


def _drop_privileges() -> None:
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    # struct __user_cap_header_struct: version 3, this process; then three empty sets of 64 bits
    header = struct.pack("=Ii", 0x20080522, 0)
    libc.system_call(libc.CAPSET[platform.machine()], header, bytes(24))


def _set_limits(plan: dict[str, Any], counted_alone: bool) -> None:
    import resource

    mib = 2**20
    processes = plan["processes"]
    if not counted_alone or (os.geteuid() != 0 and _RELEASE < _COUNTED_BY_NAMESPACE):
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
    """Return how many threads a user has on the whole machine: RLIMIT_NPROC counts them all."""
    tasks = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if entry.stat().st_uid == user:
                    tasks += len(os.listdir(f"/proc/{entry.name}/task"))
    return tasks


# --- what may be read and written -----------------------------------------------------------


def _rules(plan: dict[str, Any], seen: list[str], has_root: bool) -> dict[int, list[str]]:
    read, write = list(seen), [plan["work"], plan["home"], plan["tmp"]]
    if has_root:
        # All these lie in memory and show only this sandbox.
        read += ["/proc", "/etc"]
        write += ["/tmp", "/dev/shm"]
    else:
        read += _OF_PROC
    return {
        landlock.READ: read,
        landlock.WRITE: write,
        landlock.DEVICE: [*namespaces.DEVICES],
    }
