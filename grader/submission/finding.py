"""Find the submissions below the paths that a user names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.errors import SubmissionError
from grader.submission.classes import (
    MAX_READ_BYTES,
    are_students,
    are_students_folders,
    further_students,
    is_class,
)
from grader.submission.exports import Part, Split, owners_in, split_folder, split_zip
from grader.submission.platforms import platform_of
from grader.submission.students import has_students_name
from grader.submission.work import HANDED_IN, entries_of, holds_work, natural, reason_of

OUR_PAGE = b"default-src 'none'; img-src data:"
"""It stands at the beginning of grade's own pages, and not in an exported notebook."""


@dataclass(frozen=True)
class Found:
    """The submissions, in order. remarks : lines about them for a person."""

    parts: tuple[Part, ...]
    remarks: tuple[str, ...] = ()


Unpacker = Callable[[Path, Path], Sequence[Any] | None]
"""Takes an export and a folder to unpack into; gives one a student, with `path`, `shown`
and `origin`; None for what is not an export that it knows."""


def find_parts(
    paths: Sequence[Path],
    scratch: Path,
    *,
    split: bool | None = None,
    apart: bool = False,
    unpacker: Unpacker | None = None,
) -> Found:
    """Return every submission below the paths.

    scratch : where exports are unpacked; need not exist
    split : True: each path holds a class; False: each path is one submission; None: the
        platform's and the students' names decide. A zip that is named by itself is split only
        if the user says so: a student may write another name into the own zip.
    apart : each path was named in a command of its own, as the exports of a joined class were
    unpacker : knows further exports; it is tried first, for each path
    Raises SubmissionError for a folder that can't be read.
    """
    parts: dict[Path, Part] = {}
    remarks: list[str] = []
    zips = sum(path.is_file() for path in paths)
    for number, path in enumerate(paths):
        into = scratch / "exports" / str(number)
        found = Split()
        if split is not False:
            handed = unpacker(path, into) if unpacker is not None else None
            if handed is not None:
                found = Split(tuple(Part(one.path, one.shown, origin=one.origin) for one in handed))
            elif path.is_dir():
                found = split_folder(path, into)
            elif split or zips == 1 or apart:
                found = split_zip(path, into, split=split)
        remarks += found.remarks
        for part in found.parts or _expanded(path, split=split):
            parts.setdefault(part.path.resolve(), part)
        if not found.parts and len(paths) + len(parts) > 2:
            remarks += _passed_over(path, {part.path for part in parts.values()})
    if split is None:
        remarks += _unsplit(list(parts.values()))
    return Found(tuple(parts.values()), tuple(remarks))


def _unsplit(parts: Sequence[Part]) -> list[str]:
    """Return a line for each zip among others that looks like a whole class's export."""
    zips = [part for part in parts if not part.origin.platform and part.path.is_file()]
    return [
        f"{part.shown} is taken for one student's, but holds the work of {owners} by a learning "
        "platform's names: an export is named alone, or with --split"
        for part in zips
        if part.path.suffix.lower() == ".zip" and (owners := owners_in(part.path)) > 1
    ]


def _expanded(path: Path, *, split: bool | None) -> list[Part]:
    if split is False:
        return [Part(path, str(path))]
    return [Part(one, str(one)) for one in (_each(path) if split else _expand(path))]


def find_submissions(paths: Iterable[Path]) -> list[Path]:
    """Return one path for each submission, in order, each once; exports stay whole.

    A folder with notebooks is one submission. A folder with zips, or with subfolders that hold
    work, is a class: each of those is a submission. A missing path stays in the list, so that its
    refusal is reported with the others.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        for submission in _expand(path):
            found.setdefault(submission.resolve(), submission)
    return list(found.values())


def _expand(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    entries = _readable(path)
    found = _expanded_entries(path, entries)
    if found == [path] or path not in {entry.parent for entry in found}:
        return found
    others = {
        entry.name: entry
        for entry in entries
        if entry not in found
        and not entry.is_symlink()
        and (entry.is_dir() or _looks_handed_in(entry) or not _is_report(entry))
    }
    further = further_students(others, [entry.name for entry in found])
    return sorted([*found, *(others[name] for name in further)], key=natural) if further else found


def _expanded_entries(path: Path, entries: Sequence[Path]) -> list[Path]:
    """Return the submissions among a folder's entries that hold work; itself if it is one."""
    files = [entry for entry in entries if entry.is_file()]
    notebooks = [e for e in files if e.suffix.lower() == ".ipynb"]
    many = [
        entry
        for entry in entries
        if (entry.is_file() and entry.suffix.lower() == ".zip")
        or (entry.is_dir() and not entry.is_symlink() and holds_work(entry))
    ]
    if notebooks:
        # One student's notebooks, perhaps with a data set and a folder of helpers.
        if _are_students(many) or is_class({e.name: _reader(e) for e in notebooks}):
            return sorted([*many, *notebooks], key=natural)
        return [path]
    if len(many) == 1 and many[0].is_dir() and _is_class_of_students(many[0]):
        return _expand(many[0])
    if not any(entry.is_file() for entry in many):
        # One student's scripts; but a class may hand in one script each, or RARs that are refused.
        each = [entry for entry in files if _looks_handed_in(entry)]
        if are_students([entry.name for entry in (*each, *many)]):
            return sorted([*each, *many], key=natural)
        if any(entry.suffix.lower() == ".py" for entry in files):
            return [path]
    return many or [path]


