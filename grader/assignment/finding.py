"""Finds the folders of the assignments that can be graded, by their ids."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from grader.errors import AssignmentError

FILE = "assignment.toml"
ENVIRONMENT_VARIABLE = "GRADE_ASSIGNMENTS"


def find_assignments(
    start: Path,
    explicit: Path | None,
    environ: Mapping[str, str],
    *,
    graded: Iterable[Path] = (),
    copy_first: bool = False,
    advice: str = f"name its folder with --assignments or ${ENVIRONMENT_VARIABLE}",
) -> dict[str, Path]:
    """Return the folders of the assignments that can be graded, by assignment id.

    start : the working directory
    explicit : a folder of assignments, or one assignment's; else $GRADE_ASSIGNMENTS; else
        reference/ in start or above; else checks/ beside the graded notebooks
    graded : the paths to grade. Nothing inside them is an assignment: check files run with the
        rights of the user, and a submission may contain its own
    copy_first : the student's copy beside the notebook comes before a reference/ upwards: only
        if the notebook itself already runs with the user's rights
    advice : what the user can do if none is found
    Raises AssignmentError if none is found, or two that may be meant.
    """
    handed_in = _HandedIn.of(graded)
    named, source = explicit, "--assignments"
    if named is None and environ.get(ENVIRONMENT_VARIABLE):
        named, source = Path(environ[ENVIRONMENT_VARIABLE]).expanduser(), f"${ENVIRONMENT_VARIABLE}"
        if not named.is_absolute():
            # A relative path would mean another folder in each submission.
            raise AssignmentError(f"{source} must be an absolute path, not {named}")
    if named is not None:
        return _named_by_user(named, source, handed_in)
    start = start.resolve()
    found = _students_copy(handed_in) if copy_first else {}
    found = found or _upwards(start, handed_in, advice) or _students_copy(handed_in)
    if found:
        return found
    left_out = handed_in.left_out(start)
    if left_out:
        raise AssignmentError(
            f"no assignment found; {left_out} lies in what is graded, or beside it, and may be a "
            f"student's: its checks are not used; {advice}"
        )
    raise AssignmentError(
        f"no assignment found: there is no reference/*/{FILE} in {start} or above, and no "
        f"checks/{FILE} beside the notebook; {advice}"
    )


@dataclass(frozen=True)
class _HandedIn:
    """The graded paths: no check may come from there.

    paths : as named, made absolute, and with links resolved
    beside : the folders of notebooks and scripts that are named one by one
    """

    paths: frozenset[Path]
    beside: frozenset[Path]

    @classmethod
    def of(cls, graded: Iterable[Path]) -> _HandedIn:
        paths = {form for path in graded for form in (Path.cwd() / path, path.resolve())}
        normal = frozenset(Path(os.path.normpath(path)) for path in paths)
        files = {p for p in normal if p.suffix.lower() in (".ipynb", ".py") and not p.is_dir()}
        return cls(normal, frozenset(path.parent for path in files))

    def holds(self, folder: Path) -> bool:
        """Tell whether a folder lies inside a graded path, by its name or behind a link."""
        forms = (Path(os.path.normpath(Path.cwd() / folder)), folder.resolve())
        return any(form == path or path in form.parents for form in forms for path in self.paths)

    def is_beside(self, folder: Path) -> bool:
        return folder.parent in self.beside or folder.parent.resolve() in self.beside

    def left_out(self, start: Path) -> str:
        """Return a folder upwards that would hold assignments if it had not been handed in."""
        for folder in (start, *start.parents, *self.beside, *self.paths):
            inside = [folder] if folder in self.paths else []
            for inner in (folder / "checks", folder / "reference", *inside):
                if _assignments_in(inner, only_below=inner.name == "reference"):
                    return str(inner)
        return ""


def _named_by_user(folder: Path, source: str, handed_in: _HandedIn) -> dict[str, Path]:
    # Check the folder first: then the files in it need not be read.
    found = {} if handed_in.holds(folder) else _assignments_in(folder)
    inside = [place for place in found.values() if handed_in.holds(place)]
    if inside or handed_in.holds(folder):
        raise AssignmentError(
            f"{source}: {inside[0] if inside else folder} lies in what is graded, and may be a "
            "student's: its checks are not used; name the course's own folder"
        )
    if not found:
        raise AssignmentError(f"{source}: {folder} holds no {FILE}, nor does a folder in it")
    return found


def _upwards(start: Path, handed_in: _HandedIn, advice: str) -> dict[str, Path]:
    """Return the assignments of the only reference/ in start or above; {} if there is none.

    Raises AssignmentError for two: the nearer one may have come with a submission.
    """
    places: list[Path] = []
    for folder in (start, *start.parents):
        reference = folder / "reference"
        if handed_in.holds(reference) or handed_in.is_beside(reference):
            continue
        if _assignments_in(reference, only_below=True):
            places.append(reference)
    if len(places) > 1:
        raise AssignmentError(
            f"there are assignments in {places[0]} and in {places[1]}, and one of them may have "
            f"come with a submission; {advice}"
        )
    return _assignments_in(places[0], only_below=True) if places else {}


def _students_copy(handed_in: _HandedIn) -> dict[str, Path]:
    """Return the checks/ folder beside the notebooks, if all of them lie in one folder.

    It is what `grade stubs` publishes: it says `public = true`, and holds no solution.
    """
    places = {path.resolve().parent for path in handed_in.paths}
    if not handed_in.paths or places != {folder.resolve() for folder in handed_in.beside}:
        return {}
    if len(places) != 1:
        return {}
    copy = places.pop() / "checks"
    if not _has_file(copy) or copy.is_symlink():
        return {}
    return _named([copy]) if _value(copy, "public") is True else {}


def _assignments_in(folder: Path, *, only_below: bool = False) -> dict[str, Path]:
    candidates = [] if only_below else [folder, folder / "checks", folder / "reference"]
    if not only_below and _has_file(folder):
        return _named([folder])
    try:
        below = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    except OSError:
        below = []
    _refuse_twins(below)
    found = _named([*candidates, *below, *(entry / "checks" for entry in below)])
    if not found and not only_below:
        return _assignments_in(folder / "reference", only_below=True)
    return found


def _has_file(folder: Path) -> bool:
    """Tell whether a folder holds an assignment's file; False for a folder that can't be read."""
    try:
        return (folder / FILE).is_file()
    except OSError:  # a folder of another user's
        return False


def _named(folders: list[Path]) -> dict[str, Path]:
    """Return the folders that hold an assignment, by its id; the first one with an id counts."""
    found: dict[str, Path] = {}
    for folder in folders:
        if _has_file(folder):
            found.setdefault(_id_of(folder), folder)
    return found


def _refuse_twins(folders: list[Path]) -> None:
    """Raise AssignmentError if two folders have one id, such as a copy for the next year."""
    first: dict[str, Path] = {}
    for folder in folders:
        if _has_file(folder):
            other = first.setdefault(_id_of(folder), folder)
            if other != folder:
                raise AssignmentError(
                    f"{folder} and {other.name} beside it have the same id, {_id_of(folder)!r}: "
                    f"give one of them another in its {FILE}"
                )


def _id_of(folder: Path) -> str:
    """Return the assignment's id; the folder's name if the file is broken."""
    value = _value(folder, "id")
    if isinstance(value, str) and value:
        return value
    return folder.parent.name if folder.name == "checks" else folder.name


def _value(folder: Path, key: str) -> object:
    try:
        return tomllib.loads((folder / FILE).read_text(encoding="utf-8")).get(key)
    except (OSError, ValueError):
        return None


def folder_of(assignment_id: str, folders: Mapping[str, Path]) -> Path:
    """Return an assignment's folder. Raises AssignmentError, which lists the known ones."""
    if assignment_id not in folders:
        raise AssignmentError(
            f"there is no assignment {assignment_id!r}; there is: {', '.join(sorted(folders))}"
        )
    return folders[assignment_id]
