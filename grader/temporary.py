"""Temporary folders that do not outlive the process that made them, even if it was killed.

A killed process removes nothing. So each folder holds a file that its maker keeps locked; the
system lets go of the lock when the maker ends, however it ends. remove_leftovers() deletes the
folders whose lock is free: a run calls it when it begins. That file is there from the first moment
to the last, but for two in which the folder is empty: then its name tells whose it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: no leftovers are known there, and none are removed
    fcntl = None  # type: ignore[assignment]

_PREFIX = "grade-"
_LOCK = ".in-use"
_NOT_LOCKED_YET = ".in-use.new"
_MADE = re.compile(r"grade-[a-z0-9_]{8}")
"""A name as tempfile.mkdtemp makes it."""


_living: weakref.WeakSet[TemporaryFolder] = weakref.WeakSet()


class TemporaryFolder:
    """A new folder of this user's alone. remove() it, or leave the `with` block.

    path : the folder; its name begins with "grade-"
    parent : where it is made; the system's temporary folder where None
    """

    def __init__(self, *, parent: str | None = None) -> None:
        self._lock: IO[bytes] | None = None
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            try:
                self._lock = _locked(self.path)
                break
            except FileNotFoundError:
                continue  # another run took it for one that was left
            except BaseException:
                delete_tree(self.path)
                raise
        _living.add(self)
        # Ctrl-C within remove() is made up for when the process ends.
        self._maker = os.getpid()
        self._at_exit = weakref.finalize(self, _delete_of, self._maker, self.path)

    def remove(self) -> None:
        """Delete the folder and all in it, also what was made read-only. May be called twice."""
        _delete_of(self._maker, self.path)
        self._at_exit.detach()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *exc: object) -> None:
        self.remove()


def _delete_of(maker: int, folder: Path) -> None:
    """Delete a folder of this process's; a fork of its maker leaves it alone."""
    if os.getpid() == maker:
        delete_tree(folder)


def remove_all() -> None:
    """Delete every folder of this process that is still there: it is about to end."""
    for folder in [*_living]:
        _delete_of(folder._maker, folder.path)


def is_lock(path: Path) -> bool:
    """Whether a path is that of the file by which a folder's maker shows that it lives."""
    return path.name in (_LOCK, _NOT_LOCKED_YET) and path.parent.name.startswith(_PREFIX)


def remove_leftovers(*places: str) -> int:
    """Delete the folders of processes that were killed; return how many.

    places : folders to look in besides the system's temporary folder
    """
    if fcntl is None:
        return 0
    removed = 0
    for place in {tempfile.gettempdir(), *places}:
        for folder in Path(place).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                removed += _remove_if_left(folder)
    return removed


def _locked(folder: Path) -> IO[bytes] | None:
    """Return the folder's file, which this process holds locked. Raises OSError."""
    if fcntl is None:
        return None
    unlocked = folder / _NOT_LOCKED_YET
    lock = unlocked.open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Renamed once it is locked: nobody ever finds it free while its maker lives.
        unlocked.rename(folder / _LOCK)
    except BaseException:
        lock.close()
        raise
    return lock


def _remove_if_left(folder: Path) -> bool:
    """Whether it was left by a dead process, and is deleted. Raises OSError."""
    if folder.lstat().st_uid != os.geteuid() or folder.is_symlink():
        return False
    for name in (_LOCK, _NOT_LOCKED_YET):
        try:
            # No link is followed: where anybody may write, a folder of this name can be anyone's.
            lock = os.open(folder / name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            delete_tree(folder)
        finally:
            os.close(lock)
        return True
    if not _MADE.fullmatch(folder.name):
        return False
    folder.rmdir()  # where it is empty
    return True


def delete_tree(folder: Path) -> None:
    """Delete a folder, also what was made read-only in it. Raises nothing.

    The file that tells whose it is goes last: who is killed meanwhile leaves what can be told.
    """
    for attempt in range(3):
        if attempt:
            _make_writable(folder)
        with contextlib.suppress(OSError):
            for entry in [*os.scandir(folder)]:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif entry.name != _LOCK:
                    os.unlink(entry.path)  # noqa: PTH108
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break


def _make_writable(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o700)
