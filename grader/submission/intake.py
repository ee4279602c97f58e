"""Open one submission: unpack a zip, a notebook, a script or a folder into one directory.

Nothing is written outside that directory, and nothing stays in it after a refusal.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from grader.errors import GraderFault, NoWork, SubmissionError
from grader.records import Submission
from grader.submission.archive import Box, damaged, open_inner_zips, unpack
from grader.submission.students import students_of, students_of_folder
from grader.submission.work import ENVIRONMENTS, MAX_DEPTH, is_skipped, is_work, reason_of
from grader.text import one_line

OTHER_FORMATS = (
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x1f\x8b", "a gzip archive (.tar.gz)"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"%PDF", "a PDF"),
)

_NOTEBOOKS_NAME = re.compile(r".+?\.ipynb", re.IGNORECASE | re.DOTALL)


def open_submission(path: Path, into: Path) -> Submission:
    """Return the submission at `path`, unpacked into the directory `into`.

    path : a zip, a notebook, a script or a folder; its content decides, not its name
    into : an existing, empty directory of the caller's; it is empty again after a refusal
    Raises SubmissionError, one line that says what to do; GraderFault when the disk is full.
    """
    box = Box(into)
    try:
        students = _fill(box, path)
        _name_notebooks(box)
        files = _work_in(into)
        if not files and box.damaged:
            raise damaged(box.damaged[0])
        if not files:
            raise NoWork(f"{path.name} holds no .ipynb or .py: {_contents(into)}")
    except BaseException:
        _empty(into)
        raise
    return Submission(
        path=str(path),
        students=students,
        folder=into,
        files=files,
        notes=tuple(box.notes),
        work=_fingerprint(into, files),
    )


def _fingerprint(folder: Path, files: Sequence[Path]) -> str:
    """Return a hash of the files' bytes, independent of their names and their order."""
    hashes = []
    for file in files:
        with (folder / file).open("rb") as stream:
            hashes.append(hashlib.file_digest(stream, "sha256").digest())
    return hashlib.sha256(b"".join(sorted(hashes))).hexdigest()


def _fill(box: Box, path: Path) -> tuple[str, ...]:
    """Unpack `path`; return its students."""
    name = path.name or path.resolve().name
    try:
        if path.is_dir():
            name = path.resolve().name
            _copy_folder(box, path)
            inner = open_inner_zips(box)
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
        raise SubmissionError(f"{name}: can't be read ({reason_of(error)})") from error
    return students_of(name)


def _fill_from_file(box: Box, stream: BinaryIO, name: str) -> None:
    suffix = Path(name).suffix.lower()
    head = stream.read(512)
    stream.seek(0)
    if not head:
        raise SubmissionError(f"{name} is empty: hand it in again")
    if head.startswith(b"PK"):
        unpack(box, stream, name, PurePosixPath())
        open_inner_zips(box)
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
        raise SubmissionError(f"{name} is not a zip archive: zip the notebooks again")
    else:
        raise SubmissionError(f"{name} is not a .zip, .ipynb, .py or folder: hand in one of these")


def _starts_like_json(head: bytes) -> bool:
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def _copy_folder(box: Box, folder: Path) -> None:
    for relative in _walk(folder, box, PurePosixPath()):
        box.count(folder.name)
        source = folder.joinpath(*relative.parts)
        with source.open("rb") as stream:
            box.write(relative, stream, source=folder.name or str(folder))


def _walk(folder: Path, box: Box, under: PurePosixPath) -> Iterator[PurePosixPath]:
    if len(under.parts) > MAX_DEPTH:
        raise SubmissionError(f"{folder} is nested over {MAX_DEPTH} folders deep: hand it in flat")
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if is_skipped(entry.name):
            continue
        relative = under / entry.name
        if entry.is_symlink():
            box.note("ignored_file", f"{one_line(str(relative))} is a link and was left out")
        elif entry.is_dir():
            # The copies may go into the submitted folder itself ($TMPDIR within it).
            into_itself = Path(entry.path).resolve() == box.folder.resolve()
            if entry.name.lower() not in ENVIRONMENTS and not into_itself:
                yield from _walk(Path(entry.path), box, relative)
        elif entry.is_file():
            yield relative
        else:
            box.note("ignored_file", f"{one_line(str(relative))} is not an ordinary file")


def _name_notebooks(box: Box) -> None:
    """Rename the notebooks inside that a browser saved as toy.ipynb.txt or toy.ipynb.json."""
    for path in sorted(box.folder.rglob("*")):
        named = _NOTEBOOKS_NAME.match(path.name)
        if named is None:
            continue
        stem = named[0]
        target = path.with_name(stem)
        relative = PurePosixPath(path.relative_to(box.folder).as_posix())
        if path.name == stem or not path.is_file() or any(map(is_skipped, relative.parts)):
            continue
        with path.open("rb") as stream:
            is_notebook = _starts_like_json(stream.read(512))
        if is_notebook and not target.exists():
            box.note("wrong_name", f"{one_line(path.name)} is a notebook, read as {one_line(stem)}")
            path.rename(target)


def _work_in(folder: Path) -> tuple[Path, ...]:
    """Return the notebooks and scripts, relative to `folder`, in order.

    A folder checks/ with assignment.toml belongs to the template and was handed in with the work.
    """
    templates = {
        path.parent for path in folder.rglob("assignment.toml") if path.parent.name == "checks"
    }
    files = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and is_work(PurePosixPath(relative.as_posix())):
            if templates.intersection(path.parents):
                continue
            files.append(relative)
    return tuple(files)


def _contents(folder: Path) -> str:
    """Return a short list of the content, for the refusal."""
    # Blackboard's own text beside each hand-in is ".txt" without the platform's part of its name.
    names = [
        p.name for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.startswith(".")
    ]
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
