"""Splits the exports of learning platforms: one part a student, none lost and none joined.

A zip or a folder is an export where most of the work in it bears a platform's name (platforms.py),
or where the platform's own file lies in it. What bears no such name then is a part of its own, and
is named. Ask this of what the instructor names alone: a student may make such a zip.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from grader.errors import SubmissionError
from grader.records import Origin
from grader.submission.archive import (
    DAMAGE,
    MAX_EXPORT_DIRECTORY_BYTES,
    MAX_EXPORT_ENTRIES,
    Bounded,
    Box,
    Budget,
    TooManyEntries,
    decoded_name,
    safe_target,
    unpack_entry,
)
from grader.submission.classes import is_class
from grader.submission.gradescope import METADATA, origins_of
from grader.submission.platforms import platform_of
from grader.submission.students import MAX_STUDENT_CHARS
from grader.submission.work import (
    entries_of,
    holds_work,
    is_skipped,
    is_work,
    natural_name,
    reason_of,
)
from grader.text import in_name

T = TypeVar("T")
MAX_SHOWN = 5
MAX_TEXT_BYTES = 64 * 1024
"""Of the text that Blackboard puts beside a submission; its head says who handed in."""


@dataclass(frozen=True)
class Part:
    """What one student handed in.

    path : where it lies now; shown : how the report calls it
    problem : why it could not be unpacked, "" where it was
    origin : the platform's keys
    """

    path: Path
    shown: str
    problem: str = ""
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True)
class Split:
    """An export, taken apart. remarks : a line each, on what is not as the rest is."""

    parts: tuple[Part, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass
class _Group:
    """The entries of one student. key : None for what bears no platform's name."""

    origin: Origin
    entries: list[str] = field(default_factory=list)


def _is_export(tops: Mapping[str, bool]) -> bool:
    """Return whether most of the work bears a platform's name. tops : name -> holds work"""
    working = [name for name, works in tops.items() if works]
    named = sum(platform_of(name) is not None for name in working)
    if not working:
        return any(platform_of(name) is not None for name in tops)
    return 2 * named > len(working)


def _grouped(
    tops: Mapping[str, bool], text_of: Callable[[str], str]
) -> tuple[list[_Group], list[str]]:
    """Return the entries by student, and the names of work that bears no platform's name.

    text_of : gives the text of an entry
    """
    groups: dict[str, _Group] = {}
    odd: list[str] = []
    for name, works in sorted(tops.items(), key=lambda item: natural_name(item[0])):
        named = platform_of(name)
        if named is not None:
            group = groups.setdefault(f"{named.platform} {named.key}", _Group(named.origin))
            group.entries.append(name)
            group.origin = _joined(group.origin, named.origin)
            if named.platform == "blackboard" and name.endswith(".txt"):
                group.origin = _named_in(text_of(name), group.origin)
        elif works:
            groups[f" {name}"] = _Group(Origin(), [name])
            odd.append(name)
    return _told_apart(list(groups.values())), odd


def _joined(first: Origin, second: Origin) -> Origin:
    """Return the keys of both: a student has an attachment for each file."""
    ids = dict(first.ids)
    file = second.ids.get("attachment", "")
    if file and file not in ids.get("attachment", "").split():
        ids["attachment"] = f"{ids.get('attachment', '')} {file}".strip()
    return replace(first, ids=ids, late=first.late or second.late)


_BLACKBOARD_NAME = re.compile(r"^Name: *(?P<name>.+?) *\((?P<username>[^()]+)\)", re.MULTILINE)


def _named_in(text: str, origin: Origin) -> Origin:
    """Return the keys with the name that Blackboard's own text file tells."""
    found = _BLACKBOARD_NAME.search(text[:2000])
    if not found:
        return origin
    name = in_name(found["name"])[:MAX_STUDENT_CHARS]
    ids = dict(origin.ids) | {"username": found["username"]}
    return replace(origin, name=name, ids=ids, students=(name,))


def _told_apart(groups: list[_Group]) -> list[_Group]:
    """Give two students of one name, or without any, the platform's number in their names."""
    count = Counter(group.origin.name.casefold() for group in groups)
    for group in groups:
        own = group.origin
        if own.platform and (count[own.name.casefold()] > 1):
            number = next((v for k, v in own.ids.items() if k != "attachment"), "")
            group.origin = replace(own, students=(f"{own.name} ({number})",))
    return groups


# --- zips ---------------------------------------------------------------------------------


