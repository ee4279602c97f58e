"""Who handed in what: zips, notebooks, scripts and folders, unpacked into one private directory.

Nothing is written outside that directory, and nothing stays in it after a refusal. Every name,
size and flag in an archive is a claim of whoever made it: sizes are counted while writing.
"""

from __future__ import annotations

import contextlib
import errno
import io
import lzma
import os
import re
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeAlias, TypeVar

from grader.errors import GraderFault, SubmissionError
from grader.records import Note, Submission
from grader.submission.students import platform_of, printable, students_of, students_of_folder

T = TypeVar("T")

MAX_ENTRIES = 10_000
"""Files in one submission. Real ones hold tens; a whole virtual environment holds more."""
MAX_TOTAL_BYTES = 512 * 1024**2
MAX_DEPTH = 12
MAX_NAME_BYTES = 200
"""Of one path component: file systems take 255."""
MAX_DIRECTORY_BYTES = 2 * 1024**2
"""Of a zip's table of contents, which zipfile reads whole: 10,000 entries of 200 bytes."""
BOMB_RATIO, BOMB_BYTES = 200, 32 * 1024**2
"""An entry is a bomb when it grows by this factor and beyond this size. Text grows by 10 to 50."""
CHUNK = 1024**2

SKIPPED_FOLDERS = frozenset(
    {"__macosx", ".ipynb_checkpoints", "__pycache__", ".git", ".hg", ".svn", ".idea", ".vscode"}
)
SKIPPED_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
ENVIRONMENTS = frozenset({"venv", ".venv", "env", "site-packages", "node_modules"})
"""Folders whose scripts nobody hands in."""

OTHER_FORMATS = (
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x1f\x8b", "a gzip archive (.tar.gz)"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"%PDF", "a PDF"),
)

HANDED_IN = frozenset(
    {".pdf", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".doc", ".docx", ".odt", ".py"}
)
"""What students hand in besides zips and notebooks."""

# What zipfile raises, over its versions, for bytes that are no good zip.
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


# --- finding ------------------------------------------------------------------------------


