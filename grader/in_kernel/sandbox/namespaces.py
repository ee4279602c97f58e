"""Namespaces: the student's process sees only its own processes and files, and no network.

separate()   moves the calling process into new namespaces; as an ordinary user by way of a user
             namespace, as root without
own_pids()   gives an ordinary user's children pids that it owns, as root owns all
join()       moves into those that another process has opened()
set_up_root()    builds a root folder in memory out of what the process may see, and moves into it
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import signal
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from grader.in_kernel.sandbox import libc

# linux/sched.h
_NEW_MOUNTS, _NEW_CGROUPS, _NEW_UTS, _NEW_IPC, _NEW_USERS, _NEW_PIDS, _NEW_NET = (
    0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_ALL = _NEW_MOUNTS | _NEW_UTS | _NEW_IPC | _NEW_PIDS | _NEW_NET

# linux/mount.h
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT = 1, 2, 4, 8, 32
_BIND, _RECURSIVE, _PRIVATE = 4096, 16384, 1 << 18
_DETACH = 2
# What a bind mount in a user namespace must keep; statvfs(3) tells it in the same bits.
_KEPT = _NOSUID | _NODEV | _NOEXEC

# In the order in which they are joined: who is in a user namespace may join what belongs to it.
_KINDS = ("pid", "user", "mnt", "uts", "ipc", "net", "cgroup")
KINDS_MAX = len(_KINDS)

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_FILES_MAX = 100_000


def separate() -> None:
    """Move this process into namespaces of its own; its next child is the first of its pids.

    An ordinary user becomes the owner of a user namespace in which it has its own number.
    Raises OSError where that is not allowed.
    """
    user, group = os.geteuid(), os.getegid()
    flags = _ALL if user == 0 else _ALL | _NEW_USERS
    try:
        libc.unshare(flags | _NEW_CGROUPS)
    except OSError:
        libc.unshare(flags)
    if user != 0:
        _map(user, group)


def may_come_back() -> bool:
    """Return whether this process could return to its pids after it joined others."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        libc.setns(own, _NEW_PIDS)
    except OSError:
        return False
    finally:
        os.close(own)
    return True


def own_pids(*, not_for_it: int) -> int:
    """Let this process's children be born among pids of its own. Raises OSError where it may not.

    An ordinary user may not come back from another pid namespace into the system's; into one that
    belongs to it, it may. That one lasts until the descriptor that is returned is closed, in this
    process and wherever it is inherited.

    not_for_it : a descriptor of this process that the first of these pids must not hold
    """
    trial = os.fork()  # where only a part of it is allowed, there is no way back
    if trial == 0:
        try:
            _own_pids()
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(trial, 0)[1] != 0:
        raise OSError("no user namespace, or no pids in it")
    end, lasts = os.pipe()
    _own_pids()
    if os.fork() == 0:
        try:
            os.close(lasts)
            os.close(not_for_it)
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans are reaped without a wait
            os.read(end, 1)
        finally:
            os._exit(0)
    os.close(end)
    return lasts


def _own_pids() -> None:
    user, group = os.geteuid(), os.getegid()
    libc.unshare(_NEW_USERS | _NEW_PIDS)
    _map(user, group)


def number_outside(child: int) -> int:
    """Return a child's number as /proc has it, and so the grader; it differs among own_pids()."""
    if Path("/proc/self").readlink().name == str(os.getpid()):
        return child
    pidfd = os.pidfd_open(child)
    try:
        text = Path(f"/proc/self/fdinfo/{pidfd}").read_text()
    finally:
        os.close(pidfd)
    (number,) = re.findall(r"^Pid:\s*(\d+)$", text, re.MULTILINE)
    return int(number)


def opened() -> list[int]:
    """Return files of the namespaces that separate() made, for join_pids() and join()."""
    kinds = _KINDS if os.geteuid() != 0 else [kind for kind in _KINDS if kind != "user"]
    return [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in kinds]


def join_pids(spaces: Sequence[int]) -> None:
    """Let the next children be born into the first of these namespaces."""
    libc.setns(spaces[0], _NEW_PIDS)


def join(spaces: Sequence[int]) -> None:
    """Move into the others of these namespaces."""
    for space in spaces[1:-1]:
        libc.setns(space, 0)
    with contextlib.suppress(OSError):  # separate() may have had no cgroups
        libc.setns(spaces[-1], 0)


