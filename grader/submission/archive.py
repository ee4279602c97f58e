"""Unpack archives into one private directory, within limits.

Every name, size and flag in an archive is a claim by its maker: sizes are counted while
writing, and nothing is written outside the directory.
"""

from __future__ import annotations

import contextlib
import errno
import io
import lzma
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from grader.errors import GraderFault, SubmissionError
from grader.records import Note
from grader.submission.work import MAX_DEPTH, is_skipped, is_work, reason_of
from grader.text import in_name, one_line

MAX_ENTRIES = 10_000
"""Files in one submission. Real ones hold tens; a whole virtual environment holds more."""
MAX_TOTAL_BYTES = 512 * 1024**2
MAX_NAME_BYTES = 200
"""Bytes of one path component; file systems take 255."""
MAX_DIRECTORY_BYTES = 2 * 1024**2
"""Bytes of a zip's table of contents, which zipfile reads whole: 10,000 entries of 200 bytes."""
MAX_EXPORT_ENTRIES = 200_000
"""Files in a class's export, of 2,000 students with 100 each."""
MAX_EXPORT_DIRECTORY_BYTES = 64 * 1024**2
EXPORT_RATIO = 30
"""The factor by which a whole export may grow. Notebooks grow by 3 to 10."""
BOMB_RATIO, BOMB_BYTES = 200, 32 * 1024**2
"""An entry is a bomb when it grows by this factor and beyond this size. Text grows by 10 to 50."""
CHUNK = 1024**2
# Exceptions of zipfile, in its various versions, for bytes that are not a good zip.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    IndexError,
    OverflowError,
    OSError,
)


class Budget:
    """Bytes that may be written, over all submissions of one export."""

    def __init__(self, left: int) -> None:
        self.left = left

    @classmethod
    def of_export(cls, size: int) -> Budget:
        """Return the budget of an export of that many packed bytes."""
        return cls(max(MAX_TOTAL_BYTES, EXPORT_RATIO * size))

    def spend(self, size: int, source: str) -> None:
        self.left -= size
        if self.left < 0:
            raise SubmissionError(
                f"{source}: the whole export unpacks to over {EXPORT_RATIO} times its size, as a "
                "zip bomb does, so this is not unpacked: look who handed in what is so large"
            )


class Box:
    """A private directory and its content. Only this class writes files.

    budget : shared by the submissions of one export
    """

    def __init__(self, folder: Path, budget: Budget | None = None) -> None:
        self.folder = folder
        self.budget = budget
        self.notes: list[Note] = []
        self.damaged: list[str] = []  # zips inside, by their names
        self.entries = 0
        self.total = 0
        self._taken: dict[str, str] = {}

    def note(self, kind: str, message: str) -> None:
        # For a thousand symlinks the first lines are enough.
        if len(self.notes) < 20:
            self.notes.append(Note(kind=kind, message=message))

    def count(self, source: str) -> None:
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise SubmissionError(
                f"{source} holds more than {MAX_ENTRIES:,} files: "
                "leave out environments and data sets"
            )

    def write(
        self, target: PurePosixPath, stream: BinaryIO, *, source: str, packed: int = 0
    ) -> bool:
        """Write the stream's bytes to `target`; return False, with a note, if that is refused.

        target : relative, already cleaned
        packed : bytes of the entry in its archive, 0 without an archive
        """
        if not self._reserve(target):
            self.note("duplicate_name", f"{target}: the name comes twice; the first one counts")
            return False
        size = 0
        with self._opened(target) as out:
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                self.total += len(chunk)
                if self.budget is not None:
                    self.budget.spend(len(chunk), source)
                if self.total > MAX_TOTAL_BYTES:
                    raise SubmissionError(
                        f"{source} unpacks to more than {MAX_TOTAL_BYTES // 1024**2} MiB: "
                        "leave out data sets"
                    )
                if packed and size > BOMB_BYTES and size > BOMB_RATIO * packed:
                    raise SubmissionError(
                        f"{source}: {target} unpacks to over {BOMB_RATIO} times its size, "
                        "as a zip bomb does: leave it out"
                    )
                with _ours_to_write(target):
                    rest = memoryview(chunk)
                    while rest:
                        rest = rest[out.write(rest) :]
        return True

    def _opened(self, target: PurePosixPath) -> io.FileIO:
        """Return the new file, unbuffered, so that write() raises the disk's errors."""
        path = self.folder.joinpath(*target.parts)
        with _ours_to_write(target):
            path.parent.mkdir(parents=True, exist_ok=True)
            # "x": a file that exists already, or a link, is never written through.
            return path.open("xb", buffering=0)

    def _reserve(self, target: PurePosixPath) -> bool:
        """Reserve the name and its folders' names, for file systems with and without case."""
        keys = [
            unicodedata.normalize("NFC", "/".join(target.parts[: n + 1])).casefold()
            for n in range(len(target.parts))
        ]
        if keys[-1] in self._taken or any(self._taken.get(key) == "file" for key in keys[:-1]):
            return False
        for key in keys[:-1]:
            self._taken[key] = "folder"
        self._taken[keys[-1]] = "file"
        return True


@contextlib.contextmanager
def _ours_to_write(target: PurePosixPath) -> Iterator[None]:
    """Raise GraderFault for errors of this machine; an invalid file name passes."""
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise
        raise GraderFault(f"{target.name} can't be unpacked: {reason_of(error)}") from error