def find_submissions(paths: Iterable[Path]) -> list[Path]:
    """Return one path a submission, in order, each once.

    A folder that holds notebooks is one submission. A folder that holds zips, or subfolders
    with work in them, is a class: each of those is one. What doesn't exist stays in the list,
    so that its refusal is reported beside the others.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        for submission in _expand(path):
            found.setdefault(submission.resolve(), submission)
    return list(found.values())


def _expand(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        entries = _entries_of(path)
    except OSError as error:
        raise SubmissionError(f"{path}: can't be read ({_reason(error)})") from error
    suffixes = {entry.suffix.lower() for entry in entries if entry.is_file()}
    if ".ipynb" in suffixes:
        return [path]
    many = [
        entry
        for entry in entries
        if (entry.is_file() and entry.suffix.lower() == ".zip")
        or (entry.is_dir() and not entry.is_symlink() and _holds_work(entry))
    ]
    many = sorted([*many, *_without_work(entries, many)], key=_natural)
    if ".py" in suffixes and not any(entry.is_file() for entry in many):
        return [path]
    return many or [path]


def passed_over(path: Path) -> list[str]:
    """Return what lies in a class's folder as if handed in, and is no submission there.

    Not our own pages and reports, which may lie there too.
    """
    try:
        found = _expand(path)
        entries = _entries_of(path) if found != [path] else []
    except (OSError, SubmissionError):
        return []
    return [
        entry.name
        for entry in entries
        if entry not in found
        and (
            (entry.is_file() and entry.suffix.lower() in HANDED_IN)
            or (entry.is_dir() and not _owner(entry) and not any(entry.glob("*.html")))
        )
    ]


def _entries_of(folder: Path) -> list[Path]:
    return sorted((e for e in folder.iterdir() if not _is_skipped(e.name)), key=_natural)


def _without_work(entries: Sequence[Path], many: Iterable[Path]) -> list[Path]:
    """Return the folders of an unpacked export in which a student has something else, once each."""
    owners = {_owner(entry) for entry in many}
    found = {_owner(entry): entry for entry in reversed(entries) if entry.is_dir()}
    return [entry for owner, entry in found.items() if owner and owner not in owners]


def _owner(entry: Path) -> tuple[str, str] | None:
    named = platform_of(entry.name)
    return (named["owner"], named["id"]) if named else None


@dataclass(frozen=True)
class Part:
    """What one student handed in, out of an export.

    path : where it lies now; shown : how the report calls it
    problem : why it could not be unpacked, "" where it was
    """

    path: Path
    shown: str
    problem: str = ""


def unpack_export(path: Path, into: Path) -> list[Part]:
    """Return what a learning platform's export holds, in order; [] for anything else.

    A zip, or a folder of files, is one where all work in it bears a student's name as Moodle,
    Canvas or Blackboard put it there. Ask this of what the instructor names alone: a student may
    make such a zip.

    into : where to unpack it; need not exist
    """
    if path.is_dir():
        return _parts_of_folder(path, into)
    try:
        with path.open("rb") as stream, zipfile.ZipFile(_Bounded(stream)) as archive:
            parts = []
            for number, entries in enumerate(_by_owner(archive, path.name)):
                parts.append(_unpack_part(archive, entries, path, into / str(number)))
            return parts
    except (*DAMAGE, NotImplementedError, _TooManyEntries, SubmissionError):
        return []  # open_submission says what is wrong with it


_Entries: TypeAlias = "list[tuple[zipfile.ZipInfo, PurePosixPath]]"


def _by_owner(archive: zipfile.ZipFile, source: str) -> list[_Entries]:
    """Return the entries of each student, with their paths; [] where some are of nobody."""
    entries: _Entries = []
    for entry in archive.infolist():
        target = _safe_target(_decoded_name(entry), source)
        skipped = target is None or any(_is_skipped(part) for part in target.parts)
        if target is not None and not skipped and not entry.is_dir():
            entries.append((entry, target))
    if len(entries) > MAX_ENTRIES:
        return []
    tops = {target.parts[0] for _, target in entries}
    if len(tops) == 1 and platform_of(next(iter(tops))) is None:  # one folder around all
        entries = [(e, PurePosixPath(*t.parts[1:])) for e, t in entries if len(t.parts) > 1]
    return _grouped(entries)


def _grouped(entries: list[tuple[T, PurePosixPath]]) -> list[list[tuple[T, PurePosixPath]]]:
    students: dict[tuple[str, str], list[tuple[T, PurePosixPath]]] = {}
    for entry, target in entries:
        named = platform_of(target.parts[0])
        if named is not None:
            students.setdefault((named["owner"], named["id"]), []).append((entry, target))
        elif _is_work(target) or target.suffix.lower() == ".zip":
            return []
    return sorted(students.values(), key=lambda them: _natural(Path(them[0][1].parts[0])))


def _parts_of_folder(folder: Path, into: Path) -> list[Part]:
    """Return the parts of an export that was unpacked, where its files lie side by side."""
    try:
        entries = _entries_of(folder)
    except OSError:
        return []
    if any(entry.is_dir() and _holds_work(entry) for entry in entries):
        return []
    files = [
        (entry, PurePosixPath(entry.name))
        for entry in entries
        if entry.is_file() and not entry.is_symlink()
    ]
    return [
        _gather(them, folder, into / str(number)) for number, them in enumerate(_grouped(files))
    ]


def _gather(files: list[tuple[Path, PurePosixPath]], export: Path, into: Path) -> Part:
    """Copy one student's files into a folder of their own, where there are several."""
    first = files[0][0]
    if len(files) == 1:
        return Part(first, str(first))
    named = platform_of(first.name)
    assert named is not None
    part = Part(into / named[0], str(export / named[0]))
    try:
        part.path.mkdir(parents=True)
        box = _Box(part.path)
        for file, target in files:
            with file.open("rb") as stream:
                box.write(PurePosixPath(_without_prefix(target.name)), stream, source=named[0])
    except SubmissionError as error:
        return replace(part, problem=str(error))
    except OSError as error:
        return replace(part, problem=f"{named[0]}: can't be read ({_reason(error)})")
    return part


