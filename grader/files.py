"""Files written whole or not at all: a reader sees the old file or the new one, never half."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replaced(path: Path, *, mode: int | None = None, durable: bool = False) -> Iterator[IO[bytes]]:
    """Yield a stream; its content becomes the file at `path` when the block ends.

    An error in the block leaves the file as it was. Parent folders are made. A link keeps leading
    to its file; a pipe or a device ("/dev/stdout") is written to, not replaced.

    mode : the file's permissions; None for those of the umask
    durable : wait until the disk has the file, so that a power cut loses nothing
    Raises OSError.
    """
    target = _target(path)
    if target.exists() and not target.is_file():
        with target.open("wb") as stream:
            yield stream
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = _make_beside(target)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_whole(
    path: Path,
    content: str | bytes | Iterable[str],
    *,
    mode: int | None = None,
) -> None:
    """Write the content, as `replaced` does.

    content : text (written as UTF-8), text in pieces, or bytes
    Raises OSError.
    """
    with replaced(path, mode=mode) as stream:
        if isinstance(content, bytes):
            stream.write(content)
        elif isinstance(content, str):
            stream.write(content.encode("utf-8"))
        else:
            stream.writelines(piece.encode("utf-8") for piece in content)


def check_writable(path: Path) -> None:
    """Make the parent folders and prove that a file can be made at path.

    Raises OSError with a reason that a user understands. It is called before grading starts, so
    that a wrong path does not lose an hour's work.
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
    _try_beside(target)


def check_folder_writable(folder: Path) -> None:
    """Make the folder, and prove that files can be made in it. Raises OSError."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError("it is not a folder")
    folder.mkdir(parents=True, exist_ok=True)
    _try_beside(folder / "page")


def _target(path: Path) -> Path:
    # A link means the file behind it; replacing the link would leave that file old.
    return Path(os.path.realpath(path))


def _make_beside(target: Path) -> tuple[int, Path]:
    # In the target's own folder, since os.replace is atomic only within a file system. Mode 0666
    # lets the umask decide, as it does for any other file; tempfile would make it 0600.
    temporary = target.with_name(f".{target.name[:60]}.{secrets.token_hex(6)}")
    return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), temporary


def _try_beside(target: Path) -> None:
    descriptor, temporary = _make_beside(target)
    os.close(descriptor)
    temporary.unlink()