class Bounded(io.RawIOBase):
    """A zip's bytes, without large single reads.

    zipfile reads the table of contents with one read of the size that the file claims.
    """

    def __init__(self, stream: BinaryIO, limit: int = MAX_DIRECTORY_BYTES) -> None:
        super().__init__()
        self._stream = stream
        self._limit = limit

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > self._limit:
            raise TooManyEntries
        data = self._stream.read(self._limit + 1 if size is None or size < 0 else size)
        if len(data) > self._limit:
            raise TooManyEntries
        return data


class TooManyEntries(Exception):
    pass


def unpack(box: Box, stream: BinaryIO, source: str, under: PurePosixPath) -> None:
    """Unpack one zip below `under`. Raises SubmissionError."""
    try:
        with zipfile.ZipFile(Bounded(stream)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise TooManyEntries
            if not entries:
                raise SubmissionError(f"{source} is an empty zip: zip the notebooks again")
            for entry in entries:
                box.count(source)
                unpack_entry(box, archive, entry, source, under)
    except TooManyEntries as error:
        raise SubmissionError(
            f"{source} holds more than {MAX_ENTRIES:,} files: leave out environments and data sets"
        ) from error
    except NotImplementedError as error:
        raise SubmissionError(
            f"{source} is packed by a method that can't be read here: zip it again as plain .zip"
        ) from error
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise damaged(source) from error


def unpack_entry(
    box: Box,
    archive: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    source: str,
    under: PurePosixPath,
    *,
    at: PurePosixPath | None = None,
) -> None:
    """Unpack an entry below `under`, by its own name, or as `at` if that is given."""
    name = decoded_name(entry)
    target = safe_target(name, source)
    if entry.is_dir() or name.endswith(("/", "\\")) or target is None:
        return
    if any(is_skipped(part) for part in target.parts):
        return
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        kind = "a link" if stat.S_ISLNK(mode) else "no ordinary file"
        box.note("ignored_file", f"{target} is {kind} and was left out")
        return
    if entry.flag_bits & 0x1:
        raise SubmissionError(f"{source} is encrypted: zip it without a password")
    with archive.open(entry) as stream:
        packed = max(1, entry.compress_size)
        try:
            box.write(under / (at or target), stream, source=source, packed=packed)  # type: ignore[arg-type]
        except (NotADirectoryError, FileExistsError, IsADirectoryError):
            box.note("duplicate_name", f"{target}: the name comes twice; the first one counts")


def open_inner_zips(box: Box) -> list[str]:
    """Unpack the zips inside, next to themselves, one level deep; return their names.

    Only those with notebooks or scripts: another may be a data set that the notebook opens.
    """
    opened = []
    for path in sorted(box.folder.rglob("*")):
        if path.suffix.lower() != ".zip" or not path.is_file():
            continue
        with path.open("rb") as stream:
            try:
                with zipfile.ZipFile(Bounded(stream)) as archive:
                    names = [decoded_name(entry) for entry in archive.infolist()]
            except (*DAMAGE, NotImplementedError, TooManyEntries):
                box.note("ignored_file", f"{path.name}, a zip inside, can't be read")
                box.damaged.append(path.name)
                continue
            paths = [PurePosixPath(name.replace("\\", "/")) for name in names]
            # A browser may have saved a notebook in it as toy.ipynb.txt.
            if not any(is_work(path) or ".ipynb." in path.name.lower() for path in paths):
                continue
            stream.seek(0)
            under = PurePosixPath(*path.relative_to(box.folder).with_suffix("").parts)
            unpack(box, stream, path.name, under)
            opened.append(path.name)
    return opened


def damaged(name: str) -> SubmissionError:
    """Return the error of a zip that can't be read."""
    return SubmissionError(f"{name} is damaged or cut off: zip it again and upload it whole")


def decoded_name(entry: zipfile.ZipInfo) -> str:
    """Return the entry's name as its author wrote it, as far as the bytes show.

    Without the UTF-8 flag zipfile reads cp437, but macOS writes UTF-8, and some Windows tools
    write the Windows code page. Bytes that are valid UTF-8 are almost always UTF-8. Of the code
    pages, the one that gives letters wins.
    """
    name = entry.filename
    if entry.flag_bits & 0x800 or name.isascii():
        return unicodedata.normalize("NFC", name)
    try:
        raw = name.encode("cp437")
    except UnicodeEncodeError:
        return unicodedata.normalize("NFC", name)
    candidates = []
    for encoding in ("utf-8", "cp437", "cp1252", "latin-1"):
        try:
            candidates.append(raw.decode(encoding))
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8":
            break
    return unicodedata.normalize("NFC", max(candidates, key=_likeness_to_names))


def _likeness_to_names(text: str) -> int:
    """Return how much a decoded text looks like European names: letters up, symbols down."""
    score = 0
    for char in text:
        if not char.isascii():
            latin = "LATIN" in unicodedata.name(char, "")
            score += 2 if latin and char.islower() else 1 if latin else -2
    return score


def safe_target(name: str, source: str) -> PurePosixPath | None:
    """Return the entry's relative path, cleaned; None for the root itself.

    Raises SubmissionError for a name that leads outside: no zip tool writes one.
    """
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or ".." in parts:
        raise SubmissionError(
            f"{source} holds a name that leads outside its folder ({one_line(name, 80)}): "
            "zip only the notebooks"
        )
    clean = [in_name(part) for part in parts if part not in ("", ".")]
    if len(clean) > MAX_DEPTH:
        raise SubmissionError(f"{source} is nested over {MAX_DEPTH} folders deep: zip it flat")
    if any(len(part.encode()) > MAX_NAME_BYTES for part in clean):
        raise SubmissionError(f"{source} holds a name of over {MAX_NAME_BYTES} bytes: shorten it")
    return PurePosixPath(*clean) if clean else None