def _unpack_part(archive: zipfile.ZipFile, entries: _Entries, export: Path, into: Path) -> Part:
    """Unpack one student's entries, within the limits of one submission."""
    first = entries[0][1]
    alone = len(entries) == 1 and len(first.parts) == 1
    named = platform_of(first.parts[0])
    assert named is not None
    # A file alone keeps its name: who else handed in may stand in it.
    name = first.parts[0] if alone or len(first.parts) > 1 else named[0]
    part = Part(into / name, f"{export}/{name}")
    try:
        folder = into if alone else into / name
        folder.mkdir(parents=True)
        box = _Box(folder)
        for entry, target in entries:
            own = target.parts[1:] or (target.name if alone else _without_prefix(target.name),)
            _unpack_entry(box, archive, entry, name, PurePosixPath(), at=PurePosixPath(*own))
    except SubmissionError as error:
        return replace(part, problem=str(error))
    except DAMAGE:
        return replace(part, problem=f"{name} is damaged in {export.name}: download it again")
    return part


def _without_prefix(name: str) -> str:
    named = platform_of(name)
    return (name[named.end() :] if named else "") or name


def _holds_work(folder: Path, depth: int = 0) -> bool:
    if folder.name.lower() in ENVIRONMENTS or depth > MAX_DEPTH:
        return False
    try:
        entries = [entry for entry in folder.iterdir() if not _is_skipped(entry.name)]
    except OSError:
        return False
    if any(e.is_file() and e.suffix.lower() in (".ipynb", ".py", ".zip") for e in entries):
        return True
    return any(_holds_work(e, depth + 1) for e in entries if e.is_dir() and not e.is_symlink())


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Return a sort key that puts "pw2" before "pw10"."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


# --- opening ------------------------------------------------------------------------------


def open_submission(path: Path, into: Path) -> Submission:
    """Return what `path` holds, unpacked into the directory `into`.

    path : a zip, a notebook, a script or a folder; the content decides, not the name
    into : an existing, empty directory of the caller's; it is empty again after a refusal
    Raises SubmissionError, one line that says what to do; GraderFault when the disk is full.
    """
    box = _Box(into)
    try:
        students = _fill(box, path)
        files = _work_in(into)
        if not files:
            raise SubmissionError(f"{path.name} holds no .ipynb or .py: {_contents(into)}")
    except BaseException:
        _empty(into)
        raise
    return Submission(
        path=str(path), students=students, folder=into, files=files, notes=tuple(box.notes)
    )


def _fill(box: _Box, path: Path) -> tuple[str, ...]:
    """Unpack `path`; return its students."""
    name = path.name or path.resolve().name
    try:
        if path.is_dir():
            name = path.resolve().name
            _copy_folder(box, path)
            inner = _open_inner_zips(box)
            return students_of_folder(name, inner)
        if not path.exists():
            raise SubmissionError(f"{path}: no such file")
        if not path.is_file():
            raise SubmissionError(f"{name} is neither a file nor a folder")
        with path.open("rb") as stream:
            _fill_from_file(box, stream, name)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise GraderFault(f"no space left to unpack {name}") from error
        raise SubmissionError(f"{name}: can't be read ({_reason(error)})") from error
    return students_of(name)


def _fill_from_file(box: _Box, stream: BinaryIO, name: str) -> None:
    suffix = Path(name).suffix.lower()
    head = stream.read(512)
    stream.seek(0)
    if not head:
        raise SubmissionError(f"{name} is empty: hand it in again")
    if head.startswith(b"PK"):
        _unpack(box, stream, name, PurePosixPath())
        _open_inner_zips(box)
        return
    for magic, kind in OTHER_FORMATS:
        if head.startswith(magic):
            raise SubmissionError(f"{name} is {kind}: hand in a .zip, an .ipynb or a .py")
    if head[257:262] == b"ustar":
        raise SubmissionError(f"{name} is a tar archive: hand in a .zip, an .ipynb or a .py")
    if suffix in (".ipynb", ".py"):
        box.write(PurePosixPath(name), stream, source=name)
    elif _starts_like_json(head):
        # A browser saved a notebook as notebook.ipynb.json, .txt, .zip, or with no suffix.
        stem = name[: -len(suffix)] if suffix in (".json", ".txt", ".zip") else name
        target = stem if stem.lower().endswith(".ipynb") else f"{stem}.ipynb"
        box.note("wrong_name", f"{name} is a notebook, read as {target}")
        box.write(PurePosixPath(target), stream, source=name)
    elif suffix == ".zip":
        raise SubmissionError(f"{name} is no zip archive: zip the notebooks again")
    else:
        raise SubmissionError(f"{name} is no .zip, .ipynb, .py or folder: hand in one of these")


