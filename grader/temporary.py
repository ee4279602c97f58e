"""Temporary folders that do not outlive the process that made them, even if it was killed.

A killed process removes nothing. So each folder holds a file that its maker keeps locked; the
system releases the lock when the maker ends, in any way. remove_leftovers() deletes the folders
whose lock is free; each run calls it at its start. The file is missing only for two short moments,
when the folder is empty: then the folder's name says whose it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
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
    """A new folder that only this user can read. remove() it, or leave the `with` block.

    path : the folder; its name begins with "grade-"
    parent : where it is made; None for the system's temporary folder
    """

    def __init__(self, *, parent: str | None = None) -> None:
        self._lock: IO[bytes] | None = None
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            try:
                self._lock = _locked(self.path)
                break
            except FileNotFoundError:
                continue  # another run took it for a leftover
            except BaseException:
                delete_tree(self.path)
                raise
        _living.add(self)
        # If Ctrl-C interrupts remove(), the end of the process removes it.
        self._maker = os.getpid()
        self._at_exit = weakref.finalize(self, _delete_of, self._maker, self.path)

    def remove(self) -> None:
        """Delete the folder with read-only files in it. May be called twice."""
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
    """Delete a folder of this process; a fork of its maker does not delete it."""
    if os.getpid() == maker:
        delete_tree(folder)


def remove_all() -> None:
    """Delete every remaining folder of this process, which is about to end."""
    for folder in [*_living]:
        _delete_of(folder._maker, folder.path)


def is_lock(path: Path) -> bool:
    """Tell whether a path is the file that a folder's maker keeps locked."""
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
    """Return the folder's file, locked by this process. Raises OSError."""
    if fcntl is None:
        return None
    unlocked = folder / _NOT_LOCKED_YET
    lock = unlocked.open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Renamed after it is locked: no process can find it free while its maker lives.
        unlocked.rename(folder / _LOCK)
    except BaseException:
        lock.close()
        raise
    return lock


def _remove_if_left(folder: Path) -> bool:
    """Delete the folder if a dead process left it; tell whether. Raises OSError."""
    if folder.lstat().st_uid != os.geteuid() or folder.is_symlink():
        return False
    for name in (_LOCK, _NOT_LOCKED_YET):
        try:
            # Follow no link: where everybody may write, anyone can have made this folder.
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
    folder.rmdir()  # if it is empty
    return True


def delete_tree(folder: Path) -> None:
    """Delete a folder with read-only files in it, nested as deeply as may be. Raises nothing.

    The locked file goes last: if this process is killed, another one can still recognise it.
    """
    for attempt in range(3):
        if attempt:
            _flatten(folder)
        with contextlib.suppress(OSError, RecursionError):
            for entry in [*os.scandir(folder)]:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif entry.name != _LOCK:
                    os.unlink(entry.path)  # noqa: PTH108
        with contextlib.suppress(RecursionError):
            shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break


def _flatten(root: Path) -> None:
    """Move each folder at any depth directly into `root`, and make all of them writable.

    So no path becomes too long for the system, and nothing recurses.
    """
    # No folder that is there already can have this name.
    prefix = f".flat-{secrets.token_hex(8)}-"
    waiting, moved = [root], 0
    while waiting:
        folder = waiting.pop()
        inner: list[Path] = []
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
            with os.scandir(folder) as entries:
                inner += [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False)]
        for path in inner:
            place = path
            if folder != root:
                moved += 1
                with contextlib.suppress(OSError):
                    path.chmod(0o700)  # to move a folder changes it: its ".."
                    place = path.rename(root / f"{prefix}{moved}")
            waiting.append(place)