def _looks_handed_in(file: Path) -> bool:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    # A browser may save a notebook as toy.ipynb.txt.
    return bool(suffixes) and (suffixes[-1] in HANDED_IN or ".ipynb" in suffixes[-2:])


def _is_report(file: Path) -> bool:
    """Return whether a file may be a report of grade, which has students' names, too."""
    suffix = file.suffix.lower()
    if suffix in (".html", ".htm"):
        return OUR_PAGE in _reader(file)()[:1024]
    return suffix in (".json", ".xml", ".csv", ".md", ".sqlite", ".toml")


def _is_class_of_students(folder: Path) -> bool:
    """Return whether a folder is a class by its folders or by the names of its files."""
    files = [entry.name for entry in _expand(folder) if entry.is_file()]
    return _is_class_of_folders(folder) or are_students(files)


def _is_class_of_folders(folder: Path) -> bool:
    """Return whether each folder in it is one student's, not a part of one student's work."""
    first = {
        entry.name: next(iter(sorted(entry.rglob("*.ipynb"))), None)
        for entry in _readable(folder)
        if entry.is_dir() and not entry.is_symlink()
    }
    notebooks = {name: path for name, path in first.items() if path is not None}
    if are_students_folders({name: path.name for name, path in notebooks.items()}):
        return True
    return is_class({name: _reader(path) for name, path in notebooks.items()})


def _each(path: Path) -> list[Path]:
    """Return each notebook, zip and folder with work in a folder that the user calls a class."""
    if not path.is_dir():
        return [path]
    each = [
        entry
        for entry in _readable(path)
        if (entry.is_file() and entry.suffix.lower() in (".ipynb", ".zip", ".py"))
        or (entry.is_dir() and not entry.is_symlink() and holds_work(entry))
    ]
    return each or [path]


def _are_students(entries: Sequence[Path]) -> bool:
    """Return whether zips and folders beside notebooks are those of other students."""
    named = sum(bool(platform_of(e.name)) or has_students_name(e.name) for e in entries)
    return named >= 2 or sum(entry.suffix.lower() == ".zip" for entry in entries) >= 3


def _reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            with path.open("rb") as stream:
                return stream.read(MAX_READ_BYTES + 1)
        except OSError:
            return b""

    return read


def _readable(path: Path) -> list[Path]:
    try:
        return entries_of(path)
    except OSError as error:
        raise SubmissionError(f"{path}: can't be read ({reason_of(error)})") from error


def _passed_over(path: Path, found: set[Path]) -> list[str]:
    names = [name for name in passed_over(path) if path / name not in found]
    if not names:
        return []
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return [f"{len(names)} in {path}, no submission, and not graded: {', '.join(names[:5])}{more}"]


def passed_over(path: Path) -> list[str]:
    """Return the entries of a class's folder that look handed in, but are not submissions.

    grade's own pages and reports, which may be there, too, are left out.
    """
    try:
        found = _expand(path)
        entries = entries_of(path) if found != [path] else []
    except (OSError, SubmissionError):
        return []
    below = {folder for one in found for folder in one.parents}
    return [
        entry.name
        for entry in entries
        if entry not in found
        and entry not in below
        and (
            (entry.is_file() and _looks_handed_in(entry))
            or (entry.is_dir() and not any(entry.glob("*.html")))
        )
    ]