def _starts_like_json(head: bytes) -> bool:
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


class _Box:
    """A private directory and what has gone into it: the one place that writes files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[Note] = []
        self.entries = 0
        self.total = 0
        self._taken: dict[str, str] = {}

    def note(self, kind: str, message: str) -> None:
        # A thousand symlinks are one story; the first lines of it are enough.
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
        """Return True once the stream's bytes stand at `target`; False, with a note, if not.

        target : relative, already cleaned
        packed : bytes that the entry takes in its archive, 0 where it has none
        """
        if not self._reserve(target):
            self.note("duplicate_name", f"{target}: the name comes twice; the first one counts")
            return False
        size = 0
        with self._opened(target) as out:
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                self.total += len(chunk)
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
        """Return the new file, unbuffered: what the disk refuses is told by write()."""
        path = self.folder.joinpath(*target.parts)
        with _ours_to_write(target):
            path.parent.mkdir(parents=True, exist_ok=True)
            # "x": a file that exists already, or a link, is never written through.
            return path.open("xb", buffering=0)

    def _reserve(self, target: PurePosixPath) -> bool:
        """Take the name, and its folders' names, whatever a file system says of their case."""
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
    """Make a GraderFault of what this machine refuses; a name that no file may have passes."""
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise
        raise GraderFault(f"{target.name} can't be unpacked: {_reason(error)}") from error


# --- zips ---------------------------------------------------------------------------------


class _Bounded(io.RawIOBase):
    """A zip's bytes, of which no single read is large.

    zipfile reads the table of contents with one read of the size that the file claims.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise _TooManyEntries
        data = self._stream.read(MAX_DIRECTORY_BYTES + 1 if size is None or size < 0 else size)
        if len(data) > MAX_DIRECTORY_BYTES:
            raise _TooManyEntries
        return data


class _TooManyEntries(Exception):
    pass


def _unpack(box: _Box, stream: BinaryIO, source: str, under: PurePosixPath) -> None:
    """Unpack one zip below `under`. Raises SubmissionError."""
    try:
        with zipfile.ZipFile(_Bounded(stream)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise _TooManyEntries
            if not entries:
                raise SubmissionError(f"{source} is an empty zip: zip the notebooks again")
            for entry in entries:
                box.count(source)
                _unpack_entry(box, archive, entry, source, under)
    except _TooManyEntries as error:
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
        raise SubmissionError(
            f"{source} is damaged or cut off: zip it again and upload it whole"
        ) from error


def _unpack_entry(
    box: _Box,
    archive: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    source: str,
    under: PurePosixPath,
    *,
    at: PurePosixPath | None = None,
) -> None:
    """Unpack an entry below `under`, by its own name or, where it is given, `at` another."""
    name = _decoded_name(entry)
    target = _safe_target(name, source)
    if entry.is_dir() or name.endswith(("/", "\\")) or target is None:
        return
    if any(_is_skipped(part) for part in target.parts):
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


def _decoded_name(entry: zipfile.ZipInfo) -> str:
    """Return the entry's name as its author wrote it, as far as the bytes tell.

    Without the UTF-8 flag zipfile reads cp437, but macOS writes UTF-8 and some Windows tools
    write Windows' own code page there. Bytes that are valid UTF-8 are hardly ever anything else;
    between the code pages the one that gives letters wins.
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


