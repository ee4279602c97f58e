"""The files that lie beside an assignment's notebooks: data, modules, packages.

files = ["data/*.csv", "lab_helpers.py", "layers/"]      in assignment.toml: globs and folders

reference/pw03/data/table.csv                       the instructor's file
student_templates/pw03/data/table.csv               the students' copy, beside the notebook
student_templates/pw03/checks/files/data/table.csv  the copy for the students' own `grade`
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from grader.assignment.check_files import COPIES, HIDDEN, holds_checks
from grader.assignment.finding import FILE
from grader.errors import AssignmentError

# Files that programs leave behind.
_LEFT_BEHIND = ("__pycache__", "__MACOSX")
_OF_OURS = {
    HIDDEN: "is hidden, so it stays with you",
    "samples": "is a sample",
    "known": "is a table of known mistakes",
    "checks": "has the name of the students' folder of checks",
    "stubs": "has the name of the students' folder of stubs",
    FILE: "is the assignment itself",
    "survivors.toml": "is only for `grade verify`",
}


def root_of(folder: Path, *, public: bool) -> Path:
    """Return the folder that the names of the files are relative to."""
    return folder / COPIES if public else folder


def find_course_files(
    folder: Path, patterns: Sequence[str], notebooks: Collection[str], *, public: bool, where: str
) -> dict[str, Path]:
    """Return the files by their names relative to a notebook, in order.

    patterns : globs, files and folders, relative to the assignment's folder; a folder counts
        with all its files, except those that programs left behind
    notebooks : names of the solved notebooks, which are not course files
    public : True for a student's copy
    where : begins each message
    Raises AssignmentError for a pattern that matches nothing, leaves the folder, or names a check,
    a sample or a solved notebook.
    """
    root = root_of(folder, public=public)
    found: dict[str, Path] = {}
    for pattern in patterns:
        said = f"{where}: `files`: {pattern!r}"
        parts = PurePosixPath(pattern).parts
        if not parts or parts[0].startswith("/") or ".." in parts or "\\" in pattern:
            raise AssignmentError(
                f"{said} leaves the assignment's folder: name what lies in it, with / between"
            )
        matches = [*_matches(root, pattern)]
        if not matches:
            near = get_close_matches(pattern, _names(root), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise AssignmentError(f"{said} matches no file in {root}{hint}")
        for name, path in matches:
            if not path.resolve().is_relative_to(root.resolve()):
                raise AssignmentError(f"{said}: {name} is a link that leaves the folder")
            if not public and (why := _not_theirs(name, path, pattern, notebooks)):
                raise AssignmentError(
                    f"{said} matches {name}, which {why}: name what students get one by one, or "
                    "put it into a folder of its own"
                )
            found[name] = path
    return dict(sorted(found.items()))


def _matches(root: Path, pattern: str) -> Iterator[tuple[str, Path]]:
    """Yield (name, file); a matching folder counts with all its files."""
    for path in sorted(root.glob(pattern.rstrip("/"))):
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in inside:
            name = file.relative_to(root)
            if file.is_file() and not _is_left_behind(name):
                yield name.as_posix(), file


def _is_left_behind(name: Path) -> bool:
    hidden = any(part.startswith(".") or part in _LEFT_BEHIND for part in name.parts)
    return hidden or name.suffix == ".pyc"


def _not_theirs(name: str, path: Path, pattern: str, notebooks: Collection[str]) -> str:
    """Return why a file is not for the students; "" if it is.

    A module called test_utils.py is for them if it has no check and is named by itself.
    """
    parts = PurePosixPath(name).parts
    if name in notebooks:
        return "is a solved notebook"
    looks_so = len(parts) == 1 and name.startswith("test_") and name.endswith(".py")
    if looks_so and (name != pattern or holds_checks(path)):
        return "is a check file"
    return _OF_OURS.get(parts[0], "")


def _names(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    files = (file for file in root.rglob("*") if file.is_file())
    return [file.relative_to(root).as_posix() for file in files][:2000]
