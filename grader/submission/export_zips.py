"""Split a zip of a learning platform: one part for each student.

Use it only for paths that the instructor names: a student may make such a zip.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

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
from grader.submission.classes import (
    are_students,
    are_students_folders,
    further_students,
    is_class,
)
from grader.submission.export_parts import (
    Group,
    Part,
    Split,
    counts,
    grouped,
    is_export,
    left_out_lines,
    odd_lines,
    own_name,
    platforms_own,
    text_in,
)
from grader.submission.gradescope import METADATA, origins_of
from grader.submission.platforms import platform_of
from grader.submission.work import (
    is_skipped,
    natural_name,
)


def split_zip(path: Path, into: Path, *, split: bool | None = None) -> Split:
    """Return the parts of a platform's export, or of a class's zip; none for any other zip.

    into : where to unpack it; need not exist
    split : True: its folders and notebooks are one submission each, under any names
    """
    try:
        with path.open("rb") as stream:
            bounded = Bounded(stream, MAX_EXPORT_DIRECTORY_BYTES)
            with zipfile.ZipFile(bounded) as archive:
                return _split_archive(archive, path, into, split=split)
    except (*DAMAGE, NotImplementedError, TooManyEntries, SubmissionError):
        return Split()  # open_submission reports the error


def owners_in(path: Path) -> int:
    """Return of how many owners a zip holds work under a platform's names; 0 for any other file."""
    try:
        with (
            path.open("rb") as stream,
            zipfile.ZipFile(Bounded(stream, MAX_EXPORT_DIRECTORY_BYTES)) as archive,
        ):
            entries, _ = _without_wrapping(_entries(archive, path.name))
    except (*DAMAGE, NotImplementedError, TooManyEntries, SubmissionError):
        return 0
    works: dict[str, bool] = {}
    for _, target in entries:
        works[target.parts[0]] = works.get(target.parts[0], False) or counts(target)
    if not is_export(works):
        return 0
    return len({named.key for name in works if (named := platform_of(name)) is not None})


_Entry = tuple[zipfile.ZipInfo, PurePosixPath]


def _split_archive(
    archive: zipfile.ZipFile, path: Path, into: Path, *, split: bool | None
) -> Split:
    entries, metadata = _without_wrapping(_entries(archive, path.name))
    tops: dict[str, list[_Entry]] = {}
    for entry in entries:
        tops.setdefault(entry[1].parts[0], []).append(entry)
    works = {name: any(counts(t) for _, t in them) for name, them in tops.items()}
    remarks: list[str] = []
    if metadata is not None:
        known = origins_of(archive.read(metadata))
        groups = [
            Group(known.get(name, Origin()), [name])
            for name in tops
            if works[name] or name in known
        ]
    elif is_export(works):
        groups, odd = grouped(works, lambda name: text_in(archive, tops[name][0][0]))
        remarks = odd_lines(odd, path)
    elif split or _is_class_zip(archive, tops, works):
        names = [name for name in tops if works[name]]
        names += further_students([name for name in tops if not works[name]], names)
        groups = [Group(Origin(), [name]) for name in sorted(names, key=natural_name)]
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
    left = [name for name in tops if name not in taken and not platforms_own(name)]
    return Split(tuple(parts), (*remarks, *left_out_lines(left, path)))


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
    if are_students_folders({name: n.parts[-1] for name, n in _notebooks(tops).items()}):
        return True
    if are_students(first):  # a zip or a script each is a class as well
        return True
    notebooks = {name: entry for name, entry in first.items() if entry is not None}
    if 2 * len(notebooks) < len(first):
        return False
    if any(entry.file_size > MAX_EXPORT_DIRECTORY_BYTES for entry in notebooks.values()):
        return False
    return is_class(
        {name: lambda e=entry: _head(archive, e) for name, entry in notebooks.items()}  # type: ignore[misc]
    )


def _notebooks(tops: Mapping[str, Sequence[_Entry]]) -> dict[str, PurePosixPath]:
    """Return the first notebook of each folder."""
    found: dict[str, PurePosixPath] = {}
    for name, entries in tops.items():
        for _, target in entries:
            if target.suffix.lower() == ".ipynb" and len(target.parts) > 1:
                found.setdefault(name, target)
    return found


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
    # A single file keeps its name, which may name further students.
    keeps = alone or len(first.parts) > 1 or named is None
    name = first.parts[0] if keeps or named is None else named.prefix
    part = Part(into / name, f"{export}/{name}", origin=origin)
    try:
        folder = into if alone else into / name
        folder.mkdir(parents=True)
        box = Box(folder, budget)
        for entry, target in entries:
            own = target.parts[1:] or (target.name if alone else own_name(target.name),)
            unpack_entry(box, archive, entry, name, PurePosixPath(), at=PurePosixPath(*own))
    except SubmissionError as error:
        return replace(part, problem=str(error))
    except DAMAGE:
        return replace(part, problem=f"{name} is damaged in {export.name}: download it again")
    return part
