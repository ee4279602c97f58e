"""Namespaces: the student's process sees only its own processes and files, and no network.

separate()      moves the calling process into new namespaces; an ordinary user also gets a user
                namespace, root does not
own_pids()      puts an ordinary user's children into a pid namespace that it owns
join()          moves into namespaces that another process has opened()
set_up_root()   builds a root folder in memory from the readable paths, and moves into it
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
# Flags that a bind mount in a user namespace must keep; statvfs(3) returns the same bits.
_KEPT = _NOSUID | _NODEV | _NOEXEC

# In the order in which they are joined: only a member of a user namespace may join those that
# belong to it.
_KINDS = ("pid", "user", "mnt", "uts", "ipc", "net", "cgroup")
KINDS_MAX = len(_KINDS)

# Not /dev/zero: mapped, it is memory that counts for no process (see seccomp.py).
DEVICES = ("/dev/null", "/dev/full", "/dev/random", "/dev/urandom")
_FILES_MAX = 100_000


def separate(pids: bool = True) -> None:
    """Move this process into new namespaces; its next child is the first of a pid namespace.

    pids : False to keep the pid namespace
    An ordinary user becomes the owner of a user namespace, in which it keeps its user id.
    Raises OSError if that is not allowed.
    """
    user, group = os.geteuid(), os.getegid()
    flags = _ALL if pids else _ALL & ~_NEW_PIDS
    if user != 0:
        flags |= _NEW_USERS
    try:
        libc.unshare(flags | _NEW_CGROUPS)
    except OSError:
        libc.unshare(flags)
    if user != 0:
        _map(user, group)


def new_pids() -> None:
    """Make the next child the first process of a pid namespace. Raises OSError if not allowed."""
    libc.unshare(_NEW_PIDS)


def may_come_back() -> bool:
    """Return whether this process could come back after it joined another pid namespace."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        libc.setns(own, _NEW_PIDS)
    except OSError:
        return False
    finally:
        os.close(own)
    return True


def own_pids(*, not_for_it: int) -> int:
    """Put this process's future children into a new pid namespace. Raises OSError if not allowed.

    An ordinary user may not come back from another pid namespace into the system's, but may come
    back into one that it owns. The namespace lasts until the returned descriptor is closed, here
    and in all processes that inherit it.

    not_for_it : a descriptor of this process that the first process in it must not hold
    """
    trial = os.fork()  # if only a part of it is allowed, it can't be undone
    if trial == 0:
        try:
            _own_pids()
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(trial, 0)[1] != 0:
        raise OSError("no user namespace, or no pid namespace in it")
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
    """Return a child's pid as the grader sees it; with own_pids() it differs from ours."""
    if os.readlink("/proc/self") == str(os.getpid()):
        return child
    pidfd = os.pidfd_open(child)
    try:
        text = Path(f"/proc/self/fdinfo/{pidfd}").read_text()
    finally:
        os.close(pidfd)
    (number,) = re.findall(r"^Pid:\s*(\d+)$", text, re.MULTILINE)
    return int(number)


def opened() -> list[int]:
    """Return descriptors of this process's namespaces, for join_pids() and join()."""
    kinds = _KINDS if os.geteuid() != 0 else [kind for kind in _KINDS if kind != "user"]
    return [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in kinds]


def join_pids(spaces: Sequence[int]) -> None:
    """Put this process's next children into the first of these namespaces, the pid namespace."""
    libc.setns(spaces[0], _NEW_PIDS)


def join(spaces: Sequence[int]) -> None:
    """Move this process into these namespaces, except the first, the pid namespace."""
    for space in spaces[1:-1]:
        libc.setns(space, 0)
    with contextlib.suppress(OSError):  # separate() may have had no cgroups
        libc.setns(spaces[-1], 0)


def _map(user: int, group: int) -> None:
    """Let this user keep its user id in its new user namespace."""
    with contextlib.suppress(PermissionError):  # the parent namespace has set it already
        # Linux requires this before a group can be mapped.
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
    """Move into a root folder in memory that contains only these paths.

    root : an empty folder, to mount it on
    seen : paths of the host to read; a path that does not exist is skipped
    copied : path -> folder of the host whose files are copied there, to read and write
    owner : user and group of all writable folders
    size_mib : the size of all written files, without the copied ones
    Raises OSError if mounting is not allowed; then only `root` may have changed.
    """
    libc.mount("", "/", "", _RECURSIVE | _PRIVATE)
    copied_kib = sum(_size_kib(folder) for folder in copied.values())
    size_kib = size_mib * 1024 + copied_kib
    options = f"size={size_kib}k,nr_inodes={_FILES_MAX},mode=755"
    mounts = _mount_points()
    libc.mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, options)
    try:
        for path in seen:
            _show(root, path, mounts)
        for place, folder in copied.items():
            _copy(folder, _made(root + place), owner)
        _set_up_devices(root, owner)
        _write_accounts(root, owner)
        with contextlib.suppress(OSError):  # in a container that hides parts of /proc: no /proc
            libc.mount("proc", _made(root + "/proc"), "proc", _NOSUID | _NODEV | _NOEXEC)
        os.chdir(root)
        libc.system_call(libc.PIVOT_ROOT[platform.machine()], b".", b".")
    except BaseException:
        os.chdir("/")
        with contextlib.suppress(OSError):
            libc.unmount(root, _DETACH)
        raise
    # The old root is now mounted over the new one.
    libc.unmount(".", _DETACH)
    os.chdir("/")


def _mount_points() -> list[str]:
    """Return where file systems are mounted. Source: proc_pid_mountinfo(5), the fifth field."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            fields = [line.split(" ")[4] for line in file]
    except OSError:  # no /proc here
        return []
    return [re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), f) for f in fields]


def _show(root: str, path: str, mounts: Iterable[str]) -> None:
    """Make a path of the host readable under the same name; a link stays a link.

    mounts : of the host; those below the path are made read-only one by one
    """
    real = os.path.realpath(path)
    if not os.path.exists(real):
        return
    if real != path and not os.path.lexists(root + path):
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        os.symlink(real, root + path)
    if os.path.lexists(root + real):  # inside a folder that is there already
        return
    if os.path.isdir(real):
        _bind(real, _made(root + real), read_only=True)
        for place in mounts:
            if place.startswith(real + "/"):
                with contextlib.suppress(OSError):  # hidden by another mount
                    _remount(root + place, _RDONLY)
    else:
        _touch(root + real)
        _bind(real, root + real, read_only=True)


def _bind(source: str, target: str, *, read_only: bool = False) -> None:
    libc.mount(source, target, "", _BIND | _RECURSIVE)
    _remount(target, _RDONLY if read_only else 0)


def _remount(place: str, flags: int) -> None:
    kept = os.statvfs(place).f_flag & _KEPT
    libc.mount("", place, "", _REMOUNT | _BIND | _NOSUID | kept | flags)


def _copy(folder: str, target: str, owner: tuple[int, int]) -> None:
    # Links stay links: the grader made them, to files that all kernels share.
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
    """Return the size of a folder's files in KiB, each rounded up to whole pages."""
    pages = 0
    for place, _, files in os.walk(folder):
        pages += 1 + sum(1 + os.lstat(os.path.join(place, file)).st_size // 4096 for file in files)
    return 4 * pages
