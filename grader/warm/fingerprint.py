"""Fingerprints of the files that a warm process has loaded: code, packages, assignment, data sets.

Uses only the standard library: the process takes the fingerprint before it imports anything else,
so that a file which changes during the imports makes a difference.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import grader

_LEFT_OUT = {"__pycache__", ".git", ".ipynb_checkpoints"}


def of_program() -> str:
    """Return the fingerprint of this package, byte for byte, and of the installed packages."""
    digest = hashlib.sha256()
    package = Path(grader.__file__).parent
    _add_tree(digest, package)
    for line in _installed():
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def of_folder(folder: Path) -> str:
    """Return the fingerprint of all files below a folder, byte for byte; "" for no folder."""
    digest = hashlib.sha256()
    try:
        _add_tree(digest, folder)
    except OSError:
        return ""
    return digest.hexdigest()


def of_data(*folders: Path) -> str:
    """Return the fingerprint of data sets: names, sizes, times of change. They may be large."""
    files = []
    for folder in folders:
        for file in sorted(folder.glob("*.npz")):
            status = file.stat()
            files.append((str(file), status.st_size, status.st_mtime_ns, status.st_ino))
    return hashlib.sha256(repr(files).encode("utf-8", "surrogateescape")).hexdigest()


def _add_tree(digest: hashlib._Hash, folder: Path) -> None:
    for name, file in _files(folder):
        text = f"{len(name)} {name} ".encode("utf-8", "surrogateescape")
        digest.update(text + hashlib.sha256(file.read_bytes()).digest())


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for name in sorted(names):
            file = Path(place, name)
            if file.is_file():
                yield file.relative_to(folder).as_posix(), file


def _installed() -> Iterator[str]:
    """Yield the entries of each folder of packages, with their times of change.

    A new installation changes the package's folder and its .dist-info, or the module's file.
    """
    # Without the program's own folder: client and process have different ones.
    for place in sorted({place for place in sys.path if place}):
        if not os.path.isabs(place) or not os.path.isdir(place):  # noqa: PTH117, PTH112
            continue
        if not place.endswith(("site-packages", "dist-packages")):
            continue
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            try:
                status = entry.stat()
            except OSError:
                continue
            if entry.name != "__pycache__":
                yield f"{entry.path} {status.st_mtime_ns} {status.st_size}\n"
