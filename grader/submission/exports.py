"""Splits the exports of learning platforms: one part a student."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias, TypeVar

from grader.errors import SubmissionError
from grader.submission.archive import (
    DAMAGE,
    MAX_ENTRIES,
    Bounded,
    Box,
    TooManyEntries,
    decoded_name,
    safe_target,
    unpack_entry,
)
from grader.submission.finding import entries_of, holds_work
from grader.submission.students import platform_of
from grader.submission.work import is_skipped, is_work, natural, reason_of

T = TypeVar("T")


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
        with path.open("rb") as stream, zipfile.ZipFile(Bounded(stream)) as archive:
            parts = []
            for number, entries in enumerate(_by_owner(archive, path.name)):
                parts.append(_unpack_part(archive, entries, path, into / str(number)))
            return parts
    except (*DAMAGE, NotImplementedError, TooManyEntries, SubmissionError):
        return []  # open_submission says what is wrong with it


_Entries: TypeAlias = "list[tuple[zipfile.ZipInfo, PurePosixPath]]"


def _by_owner(archive: zipfile.ZipFile, source: str) -> list[_Entries]:
    """Return the entries of each student, with their paths; [] where some are of nobody."""
    entries: _Entries = []
    for entry in archive.infolist():
        target = safe_target(decoded_name(entry), source)
        skipped = target is None or any(is_skipped(part) for part in target.parts)
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
        elif is_work(target) or target.suffix.lower() == ".zip":
            return []
    return sorted(students.values(), key=lambda them: natural(Path(them[0][1].parts[0])))


def _parts_of_folder(folder: Path, into: Path) -> list[Part]:
    """Return the parts of an export that was unpacked, where its files lie side by side."""
    try:
        entries = entries_of(folder)
    except OSError:
        return []
    if any(entry.is_dir() and holds_work(entry) for entry in entries):
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
        box = Box(part.path)
        for file, target in files:
            with file.open("rb") as stream:
                box.write(PurePosixPath(_without_prefix(target.name)), stream, source=named[0])
    except SubmissionError as error:
        return replace(part, problem=str(error))
    except OSError as error:
        return replace(part, problem=f"{named[0]}: can't be read ({reason_of(error)})")
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
        box = Box(folder)
        for entry, target in entries:
            own = target.parts[1:] or (target.name if alone else _without_prefix(target.name),)
            unpack_entry(box, archive, entry, name, PurePosixPath(), at=PurePosixPath(*own))
    except SubmissionError as error:
        return replace(part, problem=str(error))
    except DAMAGE:
        return replace(part, problem=f"{name} is damaged in {export.name}: download it again")
    return part


def _without_prefix(name: str) -> str:
    named = platform_of(name)
    return (name[named.end() :] if named else "") or name
