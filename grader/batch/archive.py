"""Packs a submission or an assignment to be sent: the receiver gets the same name and files.

A link becomes a link that leads nowhere, and a pipe stays a pipe. They are not part of the work,
but the report on another machine must mention them as well.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from grader.batch.cache_key import files_in

MAX_BYTES = 64 << 20
"""The size of one archive. Real submissions have a hundredth of it; a scheduler stores several."""
MAX_FILES = 12_000
"""More than a submission may have, so that one with too many is sent and refused as usual."""


class TooLarge(Exception):
    """It can't be sent, and is graded on this machine."""


@dataclass(frozen=True)
class Archive:
    """The content of one path.

    name : the last part of the path
    files : (relative name, kind, bytes) of each; the kind is "file", "link" or "other". If the path
        is a file, it is the only entry, with the name ""
    """

    name: str
    files: tuple[tuple[str, str, bytes], ...]


def make_archive(
    path: Path, *, left_out: tuple[str, ...] = (), max_bytes: int | None = None
) -> Archive:
    """Return the content of the path: a file, or a folder with all its files.

    left_out : files and folders in the path that are not sent, by name
    max_bytes : None for MAX_BYTES
    Raises OSError if it can't be read, TooLarge.
    """
    max_bytes = MAX_BYTES if max_bytes is None else max_bytes
    if not path.is_dir():
        return Archive(path.name, (("", *_contents(path, max_bytes)),))
    files = []
    size = 0
    for name, file in files_in(path):
        if name.partition("/")[0] in left_out:
            continue
        kind, content = _contents(file, max_bytes)
        size += len(content)
        files.append((name, kind, content))
        if size > max_bytes or len(files) > MAX_FILES:
            raise TooLarge
    return Archive(path.resolve().name, tuple(files))


def extract_archive(archive: Archive, folder: Path) -> Path:
    """Write the archive into the folder; return its path there."""
    root = folder / archive.name
    if any(name == "" for name, _, _ in archive.files):
        ((_, _, content),) = archive.files
        root.write_bytes(content)
        return root
    root.mkdir()
    for name, kind, content in archive.files:
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise ValueError(f"{name!r} leads out of the archive")
        target = root / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        if kind == "file":
            target.write_bytes(content)
        elif kind == "link":
            target.symlink_to("nowhere")
        else:
            os.mkfifo(target)
    return root


def _contents(file: Path, max_bytes: int) -> tuple[str, bytes]:
    status = file.lstat() if file.is_symlink() else file.stat()
    if stat.S_ISLNK(status.st_mode):
        return "link", b""
    if not stat.S_ISREG(status.st_mode):
        return "other", b""
    if status.st_size > max_bytes:
        raise TooLarge
    return "file", file.read_bytes()
