"""Where a warm process of this user listens, and what it is found by.

    $XDG_RUNTIME_DIR/grade-warm/KEY.sock      its socket
                                KEY.json      {"token": "...", "pid": 123}, the user's to read
                                KEY.lock      locked for as long as it lives

Without that variable: /tmp/grade-warm-UID. The folder is the user's own, closed to others;
every file is reached from its descriptor, so that no link that is put in its place is followed.

The socket alone would not do: where a machine offers no namespaces, student code runs under the
user's own number, and Landlock does not stop it from connecting; it does keep it from the token.
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

try:
    import fcntl
    import resource
except ImportError:  # Windows
    pass

RECORD_BYTES = 1 << 12
# Read where modules are imported, or by the processes that are started then. All else of the
# environment is set again for each run.
_READ_EARLY = ("PATH", "HOME", "TMPDIR", "TZ", "VIRTUAL_ENV", "CONDA_PREFIX")
_READ_EARLY_BEGIN = ("PYTHON", "LD_", "LC_", "LANG", "XDG_", "GRADE_", "MPL", "MALLOC_", "NPY_",
                     "OPENBLAS", "OMP_", "MKL_", "BLIS_", "NUMEXPR_", "VECLIB_")  # fmt: skip


class NoPlace(OSError):
    """No folder belongs to this user only; the text says why."""


class Place:
    """The user's folder for warm processes, held open. close() it."""

    def __init__(self, *, make: bool = False) -> None:
        """make : make the folder where there is none. Raises NoPlace."""
        path = _path()
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)  # noqa: PTH102  as the rest of this file
        try:
            self.descriptor = os.open(
                path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            )
        except OSError as error:
            raise NoPlace(f"{path}: {error.strerror}") from error
        status = os.fstat(self.descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            self.close()
            raise NoPlace(f"{path} is not this user's alone (it must be owned, with mode 0700)")

    def close(self) -> None:
        os.close(self.descriptor)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def address(self, key: str) -> str:
        """Return the socket's path through the descriptor: short, and no part can be swapped."""
        return f"/proc/self/fd/{self.descriptor}/{key}.sock"

    def connected(self, key: str) -> socket.socket | None:
        """Return a connection to the process of that key; None where this user has none."""
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
        """Return what tells the socket from another of its name; None where this user has none."""
        try:
            status = os.stat(f"{key}.sock", dir_fd=self.descriptor, follow_symlinks=False)
        except OSError:
            return None
        own = stat.S_ISSOCK(status.st_mode) and status.st_uid == os.geteuid()
        return (status.st_dev, status.st_ino) if own else None

    def record(self, key: str) -> dict[str, Any] | None:
        """Return what the process wrote of itself; None where there is nothing of this user's."""
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
            told = json.loads(os.read(file, RECORD_BYTES))
        except (OSError, ValueError, RecursionError):
            return None
        finally:
            os.close(file)
        if not isinstance(told, dict) or not isinstance(told.get("token"), str):
            return None
        return told

    def write_record(self, key: str) -> str:
        """Write a new token for the process of that key, whole or not at all; return it."""
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
        """Return a descriptor that holds the key's lock; None where another process has it.

        The lock's file stays: who unlinked it could let two hold it.
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
    """Return what a warm process is found by: all that it could not change for a run.

    folder : that of the file that is graded
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
    told = (
        str(folder.resolve()), grader.__version__, grader.__file__, sys.executable, sys.version,
        sys.prefix, flags, sys.warnoptions, os.getuid(), os.geteuid(), os.getgroups(),
        sorted(early.items()), spaces, limits,
    )  # fmt: skip
    return hashlib.sha256(repr(told).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def peer_user(connection: socket.socket) -> int:
    """Return the number of the user at the other end, as the kernel vouches for it."""
    size = struct.calcsize("=iII")
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("=iII", told)[1])


def _path() -> str:
    """Return the place of the folder, which may not exist yet. Raises NoPlace."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):  # noqa: PTH117
        with contextlib.suppress(OSError):
            status = os.stat(runtime)  # noqa: PTH116
            if status.st_uid == os.geteuid() and not status.st_mode & 0o022:
                return f"{runtime}/grade-warm"
    temporary = tempfile.gettempdir()
    status = os.stat(temporary)  # noqa: PTH116
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        raise NoPlace(f"{temporary}: anybody may replace what lies there (no sticky bit)")
    if status.st_uid not in (0, os.geteuid()):
        raise NoPlace(f"{temporary} is another user's")
    return f"{temporary}/grade-warm-{os.geteuid()}"


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115
    except OSError:
        return ""