def _safe_target(name: str, source: str) -> PurePosixPath | None:
    """Return the entry's relative path, cleaned; None for the root itself.

    Raises SubmissionError for a name that leads elsewhere: nobody's zip tool writes one.
    """
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or ".." in parts:
        raise SubmissionError(
            f"{source} holds a name that leads outside its folder ({printable(name)[:80]}): "
            "zip the notebooks alone"
        )
    clean = [printable(part) for part in parts if part not in ("", ".")]
    if len(clean) > MAX_DEPTH:
        raise SubmissionError(f"{source} is nested over {MAX_DEPTH} folders deep: zip it flat")
    if any(len(part.encode()) > MAX_NAME_BYTES for part in clean):
        raise SubmissionError(f"{source} holds a name of over {MAX_NAME_BYTES} bytes: shorten it")
    return PurePosixPath(*clean) if clean else None


def _open_inner_zips(box: _Box) -> list[str]:
    """Unpack the zips that came inside, beside themselves, one level deep; return their names.

    Only those with notebooks or scripts: another may be a data set that the notebook opens.
    """
    opened = []
    for path in sorted(box.folder.rglob("*")):
        if path.suffix.lower() != ".zip" or not path.is_file():
            continue
        with path.open("rb") as stream:
            try:
                with zipfile.ZipFile(_Bounded(stream)) as archive:
                    names = [_decoded_name(entry) for entry in archive.infolist()]
            except (*DAMAGE, NotImplementedError, _TooManyEntries):
                box.note("ignored_file", f"{path.name}, a zip inside, can't be read")
                continue
            if not any(_is_work(PurePosixPath(name.replace("\\", "/"))) for name in names):
                continue
            stream.seek(0)
            under = PurePosixPath(*path.relative_to(box.folder).with_suffix("").parts)
            _unpack(box, stream, path.name, under)
            opened.append(path.name)
    return opened


# --- folders ------------------------------------------------------------------------------


def _copy_folder(box: _Box, folder: Path) -> None:
    for relative in _walk(folder, box, PurePosixPath()):
        box.count(folder.name)
        source = folder.joinpath(*relative.parts)
        with source.open("rb") as stream:
            box.write(relative, stream, source=folder.name or str(folder))


def _walk(folder: Path, box: _Box, under: PurePosixPath) -> Iterator[PurePosixPath]:
    if len(under.parts) > MAX_DEPTH:
        raise SubmissionError(f"{folder} is nested over {MAX_DEPTH} folders deep: hand it in flat")
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if _is_skipped(entry.name):
            continue
        relative = under / entry.name
        if entry.is_symlink():
            box.note("ignored_file", f"{printable(str(relative))} is a link and was left out")
        elif entry.is_dir():
            # What is copied may go into the very folder that is handed in ($TMPDIR within it).
            into_itself = Path(entry.path).resolve() == box.folder.resolve()
            if entry.name.lower() not in ENVIRONMENTS and not into_itself:
                yield from _walk(Path(entry.path), box, relative)
        elif entry.is_file():
            yield relative
        else:
            box.note("ignored_file", f"{printable(str(relative))} is no ordinary file")


def _work_in(folder: Path) -> tuple[Path, ...]:
    """Return the notebooks and scripts, relative to `folder`, in order.

    A folder checks/ that holds assignment.toml is the template's own, handed back with the work.
    """
    templates = {
        path.parent for path in folder.rglob("assignment.toml") if path.parent.name == "checks"
    }
    files = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and _is_work(PurePosixPath(relative.as_posix())):
            if templates.intersection(path.parents):
                continue
            files.append(relative)
    return tuple(files)


def _is_work(path: PurePosixPath) -> bool:
    return path.suffix.lower() in (".ipynb", ".py") and not any(
        _is_skipped(part) or part.lower() in ENVIRONMENTS for part in path.parts
    )


def _is_skipped(name: str) -> bool:
    folded = name.casefold()
    return folded in SKIPPED_FOLDERS or folded in SKIPPED_FILES or name.startswith("._")


def _contents(folder: Path) -> str:
    """Return a short list of what is there, for the refusal."""
    names = [path.name for path in sorted(folder.rglob("*")) if path.is_file()]
    if not names:
        return "it is empty"
    shown = ", ".join(name[:40] for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"it holds {shown}{more}"


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
