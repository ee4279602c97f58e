"""Finds the folders of the assignments that can be graded, by their ids."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from grader.errors import AssignmentError

FILE = "assignment.toml"
ENVIRONMENT_VARIABLE = "GRADE_ASSIGNMENTS"


def find_assignments(
    start: Path, explicit: Path | None, environ: Mapping[str, str]
) -> dict[str, Path]:
    """Return the folders of the assignments that can be graded, by assignment id.

    start : the working directory; never a submission's folder, which may hold checks of its own
    explicit : a folder of assignments, or one assignment's; else $GRADE_ASSIGNMENTS; else the
        nearest folder upwards from start with checks/assignment.toml or reference/*/assignment.toml
    Raises AssignmentError where none is found.
    """
    named = explicit
    source = "--assignments"
    if named is None and environ.get(ENVIRONMENT_VARIABLE):
        named, source = Path(environ[ENVIRONMENT_VARIABLE]).expanduser(), f"${ENVIRONMENT_VARIABLE}"
    if named is not None:
        found = _assignments_in(named)
        if not found:
            raise AssignmentError(f"{source}: {named} holds no {FILE}, nor does a folder in it")
        return found
    start = start.resolve()
    for folder in (start, *start.parents):
        found = _named([folder / "checks"]) | _assignments_in(folder / "reference", only_below=True)
        if found:
            return found
    raise AssignmentError(
        f"no assignment found: neither reference/*/{FILE} nor checks/{FILE} in {start} or above; "
        f"go to its folder (cd), or name it with --assignments or ${ENVIRONMENT_VARIABLE}"
    )


def _assignments_in(folder: Path, *, only_below: bool = False) -> dict[str, Path]:
    candidates = [] if only_below else [folder, folder / "checks", folder / "reference"]
    if not only_below and (folder / FILE).is_file():
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


def _named(folders: list[Path]) -> dict[str, Path]:
    """Return the folders that hold an assignment, by its id; the first of an id wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        if (folder / FILE).is_file():
            found.setdefault(_id_of(folder), folder)
    return found


def _refuse_twins(folders: list[Path]) -> None:
    """Raise AssignmentError where two of the folders give one id: a copy for the next year."""
    first: dict[str, Path] = {}
    for folder in folders:
        if (folder / FILE).is_file():
            other = first.setdefault(_id_of(folder), folder)
            if other != folder:
                raise AssignmentError(
                    f"{folder} and {other.name} beside it have the same id, {_id_of(folder)!r}: "
                    f"give one of them another in its {FILE}"
                )


def _id_of(folder: Path) -> str:
    """Return the assignment's id; the folder's name where the file is broken."""
    name = folder.parent.name if folder.name == "checks" else folder.name
    try:
        value = tomllib.loads((folder / FILE).read_text(encoding="utf-8")).get("id")
    except (OSError, ValueError):
        return name
    return value if isinstance(value, str) and value else name
