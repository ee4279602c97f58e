"""Files of a report, written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def check_writable(path: Path) -> None:
    """Make the parent folders and prove that a file can be made at path.

    Raises OSError with a reason that a user understands. Called before grading starts, so that
    an hour's work is not lost to a wrong path.
    """
    if path.is_dir():
        raise IsADirectoryError("it is a folder")
    target = _target(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        if not os.access(target, os.W_OK):
            raise PermissionError("the file is write-protected")
        if not target.is_file():
            return
    _make_beside(target, ()).unlink()


def check_folder_writable(folder: Path) -> None:
    """Make the folder, and prove that files can be made in it. Raises OSError."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError("it is no folder")
    folder.mkdir(parents=True, exist_ok=True)
    _make_beside(folder / "page", ()).unlink()


def write_whole(path: Path, text: str | Iterable[str]) -> None:
    """Write text as UTF-8: a reader sees the old file or the new one, never half of it.

    text : whole or in pieces
    Raises OSError.
    """
    target = _target(path)
    pieces = [text] if isinstance(text, str) else text
    data = (piece.encode("utf-8") for piece in pieces)
    if target.exists() and not target.is_file():
        # A pipe or a device ("/dev/stdout") is written to, not replaced.
        with target.open("wb") as file:
            file.writelines(data)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _make_beside(target, data)
    try:
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _target(path: Path) -> Path:
    # Behind a link stands the file that is meant; replacing the link would leave that one old.
    return Path(os.path.realpath(path))


def _make_beside(target: Path, data: Iterable[bytes]) -> Path:
    # In the target's own folder, since os.replace is atomic only within a file system. Mode 0666
    # lets the umask decide, as it does for any other file; tempfile would make it 0600.
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(data)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary
