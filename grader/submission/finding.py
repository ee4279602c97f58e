"""Finds the submissions below the paths that a user names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from grader.errors import SubmissionError
from grader.submission.archive import MAX_DEPTH
from grader.submission.students import platform_of
from grader.submission.work import ENVIRONMENTS, HANDED_IN, is_skipped, natural, reason_of


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
        entries = entries_of(path)
    except OSError as error:
        raise SubmissionError(f"{path}: can't be read ({reason_of(error)})") from error
    suffixes = {entry.suffix.lower() for entry in entries if entry.is_file()}
    if ".ipynb" in suffixes:
        return [path]
    many = [
        entry
        for entry in entries
        if (entry.is_file() and entry.suffix.lower() == ".zip")
        or (entry.is_dir() and not entry.is_symlink() and holds_work(entry))
    ]
    many = sorted([*many, *_without_work(entries, many)], key=natural)
    if ".py" in suffixes and not any(entry.is_file() for entry in many):
        return [path]
    return many or [path]


def passed_over(path: Path) -> list[str]:
    """Return what lies in a class's folder as if handed in, and is no submission there.

    Not our own pages and reports, which may lie there too.
    """
    try:
        found = _expand(path)
        entries = entries_of(path) if found != [path] else []
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


def entries_of(folder: Path) -> list[Path]:
    return sorted((e for e in folder.iterdir() if not is_skipped(e.name)), key=natural)


def _without_work(entries: Sequence[Path], many: Iterable[Path]) -> list[Path]:
    """Return the folders of an unpacked export in which a student has something else, once each."""
    owners = {_owner(entry) for entry in many}
    found = {_owner(entry): entry for entry in reversed(entries) if entry.is_dir()}
    return [entry for owner, entry in found.items() if owner and owner not in owners]


def _owner(entry: Path) -> tuple[str, str] | None:
    named = platform_of(entry.name)
    return (named["owner"], named["id"]) if named else None


def holds_work(folder: Path, depth: int = 0) -> bool:
    if folder.name.lower() in ENVIRONMENTS or depth > MAX_DEPTH:
        return False
    try:
        entries = [entry for entry in folder.iterdir() if not is_skipped(entry.name)]
    except OSError:
        return False
    if any(e.is_file() and e.suffix.lower() in (".ipynb", ".py", ".zip") for e in entries):
        return True
    return any(holds_work(e, depth + 1) for e in entries if e.is_dir() and not e.is_symlink())
