"""Split a folder of a class: an unpacked export, clones of repositories, nbgrader's layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from grader.errors import SubmissionError
from grader.records import Origin
from grader.submission.archive import (
    Box,
)
from grader.submission.export_parts import (
    Group,
    Part,
    Split,
    common_beginning,
    counts_here,
    grouped,
    is_export,
    left_out_lines,
    odd_lines,
    own_name,
    platforms_own,
    text_of,
)
from grader.submission.gradescope import METADATA, origins_of
from grader.submission.platforms import platform_of
from grader.submission.work import (
    entries_of,
    holds_work,
    is_skipped,
    reason_of,
)


def split_folder(folder: Path, into: Path) -> Split:
    """Return the parts of an unpacked export; none for any other folder."""
    try:
        entries = [e for e in entries_of(folder) if not e.is_symlink()]
        if len(entries) == 1 and entries[0].is_dir() and not platform_of(entries[0].name):
            return split_folder(entries[0], into)
        metadata = folder / METADATA
        if metadata.is_file():
            return _gradescope_folder(folder, entries)
    except OSError:
        return Split()
    works = {entry.name: counts_here(entry) for entry in entries}
    if is_export(works):
        groups, odd = grouped(works, lambda name: text_of(folder / name))
        parts = tuple(
            _part_of_folder(folder, group, works, into / str(number))
            for number, group in enumerate(groups)
        )
        taken = {name for group in groups for name in group.entries}
        left = [e.name for e in entries if e.name not in taken and not platforms_own(e.name)]
        return Split(parts, (*odd_lines(odd, folder), *left_out_lines(left, folder)))
    return _clones(folder, entries) or _nbgrader(folder, entries) or Split()


def _part_of_folder(folder: Path, group: Group, works: Mapping[str, bool], into: Path) -> Part:
    """Return the part of a student's entries, copied together if needed."""
    working = [name for name in group.entries if works[name]] or group.entries[:1]
    if len(working) == 1 and ((folder / working[0]).is_dir() or len(group.entries) == 1):
        path = folder / working[0]
        return Part(path, str(path), origin=group.origin)
    first = platform_of(working[0])
    name = first.prefix if first else working[0]
    part = Part(into / name, str(folder / name), origin=group.origin)
    try:
        part.path.mkdir(parents=True)
        box = Box(part.path)
        for entry in group.entries:
            _copy(box, folder / entry, PurePosixPath(own_name(entry)), name)
    except SubmissionError as error:
        return replace(part, problem=str(error))
    except OSError as error:
        return replace(part, problem=f"{name}: can't be read ({reason_of(error)})")
    return part


def _copy(box: Box, source: Path, target: PurePosixPath, name: str) -> None:
    files = [source] if source.is_file() else sorted(source.rglob("*"))
    for file in files:
        if not file.is_file() or file.is_symlink():
            continue
        own = target if file == source else PurePosixPath(file.relative_to(source).as_posix())
        if not any(is_skipped(part) for part in own.parts):
            box.count(name)
            with file.open("rb") as stream:
                box.write(own, stream, source=name)


def _gradescope_folder(folder: Path, entries: Sequence[Path]) -> Split:
    known = origins_of((folder / METADATA).read_bytes())
    parts = [
        Part(entry, str(entry), origin=known.get(entry.name, Origin("gradescope", entry.name)))
        for entry in entries
        if entry.is_dir()
    ]
    there = {entry.name for entry in entries}
    lost = [name for name in known if name not in there]
    return Split(
        tuple(parts), tuple(f"{name} is named in {METADATA}, but is missing" for name in lost)
    )


def _clones(folder: Path, entries: Sequence[Path]) -> Split | None:
    """Return the repositories, if these are clones by `gh classroom clone student-repos`."""
    clones = [entry for entry in entries if entry.is_dir() and (entry / ".git").exists()]
    working = [entry for entry in entries if entry.is_dir() and holds_work(entry)]
    if not clones or not set(working) <= set(clones):
        return None
    names = [clone.name for clone in clones]
    # The folder is <assignment>-submissions, and each clone <assignment>-<user name>.
    common = folder.resolve().name.removesuffix("-submissions")
    if not all(name.startswith(f"{common}-") for name in names):
        common = common_beginning(names).rpartition("-")[0] if len(names) > 1 else ""
    parts = []
    for clone in clones:
        user = clone.name[len(common) + 1 :] if common else clone.name
        origin = Origin(
            "github", user, {"username": user, "repository": clone.name}, students=(user,)
        )
        parts.append(Part(clone, str(clone), origin=origin))
    return Split(tuple(parts))


def _nbgrader(folder: Path, entries: Sequence[Path]) -> Split | None:
    """Return submitted/<student>/<assignment>/, one part each, if the folder has this layout."""
    students = [entry for entry in entries if entry.is_dir()]
    handed = {student: [e for e in entries_of(student) if e.is_dir()] for student in students}
    stamped = any((e / "timestamp.txt").is_file() for them in handed.values() for e in them)
    if not stamped and folder.resolve().name != "submitted":
        return None
    if not any(handed.values()):
        return None
    parts = []
    for student, assignments in handed.items():
        for place in assignments or [student]:
            ids = {"student": student.name} | ({"assignment": place.name} if assignments else {})
            origin = Origin(
                "nbgrader", student.name, ids, handed_in=_stamp(place), students=(student.name,)
            )
            parts.append(Part(place, str(place), origin=origin))
    return Split(tuple(parts))


def _stamp(folder: Path) -> str:
    """Return nbgrader's "2015-02-02 15:58:23.948203 UTC" as ISO 8601 without the zone."""
    try:
        text = (folder / "timestamp.txt").read_text(encoding="utf-8")[:100].split()
    except (OSError, ValueError):
        return ""
    return f"{text[0]}T{text[1].partition('.')[0]}" if len(text) >= 2 else ""
