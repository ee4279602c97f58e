"""Temporary folders that do not outlive the process that made them, even if it was killed.

A killed process removes nothing. So each folder holds a file that its maker keeps locked; the
system lets go of the lock when the maker ends, however it ends. remove_leftovers() deletes the
folders whose lock is free: a run calls it when it begins.
"""

from __future__ import annotations

import contextlib
import os
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


_living: weakref.WeakSet[TemporaryFolder] = weakref.WeakSet()


class TemporaryFolder:
    """A new folder of this user's alone. remove() it, or leave the `with` block.

    path : the folder; its name begins with "grade-"
    parent : where it is made; the system's temporary folder where None
    """

    def __init__(self, *, parent: str | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._lock: IO[bytes] | None = None
        if fcntl is not None:
            unlocked = self.path / f"{_LOCK}.new"
            self._lock = unlocked.open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            # Renamed once it is locked: nobody ever finds it free while its maker lives.
            unlocked.rename(self.path / _LOCK)
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


def _remove_if_left(folder: Path) -> bool:
    """Whether it was left by a dead process, and is deleted. Raises OSError."""
    if folder.lstat().st_uid != os.geteuid() or folder.is_symlink():
        return False
    # No link is followed: where anybody may write, a folder of this name can be anyone's.
    lock = os.open(folder / _LOCK, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        delete_tree(folder)
    finally:
        os.close(lock)
    return True


def delete_tree(folder: Path) -> None:
    """Delete a folder, also what was made read-only in it. Raises nothing."""
    for attempt in range(3):
        if attempt:
            _make_writable(folder)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break


def _make_writable(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o700)
