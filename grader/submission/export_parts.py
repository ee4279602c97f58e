"""The parts of an export, one for each student: none is lost, none are joined."""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from grader.records import Origin
from grader.submission.platforms import platform_of
from grader.submission.students import MAX_STUDENT_CHARS
from grader.submission.work import (
    holds_work,
    is_work,
    natural_name,
)
from grader.text import in_name

T = TypeVar("T")
MAX_SHOWN = 5
MAX_TEXT_BYTES = 64 * 1024
"""Bytes to read of Blackboard's text beside a submission; its head says who handed in."""


@dataclass(frozen=True)
class Part:
    """What one student handed in.

    path : its place now; shown : its name in the report
    problem : why it could not be unpacked, "" if it was
    origin : the platform's keys
    """

    path: Path
    shown: str
    problem: str = ""
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True)
class Split:
    """The parts of an export. remarks : a line for each exception."""

    parts: tuple[Part, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass
class Group:
    """The entries of one student. key : None for entries without a platform's name."""

    origin: Origin
    entries: list[str] = field(default_factory=list)


def is_export(tops: Mapping[str, bool]) -> bool:
    """Return whether most of the work has a platform's name. tops : name -> holds work"""
    working = [name for name, works in tops.items() if works]
    named = sum(platform_of(name) is not None for name in working)
    if not working:
        return any(platform_of(name) is not None for name in tops)
    return 2 * named > len(working)


def grouped(
    tops: Mapping[str, bool], text_of: Callable[[str], str]
) -> tuple[list[Group], list[str]]:
    """Return the entries by student, and the names of work without a platform's name.

    text_of : returns the text of an entry
    """
    groups: dict[str, Group] = {}
    odd: list[str] = []
    for name, works in sorted(tops.items(), key=lambda item: natural_name(item[0])):
        named = platform_of(name)
        if named is not None:
            group = groups.setdefault(f"{named.platform} {named.key}", Group(named.origin))
            group.entries.append(name)
            group.origin = joined(group.origin, named.origin)
            if named.platform == "blackboard" and name.endswith(".txt"):
                group.origin = named_in(text_of(name), group.origin)
        elif works:
            groups[f" {name}"] = Group(Origin(), [name])
            odd.append(name)
    _whole_usernames(groups)
    return told_apart(list(groups.values())), odd


def _whole_usernames(groups: Mapping[str, Group]) -> None:
    """Correct the user names of Blackboard that no text tells: "a_smith" looks like "smith".

    What all names begin with, up to a "_", is the assignment's name. It may take a beginning from
    the user names, too, if they all have it, but never makes one of two students.
    """
    before = {
        name: name.removeprefix("blackboard ").removesuffix(f"_{group.origin.ids['attempt']}")
        for name, group in groups.items()
        if group.origin.platform == "blackboard"
    }
    if len(set(before.values())) < 2:
        return
    assignment = common_beginning(list(before.values())).rpartition("_")[0]
    for name, text in before.items():
        own = groups[name].origin
        username = text.removeprefix(f"{assignment}_") if assignment else own.name
        if not own.students and username != own.name:
            ids = dict(own.ids) | {"username": username}
            groups[name].origin = replace(own, name=username, ids=ids, students=(username,))


def common_beginning(names: Sequence[str]) -> str:
    """Return what all names begin with. names : at least one"""
    shortest = min(names, key=len)
    for end, char in enumerate(shortest):
        if any(name[end] != char for name in names):
            return shortest[:end]
    return shortest


def joined(first: Origin, second: Origin) -> Origin:
    """Return the keys of both: a student has an attachment for each file."""
    ids = dict(first.ids)
    file = second.ids.get("attachment", "")
    if file and file not in ids.get("attachment", "").split():
        ids["attachment"] = f"{ids.get('attachment', '')} {file}".strip()
    return replace(first, ids=ids, late=first.late or second.late)


# The last brackets of the line: "Robert (Bob) Lee (u_001)".
_BLACKBOARD_NAME = re.compile(
    r"^Name: *(?P<name>.+?) *\((?P<username>[^()\r\n]+)\)[^()\r\n]*$", re.MULTILINE
)


def named_in(text: str, origin: Origin) -> Origin:
    """Return the keys with the name from Blackboard's text file."""
    found = _BLACKBOARD_NAME.search(text[:2000])
    if not found:
        return origin
    name = in_name(found["name"])[:MAX_STUDENT_CHARS]
    ids = dict(origin.ids) | {"username": found["username"]}
    return replace(origin, name=name, ids=ids, students=(name,))


def told_apart(groups: list[Group]) -> list[Group]:
    """Add the platform's number to the names of different students with equal names, or none."""
    numbers: dict[str, set[str]] = defaultdict(set)
    for group in groups:
        numbers[group.origin.name.casefold()].add(_number(group.origin))
    for group in groups:
        own = group.origin
        if own.platform and len(numbers[own.name.casefold()]) > 1:
            group.origin = replace(own, students=(f"{own.name} ({_number(own)})",))
    return groups


def _number(origin: Origin) -> str:
    """Return the platform's number of a student, the same in each attempt."""
    return next((v for k, v in origin.ids.items() if k != "attachment"), "")


def text_in(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    with archive.open(entry) as stream:
        return stream.read(MAX_TEXT_BYTES).decode("utf-8", "replace")


def text_of(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_TEXT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def counts(target: PurePosixPath) -> bool:
    return is_work(target) or target.suffix.lower() == ".zip"


def counts_here(entry: Path) -> bool:
    return holds_work(entry) if entry.is_dir() else counts(PurePosixPath(entry.name))


def own_name(name: str) -> str:
    """Return the student's name of a file, without the platform's part."""
    named = platform_of(name)
    return (name[len(named.prefix) :] if named else "") or name


def platforms_own(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in (".html", ".htm", ".csv", ".yml", ".json", ".xml")


def odd_lines(names: Sequence[str], export: Path) -> list[str]:
    return _line(names, f"in {export.name}, but not named by the platform; taken by its own name")


def left_out_lines(names: Sequence[str], export: Path) -> list[str]:
    return _line(names, f"in {export.name}, with no student, not graded")


def _line(names: Sequence[str], what: str) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return [f"{len(names)} {what}: {', '.join(names[:MAX_SHOWN])}{more}"]