def _map(user: int, group: int) -> None:
    """Let this user keep its number in the user namespace that it has made."""
    with contextlib.suppress(PermissionError):  # said already, in the namespace above
        # The kernel requires this before a group can be mapped.
        Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def set_up_root(
    root: str,
    *,
    seen: Iterable[str],
    copied: Mapping[str, str],
    owner: tuple[int, int],
    size_mib: int,
) -> None:
    """Move into a root folder that lies in memory and holds nothing but this.

    root : an empty folder, to build it on
    seen : paths that are there to read; one that isn't there is passed over
    copied : place -> folder of the host whose files are put there, to be read and written
    owner : user and group of all that can be written
    size_mib : how much all that is written may take, the copied files not counted
    Raises OSError where mounting is not allowed; then nothing has changed but in `root`.
    """
    libc.mount("", "/", "", _RECURSIVE | _PRIVATE)
    copied_kib = sum(_size_kib(folder) for folder in copied.values())
    size_kib = size_mib * 1024 + copied_kib
    options = f"size={size_kib}k,nr_inodes={_FILES_MAX},mode=755"
    libc.mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, options)
    try:
        for path in seen:
            _show(root, path)
        for place, folder in copied.items():
            _copy(folder, _made(root + place), owner)
        _set_up_devices(root, owner)
        _write_accounts(root, owner)
        with contextlib.suppress(OSError):  # a container may hide parts of /proc: none at all then
            libc.mount("proc", _made(root + "/proc"), "proc", _NOSUID | _NODEV | _NOEXEC)
        os.chdir(root)
        libc.system_call(libc.PIVOT_ROOT[platform.machine()], b".", b".")
    except BaseException:
        os.chdir("/")
        with contextlib.suppress(OSError):
            libc.unmount(root, _DETACH)
        raise
    # The old root lies on top of the new one now.
    libc.unmount(".", _DETACH)
    os.chdir("/")


def _show(root: str, path: str) -> None:
    """Let a path of the host be read at its place; a link becomes a link to what it leads to."""
    real = os.path.realpath(path)
    if not os.path.exists(real):
        return
    if real != path and not os.path.lexists(root + path):
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        os.symlink(real, root + path)
    if os.path.lexists(root + real):  # a part of what is there already
        return
    if os.path.isdir(real):
        _bind(real, _made(root + real), read_only=True)
    else:
        _touch(root + real)
        _bind(real, root + real, read_only=True)


def _bind(source: str, target: str, *, read_only: bool = False) -> None:
    libc.mount(source, target, "", _BIND | _RECURSIVE)
    kept = os.statvfs(source).f_flag & _KEPT
    flags = _REMOUNT | _BIND | _NOSUID | kept | (_RDONLY if read_only else 0)
    libc.mount("", target, "", flags)


def _copy(folder: str, target: str, owner: tuple[int, int]) -> None:
    # A link is the grader's own, to what all kernels share: it stays one.
    shutil.copytree(folder, target, dirs_exist_ok=True, symlinks=True)
    for place, _, files in os.walk(target):
        os.chown(place, *owner)
        for file in files:
            os.lchown(os.path.join(place, file), *owner)


def _set_up_devices(root: str, owner: tuple[int, int]) -> None:
    for device in DEVICES:
        _touch(root + device)
        libc.mount(device, root + device, "", _BIND)
    for name, target in (
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        os.symlink(target, f"{root}/dev/{name}")
    for folder in ("/dev/shm", "/tmp"):
        os.chmod(_made(root + folder), 0o1777)
        os.chown(root + folder, *owner)


def _write_accounts(root: str, owner: tuple[int, int]) -> None:
    """Name the only user, so that the host's accounts stay private."""
    user, group = owner
    for file, line in (
        ("passwd", f"student:x:{user}:{group}:student:/tmp:/bin/sh"),
        ("group", f"student:x:{group}:"),
        ("hosts", "127.0.0.1 localhost"),
    ):
        path = Path(f"{_made(root + '/etc')}/{file}")
        if not path.exists():
            path.write_text(line + "\n")


def _touch(path: str) -> None:
    _made(os.path.dirname(path))
    Path(path).touch()


def _made(folder: str) -> str:
    os.makedirs(folder, exist_ok=True)
    return folder


def _size_kib(folder: str) -> int:
    """Return what a folder's files take, in whole pages."""
    pages = 0
    for place, _, files in os.walk(folder):
        pages += 1 + sum(1 + os.lstat(os.path.join(place, file)).st_size // 4096 for file in files)
    return 4 * pages