def split_zip(path: Path, into: Path, *, split: bool | None = None) -> Split:
    """Return what a platform's export, or a class's zip, holds; nothing for any other zip.

    into : where to unpack it; need not exist
    split : True: its folders and notebooks are one submission each, whatever their names
    """
    try:
        with path.open("rb") as stream:
            bounded = Bounded(stream, MAX_EXPORT_DIRECTORY_BYTES)
            with zipfile.ZipFile(bounded) as archive:
                return _split_archive(archive, path, into, split=split)
    except (*DAMAGE, NotImplementedError, TooManyEntries, SubmissionError):
        return Split()  # open_submission says what is wrong with it


_Entry = tuple[zipfile.ZipInfo, PurePosixPath]


def _split_archive(
    archive: zipfile.ZipFile, path: Path, into: Path, *, split: bool | None
) -> Split:
    entries, metadata = _without_wrapping(_entries(archive, path.name))
    tops: dict[str, list[_Entry]] = {}
    for entry in entries:
        tops.setdefault(entry[1].parts[0], []).append(entry)
    works = {name: any(_counts(t) for _, t in them) for name, them in tops.items()}
    remarks: list[str] = []
    if metadata is not None:
        known = origins_of(archive.read(metadata))
        groups = [
            _Group(known.get(name, Origin()), [name])
            for name in tops
            if works[name] or name in known
        ]
    elif _is_export(works):
        groups, odd = _grouped(works, lambda name: _text_in(archive, tops[name][0][0]))
        remarks = _odd(odd, path)
    elif split or _is_class_zip(archive, tops, works):
        groups = [
            _Group(Origin(), [name]) for name in sorted(tops, key=natural_name) if works[name]
        ]
    else:
        return Split()
    budget = Budget.of_export(path.stat().st_size)
    parts = [
        _unpack_part(
            archive, [e for name in group.entries for e in tops[name]], path, into / str(number),
            group.origin, budget,
        )
        for number, group in enumerate(groups)
    ]  # fmt: skip
    taken = {name for group in groups for name in group.entries}
    left = [name for name in tops if name not in taken and not _platforms_own(name)]
    return Split(tuple(parts), (*remarks, *_left_out(left, path)))


def _entries(archive: zipfile.ZipFile, source: str) -> list[_Entry]:
    entries: list[_Entry] = []
    for entry in archive.infolist():
        target = safe_target(decoded_name(entry), source)
        if target is None or entry.is_dir() or any(is_skipped(part) for part in target.parts):
            continue
        entries.append((entry, target))
    if len(entries) > MAX_EXPORT_ENTRIES:
        raise TooManyEntries
    return entries


def _without_wrapping(
    entries: list[_Entry],
) -> tuple[list[_Entry], zipfile.ZipInfo | None]:
    """Return the entries without the one folder around all, and Gradescope's own file."""
    tops = {target.parts[0] for _, target in entries}
    if len(tops) == 1 and platform_of(next(iter(tops))) is None:
        inner = [(e, PurePosixPath(*t.parts[1:])) for e, t in entries if len(t.parts) > 1]
        if len({target.parts[0] for _, target in inner}) > 1 or any(
            platform_of(target.parts[0]) for _, target in inner
        ):
            entries = inner
    metadata = next((e for e, t in entries if t == PurePosixPath(METADATA)), None)
    return [(e, t) for e, t in entries if e is not metadata], metadata


def _is_class_zip(
    archive: zipfile.ZipFile, tops: Mapping[str, Sequence[_Entry]], works: Mapping[str, bool]
) -> bool:
    first = {
        name: next((e for e, t in them if t.suffix.lower() == ".ipynb"), None)
        for name, them in tops.items()
        if works[name]
    }
    notebooks = {name: entry for name, entry in first.items() if entry is not None}
    if 2 * len(notebooks) < len(first):
        return False
    if any(entry.file_size > MAX_EXPORT_DIRECTORY_BYTES for entry in notebooks.values()):
        return False
    return is_class(
        {name: lambda e=entry: _head(archive, e) for name, entry in notebooks.items()}  # type: ignore[misc]
    )


