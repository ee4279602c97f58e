"""The folder in which a user's warm processes listen, and the key of each.

    $XDG_RUNTIME_DIR/grade-warm/KEY.sock      its socket
                                KEY.json      {"token": "...", "pid": 123}, readable by the user
                                KEY.lock      locked while the process lives

Without that variable: /tmp/grade-warm-UID. The folder belongs to the user and is closed to others.
Every file is opened relative to the folder's descriptor, so that no link in its place is followed.

The token is needed besides the socket: on a machine without namespaces, student code runs under the
user's own id. Landlock does not stop it from connecting, but it stops it from reading the token.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
import stat
import struct
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grader
from grader.closing import Closing

try:
    import fcntl
    import resource
except ImportError:  # Windows
    pass

RECORD_BYTES = 1 << 12
# Variables that are read when modules are imported, or by processes that start then. All other
# variables are set again for each run.
_READ_EARLY = ("PATH", "HOME", "TMPDIR", "TZ", "VIRTUAL_ENV", "CONDA_PREFIX")
_READ_EARLY_BEGIN = ("PYTHON", "LD_", "LC_", "LANG", "XDG_", "GRADE_", "MPL", "MALLOC_", "NPY_",
                     "OPENBLAS", "OMP_", "MKL_", "BLIS_", "NUMEXPR_", "VECLIB_")  # fmt: skip


class NoPlace(OSError):
    """There is no folder that only this user can use; the text says why."""


class Place(Closing):
    """The user's folder for warm processes, held open. Close it after use."""

    def __init__(self, *, make: bool = False) -> None:
        """make : whether to create a missing folder. Raises NoPlace."""
        path = _path()
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)  # noqa: PTH102  like the rest of this file
        try:
            self.descriptor = os.open(
                path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            )
        except OSError as error:
            raise NoPlace(f"{path}: {error.strerror}") from error
        status = os.fstat(self.descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            self.close()
            raise NoPlace(f"{path} is open to others (it must be this user's, with mode 0700)")

    def close(self) -> None:
        os.close(self.descriptor)

    def address(self, key: str) -> str:
        """Return the socket's path through the descriptor: it is short and can't be redirected."""
        return f"/proc/self/fd/{self.descriptor}/{key}.sock"

    def connected(self, key: str) -> socket.socket | None:
        """Return a connection to the process of that key; None if this user has none."""
        if self.socket_number(key) is None:
            return None
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.settimeout(5.0)
            connection.connect(self.address(key))
            if peer_user(connection) == os.geteuid():
                return connection
        except OSError:
            pass
        connection.close()
        return None

    def socket_number(self, key: str) -> tuple[int, int] | None:
        """Return the socket's device and inode, which identify it; None if this user has none."""
        try:
            status = os.stat(f"{key}.sock", dir_fd=self.descriptor, follow_symlinks=False)
        except OSError:
            return None
        own = stat.S_ISSOCK(status.st_mode) and status.st_uid == os.geteuid()
        return (status.st_dev, status.st_ino) if own else None

    def record(self, key: str) -> dict[str, Any] | None:
        """Return the process's record; None if this user has none."""
        try:
            file = os.open(
                f"{key}.json",
                os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
                dir_fd=self.descriptor,
            )
        except OSError:
            return None
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                return None
            if status.st_mode & 0o077:
                return None
            record = json.loads(os.read(file, RECORD_BYTES))
        except (OSError, ValueError, RecursionError):
            return None
        finally:
            os.close(file)
        if not isinstance(record, dict) or not isinstance(record.get("token"), str):
            return None
        return record

    def write_record(self, key: str) -> str:
        """Write a new token for the process of that key, in one step; return it."""
        token = secrets.token_hex(32)
        name = f"{key}.{secrets.token_hex(4)}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(name, flags, 0o600, dir_fd=self.descriptor)
        try:
            os.write(file, json.dumps({"token": token, "pid": os.getpid()}).encode())
        finally:
            os.close(file)
        os.rename(name, f"{key}.json", src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        return token

    def locked(self, key: str) -> int | None:
        """Return a descriptor that holds the key's lock; None if another process holds it.

        The file is never deleted: otherwise two processes could hold the lock.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(f"{key}.lock", flags, 0o600, dir_fd=self.descriptor)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return None
        return file

    def forget(self, key: str) -> None:
        """Remove the socket and the token, so that the process listening there ends."""
        for name in (f"{key}.sock", f"{key}.json"):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self.descriptor)

    def keys(self) -> list[str]:
        """Return the keys that have a socket, the newest first."""
        found = []
        for name in os.listdir(self.descriptor):  # noqa: PTH208
            if name.endswith(".sock"):
                with contextlib.suppress(OSError):
                    status = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
                    found.append((status.st_mtime_ns, name.removesuffix(".sock")))
        return [key for _, key in sorted(found, reverse=True)]


def key(folder: Path, environ: Mapping[str, str]) -> str:
    """Return the key of a warm process: a hash of all properties that it can't change for a run.

    folder : of the file that is graded
    """
    early = {
        name: value
        for name, value in environ.items()
        if name in _READ_EARLY or name.startswith(_READ_EARLY_BEGIN)
    }
    spaces = [_link(f"/proc/self/ns/{kind}") for kind in ("mnt", "pid", "user", "net")]
    limits = [
        resource.getrlimit(getattr(resource, name))
        for name in sorted(dir(resource))
        if name.startswith("RLIMIT_")
    ]
    flags = [
        getattr(sys.flags, name)
        for name in ("optimize", "no_user_site", "no_site", "ignore_environment", "isolated",
                     "dev_mode", "utf8_mode")
    ]  # fmt: skip
    properties = (
        str(folder.resolve()), grader.__version__, grader.__file__, sys.executable, sys.version,
        sys.prefix, flags, sys.warnoptions, os.getuid(), os.geteuid(), os.getgroups(),
        sorted(early.items()), spaces, limits,
    )  # fmt: skip
    return hashlib.sha256(repr(properties).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def peer_user(connection: socket.socket) -> int:
    """Return the id of the user at the other end, as the operating system reports it."""
    size = struct.calcsize("=iII")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("=iII", credentials)[1])


def _path() -> str:
    """Return the path of the folder, which may not exist yet. Raises NoPlace."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):  # noqa: PTH117
        with contextlib.suppress(OSError):
            status = os.stat(runtime)  # noqa: PTH116
            if status.st_uid == os.geteuid() and not status.st_mode & 0o022:
                return f"{runtime}/grade-warm"
    temporary = tempfile.gettempdir()
    status = os.stat(temporary)  # noqa: PTH116
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        raise NoPlace(f"{temporary}: anybody may replace its files (no sticky bit)")
    if status.st_uid not in (0, os.geteuid()):
        raise NoPlace(f"{temporary} belongs to another user")
    return f"{temporary}/grade-warm-{os.geteuid()}"


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115
    except OSError:
        return ""