def _head(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as stream:
        return stream.read(MAX_EXPORT_DIRECTORY_BYTES)


def _unpack_part(
    archive: zipfile.ZipFile,
    entries: Sequence[_Entry],
    export: Path,
    into: Path,
    origin: Origin,
    budget: Budget,
) -> Part:
    """Unpack one student's entries, within the limits of one submission and of the export."""
    first = entries[0][1]
    alone = len(entries) == 1 and len(first.parts) == 1
    named = platform_of(first.parts[0])
    # A file alone keeps its name: who else handed in may stand in it.
    keeps = alone or len(first.parts) > 1 or named is None
    name = first.parts[0] if keeps or named is None else named.prefix
    part = Part(into / name, f"{export}/{name}", origin=origin)
    try:
        folder = into if alone else into / name
        folder.mkdir(parents=True)
        box = Box(folder, budget)
        for entry, target in entries:
            own = target.parts[1:] or (target.name if alone else _own_name(target.name),)
            unpack_entry(box, archive, entry, name, PurePosixPath(), at=PurePosixPath(*own))
    except SubmissionError as error:
        return replace(part, problem=str(error))
    except DAMAGE:
        return replace(part, problem=f"{name} is damaged in {export.name}: download it again")
    return part


# --- folders ------------------------------------------------------------------------------


def split_folder(folder: Path, into: Path) -> Split:
    """Return what an unpacked export holds; nothing for any other folder."""
    try:
        entries = [e for e in entries_of(folder) if not e.is_symlink()]
        if len(entries) == 1 and entries[0].is_dir() and not platform_of(entries[0].name):
            return split_folder(entries[0], into)
        metadata = folder / METADATA
        if metadata.is_file():
            return _gradescope_folder(folder, entries)
    except OSError:
        return Split()
    works = {entry.name: _counts_here(entry) for entry in entries}
    if _is_export(works):
        groups, odd = _grouped(works, lambda name: _text_of(folder / name))
        parts = tuple(
            _part_of_folder(folder, group, works, into / str(number))
            for number, group in enumerate(groups)
        )
        taken = {name for group in groups for name in group.entries}
        left = [e.name for e in entries if e.name not in taken and not _platforms_own(e.name)]
        return Split(parts, (*_odd(odd, folder), *_left_out(left, folder)))
    return _clones(folder, entries) or _nbgrader(folder, entries) or Split()


def _part_of_folder(folder: Path, group: _Group, works: Mapping[str, bool], into: Path) -> Part:
    """Return where a student's entries lie: as they are, or copied together where needed."""
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
            _copy(box, folder / entry, PurePosixPath(_own_name(entry)), name)
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
        tuple(parts), tuple(f"{name} is named in {METADATA}, and is not there" for name in lost)
    )


def _clones(folder: Path, entries: Sequence[Path]) -> Split | None:
    """Return the repositories that `gh classroom clone student-repos` made, if these are they."""
    clones = [entry for entry in entries if entry.is_dir() and (entry / ".git").exists()]
    working = [entry for entry in entries if entry.is_dir() and holds_work(entry)]
    if not clones or not set(working) <= set(clones):
        return None
    names = [clone.name for clone in clones]
    # It calls the folder <assignment>-submissions, and each clone <assignment>-<user name>.
    common = folder.resolve().name.removesuffix("-submissions")
    if not all(name.startswith(f"{common}-") for name in names):
        common = _common_beginning(names).rpartition("-")[0] if len(names) > 1 else ""
    parts = []
    for clone in clones:
        user = clone.name[len(common) + 1 :] if common else clone.name
        origin = Origin(
            "github", user, {"username": user, "repository": clone.name}, students=(user,)
        )
        parts.append(Part(clone, str(clone), origin=origin))
    return Split(tuple(parts))


def _common_beginning(names: Sequence[str]) -> str:
    shortest = min(names, key=len)
    for end, char in enumerate(shortest):
        if any(name[end] != char for name in names):
            return shortest[:end]
    return shortest


def _nbgrader(folder: Path, entries: Sequence[Path]) -> Split | None:
    """Return submitted/<student>/<assignment>/, one part each, if this folder is one."""
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


# --- what both have -----------------------------------------------------------------------


def _text_in(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    with archive.open(entry) as stream:
        return stream.read(MAX_TEXT_BYTES).decode("utf-8", "replace")


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_TEXT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _counts(target: PurePosixPath) -> bool:
    return is_work(target) or target.suffix.lower() == ".zip"


def _counts_here(entry: Path) -> bool:
    return holds_work(entry) if entry.is_dir() else _counts(PurePosixPath(entry.name))


def _own_name(name: str) -> str:
    """Return the student's own name of a file, without the platform's part of it."""
    named = platform_of(name)
    return (name[len(named.prefix) :] if named else "") or name


def _platforms_own(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in (".html", ".htm", ".csv", ".yml", ".json", ".xml")


def _odd(names: Sequence[str], export: Path) -> list[str]:
    return _line(names, f"in {export.name}, but not named by the platform; taken by its own name")


def _left_out(names: Sequence[str], export: Path) -> list[str]:
    return _line(names, f"in {export.name}, of nobody, and not graded")


def _line(names: Sequence[str], what: str) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return [f"{len(names)} {what}: {', '.join(names[:MAX_SHOWN])}{more}"]
